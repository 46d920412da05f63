//! Answers that need neither files nor the application.

use serde::{Deserialize, Serialize};

/// `redirect` of a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Redirect {
    /// `redirect`: a path of this site, or a whole URL.
    pub to: Template,
    /// `status`: 301, 302 (default), 303, 307 or 308.
    pub status: u16,
}

/// `respond` of a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Respond {
    /// `respond` or `status`: 200 to 599, no redirect.
    pub status: u16,
    /// `respond`, if it is a text.
    pub text: Option<String>,
}

/// A text with variables, in nginx's spelling. What is not ASCII is escaped already.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Template(pub Vec<Piece>);

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// `$1` or `$name`: a group of the route's expression.
    Group(usize),
    /// `$rest`: what follows the route's prefix. Empty, or begins with a slash.
    Rest,
    /// `$uri`: the path in normal form.
    Uri,
    /// `$request_uri`: path and query as they were sent.
    RequestUri,
    /// `$args`: the query.
    Args,
    /// `$host`: the host asked for, without port.
    Host,
}
