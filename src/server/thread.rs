//! Work that takes long, on threads of its own.

use crate::env::memory;
use std::io;
use tokio::sync::oneshot;

/// The stack of a thread that runs commands, in bytes. Only what is used of it takes memory. Scripts nest values deep.
pub(super) const STACK: usize = 16 << 20;

/// Runs `work` on a new thread of this name. The receiver gets its result, or an error if `work` panics.
///
/// # Errors
/// No thread can be started. (The runtime's own pool would panic then.)
pub(super) fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, result) = oneshot::channel();
    let work = move || {
        // The receiver may be gone.
        let _ = done.send(work());
        // A long command or a recovery uses much memory for a while, and its thread's arena may not be used again for
        // long.
        memory::purge_own();
    };
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work)?;
    Ok(result)
}
