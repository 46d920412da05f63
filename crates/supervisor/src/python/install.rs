//! A virtualenv of ours: created, filled, and left alone when nothing has changed.
//!
//! 1. Its stamp says what is asked for: done, in well under a millisecond.
//! 2. Lock: a second start waits here, and then finds step 1 true.
//! 3. No virtualenv, a broken one, one of another Python, or one whose installation was cut
//!    off: remove it and create it.
//! 4. `pip install`; the stamp is written last.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use appliance_project::model;

use super::error::Failure;
use super::interpreter::{self, Probe};
use super::requirements::{self, RequirementsFile};
use super::stamp::Stamp;
use super::{PythonError, venv};
use crate::confine::Confines;
use crate::error::Halt;
use crate::process::Exit;
use crate::progress::Progress;
use crate::stage::Stage;
use crate::step::{self, Ended};

/// Returns the interpreter of the virtualenv in `folder`, which holds what `file` lists.
pub(super) async fn up_to_date(
    python: &model::Python,
    (folder, file): (&Path, &Path),
    environment: &[(OsString, OsString)],
    confines: &Confines,
    stage: &mut Stage,
) -> Result<PathBuf, Halt> {
    let setup = Setup {
        interpreter: interpreter::find(&python.interpreter)?,
        folder,
        file,
        requirements: requirements::read(file)?,
        environment,
        confines,
    };
    if !setup.is_done()? {
        let _lock = setup.lock_beside(stage).await?;
        if !setup.is_done()? {
            setup.create_if_needed(stage).await?;
            setup.install(stage).await?;
        }
    }
    Ok(folder.join("bin/python"))
}

struct Setup<'a> {
    interpreter: PathBuf,
    folder: &'a Path,
    file: &'a Path,
    requirements: Vec<RequirementsFile>,
    environment: &'a [(OsString, OsString)],
    confines: &'a Confines,
}

impl Setup<'_> {
    fn wanted(&self) -> Result<Stamp, PythonError> {
        Stamp::wanted(self.folder, &self.interpreter, &self.requirements)
    }

    fn is_done(&self) -> Result<bool, PythonError> {
        Ok(Stamp::read(self.folder) == Some(self.wanted()?))
    }

    async fn create_if_needed(&self, stage: &mut Stage) -> Result<(), Halt> {
        let probe = interpreter::probe(&self.interpreter, "python.interpreter", self.confines)?;
        let stamp = Stamp::read(self.folder);
        let cut_off = stamp.as_ref().is_some_and(|stamp| !stamp.complete);
        if !cut_off && self.works_for(&probe) {
            return Ok(());
        }
        if !probe.ensurepip {
            let (python, minor) = (self.interpreter.clone(), probe.minor());
            return Err(PythonError::NoEnsurepip { python, minor }.into());
        }
        self.confines
            .act(|| venv::remove(self.folder, stamp.is_some()))??;
        self.create(&probe, stage).await
    }

    /// A virtualenv of the same minor version, with pip, can be filled as it is.
    fn works_for(&self, wanted: &Probe) -> bool {
        let Ok(python) = venv::python_of(self.folder) else {
            return false;
        };
        let probe = interpreter::probe(&python, "python.virtualenv", self.confines);
        probe.is_ok_and(|probe| probe.minor() == wanted.minor()) && self.has_pip(&python)
    }

    /// An interrupted `python -m venv` leaves a virtualenv without pip.
    fn has_pip(&self, python: &Path) -> bool {
        let mut command = Command::new(python);
        command.args(["-I", "-c", "import pip"]);
        self.confines.helper(&mut command);
        let output = command.output();
        output.is_ok_and(|output| output.status.success())
    }

    async fn create(&self, probe: &Probe, stage: &mut Stage) -> Result<(), Halt> {
        tracing::info!(
            folder = %self.folder.display(),
            python = probe.version(),
            "creating the virtualenv"
        );
        let not_writable = |source| PythonError::NotWritable {
            path: self.folder.to_owned(),
            source,
        };
        self.confines
            .act(|| fs::create_dir_all(self.folder))?
            .map_err(not_writable)?;
        self.mark_begun()?;
        let mut command = self.command(&self.interpreter);
        command.args(["-m", "venv"]).arg(self.folder);
        let failed = |failure| PythonError::VenvFailed {
            folder: self.folder.to_owned(),
            failure,
        };
        Ok(run_shown(command, "creating the virtualenv", stage)
            .await?
            .map_err(failed)?)
    }

    async fn install(&self, stage: &mut Stage) -> Result<(), Halt> {
        tracing::info!(file = %self.file.display(), "installing requirements");
        let started = Instant::now();
        self.mark_begun()?;
        let mut command = self.command(&self.folder.join("bin/python"));
        command
            .args([
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--no-input",
                // One line of progress is ours to draw.
                "--progress-bar=off",
                "-r",
            ])
            .arg(self.file);
        let title = self.file.file_name().unwrap_or_default().to_string_lossy();
        let title = format!("installing {title}");
        if let Err(failure) = run_shown(command, &title, stage).await? {
            self.confines.act(|| Stamp::remove(self.folder))?;
            return Err(PythonError::PipFailed {
                file: self.file.to_owned(),
                failure,
            }
            .into());
        }
        let stamp = self.wanted()?;
        self.confines.act(|| stamp.write(self.folder))??;
        tracing::info!(
            after_ms = started.elapsed().as_millis(),
            "requirements installed"
        );
        Ok(())
    }

    fn mark_begun(&self) -> Result<(), Halt> {
        let stamp = self.wanted()?.begun();
        Ok(self.confines.act(|| stamp.write(self.folder))??)
    }

    /// The folder that holds the virtualenv is locked: the virtualenv's own may be removed on the
    /// way, and a lock file would stay behind.
    async fn lock_beside(&self, stage: &mut Stage) -> Result<File, Halt> {
        const PAUSE: Duration = Duration::from_millis(100);
        let parent = self.folder.parent().unwrap_or(Path::new("/"));
        let not_writable = |source| PythonError::NotWritable {
            path: parent.to_owned(),
            source,
        };
        let open = || fs::create_dir_all(parent).and_then(|()| File::open(parent));
        let file = self.confines.act(open)?.map_err(not_writable)?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(source)) => return Err(not_writable(source).into()),
                Err(TryLockError::WouldBlock) => {}
            }
            if !told {
                let folder = self.folder.display();
                tracing::info!(%folder, "waiting for another process that sets up the virtualenv");
                told = true;
            }
            tokio::select! {
                stop = stage.stop() => return Err(Halt::Stopped(stop)),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// In the folder of the requirements: relative paths in them are relative to it for pip.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = self.file.parent() {
            command.current_dir(folder);
        }
        self.confines.helper(&mut command);
        command
    }
}

/// Runs a command whose output is shown as progress, and in full when it fails.
async fn run_shown(
    command: Command,
    title: &str,
    stage: &mut Stage,
) -> Result<Result<(), Failure>, Halt> {
    let mut progress = Progress::new(title);
    let audience = stage.audience().to_vec();
    let show = |line: &str| {
        progress.line(line);
        audience.iter().for_each(|reply| reply.progress(line));
    };
    let ended = step::run_with_output(command, stage, show).await?;
    let failure = match ended {
        Ended::With(status) if status.success() => return Ok(Ok(())),
        Ended::With(status) => Failure::Ended(Exit::of(status)),
        Ended::NotStarted(error) => Failure::NotStarted(error),
    };
    progress.show_all();
    Ok(Err(failure))
}
