//! The chunked transfer coding: however its bytes are split they give the same body or the same
//! refusal, that of a plain model, and a body in chunks comes out as it was. The first byte says how
//! to split.

use appliance_message::{Chunked, Piece, is_token};

/// The body so far, and how it ended: with so many bytes used, not yet, or in a refusal.
type Decoded = (Vec<u8>, Result<Option<usize>, &'static str>);

pub(crate) fn fuzz(bytes: &[u8]) {
    let Some((&split, sent)) = bytes.split_first() else {
        return;
    };
    let at_once = decode(sent, sent.len().max(1));
    assert_eq!(at_once, decode(sent, 1), "byte by byte");
    assert_eq!(
        at_once,
        decode(sent, usize::from(split) % 32 + 1),
        "in pieces"
    );
    match (at_once, model(sent)) {
        ((body, Ok(Some(used))), Some(by_model)) => assert_eq!((body, used), by_model),
        ((_, Ok(Some(_))), None) => panic!("taken, though it is not the grammar"),
        (other, Some(_)) => panic!("not taken, though it is the grammar: {other:?}"),
        (_, None) => {}
    }
    round_trip(sent, usize::from(split) % 32 + 1);
}

fn decode(sent: &[u8], piece: usize) -> Decoded {
    let (mut decoder, mut body, mut used) = (Chunked::default(), Vec::new(), 0);
    for piece in sent.chunks(piece) {
        let mut rest = piece;
        loop {
            let announced = decoder.announced();
            let before = rest.len();
            match decoder.next(&mut rest) {
                Ok(Piece::Data(data)) => {
                    assert!(!data.is_empty() && data.len() <= before);
                    assert!(announced == 0 || data.len() as u64 <= announced);
                    body.extend_from_slice(data);
                }
                Ok(Piece::More) => break,
                Ok(Piece::End) => {
                    used += piece.len() - rest.len();
                    return (body, Ok(Some(used)));
                }
                Err(refusal) => return (body, Err(refusal.reason)),
            }
        }
        assert!(rest.is_empty(), "what was not used was not asked for again");
        used += piece.len();
    }
    (body, Ok(None))
}

/// RFC 9112 §7.1, line by line: body and length of a whole one.
fn model(sent: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = line(sent, &mut at)?;
        let digits = line
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        let size = std::str::from_utf8(&line[..digits]).ok()?;
        let size = u64::from_str_radix(size, 16)
            .ok()
            .filter(|_| digits <= 16)?;
        let extension = &line[digits..];
        if !extension.is_empty() && !extension.trim_ascii_start().starts_with(b";") {
            return None;
        }
        if size == 0 {
            break;
        }
        let end = at.checked_add(usize::try_from(size).ok()?)?;
        body.extend_from_slice(sent.get(at..end)?);
        at = end + 2;
        if sent.get(end..at)? != b"\r\n" {
            return None;
        }
    }
    loop {
        let line = line(sent, &mut at)?;
        if line.is_empty() {
            return Some((body, at));
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        is_token(&line[..colon]).then_some(())?;
    }
}

/// Up to a CRLF, without any other control character but the tab.
fn line<'a>(sent: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let rest = sent.get(*at..)?;
    let len = rest.windows(2).position(|pair| pair == b"\r\n")?;
    *at += len + 2;
    let line = &rest[..len];
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    (!line.iter().any(is_control)).then_some(line)
}

fn round_trip(body: &[u8], chunk: usize) {
    let mut sent = Vec::new();
    for chunk in body.chunks(chunk) {
        sent.extend(format!("{:X}\r\n", chunk.len()).bytes());
        sent.extend([chunk, b"\r\n"].concat());
    }
    sent.extend(b"0\r\n\r\n");
    let len = sent.len();
    sent.extend(b"GET / HTTP/1.1\r\n");
    assert_eq!(decode(&sent, sent.len()), (body.to_vec(), Ok(Some(len))));
}
