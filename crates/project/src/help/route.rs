//! What to do about a route's path, its target or its servers.

use crate::fault::{PathProblem, TemplateProblem, UrlProblem};
use crate::key_path::{printable, quoted};

pub(super) fn template(found: &str, problem: &TemplateProblem) -> String {
    let help = match problem {
        TemplateProblem::Start => {
            return format!(
                "write \"/{0}\" or \"https://{0}\"",
                printable(found.trim_start_matches('/'))
            );
        }
        TemplateProblem::TwoSlashes => {
            return format!("write \"https:{}\", or one slash", printable(found));
        }
        TemplateProblem::Unknown(_) => {
            "there are `$rest`, `$uri`, `$request_uri`, `$args`, `$host` and the groups of an expression; `$$` is a dollar"
        }
        TemplateProblem::NoGroup(..) => {
            "groups are what stands in round brackets, counted from `$1` on"
        }
        TemplateProblem::NoExpression(_) => {
            "write the route as one, such as '~ ^/old/(.+)$'; what follows a prefix is `$rest`"
        }
        TemplateProblem::Unclosed => "write `${uri}`; `$$` is a dollar",
        TemplateProblem::Host => {
            "for example \"https://www.example.com/$rest\" or \"https://$host$request_uri\""
        }
        TemplateProblem::Character => "a space is `%20`, a backslash `%5C`",
        TemplateProblem::NotInside => "`redirect` leads elsewhere",
    };
    help.into()
}

pub(super) fn path(found: &str, problem: &PathProblem) -> String {
    let help = match problem {
        PathProblem::NoSlash => {
            let path = found.trim_start_matches(['=', '^', '~', ' ']);
            let modifier = &found[..found.len() - path.len()];
            return format!("write \"{modifier}/{}\"", printable(path));
        }
        PathProblem::Dots => "write the path that is left without it",
        PathProblem::DoubleSlash => "write one slash: requests are compared without empty segments",
        PathProblem::Query => "leave it out: what holds for a path holds for it with every query",
        PathProblem::Encoded => "write the character itself",
        PathProblem::Character => "leave it out",
        PathProblem::Modifier => {
            "a `files` route with `wsgi` beside it does what they are mostly for"
        }
        PathProblem::NoExpression => "for example '~ ^/user/(\\d+)$', in single quotes",
        PathProblem::Expression(_) => {
            "there is neither look-around nor a back-reference; a backslash needs single quotes around the route"
        }
        PathProblem::Folder => "name a file in it, such as \"/index.html\"",
    };
    help.into()
}

pub(super) fn url(found: &str, problem: UrlProblem) -> String {
    let help = match problem {
        UrlProblem::Scheme if !found.is_empty() && !found.contains(['/', ' ']) => {
            return format!("write {}", quoted(&format!("http://{found}")));
        }
        UrlProblem::Scheme | UrlProblem::Host => {
            "for example \"http://127.0.0.1:3000\", \"http://app:3000\" or \"unix:/run/app.sock\""
        }
        UrlProblem::Tls => {
            let (_, rest) = found.split_once("://").unwrap_or(("", found));
            return format!("write {}", quoted(&format!("https://{rest}")));
        }
        UrlProblem::Port => "without one, it is 80, or 443 of `https://`",
        UrlProblem::NoPort => return format!("write {}", quoted(&format!("{found}:3031"))),
        UrlProblem::Path => "write it without `.`, `..`, `//` and `%`",
        UrlProblem::Query => "leave it out: the query of each request is passed on",
        UrlProblem::User => "leave it out: what clients send in `Authorization` is passed on",
        UrlProblem::UnixPath => "for example \"unix:/run/shop/app.sock\"",
    };
    help.into()
}

pub(super) fn same(route: &str) -> String {
    if route.starts_with('~') {
        return "keep one".into();
    }
    let path = route
        .trim_start_matches(['=', '^', '~', ' '])
        .trim_end_matches('/');
    format!("keep one; \"= {path}\" answers `{path}` alone")
}
