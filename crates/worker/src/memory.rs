//! The worker library's allocator. (Python keeps its own.)
#![allow(unsafe_code)] // mimalloc's own functions

/// Requests are made on the front's thread and freed on Python's: with glibc's allocator each
/// such free takes another thread's lock.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Returns what this thread has freed to the system.
pub(crate) fn give_back() {
    // SAFETY: mi_collect may be called at any time; it looks at the calling thread's heap.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
