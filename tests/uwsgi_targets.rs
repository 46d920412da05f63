//! Routes that servers of the uwsgi protocol answer: a real uWSGI, and made up ones that do wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "uwsgi_targets/real.rs"]
mod real;
mod support;
#[path = "uwsgi_targets/wrong.rs"]
mod wrong;

use support::{Appliance, Project};

/// `"/"` is answered by what `proxy` says. The project has an application, which no route leads to.
fn passing_to(proxy: &str) -> Appliance {
    let sites = format!(
        "[[site]]\nlisten = [\"127.0.0.1:0\"]\nbody_limit = \"20MB\"\n[site.routes]\n\"/\" = {{ proxy = {proxy} }}\n"
    );
    Project::with_sites("application = print", "", &sites).start()
}
