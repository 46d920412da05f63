//! Packets of gateways: part of one asks for more, nothing behind it counts, what is certain early stays
//! so; and no variable says anything in an application's `environ` that only a field may.

use appliance_message::uwsgi::{HEAD_BYTES, Packet, parse};
use appliance_message::{Limits, Name, is_control_free, is_token};

const LIMITS: Limits = Limits {
    bytes: 512,
    fields: 16,
};

pub(crate) fn fuzz(bytes: &[u8]) {
    let whole = parse(bytes, LIMITS);
    let mut refused = false;
    for end in 0..=bytes.len() {
        let part = parse(&bytes[..end], LIMITS);
        assert!(!refused || part.is_err(), "refused, then taken at {end}");
        refused |= part.is_err();
        if let (Ok(Some((_, len))), Ok(Some((_, again)))) = (&whole, &part) {
            assert!(len == again && end >= *len, "{len}, then {again} at {end}");
        }
    }
    if let Ok(Some((packet, len))) = whole {
        assert!(len <= bytes.len() && len <= LIMITS.bytes + HEAD_BYTES);
        check(&packet);
    }
}

fn check(packet: &Packet) {
    let head = &packet.head;
    assert!(head.path().starts_with(b"/") || head.path() == b"*");
    assert!(!head.path().contains(&b'?') && is_control_free(head.target()));
    assert!(head.fields().count() <= LIMITS.fields + 2);
    for (name, spelled, value) in head.fields() {
        assert!(is_token(spelled) && is_control_free(value));
        assert!(!spelled.iter().any(u8::is_ascii_uppercase));
        let of_the_connection = [Name::Connection, Name::Upgrade, Name::TransferEncoding, Name::Expect];
        assert!(!of_the_connection.contains(&name));
    }
    if let Some(mount) = &packet.told.mount {
        assert!(mount.script_name.starts_with('/') && !mount.script_name.ends_with('/'));
        assert!(head.path().starts_with(&mount.prefix) || head.path() == b"*");
    }
    for (name, _) in &packet.told.variables {
        let decided = ["REQUEST_METHOD", "PATH_INFO", "SCRIPT_NAME", "CONTENT_LENGTH", "REMOTE_ADDR"];
        assert!(!decided.contains(&&**name));
        assert!(!name.contains('.') && !name.starts_with("HTTP_") && !name.starts_with("UWSGI"));
    }
}
