//! The supervisor's life, in order:
//!
//! 1. it is the project's one server, and hears requests ([`crate::instance`], [`crate::control`]);
//! 2. the first generation is made ready and started, with answers to those who ask meanwhile;
//! 3. it serves until a stop is asked for, and drains;
//! 4. its files go, and those who asked for the stop are told.
//!
//! A supervisor that takes over from another binary begins at step 3 ([`resume`]).

use std::fs::File;
use std::os::fd::RawFd;
use std::sync::PoisonError;
use std::time::Instant;

use appliance_project::{Loaded, Report, Sources};
use tokio::sync::mpsc::unbounded_channel;

use crate::activation::Passed;
use crate::control::{Control, Farewells, Reply};
use crate::error::Halt;
use crate::explain;
use crate::generation::{Generation, Own};
use crate::handover::Handover;
use crate::instance::Instance;
use crate::listeners::Listeners;
use crate::master::{Inherited, Leave, Master, Outcome};
use crate::notify::Notifier;
use crate::signals::Signals;
use crate::stage::Stage;
use crate::{Started, admin, confine, daemon, logs, shared, status, sys};

pub(crate) async fn supervise(
    loaded: Loaded,
    sources: Sources,
    library: &'static [u8],
    passed: Vec<Passed>,
    mut signals: Signals,
    on_start: impl FnOnce(&Started<'_>),
) -> Result<Outcome, Halt> {
    let began = Instant::now();
    confine::begin(&loaded.project)?;
    let instance = Instance::claim(&loaded.project, &sources.file)?;
    let (reporter, mut events) = unbounded_channel();
    let farewells = Farewells::default();
    let control = Control {
        events: reporter.clone(),
        stops: signals.asker(),
        farewells: farewells.clone(),
    };
    control.listen(&instance.listener)?;
    if let Some(admin) = &instance.admin {
        admin::serve(admin, reporter.clone())?;
    }
    let served = async {
        let file = loaded.project.file.clone();
        let mut stage = Stage::new(&signals, Vec::new())?;
        let generation = tokio::select! {
            generation = Generation::first(loaded, library, passed, &mut stage) => generation?,
            never = status::answer_while_preparing(&mut events, &file, began) => match never {},
        };
        let mut master = Master::new(sources, generation, (reporter, events), began);
        master.start(&mut signals).await?;
        *master.manager() = Notifier::of_environment();
        master.tell_ready();
        on_start(&master.summary(began.elapsed()));
        Ok(serve(master, &instance, &mut signals).await)
    };
    let served = served.await;
    drop(instance);
    say_farewell(&farewells, &served);
    served
}

/// Takes over what descriptor `fd` describes: from the old binary, to serve with this one, or from
/// the new one, which could not.
pub(crate) async fn resume(
    fd: RawFd,
    mut loaded: Result<Loaded, Report>,
    sources: Sources,
    library: &'static [u8],
    mut signals: Signals,
) -> Result<Outcome, Halt> {
    sys::unblock_signals()?;
    let mut handed = Handover::read(fd)?;
    daemon::adopt(handed.background.clone());
    if let Ok(loaded) = &mut loaded {
        daemon::claim_streams(&mut loaded.project);
        logs::mind_rights(&loaded.project);
        logs::take_over(&loaded.project);
    }
    if let Some(fd) = handed.shared {
        shared::adopt(fd)?;
    }
    let listeners = Listeners::adopt((&handed.lanes, &handed.unix), handed.spread)?;
    let generation = match &handed.returned {
        Some(_) => come_back(&handed, listeners.clone(), library),
        None => match take_over(&handed, loaded, &listeners, library, &signals).await {
            Ok(generation) => Ok(generation),
            Err(why) => {
                // Its sockets go back as they are.
                std::mem::forget(listeners.clone());
                appliance_log::finish();
                Err(handed.give_back(why).into())
            }
        },
    }?;
    logs::adopt(generation.project(), &handed.logs);
    let instance = Instance::adopt(&handed.instance)?;
    instance.give_to(generation.project())?;
    let (reporter, events) = unbounded_channel();
    let farewells = Farewells::default();
    let control = Control {
        events: reporter.clone(),
        stops: signals.asker(),
        farewells: farewells.clone(),
    };
    control.listen(&instance.listener)?;
    if let Some(admin) = &instance.admin {
        admin::serve(admin, reporter.clone())?;
    }
    let asked = handed.asked.iter().filter_map(|fd| Reply::adopt(*fd).ok());
    let asked: Vec<Reply> = asked.collect();
    let mut master = Master::adopt(sources, generation, (reporter, events), &handed)?;
    *master.manager() = Notifier::of_successor();
    let binary = File::from(sys::adopt(handed.binary)?);
    match &handed.returned {
        Some(why) => master.came_back(why, asked),
        None => master.roll_out_inherited(Inherited {
            binary,
            arguments: std::mem::take(&mut handed.arguments),
            own: handed.own.take(),
            listeners,
            asked,
        }),
    }
    let served = Ok(serve(master, &instance, &mut signals).await);
    drop(instance);
    say_farewell(&farewells, &served);
    served
}

fn come_back(
    handed: &Handover,
    listeners: Listeners,
    library: &'static [u8],
) -> Result<Generation, Halt> {
    let own: Own = serde_json::from_value(handed.own.clone()).map_err(std::io::Error::from)?;
    Generation::again(own, listeners, library)
}

/// This program's own generation, or why there is none.
async fn take_over(
    handed: &Handover,
    loaded: Result<Loaded, Report>,
    listeners: &Listeners,
    library: &'static [u8],
    signals: &Signals,
) -> Result<Generation, String> {
    let loaded = loaded.map_err(|report| report.to_string())?;
    let (project, settings) = (loaded.project.clone(), loaded.settings.clone());
    let mut stage = Stage::new(signals, Vec::new()).map_err(|error| format!("error: {error}\n"))?;
    let number = handed.generation + 1;
    let made = Generation::inherited(number, loaded, library, listeners, &mut stage).await;
    made.map_err(|halt| match halt {
        Halt::Failed(error) => explain::plain(&error, &project, &settings),
        Halt::Stopped(stop) => format!("error: stopped by {stop}\n"),
    })
}

/// Serves until a stop is asked for, and drains; as another program, if it comes to that.
async fn serve(mut master: Master, instance: &Instance, signals: &mut Signals) -> Outcome {
    loop {
        match master.watch(signals).await {
            Leave::HandOver { binary } => master.hand_over(instance, &binary).await,
            Leave::HandBack { why } => master.hand_back(instance, why).await,
            Leave::Stop(signal) => {
                tracing::info!(%signal, "stopping");
                let outcome = master.stop(signals).await;
                tracing::info!("stopped");
                return outcome;
            }
        }
    }
}

/// Their connections end with this process.
fn say_farewell(farewells: &Farewells, served: &Result<Outcome, Halt>) {
    const OVERDUE: u8 = 4;
    let mut farewells = farewells.lock().unwrap_or_else(PoisonError::into_inner);
    for reply in farewells.iter() {
        match served {
            Ok(Outcome::Overdue) => reply.failed(
                OVERDUE,
                "error: stopped, but requests were cut off when `server.stop_timeout` had passed\n",
            ),
            _ => reply.done("stopped"),
        }
    }
    // Nothing closes the connections before the process ends.
    std::mem::forget(std::mem::take(&mut *farewells));
}
