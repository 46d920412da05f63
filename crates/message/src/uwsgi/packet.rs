//! The packet's frame: its head, and the pairs in it.

use crate::parse::TOO_MANY_BYTES;
use crate::{Limits, Refusal};

/// Bytes before the variables.
pub const HEAD_BYTES: usize = 4;

/// The modifier1 of a WSGI request, with which its packet begins.
pub const WSGI: u8 = 0;

/// A request of HTTP instead, which begins with its method.
pub const HTTP: Refusal = Refusal::bad("that is HTTP, and no uwsgi packet");
/// The greeting of TLS instead.
pub const TLS: Refusal = Refusal::bad("that is TLS, and no uwsgi packet");
/// Another kind of packet than a WSGI request, of which there are many.
pub const MODIFIER: Refusal =
    Refusal::bad("the packet's modifier1 is not 0, which a WSGI request has");

/// The packet's variables; none if they are not all here.
pub(super) fn block(bytes: &[u8], limits: Limits) -> Result<Option<&[u8]>, Refusal> {
    match bytes.first() {
        Some(&WSGI) => {}
        Some(0x16) => return Err(TLS),
        Some(first) if first.is_ascii_alphabetic() => return Err(HTTP),
        Some(_) => return Err(MODIFIER),
        None => return Ok(None),
    }
    let Some(&[_, low, high, _modifier2]) = bytes.first_chunk::<HEAD_BYTES>() else {
        return Ok(None);
    };
    let len = usize::from(u16::from_le_bytes([low, high]));
    if len > limits.bytes {
        return Err(TOO_MANY_BYTES);
    }
    Ok(bytes.get(HEAD_BYTES..HEAD_BYTES + len))
}

/// The next variable of a block, which is left with the others.
pub(super) fn next<'b>(block: &mut &'b [u8]) -> Result<(&'b [u8], &'b [u8]), Refusal> {
    let name = text(block, "a name is longer than the packet")?;
    if name.is_empty() {
        return Err(Refusal::bad("a variable has no name"));
    }
    Ok((name, text(block, "a value is longer than the packet")?))
}

fn text<'b>(block: &mut &'b [u8], too_long: &'static str) -> Result<&'b [u8], Refusal> {
    let (len, rest) = block
        .split_first_chunk()
        .ok_or(Refusal::bad("the packet ends within a length"))?;
    let len = usize::from(u16::from_le_bytes(*len));
    let (text, rest) = rest.split_at_checked(len).ok_or(Refusal::bad(too_long))?;
    *block = rest;
    Ok(text)
}
