//! What commands print. `println!` and `eprintln!` panic where nothing can be written, and a full disk
//! or a terminal that is gone is no reason for it.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

use crate::cli::Status;

/// Prints to standard output what a command was asked for.
pub(crate) fn print(text: &str) -> Status {
    let mut out = anstream::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed(written)
}

/// What it means that standard output took a text, or did not.
pub(crate) fn printed(written: io::Result<()>) -> Status {
    match written {
        Ok(()) => Status::Done,
        // `| head` has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Status::Done,
        Err(error) => {
            tell!("error: cannot write to standard output: {error}");
            Status::BadProject
        }
    }
}

/// Writes to standard error. If that takes nothing, nobody is left who could be told.
pub(crate) fn say(text: Arguments<'_>) {
    let _ = anstream::stderr().lock().write_fmt(text);
}

/// A line for standard error.
macro_rules! tell {
    ($($text:tt)*) => {
        $crate::output::say(format_args!("{}\n", format_args!($($text)*)))
    };
}
pub(crate) use tell;
