//! The chunked transfer coding (RFC 9112 §7.1), undone piece by piece.

use crate::Refusal;
use crate::parse::field;

/// Bytes of chunk extensions and trailers that a whole body may come with: they carry nothing for
/// us, and a body made of them alone would keep us reading for nothing.
const MAX_OVERHEAD: usize = 16 * 1024;

/// 64 bits.
const MAX_SIZE_DIGITS: u8 = 16;

/// A decoder; one for each body.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    overhead: usize,
    /// The trailer line that is not at its end yet.
    line: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    /// In a chunk's size, with so many digits read.
    Size(u64, u8),
    /// Blanks behind the size: only an extension may follow.
    Blank(u64),
    Extension(u64),
    /// The LF behind the size's CR.
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    Trailer,
    End,
}

/// What the decoder made of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A part of the body.
    Data(&'a [u8]),
    /// All bytes are used up.
    More,
    /// The body is over; what is left of the bytes is the next request's.
    End,
}

impl Default for Chunked {
    fn default() -> Self {
        Chunked {
            state: State::Size(0, 0),
            overhead: 0,
            line: Vec::new(),
        }
    }
}

impl Chunked {
    /// Decodes from `bytes`, and moves their start behind what it used.
    ///
    /// # Errors
    /// What is not the coding's grammar, to the letter: no sign, no blank, no bare LF.
    pub fn next<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Piece<'a>, Refusal> {
        loop {
            if let State::Data(left) = self.state
                && !bytes.is_empty()
            {
                let len = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                let (data, rest) = bytes.split_at(len);
                *bytes = rest;
                self.state = match left - len as u64 {
                    0 => State::DataCr,
                    left => State::Data(left),
                };
                return Ok(Piece::Data(data));
            }
            if self.state == State::End {
                return Ok(Piece::End);
            }
            let Some((&byte, rest)) = bytes.split_first() else {
                return Ok(Piece::More);
            };
            *bytes = rest;
            self.state = self.step(byte)?;
        }
    }

    /// Bytes that the current chunk still has to bring, as its size says.
    pub fn announced(&self) -> u64 {
        match self.state {
            State::SizeLf(left) | State::Data(left) => left,
            _ => 0,
        }
    }

    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        Ok(match (self.state, byte) {
            (State::Size(size, digits), digit) if digit.is_ascii_hexdigit() => {
                if digits == MAX_SIZE_DIGITS {
                    return Err(Refusal::bad("a chunk's size does not fit into 64 bits"));
                }
                let value = char::from(digit).to_digit(16).unwrap_or_default();
                State::Size(size << 4 | u64::from(value), digits + 1)
            }
            (State::Size(_, 0), _) => return Err(Refusal::bad("a chunk without its size")),
            (State::Size(size, _), b' ' | b'\t') => self.blank(size)?,
            (State::Blank(size), b' ' | b'\t') => self.blank(size)?,
            (State::Size(size, _) | State::Blank(size), b';') => State::Extension(size),
            (State::Size(size, _) | State::Extension(size), b'\r') => State::SizeLf(size),
            (State::Extension(size), byte) if byte == b'\t' || byte >= b' ' && byte != 0x7f => {
                self.count()?;
                State::Extension(size)
            }
            (State::SizeLf(0), b'\n') => State::Trailer,
            (State::SizeLf(size), b'\n') => State::Data(size),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(0, 0),
            (State::Trailer, b'\n') => return self.trailer(),
            (State::Trailer, byte) => {
                self.count()?;
                self.line.push(byte);
                State::Trailer
            }
            _ => return Err(Refusal::bad("a chunk is malformed")),
        })
    }

    fn blank(&mut self, size: u64) -> Result<State, Refusal> {
        self.count()?;
        Ok(State::Blank(size))
    }

    /// Trailers are checked and dropped: nothing of theirs reaches an environ.
    fn trailer(&mut self) -> Result<State, Refusal> {
        let line = std::mem::take(&mut self.line);
        match line.strip_suffix(b"\r") {
            None => Err(Refusal::bad("an LF without its CR")),
            Some([]) => Ok(State::End),
            Some(line) => field(line).map(|_| State::Trailer),
        }
    }

    fn count(&mut self) -> Result<(), Refusal> {
        self.overhead += 1;
        match self.overhead > MAX_OVERHEAD {
            true => Err(Refusal::bad(
                "too many bytes of chunk extensions and trailers",
            )),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body and the bytes behind it.
    type Decoded<'a> = (Vec<u8>, &'a [u8]);

    /// None if the body is not over.
    fn decode<'a>(pieces: &[&'a [u8]]) -> Result<Option<Decoded<'a>>, Refusal> {
        let mut decoder = Chunked::default();
        let mut body = Vec::new();
        for piece in pieces {
            let mut bytes = *piece;
            loop {
                match decoder.next(&mut bytes)? {
                    Piece::Data(data) => body.extend_from_slice(data),
                    Piece::More => break,
                    Piece::End => return Ok(Some((body, bytes))),
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn bodies_are_decoded_however_their_bytes_are_split() {
        for (sent, body, rest) in [
            ("0\r\n\r\n", "", ""),
            ("3\r\nabc\r\n0\r\n\r\nGET", "abc", "GET"),
            (
                "3\r\nabc\r\n00A\r\n0123456789\r\n000\r\n\r\n",
                "abc0123456789",
                "",
            ),
            ("1;a=b;c=\"d\"\r\nx\r\n0;e\r\n\r\n", "x", ""),
            ("1 ;a\r\nx\r\n0\r\n\r\n", "x", ""),
            ("1\r\n\n\r\n0\r\nSum: 5\r\nX: y\r\n\r\n", "\n", ""),
        ] {
            let whole = decode(&[sent.as_bytes()]).unwrap().unwrap();
            assert_eq!(whole, (body.into(), rest.as_bytes()), "{sent:?}");
            let single: Vec<&[u8]> = sent.as_bytes().chunks(1).collect();
            let (split, _) = decode(&single).unwrap().unwrap();
            assert_eq!(split, body.as_bytes(), "{sent:?}");
            for at in 0..sent.len() - rest.len() {
                let (split, _) = decode(&[&sent.as_bytes()[..at], &sent.as_bytes()[at..]])
                    .unwrap()
                    .unwrap();
                assert_eq!(split, body.as_bytes(), "{sent:?} at {at}");
                assert_eq!(decode(&[&sent.as_bytes()[..at]]), Ok(None), "{sent:?}");
            }
        }
    }

    #[test]
    fn what_is_not_the_grammar_is_refused() {
        for sent in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\nx\r\n",
            "0x1\r\nx\r\n",
            " 1\r\nx\r\n",
            "1 \r\nx\r\n",
            "1\nx\r\n",
            "1\r\nx\n",
            "1\r\nxy\r\n",
            "1\rx\r\n",
            "1;a\nx\r\n",
            "1;\0\r\nx\r\n",
            "10000000000000000\r\n",
            "00000000000000001\r\n",
            "0\r\n\n",
            "0\r\nX: y\n\r\n",
            "0\r\n X: y\r\n\r\n",
            "0\r\nX\r\n\r\n",
            "0\r\nX : y\r\n\r\n",
            "0\r\nX: \0\r\n\r\n",
        ] {
            assert!(decode(&[sent.as_bytes()]).is_err(), "{sent:?}");
        }
        let long = format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(MAX_OVERHEAD + 1));
        assert!(decode(&[long.as_bytes()]).is_err());
        let many = "1;aaaaaaaaaa\r\nx\r\n".repeat(MAX_OVERHEAD / 10 + 1);
        assert!(decode(&[many.as_bytes()]).is_err());
        let trailers = format!("0\r\n{}\r\n", "X: y\r\n".repeat(MAX_OVERHEAD / 4));
        assert!(decode(&[trailers.as_bytes()]).is_err());
    }
}
