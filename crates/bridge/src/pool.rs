//! The Python threads of a worker.
//!
//! Each is a real `threading.Thread`, so that debuggers, profilers and `threading.local` see
//! what they expect, whose target loops here: wait for work detached, attach once, serve until
//! the queue is empty. A thread keeps its thread state, and its environ template, for life.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use appliance_figures::Pool as Figures;
use appliance_gateway::{Answering, Gateway, GatewayError, Request};
use appliance_project::model;
use appliance_project::wire::Reason;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};

use crate::application::Applications;
use crate::call::Call;
use crate::development::Development;
use crate::early_hints::EarlyHints;
use crate::environ::{Concurrency, EnvironBuilder};
use crate::exchange::{Exchange, ReplyStream};
use crate::inspect::Inspector;
use crate::outbox::Outbox;
use crate::post::Post;
use crate::queue::{Duty, Queue, lock};
use crate::quota::Quota;
use crate::rhythm::Rhythm;
use crate::spool::Spool;
use crate::sys;
use crate::watch::{AskReplacement, Limits, Watch};

/// How far the pool's threads stand back behind the front's when both want a processor: a
/// request for a small file then waits for no Python bytecode.
const NICE: i32 = 5;

/// Turns of the front's connections after which a burst counts as over.
const BURST_TURNS: usize = 64;

/// Runs an application: the gateway of the front.
pub struct Pool {
    queue: Arc<Queue<Call>>,
    outbox: Arc<Outbox>,
    response_buffer_bytes: usize,
    spool: Arc<Spool>,
    alive: Arc<AtomicUsize>,
    /// One for each thread.
    posts: Arc<[Post]>,
    /// None if there are no threads.
    watch: Option<Watch>,
    quota: Option<Arc<Quota>>,
    /// Turns since the front last slept.
    turns: AtomicUsize,
    rhythm: Arc<Rhythm>,
    /// The last traceback, where requests are made to warm up.
    raised: Option<Raised>,
    /// Where the project's own code is.
    folder: PathBuf,
    development: Option<Arc<Development>>,
}

type Raised = Arc<Mutex<Option<String>>>;

/// What a pool leaves behind when it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Threads with a request that somebody waits for.
    pub busy: usize,
    /// Threads that did not come back from a request which was given up.
    pub lost: usize,
}

impl Pool {
    /// Starts `python.threads` threads that call `applications`. `ask` is called with the reason
    /// when the worker should be replaced; it must not wait for the GIL. `development` is for `appliance dev`.
    ///
    /// # Errors
    /// What Python raises when it can start no more threads.
    pub fn start(
        py: Python<'_>,
        settings: &model::Python,
        applications: Applications,
        development: Option<Arc<Development>>,
        ask: impl Fn(Reason) + Send + Sync + 'static,
    ) -> PyResult<Self> {
        let figures = &appliance_figures::own().pool;
        figures.threads.set(settings.threads as u64);
        let queue = Arc::new(Queue::new(settings.queue, &figures.queue_length));
        let posts: Arc<[Post]> = (0..settings.threads).map(|_| Post::default()).collect();
        let limits = Limits {
            grace: settings.timeout_grace,
            queue: settings.queue_timeout,
        };
        let (watched, waiting) = (Arc::clone(&posts), Arc::clone(&queue));
        let ask: AskReplacement = Arc::new(ask);
        let quota = settings.recycling.max_requests;
        // A worker that is warming up has not begun to serve.
        let warm_up = settings.warm_up.len() as u64;
        let quota = quota.map(|most| {
            let most = most.saturating_add(warm_up);
            Arc::new(Quota::new(most, Arc::clone(&ask)))
        });
        let watch = Watch::start(py, watched, waiting, limits, ask)?;
        let pool = Pool {
            queue,
            posts,
            watch: Some(watch),
            quota,
            outbox: Arc::default(),
            response_buffer_bytes: usize::try_from(settings.response_buffer_bytes)?,
            spool: Arc::new(Spool::new(
                settings.spool.clone(),
                settings.response_spool_bytes,
            )),
            alive: Arc::default(),
            turns: AtomicUsize::default(),
            rhythm: Arc::new(Rhythm::new()),
            raised: (warm_up > 0).then(Arc::default),
            folder: settings.chdir.clone(),
            development,
        };
        let thread_class = py.import("threading")?.getattr("Thread")?;
        for place in 0..settings.threads {
            let options = PyDict::new(py);
            options.set_item("target", pool.target(py, place, settings, &applications)?)?;
            options.set_item("name", format!("appliance-{}", place + 1))?;
            // One that is stuck must not keep the interpreter from its end.
            options.set_item("daemon", true)?;
            thread_class
                .call((), Some(&options))?
                .call_method0("start")?;
        }
        Ok(pool)
    }

    /// A pool that runs nothing: every call is turned away as busy.
    pub fn closed() -> Self {
        let queue = Queue::new(0, &appliance_figures::own().pool.queue_length);
        queue.close();
        Pool {
            queue: Arc::new(queue),
            posts: Arc::new([]),
            watch: None,
            quota: None,
            outbox: Arc::default(),
            response_buffer_bytes: 0,
            spool: Arc::new(Spool::new(PathBuf::new(), 0)),
            alive: Arc::default(),
            turns: AtomicUsize::default(),
            rhythm: Arc::new(Rhythm::new()),
            raised: None,
            folder: PathBuf::new(),
            development: None,
        }
    }

    /// For those who ask what runs.
    pub fn inspector(&self) -> Inspector {
        let mirror = self.watch.as_ref().map(Watch::mirror);
        Inspector::new(Arc::clone(&self.posts), mirror, self.folder.clone())
    }

    /// What the front's runtime must deliver from.
    pub fn outbox(&self) -> Arc<Outbox> {
        Arc::clone(&self.outbox)
    }

    /// To be called on the front's thread when it is about to sleep.
    pub fn front_parks(&self) {
        self.rouse();
        if let Some(at_most) = self.rhythm.nap(self.queue.waiting()) {
            let has_news = self.outbox.nap(at_most);
            self.rhythm.has_napped(has_news);
        }
        self.outbox.front_parks();
    }

    /// To be called on the front's thread when it runs again.
    pub fn front_wakes(&self) {
        self.outbox.front_wakes();
    }

    fn rouse(&self) {
        self.turns.store(0, Ordering::Relaxed);
        self.queue.rouse();
    }

    /// Lets the threads finish what is queued and end, and waits for them until `deadline`; not
    /// for those that are lost. Not to be called with the GIL held.
    pub fn stop(&self, deadline: Instant) -> Left {
        self.queue.rouse();
        self.queue.close();
        loop {
            let lost = self.posts.iter().filter(|post| post.is_lost()).count();
            let alive = self.alive.load(Ordering::Acquire);
            let busy = alive.saturating_sub(lost);
            if busy == 0 || Instant::now() >= deadline {
                return Left { busy, lost };
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The traceback of what the application has raised last, if `python.warm_up` names requests.
    pub fn last_traceback(&self) -> Option<String> {
        lock(self.raised.as_ref()?).take()
    }

    /// Whether no request gets on any more, and none will.
    pub fn is_stuck(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_stuck)
    }

    fn target<'py>(
        &self,
        py: Python<'py>,
        place: usize,
        settings: &model::Python,
        applications: &Applications,
    ) -> PyResult<Bound<'py, PyCFunction>> {
        let thread = PoolThread {
            place,
            posts: Arc::clone(&self.posts),
            queue: Arc::clone(&self.queue),
            outbox: Arc::clone(&self.outbox),
            rhythm: Arc::clone(&self.rhythm),
            applications: applications.clone(),
            timeout: settings.request_timeout,
            quota: self.quota.clone(),
            figures: &appliance_figures::own().pool,
            raised: self.raised.clone(),
            development: self.development.clone(),
        };
        let alive = Arc::clone(&self.alive);
        let concurrency = Concurrency {
            multithread: settings.threads > 1,
            multiprocess: settings.processes > 1,
        };
        PyCFunction::new_closure(py, None, None, move |arguments, _| -> PyResult<()> {
            let py = arguments.py();
            let hints = EarlyHints::new(Arc::clone(&thread.posts), thread.place);
            let mut builder = EnvironBuilder::new(py, concurrency, hints)?;
            alive.fetch_add(1, Ordering::AcqRel);
            thread.serve(py, &mut builder);
            alive.fetch_sub(1, Ordering::AcqRel);
            Ok(())
        })
    }
}

/// What a pool thread works with.
struct PoolThread {
    /// Its number, from 0.
    place: usize,
    posts: Arc<[Post]>,
    queue: Arc<Queue<Call>>,
    outbox: Arc<Outbox>,
    rhythm: Arc<Rhythm>,
    applications: Applications,
    timeout: Duration,
    quota: Option<Arc<Quota>>,
    figures: &'static Figures,
    raised: Option<Raised>,
    development: Option<Arc<Development>>,
}

impl PoolThread {
    /// The life of the thread.
    fn serve(&self, py: Python<'_>, builder: &mut EnvironBuilder) {
        let PoolThread {
            queue,
            outbox,
            rhythm,
            ..
        } = self;
        sys::yield_to_front(NICE);
        self.posts[self.place].take();
        let place = queue.join();
        while py.detach(|| queue.wait(place)) == Duty::Serve {
            let mut began = Instant::now();
            let mut holds = false;
            while let Some(call) = queue.next(place) {
                let may_hold = rhythm.holds(queue.waiting());
                match (holds, may_hold) {
                    (false, true) => outbox.hold(),
                    (true, false) => outbox.release(),
                    _ => {}
                }
                holds = may_hold;
                self.run(py, call, began, builder);
                let ended = Instant::now();
                rhythm.record(ended - began);
                self.figures.application_time.record(ended - began);
                began = ended;
            }
            if holds {
                outbox.release();
            }
        }
    }

    fn run(&self, py: Python<'_>, call: Call, began: Instant, builder: &mut EnvironBuilder) {
        let post = &self.posts[self.place];
        let timeout = call.timeout.unwrap_or(self.timeout);
        // Who counts here holds the GIL.
        let waited = began.saturating_duration_since(call.came);
        self.figures.queue_time.record(waited);
        self.figures.threads_busy.add(1);
        post.begin(&call, began, timeout);
        // A fault of ours costs this request, not the thread.
        let development = self.development.as_deref();
        let run = || call.run(py, (&self.applications, development), builder, began);
        let run = AssertUnwindSafe(run);
        match catch_unwind(run) {
            Ok(Ok(())) => {}
            Ok(Err(raised)) => {
                if let (Some(traceback), Some(last)) = (raised, &self.raised) {
                    *lock(last) = Some(traceback);
                }
                post.fail();
            }
            Err(_) => {
                tracing::error!("a request failed inside the gateway: please report this");
                post.fail();
            }
        }
        if let Some(latecomer) = post.end(py) {
            latecomer.report();
        }
        self.figures.threads_busy.sub_one();
        if let Some(quota) = &self.quota {
            quota.count();
        }
        if let Some(development) = development {
            development.look_for_imports(py);
        }
    }
}

impl Gateway for Pool {
    type Body = ReplyStream;

    fn call(&self, request: Request) -> impl Answering<ReplyStream> + use<> {
        let exchange = Arc::new(Exchange::new(
            request.head,
            request.id,
            Arc::clone(&self.outbox),
            self.response_buffer_bytes,
            Arc::clone(&self.spool),
        ));
        let call = Call {
            exchange: Arc::clone(&exchange),
            body: request.body,
            local: request.local,
            peer: request.peer,
            is_https: request.is_https,
            user: request.user,
            tls: request.tls,
            told: request.told,
            callee: request.callee,
            timeout: request.timeout,
            came: request.came,
        };
        self.rhythm.count();
        if self.queue.push(call).is_err() {
            exchange.fail(GatewayError::Busy);
        }
        exchange.reply()
    }

    fn stay_awake(&self) {
        self.rhythm.stay_awake();
    }

    fn turn(&self) {
        self.outbox.turn();
        if self.turns.fetch_add(1, Ordering::Relaxed) >= BURST_TURNS {
            self.rouse();
        }
    }
}
