//! `server_name`: a host name as it stands in `Host`, without port (RFC 9110 §7.2).

use std::net::Ipv6Addr;

use crate::fault::HostProblem;

/// The name in lower case.
pub(super) fn parse(text: &str) -> Result<String, HostProblem> {
    let name = text.to_ascii_lowercase();
    if is_name(&name) || is_ipv6_literal(&name) {
        return Ok(name);
    }
    Err(problem(&name))
}

/// Letters, digits and hyphens (RFC 1123 §2.1), and the underscore that service names of
/// containers have.
fn is_name(name: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let label = |label: &str| {
        let ends = |end: Option<char>| end.is_some_and(|c| c != '-');
        label.len() <= 63
            && label.bytes().all(inside)
            && ends(label.chars().next())
            && ends(label.chars().next_back())
    };
    name != "_" && name.len() <= 253 && name.split('.').all(label)
}

fn is_ipv6_literal(name: &str) -> bool {
    let inside = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inside.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

fn problem(name: &str) -> HostProblem {
    match name.rsplit_once(':') {
        _ if name == "_" || name.is_empty() => HostProblem::Any,
        _ if name.starts_with('~') => HostProblem::Regex,
        _ if name.contains("://") => HostProblem::Url,
        _ if name.contains('*') || name.starts_with('.') => HostProblem::Wildcard,
        _ if !name.is_ascii() => HostProblem::NotAscii,
        Some((host, port)) if is_name(host) && port.bytes().all(|b| b.is_ascii_digit()) => {
            HostProblem::Port
        }
        _ => HostProblem::Form,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_taken_in_lower_case() {
        for (text, name) in [
            ("Example.COM", "example.com"),
            ("localhost", "localhost"),
            ("my_app", "my_app"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(parse(text), Ok(name.to_owned()), "{text}");
        }
    }

    #[test]
    fn each_other_form_has_its_own_answer() {
        let long = "a".repeat(64);
        for (text, problem) in [
            ("_", HostProblem::Any),
            ("*.example.com", HostProblem::Wildcard),
            (".example.com", HostProblem::Wildcard),
            ("~^www", HostProblem::Regex),
            ("example.com:80", HostProblem::Port),
            ("https://example.com/", HostProblem::Url),
            ("bücher.example", HostProblem::NotAscii),
            ("a..b", HostProblem::Form),
            ("example.com.", HostProblem::Form),
            ("-a.example", HostProblem::Form),
            ("a b", HostProblem::Form),
            (long.as_str(), HostProblem::Form),
        ] {
            assert_eq!(parse(text), Err(problem), "{text}");
        }
    }
}
