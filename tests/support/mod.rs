//! The fixture: the real binary, serving a project in a folder of its own, on a port of its own.
//!
//! ```ignore
//! let site = Project::wsgi("def application(environ, start_response): ...").start();
//! assert_eq!(site.get("/").body(), b"hello");
//! ```
//!
//! Nothing here sleeps for luck: whatever is waited for is polled, within a bound.

#![allow(dead_code, reason = "every test file uses its own part of the fixture")]
#![allow(unreachable_pub, reason = "a module of a test, not of a library")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod appliance;
mod http;
pub mod http2;
mod load;
mod nginx;
mod project;
mod stopwatch;

#[allow(unused_imports, reason = "as above")]
pub use self::{
    appliance::{Appliance, Finished, children, eventually, is_running},
    http::{Connection, Response},
    load::{Counted, Load, Question},
    nginx::{ARTICLE, Nginx, free_address},
    project::{Project, test_interpreter, test_virtualenv},
    stopwatch::Stopwatch,
};
