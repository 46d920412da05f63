//! The worker library's allocator (Python keeps its own), and what the process takes.
#![allow(unsafe_code)] // mimalloc's own functions, and the C library's about memory

use std::io;

/// Requests are made on the front's thread and freed on Python's: with glibc's allocator each
/// such free takes another thread's lock.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Address space that is put aside for the front before `python.memory_limit` holds: an
/// allocation that fails in Rust ends the process, so Python must meet the limit first.
const FRONT_RESERVE: usize = 256 << 20;

/// Returns what this thread has freed to the system.
pub(crate) fn give_back() {
    // SAFETY: mi_collect may be called at any time; it looks at the calling thread's heap.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Returns what Python has freed to the system.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called at any time by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Resident memory that belongs to this process alone: without the pages of mapped files, which
/// the kernel can drop. None without `/proc`.
pub(crate) fn own_bytes() -> Option<u64> {
    let [_, resident, of_files] = pages()?;
    Some(resident.saturating_sub(of_files) * page_bytes())
}

/// `python.memory_limit`: the process may take `bytes` of address space more than it has now.
///
/// # Errors
/// When the system refuses, as it does beyond a hard limit that is already there.
pub(crate) fn limit_address_space(bytes: u64) -> io::Result<()> {
    let reserve = |size| {
        // SAFETY: reserves address space as any allocation may; a null id is not written to.
        unsafe {
            libmimalloc_sys::mi_reserve_os_memory_ex(
                size,
                false,
                false,
                false,
                std::ptr::null_mut(),
            )
        }
    };
    if reserve(FRONT_RESERVE) != 0 {
        return Err(io::Error::from(io::ErrorKind::OutOfMemory));
    }
    one_heap();
    let [taken, ..] = pages().ok_or_else(|| io::Error::other("`/proc` is not mounted"))?;
    let total = bytes.saturating_add(taken * page_bytes());
    let limit = libc::rlimit {
        rlim_cur: total,
        rlim_max: total,
    };
    // SAFETY: setrlimit(2) reads the structure and keeps nothing of it.
    match unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// glibc gives each thread that allocates a heap of its own, 64 MB of address space at first.
fn one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) may be called at any time; heaps that are there stay.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Pages that the process takes: of address space, resident, and of those the mapped files'.
fn pages() -> Option<[u64; 3]> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut numbers = text.split(' ').map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

fn page_bytes() -> u64 {
    // SAFETY: sysconf(3) takes no pointer.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
