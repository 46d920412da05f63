//! A log file: added to, begun anew when it is large or old, opened anew when it was moved.
//!
//! One thread writes, so a file changes between two lines. On a full disk lines are dropped and
//! counted, and what was written of the one that did not fit is taken back.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use appliance_project::model::Rotation;

use super::Loss;

pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    pub(super) rotation: Rotation,
    /// Of a regular file; others (a FIFO, `/dev/null`) are not begun anew.
    len: Option<u64>,
    began: SystemTime,
    pub(super) loss: Loss,
    /// After an attempt that failed.
    not_before: Option<SystemTime>,
}

impl LogFile {
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<LogFile> {
        let (file, len, began) = open(path)?;
        Ok(LogFile {
            path: path.to_owned(),
            file,
            rotation,
            len,
            began,
            loss: Loss::default(),
            not_before: None,
        })
    }

    /// What is at the path now; if that cannot be opened, the old file stays.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.len, self.began) = open(&self.path)?;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&mut self, lines: &[u8]) {
        if let (Some(max), Some(len)) = (self.rotation.max_size_bytes, self.len)
            && len > 0
            && len + lines.len() as u64 > max
        {
            self.rotate();
        }
        let mut written = 0;
        while written < lines.len() {
            match self.file.write(&lines[written..]) {
                Ok(0) => return self.lose(lines, written, io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.lose(lines, written, error),
            }
        }
        self.len = self.len.map(|len| len + lines.len() as u64);
        self.loss.over();
    }

    /// Of `lines` only the first `written` bytes could be written.
    fn lose(&mut self, lines: &[u8], written: usize, error: io::Error) {
        let last_end = lines[..written].iter().rposition(|byte| *byte == b'\n');
        let whole = last_end.map_or(0, |at| at + 1);
        let torn = (written - whole) as u64;
        if torn > 0
            && self.len.is_some()
            && let Ok(found) = self.file.metadata()
            && let Err(error) = self.file.set_len(found.len().saturating_sub(torn))
        {
            tracing::debug!(%error, "a line stays cut");
        }
        self.len = self.len.map(|len| len + whole as u64);
        let lost = lines[whole..].iter().filter(|byte| **byte == b'\n').count();
        self.loss.more(lost as u64, error);
    }

    pub(super) fn rotate_if_old(&mut self) {
        let Some(max) = self.rotation.max_age else {
            return;
        };
        if self.len.is_some_and(|len| len > 0) && age(self.began) >= max {
            self.rotate();
        }
    }

    fn rotate(&mut self) {
        /// A folder that does not let files be renamed is not tried with every line.
        const PAUSE: Duration = Duration::from_secs(60);
        if self
            .not_before
            .is_some_and(|moment| SystemTime::now() < moment)
        {
            return;
        }
        let (path, keep) = (&self.path, self.rotation.keep);
        let shifted = by_rights(path, || shift(path, keep));
        let rotated = shifted.and_then(|()| self.reopen());
        self.not_before = rotated.is_err().then(|| SystemTime::now() + PAUSE);
        if let Err(error) = rotated {
            let file = self.path.display();
            tracing::warn!(%file, %error, "cannot begin the log file anew; it grows on");
        }
    }
}

/// Does `action`, about a file at a path, with the rights that count there.
pub(crate) type Rights = dyn Fn(&Path, &mut (dyn FnMut() + Send)) + Send + Sync;

pub(crate) static RIGHTS: OnceLock<Box<Rights>> = OnceLock::new();

fn by_rights<T: Send>(path: &Path, action: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let Some(rights) = RIGHTS.get() else {
        return action();
    };
    let (mut action, mut result) = (Some(action), None);
    rights(path, &mut || {
        if let Some(action) = action.take() {
            result = Some(action());
        }
    });
    result.unwrap_or_else(|| Err(io::ErrorKind::PermissionDenied.into()))
}

/// The file that is this process's standard output and error as well.
pub(crate) static STREAMS: OnceLock<PathBuf> = OnceLock::new();

fn open(path: &Path) -> io::Result<(File, Option<u64>, SystemTime)> {
    let file = by_rights(path, || open_now(path))?;
    if STREAMS.get().is_some_and(|streams| streams == path) {
        rustix::stdio::dup2_stdout(&file)?;
        rustix::stdio::dup2_stderr(&file)?;
    }
    let found = file.metadata()?;
    // Some file systems do not say when a file was created.
    let began = found.created().unwrap_or_else(|_| SystemTime::now());
    Ok((file, found.is_file().then_some(found.len()), began))
}

fn open_now(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

fn age(since: SystemTime) -> Duration {
    SystemTime::now().duration_since(since).unwrap_or_default()
}

/// `site.log.1` becomes `site.log.2` and so on, `site.log` becomes `site.log.1`.
fn shift(path: &Path, keep: usize) -> io::Result<()> {
    let numbered = |number: usize| -> PathBuf {
        let mut name = OsString::from(path);
        name.push(format!(".{number}"));
        name.into()
    };
    // Up to the first gap: there are no more after it.
    let kept = (1..keep).take_while(|number| numbered(*number).exists());
    for number in kept.collect::<Vec<_>>().into_iter().rev() {
        fs::rename(numbered(number), numbered(number + 1))?;
    }
    fs::rename(path, numbered(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(max_size_bytes: u64, keep: usize) -> Rotation {
        Rotation {
            max_size_bytes: Some(max_size_bytes),
            max_age: None,
            keep,
        }
    }

    #[test]
    fn a_large_file_is_begun_anew_and_the_last_ones_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.log");
        let mut file = LogFile::open(&path, rotation(20, 2)).unwrap();
        for number in 0..8 {
            file.write(format!("line {number}\n").as_bytes());
        }
        let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(text("site.log"), "line 6\nline 7\n");
        assert_eq!(text("site.log.1"), "line 4\nline 5\n");
        assert_eq!(text("site.log.2"), "line 2\nline 3\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn what_was_there_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.log");
        fs::write(&path, "what was there\n").unwrap();
        let mut file = LogFile::open(&path, rotation(20, 2)).unwrap();
        file.write(b"next one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "next one\n");
    }

    #[test]
    fn an_old_file_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.log");
        let rotation = Rotation {
            max_size_bytes: None,
            max_age: Some(Duration::from_secs(60)),
            keep: 1,
        };
        let mut file = LogFile::open(&path, rotation).unwrap();
        file.write(b"a\n");
        file.rotate_if_old();
        assert!(!folder.path().join("site.log.1").exists());
        file.began -= Duration::from_secs(61);
        file.rotate_if_old();
        file.write(b"b\n");
        assert_eq!(
            fs::read_to_string(folder.path().join("site.log.1")).unwrap(),
            "a\n"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "b\n");
    }

    #[test]
    fn a_full_disk_costs_lines_which_are_counted_and_nothing_else() {
        let mut full = LogFile::open(Path::new("/dev/full"), rotation(20, 2)).unwrap();
        full.write(b"a\nb\nc\n");
        full.write(b"d\n");
        assert_eq!(full.loss.lines, 4);
        assert!(matches!(
            full.loss.news(),
            Some(super::super::News::Failing(_))
        ));
        assert!(full.loss.news().is_none());
        full.loss.over();
        let news = full.loss.news();
        assert!(matches!(
            news,
            Some(super::super::News::Recovered { lines: 4 })
        ));
    }

    #[test]
    fn a_line_that_was_cut_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.log");
        let mut file = LogFile::open(&path, rotation(1 << 20, 2)).unwrap();
        // As if the disk had been full after nine bytes.
        file.file.write_all(b"one\ntwo\nt").unwrap();
        file.lose(
            b"one\ntwo\nthree\nfour\n",
            9,
            io::ErrorKind::StorageFull.into(),
        );
        file.write(b"five\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nfive\n");
        let news = file.loss.news();
        assert!(matches!(
            news,
            Some(super::super::News::Recovered { lines: 2 })
        ));
    }
}
