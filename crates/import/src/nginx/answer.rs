//! `return` and `rewrite`: answers that need neither files nor the application.

use toml_edit::Value;

use crate::convert::Converted;
use crate::draft::{Line, Route, Site, Table};
use crate::report::Verdict;

use super::level::Reader;
use super::tree::Directive;

/// Variables that both sides have.
const SHARED: [&str; 4] = ["host", "uri", "request_uri", "args"];

impl Reader<'_, '_> {
    /// What `return` says, as a route's target; none if it cannot be said here.
    pub(super) fn returns(&mut self, directive: &Directive, route: &mut Route) -> bool {
        let place = directive.place;
        let (status, text) = match directive.args.as_slice() {
            [only] if only.parse::<u16>().is_err() => ("302", Some(only.as_str())),
            [status] => (status.as_str(), None),
            [status, text, ..] => (status.as_str(), Some(text.as_str())),
            [] => ("", None),
        };
        let Ok(status) = status.parse::<u16>() else {
            self.row(place, Verdict::Missing, "its status is no number");
            return false;
        };
        match (status, text) {
            (301 | 302 | 303 | 307 | 308, Some(url)) => match target(url, false) {
                Some(url) => {
                    self.answer_with(
                        directive,
                        route,
                        ("redirect", url.into()),
                        Some((status, 302)),
                    );
                    true
                }
                None => {
                    let text = "it uses a variable that redirects do not have: `$host`, `$uri`, `$request_uri` and `$args` are there";
                    self.row(place, Verdict::Missing, text);
                    false
                }
            },
            // 444 is nginx's own: it hangs up.
            (444, _) => {
                self.answer_with(directive, route, ("respond", 404.into()), None);
                true
            }
            (_, Some(text)) if text.contains('$') => {
                self.row(place, Verdict::Missing, "a fixed answer has no variables");
                false
            }
            (_, Some(text)) if !text.is_empty() => {
                self.answer_with(
                    directive,
                    route,
                    ("respond", text.into()),
                    Some((status, 200)),
                );
                true
            }
            (200..=599, _) => {
                self.answer_with(
                    directive,
                    route,
                    ("respond", i64::from(status).into()),
                    None,
                );
                true
            }
            _ => {
                self.row(place, Verdict::Missing, "no status that is an answer");
                false
            }
        }
    }

    fn answer_with(
        &mut self,
        directive: &Directive,
        route: &mut Route,
        target: (&'static str, Value),
        status: Option<(u16, u16)>,
    ) {
        let shown = format!("`{} = {}`", target.0, crate::draft::plain(&target.1));
        self.row(directive.place, Verdict::Carried, shown);
        route.target = target;
        if let Some((status, default)) = status
            && status != default
        {
            let value = Value::from(i64::from(status));
            let converted = Converted { value, rank: None };
            route
                .table
                .inherit(&Line::said("status", converted, directive.place));
        }
    }

    /// `rewrite regex replacement [flag]` of a server becomes a route of its own.
    pub(super) fn rewrite(&mut self, directive: &Directive, site: &mut Site) {
        let place = directive.place;
        let (regex, replacement, flag) = match directive.args.as_slice() {
            [regex, replacement] => (regex, replacement, ""),
            [regex, replacement, flag, ..] => (regex, replacement, flag.as_str()),
            _ => {
                return self.row(
                    place,
                    Verdict::Missing,
                    "needs an expression and a replacement",
                );
            }
        };
        let is_url = replacement.contains("://");
        let redirects = is_url || matches!(flag, "redirect" | "permanent");
        let Some(target) = target(replacement, true).filter(|_| is_linear(regex)) else {
            let text = "its expression or its variables have no counterpart: write a route by hand, see docs/routes.md";
            return self.row(place, Verdict::Missing, text);
        };
        let mut route = Route {
            place: Some(place),
            pattern: format!("~ {regex}"),
            target: ("redirect", true.into()),
            table: Table::default(),
            withheld: None,
        };
        match redirects {
            true => {
                let status = if flag == "permanent" { 301 } else { 302 };
                self.answer_with(
                    directive,
                    &mut route,
                    ("redirect", target.into()),
                    Some((status, 302)),
                );
            }
            false => self.answer_with(directive, &mut route, ("rewrite", target.into()), None),
        }
        site.routes.push(route);
    }
}

/// Whether an expression needs neither look-around nor backreferences.
pub(super) fn is_linear(regex: &str) -> bool {
    let backreference = regex
        .as_bytes()
        .windows(2)
        .any(|pair| pair[0] == b'\\' && pair[1].is_ascii_digit());
    !backreference
        && !["(?=", "(?!", "(?<=", "(?<!", "(?>"]
            .iter()
            .any(|look| regex.contains(look))
}

/// The target of a redirect in our words; none where it has a variable that is not there.
pub(crate) fn redirect_target(url: &str) -> Option<String> {
    target(url, false)
}

/// nginx's target in the words of a redirect; none where it has a variable that is not there. A
/// `rewrite` takes the query along, a `return` does not.
fn target(url: &str, takes_query: bool) -> Option<String> {
    let same_host = [
        "$scheme://$host",
        "$scheme://$http_host",
        "$scheme://$server_name",
    ];
    let path = same_host
        .iter()
        .find_map(|prefix| url.strip_prefix(prefix))
        .filter(|rest| rest.starts_with('/'));
    let url = path
        .unwrap_or(url)
        .replace("$is_args$args", "")
        .replace("$http_host", "$host");
    let mut rest = url.as_str();
    while let Some((_, after)) = rest.split_once('$') {
        let after = after.strip_prefix('{').unwrap_or(after);
        let end = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(after.len());
        let name = &after[..end];
        let is_group = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
        if !is_group && !SHARED.contains(&name) {
            return None;
        }
        rest = &after[end..];
    }
    // `${1}x` is how nginx writes what would be read as another name.
    if url.contains("${")
        || !(url.starts_with('/') || url.starts_with("http://") || url.starts_with("https://"))
    {
        return None;
    }
    let has_query = takes_query
        || url.contains("$request_uri")
        || url.contains("$args")
        || url.ends_with('?')
        || path_has_args(path);
    Some(if has_query { url } else { format!("{url}?") })
}

fn path_has_args(path: Option<&str>) -> bool {
    path.is_some_and(|path| path.contains("$is_args"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_said_in_the_words_of_a_redirect() {
        for (url, expected) in [
            (
                "https://$host$request_uri",
                Some("https://$host$request_uri"),
            ),
            ("$scheme://$host/x/", Some("/x/?")),
            ("$scheme://$host$request_uri", None),
            ("https://new.example/x", Some("https://new.example/x?")),
            ("/new/$1", Some("/new/$1?")),
            ("https://$server_name$request_uri", None),
            ("/x${args}", None),
            ("elsewhere", None),
        ] {
            assert_eq!(target(url, false).as_deref(), expected, "{url}");
        }
        assert_eq!(target("/new/$1", true).as_deref(), Some("/new/$1"));
        assert!(!is_linear("/(?!x)") && !is_linear("(a)\\1") && is_linear("^/a/(\\d+)$"));
    }
}
