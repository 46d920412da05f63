//! What can be wrong with a rule of a site or a route, and what to do about it.

use std::fmt;
use std::path::PathBuf;

use crate::key_path::printable;
use crate::network::Network;

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RuleProblem {
    /// Not a method.
    Method { found: String },
    /// No field can have this name.
    FieldName { name: String },
    /// A field of the connection.
    FramingField { name: String },
    /// A value that no field can have.
    FieldValue,
    /// Not what can be done to a field.
    FieldRule,
    /// Not an origin.
    Origin { found: String },
    /// `*` with `credentials`.
    EverybodysCredentials,
    /// No origin at all.
    NoOrigins,
    /// Not a status of an error, nor a class of them.
    ErrorStatus { found: String },
    /// A page that is larger than one should be.
    LargePage { path: PathBuf },
    /// `intercept` without `error_pages`.
    NothingToIntercept,
    /// Not a pattern of file names.
    Pattern { found: String },
    /// Neither a time nor words of Cache-Control.
    CacheControl { found: String },
    /// Not an extension.
    Extension { found: String },
    /// Not a media type.
    MediaType { found: String },
    /// Not a charset.
    Charset { found: String },
    /// `allow = []`.
    NobodyAllowed,
    /// A network both in `allow` and `deny`.
    AllowedAndDenied { network: Network },
    /// A realm that would need escapes.
    Realm,
    /// `realm` without `password_file`.
    RealmAlone,
    /// `password_file` cannot be read; the system's reason.
    Unreadable { path: PathBuf, reason: String },
    /// A line of `password_file` is of no use.
    PasswordLine {
        path: PathBuf,
        line: usize,
        problem: PasswordProblem,
    },
    /// `password_file` has no user.
    NoUsers { path: PathBuf },
    /// Not a rate.
    Rate { found: String },
    /// Not what a client can be.
    LimitBy { found: String },
}

/// What is wrong with a line of a password file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PasswordProblem {
    /// No colon, or nothing in front of it.
    NoUser,
    /// The user has a line already.
    Twice(String),
    /// A hash that is quick to guess, or no hash: its kind.
    Weak(&'static str),
    /// A hash of bcrypt or Argon2 that is damaged.
    Damaged,
    /// One that takes too long, or too much memory, for each login.
    Costly,
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleProblem::Method { found } => {
                write!(
                    f,
                    "must be methods in capitals, found `{}`",
                    printable(found)
                )
            }
            RuleProblem::FieldName { name } => {
                write!(f, "cannot be: no field is called `{}`", printable(name))
            }
            RuleProblem::FramingField { name } => write!(
                f,
                "cannot be set: `{name}` says where a message ends, and the server writes it"
            ),
            RuleProblem::FieldValue => f.write_str("holds a control character"),
            RuleProblem::FieldRule => f.write_str(
                "must be a string, `false`, `{ add = \"…\" }` or `{ if_absent = \"…\" }`",
            ),
            RuleProblem::Origin { found } => {
                write!(f, "is no origin: `{}`", printable(found))
            }
            RuleProblem::EverybodysCredentials => {
                f.write_str("is `true` for `*`: any site could read what only the visitor may see")
            }
            RuleProblem::NoOrigins => f.write_str("is empty: leave out `cors` instead"),
            RuleProblem::ErrorStatus { found } => write!(
                f,
                "is for no error: `{}` is neither a status from 400 to 599 nor \"4xx\" or \"5xx\"",
                printable(found)
            ),
            RuleProblem::LargePage { path } => {
                write!(f, "is larger than 1 MB: `{}`", path.display())
            }
            RuleProblem::NothingToIntercept => {
                f.write_str("is `true`, but there are no `error_pages` to send")
            }
            RuleProblem::Pattern { found } => {
                write!(f, "cannot be: `{}` matches no file", printable(found))
            }
            RuleProblem::CacheControl { found } => {
                write!(
                    f,
                    "is neither a time nor a `Cache-Control`: `{}`",
                    printable(found)
                )
            }
            RuleProblem::Extension { found } => {
                write!(f, "cannot be: `{}` is no extension", printable(found))
            }
            RuleProblem::MediaType { found } => {
                write!(f, "is no media type: `{}`", printable(found))
            }
            RuleProblem::Charset { found } => {
                write!(f, "is no charset: `{}`", printable(found))
            }
            RuleProblem::NobodyAllowed => f.write_str("is empty: nobody could come in"),
            RuleProblem::AllowedAndDenied { network } => {
                write!(f, "names `{network}`, and so does `allow`")
            }
            RuleProblem::Realm => f.write_str("must be ASCII without quotes and backslashes"),
            RuleProblem::RealmAlone => f.write_str("needs `password_file`, the file of the users"),
            RuleProblem::Unreadable { path, reason } => {
                write!(f, "cannot be read: `{}`: {reason}", path.display())
            }
            RuleProblem::PasswordLine {
                path,
                line,
                problem,
            } => write!(f, "is of no use: `{}:{line}` {problem}", path.display()),
            RuleProblem::NoUsers { path } => {
                write!(f, "has no user in it: `{}`", path.display())
            }
            RuleProblem::Rate { found } => {
                write!(f, "is no rate: `{}`", printable(found))
            }
            RuleProblem::LimitBy { found } => {
                write!(
                    f,
                    "must be \"address\", \"route\" or \"field NAME\", found `{}`",
                    printable(found)
                )
            }
        }
    }
}

impl fmt::Display for PasswordProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswordProblem::NoUser => f.write_str("is not of the form `user:hash`"),
            PasswordProblem::Twice(user) => {
                write!(f, "is the second line of `{}`", printable(user))
            }
            PasswordProblem::Weak(kind) => write!(f, "holds {kind}"),
            PasswordProblem::Damaged => f.write_str("holds a damaged hash"),
            PasswordProblem::Costly => {
                f.write_str("holds a hash that takes too much time or memory for each login")
            }
        }
    }
}

impl RuleProblem {
    /// What to do.
    pub(crate) fn help(&self) -> Option<String> {
        Some(match self {
            RuleProblem::Method { found } if found.bytes().all(|b| b.is_ascii_alphabetic()) => {
                format!("write \"{}\"", found.to_ascii_uppercase())
            }
            RuleProblem::Pattern { .. } => {
                "\"*.woff2\" is every file of that name, \"/downloads/*\" all below a folder"
                    .to_owned()
            }
            RuleProblem::Extension { .. } => "write it as \".webmanifest\"".to_owned(),
            RuleProblem::Unreadable { .. } => {
                "whoever starts the server must be able to read it, and it is UTF-8 text".to_owned()
            }
            RuleProblem::PasswordLine {
                path,
                problem: PasswordProblem::Weak(_) | PasswordProblem::Damaged,
                ..
            } => format!(
                "write it anew: `htpasswd -B {} USER`, which makes a bcrypt hash",
                path.display()
            ),
            RuleProblem::PasswordLine {
                problem: PasswordProblem::Costly,
                ..
            } => "bcrypt may cost up to 15, Argon2 256 MB and 20 passes".to_owned(),
            RuleProblem::PasswordLine {
                problem: PasswordProblem::Twice(_),
                ..
            } => "keep the line that holds".to_owned(),
            RuleProblem::NoUsers { path } | RuleProblem::PasswordLine { path, .. } => {
                format!("`htpasswd -B {} USER` adds one", path.display())
            }
            _ => return self.plain_help().map(str::to_owned),
        })
    }

    /// What to do, whatever was found.
    fn plain_help(&self) -> Option<&'static str> {
        Some(match self {
            RuleProblem::Method { .. } => "for example [\"GET\", \"HEAD\", \"POST\"]",
            RuleProblem::FieldName { .. } => "names are letters, digits and `-`",
            RuleProblem::FramingField { .. } => "leave it out",
            RuleProblem::FieldValue => "a value is one line of printable characters",
            RuleProblem::FieldRule => {
                "for example `headers = { X-Robots-Tag = \"noindex\", Server = false }`"
            }
            RuleProblem::Origin { .. } => {
                "scheme and host as browsers send them, without a path: \"https://app.example.com\""
            }
            RuleProblem::EverybodysCredentials => "list the origins",
            RuleProblem::NoOrigins => "or list some: [\"https://app.example.com\"]",
            RuleProblem::ErrorStatus { .. } => {
                "for example `error_pages = { 404 = \"404.html\", \"5xx\" = \"error.html\" }`"
            }
            RuleProblem::LargePage { .. } => {
                "pages are kept in memory: let it load what is large from elsewhere"
            }
            RuleProblem::NothingToIntercept => "add `error_pages = { \"5xx\" = \"error.html\" }`",
            RuleProblem::CacheControl { .. } => {
                "\"90s\", \"30d\", \"1y\", \"immutable\", \"no-cache\", \"no-store\", or words such as \"public, max-age=60\""
            }
            RuleProblem::MediaType { .. } => "for example \"application/manifest+json\"",
            RuleProblem::Charset { .. } => "for example \"utf-8\"; `false` says none",
            RuleProblem::NobodyAllowed => {
                "leave it out, or write [\"0.0.0.0/0\", \"::/0\"] to let everybody in"
            }
            RuleProblem::AllowedAndDenied { .. } => "keep it in one of the two",
            RuleProblem::Realm => "for example `realm = \"Staff only\"`",
            RuleProblem::RealmAlone => "add `password_file = \"staff.htpasswd\"`",
            RuleProblem::Rate { .. } => {
                "requests per second, minute, hour or day: \"10/s\", \"100/m\", \"1000/h\", \"5000/d\""
            }
            RuleProblem::LimitBy { .. } => "for example \"field X-Api-Key\"",
            RuleProblem::Extension { .. }
            | RuleProblem::Pattern { .. }
            | RuleProblem::Unreadable { .. }
            | RuleProblem::PasswordLine { .. }
            | RuleProblem::NoUsers { .. } => return None,
        })
    }
}
