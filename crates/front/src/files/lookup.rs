//! A canonical path → the file that answers it, with everything a response needs ready made.
//!
//! The entity tag is a hash of the contents for what is kept in memory, and made of modification
//! time and length for the rest. Neither knows the inode, so that machines with the same files
//! agree. Contents come first because times lie: images built reproducibly give each file the
//! same `mtime`, under which a new index.html of the old length would never reach a browser.

use std::borrow::Cow;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use appliance_message::Fields;
use appliance_project::model::{FileRules, Immutable};
use bytes::Bytes;

use crate::compression;
use crate::rules::compress;

use super::conditions::Validators;
use super::encoding::{CODINGS, Coding};
use super::freshness::{cache_control, told};
use super::media_type::{extension, media_type};
use super::open::{Access, Kind, Purpose, Root, Stamp, kind, read_from};
use super::path::Below;

/// Files up to this many bytes are kept in memory, larger ones are sent from the file.
pub(super) const SMALL: u64 = 1 << 20;

/// Files from this many bytes on are kept open as well, for `sendfile`: a request for 60 KB costs
/// 6.9 us of CPU with it and 8.1 without, one for 300 KB 24 and 32, while at 16 KB the further
/// system call outweighs the copying (4.3 and 4.1).
const BY_SENDFILE: usize = 32 << 10;

/// A file changed this shortly before it was read may change again unseen: clocks of file systems
/// tick in milliseconds. Such an entry is read anew at its next check.
const SETTLED: Duration = Duration::from_secs(2);

/// The settings of a folder, shared with the threads that wait for its disk.
#[derive(Debug)]
pub(super) struct Source {
    /// The folder; for an exact route the folder or the file.
    pub(super) root: PathBuf,
    /// For an exact route: the name in the folder that answers it.
    pub(super) exact: Option<Below>,
    /// Ends put behind a path that names no file, in order.
    pub(super) extensions: Vec<String>,
    /// Names tried for a folder, in order.
    pub(super) index: Vec<String>,
    /// Which files may be kept for a year.
    pub(super) immutable: Immutable,
    pub(super) rules: FileRules,
}

/// What is at a path.
pub(super) enum Found {
    /// This file.
    File(Box<Entry>),
    /// The entry that was handed in, still.
    Unchanged,
    /// A folder with an index, asked for without its final slash.
    Folder,
    /// A device, or a link that leaves the folder.
    Refused,
    /// Nothing.
    Nothing,
}

/// A file, ready to be served.
#[derive(Debug)]
pub(super) struct Entry {
    name: Vec<u8>,
    stamps: Stamps,
    settled: bool,
    /// The original, then its precompressed neighbours.
    pub(super) variants: Vec<Variant>,
}

/// The original's stamp, then each coding's neighbour's.
type Stamps = [Option<Stamp>; 1 + CODINGS.len()];

/// One representation of a file.
#[derive(Debug)]
pub(super) struct Variant {
    /// None: the original.
    pub(super) coding: Option<&'static Coding>,
    /// Compressed by this server: the next version of it may make other bytes of the same contents.
    pub(super) is_made_here: bool,
    /// The fields of a 200, ready to be sent.
    pub(super) fields: Fields,
    /// The fields of a 304 (RFC 9110 §15.4.5).
    pub(super) fields_of_304: Fields,
    etag: String,
    /// Its bytes.
    pub(super) content: Content,
    /// How many.
    pub(super) len: u64,
    modified: Option<u64>,
    stamp: Stamp,
}

/// Where a representation's bytes are.
#[derive(Debug)]
pub(super) enum Content {
    /// Here, and for [`BY_SENDFILE`] bytes or more in the open file too.
    Memory(Bytes, Option<Arc<File>>),
    /// In the file: see [`Source::reopen`].
    Disk,
}

impl Entry {
    /// Bytes of memory, roughly: the fields of each variant take some hundreds.
    pub(super) fn cost(&self) -> usize {
        let variant = |variant: &Variant| match &variant.content {
            Content::Memory(bytes, None) => bytes.len() + 1024,
            // Descriptors are scarcer than bytes: this keeps them below some 250.
            Content::Memory(bytes, Some(_)) => bytes.len().max(256 << 10),
            Content::Disk => 1024,
        };
        self.name.len() + self.variants.iter().map(variant).sum::<usize>()
    }
}

impl Variant {
    /// The same contents in this coding, with a tag of its own, which is weak.
    fn compressed(&self, bytes: Vec<u8>, coding: &'static Coding) -> Variant {
        let tag = self.etag.trim_end_matches('"');
        Variant {
            coding: Some(coding),
            is_made_here: true,
            fields: Fields::default(),
            fields_of_304: Fields::default(),
            etag: format!("W/{tag}{}\"", coding.suffix),
            len: bytes.len() as u64,
            content: Content::Memory(bytes.into(), None),
            modified: self.modified,
            stamp: self.stamp,
        }
    }

    /// `varies`: there are representations in other codings.
    fn prepare_fields(&mut self, name: &[u8], source: &Source, varies: bool) {
        let media_type = media_type(name, &source.rules);
        let mut fields = Fields::default();
        fields.add("ETag", &self.etag);
        fields.add(
            "Cache-Control",
            told(name, &source.rules.cache)
                .unwrap_or_else(|| cache_control(name, media_type.as_bytes(), source.immutable)),
        );
        if varies {
            fields.add("Vary", "Accept-Encoding");
        }
        self.fields_of_304 = fields.clone();
        self.fields_of_304.share();
        if let Some(seconds) = self.modified {
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            fields.add("Last-Modified", httpdate::fmt_http_date(date));
        }
        if let Some(coding) = self.coding {
            fields.add("Content-Encoding", coding.name);
        }
        fields.add("Content-Type", media_type.as_bytes());
        if !self.is_made_here {
            fields.add("Accept-Ranges", "bytes");
        }
        fields.add("X-Content-Type-Options", "nosniff");
        fields.share();
        self.fields = fields;
    }

    pub(super) fn validators(&self) -> Validators<'_> {
        Validators {
            etag: self.etag.as_bytes(),
            modified: self.modified,
        }
    }
}

impl Source {
    /// Looks `below` up. `known` is what was found there before.
    pub(super) fn find(
        &self,
        below: &Below,
        known: Option<&Entry>,
        access: Access,
    ) -> io::Result<Found> {
        let found = absent_is(Found::Nothing, || {
            let (folder, below) = self.place(below, access)?;
            let root = Root::open(&folder, access)?;
            let (name, stamp) = match resolve(&root, &below, self)? {
                Resolved::File(name, stamp) => (name, stamp),
                Resolved::Folder => return Ok(Found::Folder),
                Resolved::Refused => return Ok(Found::Refused),
                Resolved::Nothing => return Ok(Found::Nothing),
            };
            let stamps = stamps(&root, &name, stamp)?;
            if known
                .is_some_and(|known| known.settled && known.name == name && known.stamps == stamps)
            {
                return Ok(Found::Unchanged);
            }
            self.load(&root, name, stamps, access)
        });
        match found {
            Err(error) if error.raw_os_error() == Some(libc::EXDEV) => Ok(Found::Refused),
            found => found,
        }
    }

    /// Opens a representation whose [`Content`] is on disk; none if it is not the same any more.
    pub(super) fn reopen(
        &self,
        entry: &Entry,
        variant: &Variant,
        access: Access,
    ) -> io::Result<Option<File>> {
        absent_is(None, || {
            let (folder, _) = self.place(&Below::default(), access)?;
            let root = Root::open(&folder, access)?;
            let file = root.file(&neighbour(&entry.name, variant.coding), Purpose::Read)?;
            Ok((kind(&file)? == Kind::File(variant.stamp)).then_some(file))
        })
    }

    /// The folder to look in, and for what. The file of an exact route is resolved first: a link
    /// that the operator has named may lead anywhere.
    fn place<'a>(&self, below: &'a Below, access: Access) -> io::Result<(PathBuf, Cow<'a, Below>)> {
        let Some(exact) = &self.exact else {
            return Ok((self.root.clone(), Cow::Borrowed(below)));
        };
        if access == Access::Cached {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let root = self.root.canonicalize()?;
        match (root.is_dir(), root.parent(), root.file_name()) {
            (false, Some(parent), Some(name)) => {
                let name = Below::from_name(name.as_bytes());
                Ok((parent.to_owned(), Cow::Owned(name)))
            }
            _ => Ok((root, Cow::Owned(exact.clone()))),
        }
    }

    fn load(
        &self,
        root: &Root<'_>,
        name: Vec<u8>,
        stamps: Stamps,
        access: Access,
    ) -> io::Result<Found> {
        let Some(original) = self.load_variant(root, &name, None, access)? else {
            return Ok(Found::Nothing);
        };
        let mut variants = vec![original];
        for (coding, stamp) in CODINGS.iter().zip(&stamps[1..]) {
            // One that is older than the original was made from an earlier one.
            if stamp.is_some_and(|stamp| stamp.modified >= variants[0].stamp.modified) {
                let loaded = absent_is(None, || {
                    self.load_variant(root, &name, Some(coding), access)
                });
                variants.extend(loaded?);
            }
        }
        let is_later = self.add_compressed(&name, &mut variants, access)? == Compressed::Later;
        let varies = variants.len() > 1 || is_later;
        for variant in &mut variants {
            variant.prepare_fields(&name, self, varies);
        }
        let settled = stamps.iter().flatten().all(is_settled) && !is_later;
        let entry = Entry {
            name,
            stamps,
            settled,
            variants,
        };
        Ok(Found::File(Box::new(entry)))
    }

    /// Compresses a file that has no neighbours, where the project wants it. That takes a while (0.1 s
    /// for a megabyte), so not on the front's thread, and only a few at a time: who asks for many
    /// files gets the others as they are.
    fn add_compressed(
        &self,
        name: &[u8],
        variants: &mut Vec<Variant>,
        access: Access,
    ) -> io::Result<Compressed> {
        let types = &self.rules.compress;
        let [original] = &variants[..] else {
            return Ok(Compressed::Done);
        };
        let Content::Memory(bytes, _) = &original.content else {
            return Ok(Compressed::Done);
        };
        let says = told(name, &self.rules.cache).unwrap_or_default();
        if types.is_empty()
            || original.len < compress::SHORTEST
            || says.contains("no-transform")
            || !compress::is_among(types, media_type(name, &self.rules).as_bytes())
        {
            return Ok(Compressed::Done);
        }
        if access == Access::Cached {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let Some(_turn) = compression::Turn::take() else {
            return Ok(Compressed::Later);
        };
        let compressed = |coding: &'static Coding| {
            let bytes = compression::compress(bytes, coding.name)?;
            Some(original.compressed(bytes, coding))
        };
        let further: Vec<Variant> = CODINGS.iter().filter_map(compressed).collect();
        variants.extend(further);
        Ok(Compressed::Done)
    }

    fn load_variant(
        &self,
        root: &Root<'_>,
        name: &[u8],
        coding: Option<&'static Coding>,
        access: Access,
    ) -> io::Result<Option<Variant>> {
        let file = root.file(&neighbour(name, coding), Purpose::Read)?;
        let Kind::File(stamp) = kind(&file)? else {
            return Ok(None);
        };
        let (content, len, etag) = if stamp.len <= SMALL {
            let bytes = Bytes::from(read_from(&file, 0, stamp.len as usize, access)?);
            let mut hash = DefaultHasher::new();
            hash.write(&bytes);
            let len = bytes.len() as u64;
            let file = (bytes.len() >= BY_SENDFILE).then(|| Arc::new(file));
            (
                Content::Memory(bytes, file),
                len,
                format!("{:016x}", hash.finish()),
            )
        } else {
            let (seconds, nanos) = stamp.modified;
            (Content::Disk, stamp.len, format!("{seconds:x}.{nanos:x}"))
        };
        // Each representation has its own (RFC 9110 §8.8.3.3).
        let suffix = coding.map_or("", |coding| coding.suffix);
        Ok(Some(Variant {
            coding,
            is_made_here: false,
            fields: Fields::default(),
            fields_of_304: Fields::default(),
            etag: format!("\"{etag}-{len:x}{suffix}\""),
            content,
            len,
            modified: last_modified(stamp.modified.0),
            stamp,
        }))
    }
}

/// Whether there is nothing left to compress.
#[derive(Debug, PartialEq)]
enum Compressed {
    Done,
    /// Others are at it: the next look at the file tries again.
    Later,
}

enum Resolved {
    File(Vec<u8>, Stamp),
    Folder,
    Refused,
    Nothing,
}

fn resolve(root: &Root<'_>, below: &Below, source: &Source) -> io::Result<Resolved> {
    let look = |name: &[u8]| absent_is(None, || kind(&root.file(name, Purpose::Stat)?).map(Some));
    let found = look(below.name())?;
    match found {
        Some(Kind::File(stamp)) if !below.is_folder() => {
            return Ok(Resolved::File(below.name().to_vec(), stamp));
        }
        Some(Kind::File(_)) => return Ok(Resolved::Nothing),
        Some(Kind::Other) => return Ok(Resolved::Refused),
        Some(Kind::Folder) | None => {}
    }
    if !below.is_folder() && !below.name().is_empty() {
        for extension in &source.extensions {
            let name = [below.name(), extension.as_bytes()].concat();
            if let Some(Kind::File(stamp)) = look(&name)? {
                return Ok(Resolved::File(name, stamp));
            }
        }
    }
    if found.is_none() {
        return Ok(Resolved::Nothing);
    }
    for file in &source.index {
        let name = join(below.name(), file);
        let found = absent_is(None, || kind(&root.file(&name, Purpose::Stat)?).map(Some))?;
        match found {
            Some(Kind::File(stamp)) if below.is_folder() => return Ok(Resolved::File(name, stamp)),
            // A redirect only where it leads somewhere: `/assets` may be a client-side route
            // and a folder of the build at the same time.
            Some(Kind::File(_)) => return Ok(Resolved::Folder),
            _ => {}
        }
    }
    Ok(Resolved::Nothing)
}

fn stamps(root: &Root<'_>, name: &[u8], original: Stamp) -> io::Result<Stamps> {
    let mut stamps = [None; 1 + CODINGS.len()];
    stamps[0] = Some(original);
    // What is compressed already has no neighbours.
    if matches!(extension(name).as_str(), "br" | "zst" | "gz") {
        return Ok(stamps);
    }
    for (stamp, coding) in stamps[1..].iter_mut().zip(&CODINGS) {
        let name = neighbour(name, Some(coding));
        *stamp = match absent_is(None, || kind(&root.file(&name, Purpose::Stat)?).map(Some)) {
            Ok(Some(Kind::File(stamp))) => Some(stamp),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            // Whatever is wrong with it, the original can be sent.
            _ => None,
        };
    }
    Ok(stamps)
}

fn neighbour(name: &[u8], coding: Option<&Coding>) -> Vec<u8> {
    let suffix = coding.map_or("", |coding| coding.suffix);
    [name, suffix.as_bytes()].concat()
}

fn join(folder: &[u8], file: &str) -> Vec<u8> {
    let slash: &[u8] = if folder.is_empty() { b"" } else { b"/" };
    [folder, slash, file.as_bytes()].concat()
}

/// Runs `look`; what does not exist, or may not be named, is `absent`.
fn absent_is<T>(absent: T, look: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    match look() {
        Err(error) if is_absent(&error) => Ok(absent),
        result => result,
    }
}

fn is_absent(error: &io::Error) -> bool {
    let absent = [
        libc::ENOENT,
        libc::ENOTDIR,
        libc::ELOOP,
        libc::ENAMETOOLONG,
        libc::ENXIO,
    ];
    error.kind() == io::ErrorKind::NotFound
        || error
            .raw_os_error()
            .is_some_and(|code| absent.contains(&code))
}

/// Not in the future (RFC 9110 §8.8.2.1), and none at all for the fixed times of reproducible
/// builds (1970, or 1980 where zip is involved), which say nothing about the contents.
#[allow(
    clippy::disallowed_methods,
    reason = "compared with the dates of files"
)]
fn last_modified(seconds: i64) -> Option<u64> {
    const FIRST_OF_1981: u64 = 347_155_200;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?
        .as_secs();
    u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds >= FIRST_OF_1981)
        .map(|s| s.min(now))
}

#[allow(
    clippy::disallowed_methods,
    reason = "compared with the dates of files"
)]
fn is_settled(stamp: &Stamp) -> bool {
    let changed = Duration::from_secs(u64::try_from(stamp.changed.0).unwrap_or(0));
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH + changed)
        .is_ok_and(|age| age >= SETTLED)
}
