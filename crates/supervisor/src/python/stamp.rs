//! What a virtualenv was made from, written into it: comparing it with what is asked for now
//! takes a few `stat`s and no interpreter.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PythonError;
use super::requirements::RequirementsFile;

const NAME: &str = "appliance.json";

/// The stamp of a virtualenv.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// False while packages are being installed: whoever finds it so finds the remains of an
    /// installation that was cut off.
    pub(crate) complete: bool,
    /// The interpreter that created it.
    interpreter: FileIdentity,
    /// The one it points to.
    python: Option<FileIdentity>,
    /// What it holds.
    requirements: Vec<RequirementsFile>,
}

/// A file, and whether it is still the same one. Images of containers keep no more than this of it:
/// device and inode are others in each container, and times lose their fractions on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileIdentity {
    /// Links resolved.
    path: PathBuf,
    size: u64,
    /// In seconds.
    modified: i64,
}

impl FileIdentity {
    fn of(path: &Path) -> io::Result<FileIdentity> {
        let path = path.canonicalize()?;
        let meta = path.metadata()?;
        Ok(FileIdentity {
            path,
            size: meta.size(),
            modified: meta.mtime(),
        })
    }
}

impl Stamp {
    /// The stamp that the virtualenv in `folder` must bear to be used as it is.
    pub(crate) fn wanted(
        folder: &Path,
        interpreter: &Path,
        requirements: &[RequirementsFile],
    ) -> Result<Stamp, PythonError> {
        let identity = FileIdentity::of(interpreter).map_err(|_| PythonError::NotFound {
            interpreter: interpreter.display().to_string(),
        })?;
        Ok(Stamp {
            complete: true,
            interpreter: identity,
            python: FileIdentity::of(&folder.join("bin/python")).ok(),
            requirements: requirements.to_vec(),
        })
    }

    /// The stamp in `folder`; none if there is none that can be understood.
    pub(crate) fn read(folder: &Path) -> Option<Stamp> {
        serde_json::from_slice(&fs::read(folder.join(NAME)).ok()?).ok()
    }

    /// Writes the stamp, in one step.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), PythonError> {
        let path = folder.join(NAME);
        let draft = folder.join(format!("{NAME}.new"));
        let written = serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .and_then(|json| fs::write(&draft, json))
            .and_then(|()| fs::rename(&draft, &path));
        written.map_err(|source| PythonError::NotWritable { path, source })
    }

    /// The same, for a virtualenv that is being filled.
    pub(crate) fn begun(self) -> Stamp {
        Stamp {
            complete: false,
            ..self
        }
    }

    /// Takes the stamp away: the virtualenv is whole, but not what was asked for.
    pub(crate) fn remove(folder: &Path) {
        if let Err(error) = fs::remove_file(folder.join(NAME)) {
            tracing::debug!(%error, "the virtualenv's stamp stays");
        }
    }
}
