//! However a body arrives, it is the same body.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use super::*;

/// xorshift64: the same sequence in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// Lines of all lengths, and bytes that the coding itself is made of.
    fn body(&mut self) -> Vec<u8> {
        let len = [0, 1, 7, 100, 1500][self.below(5)];
        (0..len).map(|_| b"\n\n\r;0a\xff "[self.below(8)]).collect()
    }
}

/// In chunks of any length, with extensions and trailers.
fn chunked(body: &[u8], random: &mut Random) -> Vec<u8> {
    let (mut sent, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(random.below(rest.len()) + 1);
        let extension = ["", ";a", " ;a=\"b;c\""][random.below(3)];
        sent.extend(format!("{:02x}{extension}\r\n", chunk.len()).bytes());
        sent.extend([chunk, b"\r\n"].concat());
        rest = after;
    }
    sent.extend(["0\r\n\r\n", "0;a\r\nX: y\r\n\r\n"][random.below(2)].bytes());
    sent
}

/// What a body is made of, as the socket hands it over: bytes that are not used are offered again.
fn receive_in_pieces(
    framing: Framing,
    sent: &[u8],
    piece: &mut dyn FnMut() -> usize,
) -> (Vec<u8>, usize) {
    let (mut reader, mut body, mut used) = (Reader::new(framing), BytesMut::new(), 0);
    let mut there = 0;
    while !reader.is_over() {
        assert!(there < sent.len() || used < there, "the body does not end");
        there = (there + piece()).min(sent.len());
        let before = body.len();
        let (added, taken) = reader.take(&sent[used..there], &mut body);
        assert_eq!(added.unwrap(), (body.len() - before) as u64);
        used += taken;
    }
    (body.to_vec(), used)
}

#[test]
fn any_split_of_the_bytes_gives_the_same_lines() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..3000 {
        let body = random.body();
        let lines: Vec<_> = body.split_inclusive(|byte| *byte == b'\n').collect();
        let plain = (Framing::Length(body.len() as u64), body.clone());
        for (framing, sent) in [plain, (Framing::Chunked, chunked(&body, &mut random))] {
            let len = sent.len();
            let with_next = [&sent[..], b"GET / HTTP/1.1\r\n"].concat();
            for most in [1, 2, 13, with_next.len()] {
                let mut piece = || random.below(most) + 1;
                let (got, used) = receive_in_pieces(framing, &with_next, &mut piece);
                let got_lines: Vec<_> = got.split_inclusive(|byte| *byte == b'\n').collect();
                assert_eq!(got_lines, lines, "{framing:?}");
                assert_eq!(used, len, "the next request's bytes are left: {framing:?}");
            }
        }
    }
}
