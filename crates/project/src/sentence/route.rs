//! Of a route's path, its target and its servers.

use std::borrow::Cow;
use std::fmt::{self, Formatter};

use crate::fault::{PathProblem, TemplateProblem, UrlProblem};
use crate::key_path::printable;

pub(super) fn template(
    f: &mut Formatter<'_>,
    key: &str,
    found: &str,
    problem: &TemplateProblem,
) -> fmt::Result {
    write!(f, "`{key}` `{}` ", printable(found))?;
    match problem {
        TemplateProblem::Start => f.write_str("must begin with `/` or be a whole URL, `https://…`"),
        TemplateProblem::TwoSlashes => {
            f.write_str("begins with `//`: browsers take what follows for a host")
        }
        TemplateProblem::Unknown(name) => {
            write!(
                f,
                "has a variable that does not exist, `${}`",
                printable(name)
            )
        }
        TemplateProblem::NoGroup(number, 0) => {
            write!(
                f,
                "has `${number}`, but the route's expression has no groups"
            )
        }
        TemplateProblem::NoGroup(number, groups) => {
            write!(
                f,
                "has `${number}`, but the route's expression has only {groups}"
            )
        }
        TemplateProblem::NoExpression(name) => {
            write!(
                f,
                "has `${}`, but the route is no expression",
                printable(name)
            )
        }
        TemplateProblem::Unclosed => f.write_str("has a `${` without its `}`"),
        TemplateProblem::Host => f.write_str(
            "lets the visitor choose the host: a `/` or `$request_uri` must follow its name",
        ),
        TemplateProblem::Character => {
            f.write_str("has a space, a control character or a backslash")
        }
        TemplateProblem::NotInside => f.write_str("must be a path of this site"),
    }
}

pub(super) fn path(problem: &PathProblem) -> Cow<'static, str> {
    let text = match problem {
        PathProblem::NoSlash => "must begin with `/`",
        PathProblem::Dots => "has a `.` or `..` segment, which no request has after normalisation",
        PathProblem::DoubleSlash => "has an empty segment, `//`",
        PathProblem::Query => "has a `?` or `#`: a path has neither query nor fragment",
        PathProblem::Encoded => "has a `%`: paths are compared decoded",
        PathProblem::Character => "has a control character or a backslash",
        PathProblem::Modifier => "begins with the `@` of nginx's named locations",
        PathProblem::NoExpression => "has no expression after its `~`",
        PathProblem::Expression(reason) => {
            return format!("is no regular expression: {reason}").into();
        }
        PathProblem::Folder => "names a folder, not a file",
    };
    text.into()
}

pub(super) fn url(problem: UrlProblem) -> &'static str {
    match problem {
        UrlProblem::Scheme => {
            "is no server's URL: it begins with `http://`, `https://`, `h2c://`, `uwsgi://` or `unix:/`"
        }
        UrlProblem::Tls => {
            "asks for HTTP/2 over TLS: write `https://`, which speaks it where the server can"
        }
        UrlProblem::Host => "names no host",
        UrlProblem::Port => "has a port that is no number from 1 to 65535",
        UrlProblem::NoPort => "has no port",
        UrlProblem::Path => "has a path that is not in normal form",
        UrlProblem::Query => "has a query or a fragment, which a server's URL cannot",
        UrlProblem::User => "has a user name, which a server's URL cannot",
        UrlProblem::UnixPath => "must name the socket by its absolute path: `unix:/run/app.sock`",
    }
}
