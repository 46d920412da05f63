//! What lies in a project's folder, and what is known to go wrong with it.
//!
//! - [`init`] looks at a folder and writes a project file for it, from text alone: nothing is run.
//! - [`doctor`] looks at a project as it would run, and names the traps of deployments that are
//!   known; for what only Python knows, it asks the project's own.

pub mod doctor;
mod folder;
pub mod init;
mod python_text;
