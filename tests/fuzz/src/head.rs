//! Request heads: however they arrive they are read the same, what was read lies in what was
//! sent, and written out it is read again as the same.

use appliance_message::{Framing, Head, Limits, Name, Target, is_control_free, is_token, parse};
use http::Version;

const LIMITS: Limits = Limits {
    bytes: 1024,
    fields: 16,
};

pub(crate) fn fuzz(bytes: &[u8]) {
    let at_once = parse(bytes, &mut 0, LIMITS);
    let (mut seen, mut grown, mut end) = (0, Ok(None), 0);
    for len in 0..=bytes.len() {
        (grown, end) = (parse(&bytes[..len], &mut seen, LIMITS), len);
        if !matches!(grown, Ok(None)) {
            break;
        }
    }
    match (at_once, grown) {
        (Ok(None), Ok(None)) | (Err(_), Err(_)) => {}
        (Ok(Some((head, len))), Ok(Some((again, len_again)))) => {
            assert_eq!(
                (len, len),
                (end, len_again),
                "a shorter head was one already"
            );
            assert_eq!(format!("{head:?}"), format!("{again:?}"));
            check(&head, &bytes[..len]);
        }
        (at_once, grown) => panic!("at once {at_once:?}, byte by byte {grown:?}"),
    }
}

/// A head as `parse` gives it.
pub(crate) fn of(bytes: &[u8]) -> Option<Head> {
    parse(bytes, &mut 0, LIMITS)
        .ok()
        .flatten()
        .map(|(head, _)| head)
}

fn check(head: &Head, sent: &[u8]) {
    assert!(sent.ends_with(b"\r\n\r\n"));
    assert!(is_token(head.method.as_str().as_bytes()));
    assert!(!head.target().is_empty());
    for byte in head.target() {
        assert!(!b" \t\r\n\0#\x7f".contains(byte));
    }
    if head.form == Target::Origin {
        assert_eq!(head.path_and_query(), head.target());
        assert!(head.path().starts_with(b"/"));
    }
    let start = sent.len() - sent.trim_ascii_start().len();
    assert!(sent[start..].starts_with(head.line()));
    let mut lines = 0;
    for (name, spelled, value) in head.fields() {
        lines += 1;
        assert!(is_token(spelled) && is_control_free(value));
        assert_eq!(value, trim(value));
        assert_eq!(name, Name::of(spelled));
        let count = count(head, spelled);
        if name != Name::Other {
            assert!(head.has(name) && head.get(name).is_some());
            assert_eq!(head.repeats(name), count > 1);
            assert_eq!(head.all(name).count(), count);
        }
    }
    let line_feeds = sent[start..].iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(line_feeds, lines + 2, "each line is one field");
    framing(head);
    written_out(head);
    removed(head);
    head.host();
    head.keeps_alive();
}

fn count(head: &Head, wanted: &[u8]) -> usize {
    let names = head.fields().map(|(_, name, _)| name);
    names
        .filter(|name| name.eq_ignore_ascii_case(wanted))
        .count()
}

fn values(head: &Head, wanted: &str) -> Vec<String> {
    let of_name = |name: &[u8]| name.eq_ignore_ascii_case(wanted.as_bytes());
    let fields = head.fields().filter(|(_, name, _)| of_name(name));
    fields
        .map(|(_, _, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// RFC 9112 §6.3 for a server that refuses what is ambiguous.
fn framing(head: &Head) {
    let lengths = values(head, "content-length");
    let codings = values(head, "transfer-encoding");
    let is_digits = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match head.framing() {
        Ok(Framing::None) => {
            assert!(codings.is_empty() && lengths.len() <= 1);
            assert!(
                lengths
                    .iter()
                    .all(|text| is_digits(text) && text.bytes().all(|b| b == b'0'))
            );
        }
        Ok(Framing::Length(length)) => {
            assert!(codings.is_empty() && lengths.len() == 1 && is_digits(&lengths[0]));
            assert_eq!(lengths[0].trim_start_matches('0'), length.to_string());
        }
        Ok(Framing::Chunked) => {
            assert!(lengths.is_empty() && head.version == Version::HTTP_11);
            assert_eq!(codings.len(), 1);
            assert!(codings[0].eq_ignore_ascii_case("chunked"));
        }
        Err(refusal) => assert!(!refusal.reason.is_empty()),
    }
}

fn written_out(head: &Head) {
    let version: &[u8] = match head.version {
        Version::HTTP_10 => b" HTTP/1.0\r\n",
        _ => b" HTTP/1.1\r\n",
    };
    let mut text = [
        head.method.as_str().as_bytes(),
        b" ",
        head.target(),
        version,
    ]
    .concat();
    for (_, name, value) in head.fields() {
        text.extend([name, b": ", value, b"\r\n"].concat());
    }
    text.extend(b"\r\n");
    // The colon's blank may push it over the limit.
    if text.len() > LIMITS.bytes {
        return;
    }
    let again = of(&text).expect("what was read once");
    assert!(head.fields().eq(again.fields()));
    assert_eq!((head.path(), head.query()), (again.path(), again.query()));
    assert_eq!((head.host(), head.form), (again.host(), again.form));
    assert_eq!(head.framing(), again.framing());
    assert_eq!(head.keeps_alive(), again.keeps_alive());
}

fn removed(head: &Head) {
    let mut less = head.clone();
    let is_unwanted = |name: &[u8]| name.len() % 2 == 0;
    less.remove(|_, name| is_unwanted(name));
    let kept = head.fields().filter(|(_, name, _)| !is_unwanted(name));
    assert!(less.fields().eq(kept));
    for name in Name::USUAL {
        assert_eq!(
            less.has(*name),
            less.fields().any(|(known, ..)| known == *name)
        );
    }
}

fn trim(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().take_while(|byte| is_blank(byte)).count();
    let end = value.iter().rev().take_while(|byte| is_blank(byte)).count();
    value.get(start..value.len() - end).unwrap_or_default()
}
