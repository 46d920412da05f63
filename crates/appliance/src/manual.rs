//! Shell completions and manual pages, both made of the command line's own definition.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{Cli, Status};
use crate::output::{printed, tell};

/// Prints what a shell needs to complete this command line.
pub(crate) fn completions(shell: Shell) -> Status {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "appliance", &mut text);
    printed(io::stdout().write_all(&text))
}

/// Writes `appliance.1`, and a page for each command, into a folder, which is made if need be.
pub(crate) fn pages(folder: &Path) -> Status {
    let made = std::fs::create_dir_all(folder);
    match made.and_then(|()| clap_mangen::generate_to(Cli::command(), folder)) {
        Ok(()) => Status::Done,
        Err(error) => {
            tell!("error: cannot write to `{}`: {error}", folder.display());
            Status::BadProject
        }
    }
}
