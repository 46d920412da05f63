//! The supervisor's life, in order:
//!
//! 1. it is the project's one server, and hears requests ([`crate::instance`], [`crate::control`]);
//! 2. the first generation is made ready and started, with answers to those who ask meanwhile;
//! 3. it serves until a stop is asked for, and drains;
//! 4. its files go, and those who asked for the stop are told.

use std::time::Instant;

use appliance_project::{Loaded, Sources};
use tokio::sync::mpsc::unbounded_channel;

use crate::Started;
use crate::control::{Control, Farewells};
use crate::error::Halt;
use crate::generation::Generation;
use crate::instance::Instance;
use crate::master::{Master, Outcome};
use crate::signals::Signals;
use crate::stage::Stage;
use crate::status;

pub(crate) async fn supervise(
    loaded: Loaded,
    sources: Sources,
    library: &'static [u8],
    mut signals: Signals,
    on_start: impl FnOnce(&Started<'_>),
) -> Result<Outcome, Halt> {
    let began = Instant::now();
    let instance = Instance::claim(&loaded.project, &sources.file)?;
    let (reporter, mut events) = unbounded_channel();
    let farewells = Farewells::default();
    let control = Control {
        events: reporter.clone(),
        stops: signals.asker(),
        farewells: farewells.clone(),
    };
    control.listen(&instance.listener)?;
    let served = async {
        let file = loaded.project.file.clone();
        let mut stage = Stage::new(&signals, Vec::new())?;
        let generation = tokio::select! {
            generation = Generation::first(loaded, library, &mut stage) => generation?,
            never = status::answer_while_preparing(&mut events, &file, began) => match never {},
        };
        let mut master = Master::new(sources, generation, (reporter, events), began);
        master.start(&mut signals).await?;
        on_start(&master.summary(began.elapsed()));
        let signal = master.watch(&mut signals).await;
        tracing::info!(%signal, "stopping");
        let outcome = master.stop(&mut signals).await;
        tracing::info!("stopped");
        Ok(outcome)
    };
    let served = served.await;
    drop(instance);
    say_farewell(&farewells, &served);
    served
}

/// Their connections end with this process.
fn say_farewell(farewells: &Farewells, served: &Result<Outcome, Halt>) {
    const OVERDUE: u8 = 4;
    let mut farewells = farewells
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
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
