//! The known traps of a deployment, each with its fix, in these steps:
//!
//! 1. `machine`: ports, open files, the clock.
//! 2. `files`: who may read and write what, and whether the front is older than its source.
//! 3. `application`: what only the project's own Python knows. It imports the application, as a
//!    worker would, and asks its settings; nothing is changed.

mod application;
mod files;
mod machine;
mod probe;

use appliance_project::Project;

/// One thing that is wrong, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it has to be fixed, rather than thought about.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It breaks something, or lets somebody in.
    Problem,
    /// It may be meant.
    Advice,
}

/// Findings on their way.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn problem(&mut self, what: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Problem, what, fix);
    }

    fn advice(&mut self, what: impl Into<String>, fix: impl Into<String>) {
        self.add(Severity::Advice, what, fix);
    }

    fn add(&mut self, severity: Severity, what: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Finding {
            severity,
            what: what.into(),
            fix: fix.into(),
        });
    }
}

/// Looks at a project as this process would serve it.
pub fn examine(project: &Project) -> Vec<Finding> {
    let mut findings = Findings::default();
    machine::examine(project, &mut findings);
    files::examine(project, &mut findings);
    application::examine(project, &mut findings);
    findings.0
}
