//! Fields of a response: whatever passes the checks by which an application's fields are taken
//! stays one field of one response, byte for byte. Names and values are the input's lines, in
//! turns; what does not pass is left out, as it is refused.

use appliance_message::{Fields, Limits, is_control_free, is_token, parse};

pub(crate) fn fuzz(bytes: &[u8]) {
    // Split at a byte that is no line break, so that those reach the checks.
    let mut parts = bytes.split(|byte| *byte == b'|');
    let (mut fields, mut given) = (Fields::default(), Vec::new());
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        if let Ok(text) = std::str::from_utf8(name)
            && is_token(name)
            && is_control_free(value)
        {
            fields.add(text, value);
            given.push((name, value));
            if value.len() % 5 == 0 {
                fields.share();
            }
        }
    }
    let block = fields.blocks().concat();
    let breaks = block
        .iter()
        .filter(|byte| matches!(byte, b'\r' | b'\n' | 0))
        .count();
    assert_eq!(breaks, given.len() * 2, "a field broke a line");
    assert!(block.is_empty() || block.ends_with(b"\r\n"));
    assert_eq!(fields.iter().count(), given.len());
    for ((name, value), (sent_name, sent_value)) in given.iter().zip(fields.iter()) {
        assert_eq!((*name, value.trim_ascii()), (sent_name, sent_value));
    }
    read_again(&block, &given);
    if let Some((name, _)) = given.first() {
        let name = std::str::from_utf8(name).expect("a token");
        fields.remove(name);
        assert!(fields.get(name).is_none());
        let others = given
            .iter()
            .filter(|(other, _)| !other.eq_ignore_ascii_case(name.as_bytes()));
        assert_eq!(fields.iter().count(), others.count());
    }
}

/// By the reader of requests, whose fields have the same grammar.
fn read_again(block: &[u8], given: &[(&[u8], &[u8])]) {
    let text = [b"GET / HTTP/1.1\r\n", block, b"\r\n"].concat();
    let limits = Limits {
        bytes: 1 << 20,
        fields: 1 << 16,
    };
    let read = parse(&text, &mut 0, limits)
        .expect("a head")
        .expect("a whole head");
    assert_eq!((read.1, read.0.fields().count()), (text.len(), given.len()));
    for ((name, value), (_, sent_name, sent_value)) in given.iter().zip(read.0.fields()) {
        assert_eq!(
            (*name, value.trim_ascii()),
            (sent_name, sent_value.trim_ascii())
        );
    }
}
