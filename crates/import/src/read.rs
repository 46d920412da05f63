//! Files into texts: bounded, and refused with a reason when they cannot be a configuration.

use std::path::Path;

use crate::disk::Disk;
use crate::fault::{Fault, Problem};
use crate::source::{Place, Sources};

/// The largest file. Configurations have kilobytes; what is larger is a log or a database.
pub(crate) const LARGEST: usize = 4 << 20;

/// Reads a file and takes it up as `name`; returns the text's number.
pub(crate) fn read(
    disk: &dyn Disk,
    path: &Path,
    name: &str,
    sources: &mut Sources,
) -> Result<usize, Fault> {
    let name = name.to_owned();
    let unreadable = |reason: String| {
        let name = name.clone();
        Fault::of(Problem::Unreadable { name, reason })
    };
    if disk.is_folder(path) {
        return Err(unreadable("it is a folder; name the files in it".into()));
    }
    let bytes = disk.read(path, LARGEST);
    let bytes = bytes.map_err(|error| unreadable(reason(&error)))?;
    if bytes.len() > LARGEST {
        let limit = LARGEST;
        return Err(Fault::of(Problem::Huge { name, limit }));
    }
    // Comments in Latin-1 are common in old configurations, and harmless; control characters are
    // in no configuration at all.
    let control = |byte: &&u8| matches!(byte, 0..=8 | 14..=31 | 127);
    match bytes.iter().find(control) {
        Some(byte) => {
            let byte = *byte;
            Err(Fault::of(Problem::Binary { name, byte }))
        }
        None => Ok(sources.add(name, String::from_utf8_lossy(&bytes))),
    }
}

/// The place of a whole text.
pub(crate) fn whole(sources: &Sources, text: usize) -> Place {
    Place {
        text,
        start: 0,
        end: sources.get(text).text.len(),
    }
}

/// The system's words without its number.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::tests::Memory;

    #[test]
    fn what_is_no_configuration_is_refused_by_name() {
        let disk = Memory::with(&[("/folder/file", "x")])
            .bytes("/elf", b"\x7fELF\x02\0")
            .bytes("/log", &vec![b'x'; LARGEST + 1])
            .bytes("/latin", b"# caf\xe9\n");
        let mut sources = Sources::default();
        let mut refusal = |path: &str| match read(&disk, Path::new(path), path, &mut sources) {
            Ok(_) => "fine".to_owned(),
            Err(fault) => fault.to_string(),
        };
        assert_eq!(
            refusal("/folder"),
            "cannot read `/folder`: it is a folder; name the files in it"
        );
        assert_eq!(
            refusal("/gone"),
            "cannot read `/gone`: there is no such file"
        );
        assert_eq!(
            refusal("/elf"),
            "`/elf` is not text: it holds the byte 0x7f"
        );
        assert_eq!(refusal("/log"), "`/log` is larger than 4 MB");
        assert_eq!(refusal("/latin"), "fine");
    }
}
