//! Shell completions and manual pages, both made of the command line's own definition.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{Cli, Status};

/// Prints what a shell needs to complete this command line.
pub(crate) fn completions(shell: Shell) -> Status {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "appliance", &mut text);
    written(io::stdout().write_all(&text), "standard output")
}

/// Writes `appliance.1`, and a page for each command, into a folder.
pub(crate) fn pages(folder: &Path) -> Status {
    let written_all = clap_mangen::generate_to(Cli::command(), folder);
    written(written_all, &folder.display().to_string())
}

fn written(result: io::Result<()>, to: &str) -> Status {
    match result {
        Ok(()) => Status::Done,
        Err(error) => {
            anstream::eprintln!("error: cannot write to `{to}`: {error}");
            Status::BadProject
        }
    }
}
