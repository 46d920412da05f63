//! A worker's life, in order:
//!
//! 1. read the spec, start the log;
//! 2. import the application on the main thread;
//! 3. start the pool, then the front;
//! 4. warm up: a worker that cannot answer is none;
//! 5. report ready, wait for the word, serve until told to stop;
//! 6. drain the front, then the pool, and say so.
//!
//! With `python.preload` another process has done step 2, and workers begin as forks of it
//! ([`preload`]).

use std::borrow::Cow;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use appliance_bridge::{Applications, Development, ImportError, Imports, Pool};
use appliance_front::{Front, Listeners, Tickets};
use appliance_project::Project;
use appliance_project::model::Dev;
use appliance_project::wire::FromWorker;
use pyo3::prelude::*;
use tokio::runtime::Runtime;

use crate::control::{self, Orders, StopSignals};
use crate::cover::Covers;
use crate::log::WorkerLog;
use crate::preload::{self, Became};
use crate::process;
use crate::recycling::Bounds;
use crate::replacement::{Replacement, end_when_stuck};
use crate::spec::Assignment;

/// Exit statuses: those of `appliance serve`, since a worker without a supervisor is just that.
const DRAINED: u8 = 0;
const FAILED: u8 = 3;
const OVERDUE: u8 = 4;

/// How long a worker of `appliance dev` may drain, unless the supervisor ends it before: that knows
/// whether a successor serves or everything stops.
const IN_DEVELOPMENT: Duration = Duration::from_secs(3600);

/// Runs a worker; returns the process's exit status.
pub(crate) fn run(py: Python<'_>, spec_path: &str) -> u8 {
    match Assignment::read(spec_path) {
        Ok(assignment) if assignment.preloads => preload_and_fork(py, assignment),
        Ok(assignment) => run_worker(py, assignment, None),
        Err(error) => {
            eprintln!("error: cannot read the worker's spec `{spec_path}`: {error}");
            FAILED
        }
    }
}

/// Imports the application; then this process forks workers, and is one itself in each fork.
fn preload_and_fork(py: Python<'_>, mut assignment: Assignment) -> u8 {
    let Some(control) = assignment.control.take() else {
        eprintln!("error: nobody says when to fork a worker");
        return FAILED;
    };
    let applications = match import_once(py, &assignment.project) {
        Ok(applications) => applications,
        Err(failure) => {
            failure.report(Some(&control));
            return FAILED;
        }
    };
    let label = std::mem::take(&mut assignment.label);
    drop(assignment);
    let became = preload::serve(py, interpreter(py), &control);
    drop(control);
    match became {
        Ok(Became::Worker(assignment)) => {
            // Nothing depends on it.
            let _ = process::relabel(&label, &assignment.label);
            run_worker(py, *assignment, Some(applications))
        }
        Ok(Became::Ended) => DRAINED,
        Err(error) => {
            eprintln!("error: cannot fork workers: {error}");
            FAILED
        }
    }
}

/// Imports for all workers, or says why each of them has to do that by itself.
fn import_once(py: Python<'_>, project: &Project) -> Result<Applications, Failure> {
    settle_in(py, project)?;
    let applications = import(py, project)?;
    let failed = |error: String| Failure::new("python.preload", error);
    match preload::objection(py) {
        Ok(None) => {}
        Ok(Some(objection)) => return Err(failed(objection)),
        Err(error) => return Err(failed(error.to_string())),
    }
    // What a buffer holds would be printed by every fork.
    process::flush(py).map_err(|error| failed(error.to_string()))?;
    Ok(applications)
}

fn run_worker(
    py: Python<'_>,
    mut assignment: Assignment,
    applications: Option<Applications>,
) -> u8 {
    let control = assignment.control.take();
    let log = match WorkerLog::start(&mut assignment, control.is_some()) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("error: {error}");
            return FAILED;
        }
    };
    let status = run_with_log(py, assignment, control, applications);
    log.finish();
    status
}

fn run_with_log(
    py: Python<'_>,
    assignment: Assignment,
    control: Option<UnixStream>,
    applications: Option<Applications>,
) -> u8 {
    let reporter = control
        .as_ref()
        .and_then(|control| control.try_clone().ok());
    match start_and_serve(py, assignment, control, applications) {
        Ok(End::Drained) => {
            control::tell(reporter.as_ref(), &FromWorker::Drained);
            DRAINED
        }
        Ok(End::WithoutSome) => process::end_now(py, DRAINED),
        Ok(End::Overdue) => process::end_now(py, OVERDUE),
        Ok(End::Cold) => process::end_now(py, FAILED),
        Err(failure) => {
            failure.report(reporter.as_ref());
            FAILED
        }
    }
}

fn start_and_serve(
    py: Python<'_>,
    assignment: Assignment,
    control: Option<UnixStream>,
    applications: Option<Applications>,
) -> Result<End, Failure> {
    let Assignment {
        slot,
        project,
        tickets,
        listeners,
        others,
        unix,
        own,
        figures,
        counts,
        manager,
        leftovers,
        ..
    } = assignment;
    if let Some(file) = figures {
        let page = appliance_figures::Page::open(file).map_err(|error| {
            Failure::new(
                "server.master",
                format!("cannot map the memory that it shares with the supervisor: {error}"),
            )
        })?;
        appliance_figures::count_in(page);
    }
    // Before it starts a thread. A front without Python stands in for all of them.
    if let Some(cpus) = project.python.cpu_affinity
        && slot > 0
        && let Err(error) = process::bind(slot, cpus)
    {
        tracing::warn!(%error, "this worker is not bound to CPUs as `cpu_affinity` says");
    }
    if applications.is_none() {
        settle_in(py, &project)?;
    }
    if let Some(counts) = counts
        && let Err(error) = appliance_front::share_counts(&counts)
    {
        tracing::warn!(%error, "rate limits hold in each worker by itself");
    }
    let reporter = control
        .as_ref()
        .and_then(|control| control.try_clone().ok());
    let replacement = Arc::new(Replacement::new(
        reporter
            .as_ref()
            .and_then(|control| control.try_clone().ok()),
    ));
    let development = project
        .dev
        .as_ref()
        .map(|dev| development(&project, dev, &reporter));
    let pool = start_pool(
        py,
        &project,
        applications,
        development,
        Arc::clone(&replacement),
    )?;
    let pool = Arc::new(pool);
    let runtime = runtime(&pool)
        .map_err(|error| Failure::new("python", format!("cannot start the front: {error}")))?;
    let signals = {
        let _context = runtime.enter();
        StopSignals::register()
            .map_err(|error| Failure::new("server", format!("cannot watch for signals: {error}")))?
    };
    let python = interpreter(py);
    py.detach(|| {
        let grace = project.server.stop_timeout;
        let (outbox, watched) = (pool.outbox(), Arc::clone(&pool));
        let tickets = Tickets::new(tickets);
        let mut covers = Covers::new(&project, &pool, &tickets, others);
        let front = Front::new(&project, pool, &tickets, crate::memory::give_back)
            .map_err(|error| Failure::new("site.tls", error.to_string()))?;
        let served = runtime
            .block_on(async {
                tokio::spawn(async move { outbox.deliver().await });
                let mut orders = Orders::new(control, signals, own, watched.inspector())?;
                tokio::select! {
                    warm = warm_up(&front, &project) => if let Err(failure) = warm {
                        failure.report(reporter.as_ref());
                        return Ok(None);
                    },
                    () = orders.interrupted() => return Ok(Some((Instant::now(), 0))),
                }
                control::tell(
                    reporter.as_ref(),
                    &FromWorker::Ready {
                        python,
                        can_look: true,
                    },
                );
                let mut asked_at = Instant::now();
                if !orders.serve().await {
                    return Ok(Some((asked_at, 0)));
                }
                if reporter.is_some() {
                    let bounds = Bounds::new(&project.python.recycling);
                    tokio::spawn(async move { bounds.watch(&replacement).await });
                } else {
                    if let Some(manager) = &manager {
                        manager.ready();
                        tokio::spawn(manager.clone().keep_watchdog_quiet());
                    }
                    tokio::spawn(end_when_stuck(move || watched.is_stuck()));
                    tokio::spawn(control::reopen_logs_when_told());
                }
                let stop = async {
                    let leave = orders.stop(&mut covers).await;
                    asked_at = Instant::now();
                    tokio::spawn(orders.answer_on());
                    if let Some(manager) = &manager {
                        manager.stopping();
                    }
                    leave
                };
                let grace = match project.dev {
                    Some(_) => IN_DEVELOPMENT,
                    None => grace,
                };
                let listeners = Listeners {
                    addresses: listeners,
                    unix,
                };
                let left = appliance_front::serve(Arc::clone(&front), listeners, stop, grace).await;
                let left = left? + covers.left().await;
                Ok::<_, std::io::Error>(Some((asked_at, left)))
            })
            .map_err(|error| Failure::new("site.listen", format!("cannot serve: {error}")))?;
        let Some((asked_at, left)) = served else {
            // The application may keep the GIL for ever.
            process::end_soon(FAILED);
            return Ok(End::Cold);
        };
        // Before threads that are stuck are waited for.
        drop(leftovers);
        // What still waits for a client that is gone ends with the runtime's tasks.
        drop(runtime);
        let threads = front.gateway().stop(asked_at + grace);
        if left > 0 || threads.busy > 0 {
            tracing::warn!(
                worker = slot,
                connections = left,
                threads = threads.busy,
                "stopping with requests unfinished after {grace:?}"
            );
        }
        // A thread that is stuck with the GIL would keep this one from coming back.
        Ok(match (left + threads.busy, threads.lost) {
            (0, 0) => End::Drained,
            (0, _) if reporter.is_some() => {
                control::tell(reporter.as_ref(), &FromWorker::Drained);
                process::end_soon(DRAINED);
                End::WithoutSome
            }
            _ => {
                process::end_soon(OVERDUE);
                End::Overdue
            }
        })
    })
}

/// How a worker's serving ends.
enum End {
    /// Every request was answered.
    Drained,
    /// The same, but threads are stuck in requests that were answered for them.
    WithoutSome,
    /// Some were left when `stop_timeout` had passed.
    Overdue,
    /// It never served: a request to warm up has failed, as was reported.
    Cold,
}

/// What the application finds: its folder, its streams, its bounds.
fn settle_in(py: Python<'_>, project: &Project) -> Result<(), Failure> {
    crate::streams::print_whole_lines(py);
    std::env::set_current_dir(&project.python.chdir).map_err(|error| {
        Failure::new("python.chdir", format!("cannot enter the folder: {error}"))
    })?;
    if let Some(bytes) = project.python.memory_limit_bytes {
        crate::memory::limit_address_space(bytes).map_err(|error| {
            Failure::new("python.memory_limit", format!("cannot set it: {error}"))
        })?;
    }
    Ok(())
}

fn import(py: Python<'_>, project: &Project) -> Result<Applications, Failure> {
    appliance_bridge::import(py, &project.python).map_err(Failure::from)
}

fn start_pool(
    py: Python<'_>,
    project: &Project,
    applications: Option<Applications>,
    development: Option<Arc<Development>>,
    replacement: Arc<Replacement>,
) -> Result<Pool, Failure> {
    if !project.python.has_application() {
        return Ok(Pool::closed());
    }
    let applications = match (applications, &development) {
        (Some(applications), _) => applications,
        (None, Some(development)) => import_in_development(py, project, development),
        (None, None) => import(py, project)?,
    };
    let ask = move |reason| replacement.ask(reason);
    let pool = Pool::start(py, &project.python, applications, development, ask);
    pool.map_err(|error| {
        Failure::new(
            "python.threads",
            format!("cannot start the threads: {error}"),
        )
    })
}

/// One that cannot be imported is none that cannot serve: it shows why.
fn import_in_development(
    py: Python<'_>,
    project: &Project,
    development: &Development,
) -> Applications {
    let (applications, error) =
        appliance_bridge::import_in_development(py, &project.python, development);
    development.has_imported(py, error.is_some());
    if let Some(error) = error {
        Failure::from(error).report(None);
    }
    applications
}

/// Tells the supervisor what to watch.
fn development(project: &Project, dev: &Dev, reporter: &Option<UnixStream>) -> Arc<Development> {
    let reporter = reporter
        .as_ref()
        .and_then(|control| control.try_clone().ok());
    let tell = move |imports: Imports| {
        let Imports { files, all, broken } = imports;
        control::tell(
            reporter.as_ref(),
            &FromWorker::Imported { files, all, broken },
        );
    };
    Arc::new(Development::new(
        project.python.chdir.clone(),
        dev.remote,
        tell,
    ))
}

/// Only with an application: the front that stands in for it has none.
async fn warm_up(front: &Front<Arc<Pool>>, project: &Project) -> Result<(), Failure> {
    if !project.python.has_application() {
        return Ok(());
    }
    let warm = appliance_front::warm_up(front, project).await;
    warm.map_err(|cold| Failure {
        error: cold.to_string(),
        key: "python.warm_up".into(),
        traceback: front.gateway().last_traceback(),
        hint: Some(cold.hint().to_owned()),
        is_logged: true,
    })
}

/// One thread: the front needs no more, and every further one would compete with Python's.
fn runtime(pool: &Arc<Pool>) -> std::io::Result<Runtime> {
    let (parking, waking) = (Arc::clone(pool), Arc::clone(pool));
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(4)
        .thread_name("appliance-files")
        .on_thread_park(move || parking.front_parks())
        .on_thread_unpark(move || {
            appliance_front::clock::woke();
            waking.front_wakes();
        })
        .build()
}

/// `3.11.7 (CPython)`: the supervisor refuses every other implementation. (`platform` would say so
/// for 120 KB and 1.5 ms.)
fn interpreter(py: Python<'_>) -> String {
    let version = py.version_info();
    let (major, minor, patch) = (version.major, version.minor, version.patch);
    format!("{major}.{minor}.{patch} (CPython)")
}

/// Why a worker cannot serve.
struct Failure {
    error: String,
    key: Cow<'static, str>,
    traceback: Option<String>,
    hint: Option<String>,
    /// The traceback is in the log already.
    is_logged: bool,
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Failure {
        Failure {
            error: error.error,
            key: error.key.into(),
            traceback: error.traceback,
            hint: error.hint,
            is_logged: false,
        }
    }
}

impl Failure {
    fn new(key: &'static str, error: String) -> Self {
        Failure {
            error,
            key: key.into(),
            traceback: None,
            hint: None,
            is_logged: false,
        }
    }

    /// The traceback goes to standard error; the rest to the supervisor, or there as well.
    fn report(self, control: Option<&UnixStream>) {
        if let Some(traceback) = &self.traceback
            && !self.is_logged
        {
            eprintln!("{traceback}");
        }
        if control.is_none() {
            eprintln!("error: {} (`{}`)", self.error, self.key);
            if let Some(hint) = &self.hint {
                eprintln!("hint: {hint}");
            }
        }
        let failed = FromWorker::Failed {
            error: self.error,
            key: self.key.into_owned(),
            hint: self.hint,
            traceback: self.traceback,
        };
        control::tell(control, &failed);
    }
}
