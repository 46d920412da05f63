//! `server_name`: a host name as it stands in `Host`, without port (RFC 9110 §7.2).

use std::net::Ipv6Addr;

use crate::fault::HostProblem;

/// The name in lower case; of `.example.com`, the name and the wildcard below it.
pub(super) fn parse(text: &str) -> Result<Vec<String>, HostProblem> {
    let name = text.to_ascii_lowercase();
    if is_name(&name) || is_ipv6_literal(&name) || is_wildcard(&name) {
        return Ok(vec![name]);
    }
    match name.strip_prefix('.') {
        Some(below) if is_name(below) => Ok(vec![below.to_owned(), format!("*.{below}")]),
        _ => Err(problem(&name)),
    }
}

/// `*.example.com` or `www.*`.
fn is_wildcard(name: &str) -> bool {
    let named = name.strip_prefix("*.").or_else(|| name.strip_suffix(".*"));
    named.is_some_and(is_name)
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
        _ if matches!(name, "_" | "*" | "") => HostProblem::Any,
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
            ("*.Example.com", "*.example.com"),
            ("www.*", "www.*"),
        ] {
            assert_eq!(parse(text), Ok(vec![name.to_owned()]), "{text}");
        }
    }

    #[test]
    fn a_dot_in_front_is_the_name_and_all_below() {
        let both = ["example.com", "*.example.com"].map(str::to_owned);
        assert_eq!(parse(".example.com"), Ok(both.to_vec()));
    }

    #[test]
    fn each_other_form_has_its_own_answer() {
        let long = "a".repeat(64);
        for (text, problem) in [
            ("_", HostProblem::Any),
            ("*example.com", HostProblem::Wildcard),
            ("a.*.example.com", HostProblem::Wildcard),
            ("*", HostProblem::Any),
            ("*.*", HostProblem::Wildcard),
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
