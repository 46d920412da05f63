//! What the workers of a server have in common: the buckets of rate limits, and whether there is
//! maintenance.
//!
//! A client's connections are spread over workers by its ports, so that neither a limit in each
//! worker nor a share of it would be the one that is written down: with one connection a client
//! has one worker, with many it has all. The supervisor hands each worker the same memory file.
//!
//! A table of fixed size: as many clients as attack, it does not grow. A bucket is found by a keyed
//! hash in one of eight places; where all are taken, the one that is nearest to full makes room.
//! Two processes may take the same place at the same moment; then one request is counted wrongly.
#![allow(
    unsafe_code,
    reason = "memory that processes share, and a clock that they agree on"
)]

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Places in the table, two words each: 1 MB, of which the system gives what is touched.
const PLACES: usize = 1 << 16;
/// Places in which one key may be.
const CHOICE: usize = 8;
/// In front of the table: the key of the hash, and maintenance, which the supervisor writes.
const KEY_WORDS: usize = 2;
const MAINTENANCE: usize = appliance_project::wire::MAINTENANCE_WORD;
const HEAD_WORDS: usize = 8;
const WORDS: usize = HEAD_WORDS + 2 * PLACES;
const BYTES: usize = WORDS * size_of::<AtomicU64>();

static COUNTS: OnceLock<Counts> = OnceLock::new();

/// The buckets of this server.
pub(super) struct Counts {
    words: &'static [AtomicU64],
}

/// Counts together with the other processes that have this memory file.
///
/// # Errors
/// When the file cannot be mapped; then this process counts alone.
pub fn share_counts(file: &OwnedFd) -> io::Result<()> {
    // SAFETY: ftruncate(2) touches no memory of this process. All processes set the same length,
    // and nobody another: no mapped page loses its file.
    if unsafe { libc::ftruncate(file.as_raw_fd(), BYTES as libc::off_t) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let counts = Counts::map(libc::MAP_SHARED, file.as_raw_fd())?;
    // The first is kept: there is one file in the life of a process.
    let _ = COUNTS.set(counts);
    Ok(())
}

/// Whether there is maintenance. A worker without a supervisor has nobody to say so.
pub(super) fn maintenance() -> bool {
    COUNTS
        .get()
        .is_some_and(|counts| counts.words[MAINTENANCE].load(Relaxed) != 0)
}

/// The shared ones, or this process's own.
pub(super) fn counts() -> &'static Counts {
    COUNTS.get_or_init(|| {
        let own = Counts::map(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1);
        own.unwrap_or_else(|_| Counts {
            words: Box::leak((0..WORDS).map(|_| AtomicU64::new(0)).collect()),
        })
    })
}

impl Counts {
    fn map(flags: libc::c_int, fd: libc::c_int) -> io::Result<Counts> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, placed by the kernel, of a file that has this length or of none.
        let place = unsafe { libc::mmap(std::ptr::null_mut(), BYTES, access, flags, fd, 0) };
        if place == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is this long, page-aligned, zeroed or filled by processes that
        // write to it as we do, by atomic operations alone, and never unmapped.
        let words = unsafe { std::slice::from_raw_parts(place.cast::<AtomicU64>(), WORDS) };
        let counts = Counts { words };
        for (number, word) in words[..KEY_WORDS].iter().enumerate() {
            // Whoever comes first chooses for all.
            let random = RandomState::new().hash_one(number) | 1;
            let _ = word.compare_exchange(0, random, Relaxed, Relaxed);
        }
        Ok(counts)
    }

    /// The key of a client under a limit. Which clients share a place is not for them to know, or
    /// they would choose their addresses by it.
    pub(super) fn key(&self, limit: u32, client: &[u8]) -> u64 {
        #[allow(
            deprecated,
            reason = "the only hasher of std whose key one may choose, and which stays the same"
        )]
        let mut hasher = {
            let [a, b] = [0, 1].map(|number: usize| self.words[number].load(Relaxed));
            std::hash::SipHasher::new_with_keys(a, b)
        };
        std::hash::Hasher::write_u32(&mut hasher, limit);
        std::hash::Hasher::write(&mut hasher, client);
        std::hash::Hasher::finish(&hasher)
    }

    /// When the bucket of this key is full again, in nanoseconds of [`now`].
    pub(super) fn full_at(&self, key: u64) -> &AtomicU64 {
        let tag = key | 1;
        let first = (key >> 32) as usize % (PLACES / CHOICE) * CHOICE;
        let table = &self.words[HEAD_WORDS + 2 * first..][..2 * CHOICE];
        let places = || table.chunks_exact(2).map(|place| (&place[0], &place[1]));
        if let Some((_, full_at)) = places().find(|(owner, _)| owner.load(Relaxed) == tag) {
            return full_at;
        }
        let emptiest = places().min_by_key(|(_, full_at)| full_at.load(Relaxed));
        let (owner, full_at) = emptiest.unwrap_or((&table[0], &table[1]));
        let before = owner.load(Relaxed);
        if owner
            .compare_exchange(before, tag, Relaxed, Relaxed)
            .is_ok()
        {
            full_at.store(0, Relaxed);
        }
        full_at
    }
}

/// Nanoseconds of the machine's uptime, the same in all processes.
pub(super) fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a timespec of ours; this clock always exists on Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Counts {
        Counts::map(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1).expect("memory")
    }

    #[test]
    fn a_key_keeps_its_place() {
        let counts = own();
        let keys: Vec<u64> = (0..1000_u32)
            .map(|client| counts.key(1, &client.to_be_bytes()))
            .collect();
        for key in &keys {
            counts.full_at(*key).store(*key, Relaxed);
        }
        for key in &keys {
            assert_eq!(counts.full_at(*key).load(Relaxed), *key);
        }
    }

    #[test]
    fn a_crowd_takes_the_places_of_those_that_owe_least() {
        let counts = own();
        let indebted = counts.key(1, b"a");
        counts.full_at(indebted).store(u64::MAX, Relaxed);
        for client in 0..1_000_000_u32 {
            counts
                .full_at(counts.key(1, &client.to_be_bytes()))
                .store(u64::from(client) + 1, Relaxed);
        }
        assert_eq!(counts.full_at(indebted).load(Relaxed), u64::MAX);
    }

    #[test]
    fn processes_with_one_file_have_one_table() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(BYTES as u64).expect("its length");
        let map = || Counts::map(libc::MAP_SHARED, file.as_raw_fd()).expect("memory");
        let (one, other) = (map(), map());
        let key = one.key(1, b"a");
        assert_eq!(other.key(1, b"a"), key);
        one.full_at(key).store(5, Relaxed);
        assert_eq!(other.full_at(key).load(Relaxed), 5);
    }
}
