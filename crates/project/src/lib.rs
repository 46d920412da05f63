//! `project.toml`: what was written, and what it means.
//!
//! Two stages. [`model`] holds what a project *means*: every path absolute, every range
//! checked, every default filled in; it is what the supervisor and the workers receive.
//! Everything before it (layers, positions, suggestions, messages) stays inside this crate.
//!
//! This crate knows no other crate of the workspace: neither HTTP nor Python nor processes.

pub mod model;
pub mod wire;

pub use model::Project;
