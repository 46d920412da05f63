//! The WSGI gateway: a queue, and Python threads that serve from it (PEP 3333).
//!
//! A call's way: [`Pool::call`](appliance_gateway::Gateway::call) → `queue` → `pool` (a Python
//! thread) → `call` (environ, application, head, chunks, `close()`) → `exchange` → the front.
//!
//! Beside it, `watch` sees to it that no request takes for ever.
//!
//! What is absent here: no Python object leaves this crate, no front thread ever waits for the
//! GIL, and no Python thread writes to a socket. It knows nothing of connections or routes.

mod application;
mod call;
mod development;
mod early_hints;
mod environ;
mod error_stream;
mod exchange;
mod file_wrapper;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gil;
mod input;
mod inspect;
mod outbox;
mod overdue;
mod pool;
mod post;
mod queue;
mod quota;
mod response_head;
mod rhythm;
mod spool;
mod stack;
mod start_response;
mod strike;
mod sys;
mod traceback;
mod traceback_page;
mod watch;

pub use application::{Applications, ImportError, import, import_in_development};
pub use development::{Development, Imports};
pub use exchange::ReplyStream;
pub use inspect::Inspector;
pub use outbox::Outbox;
pub use pool::{Left, Pool};
