//! What a thread was shown: how far the log has to be durable before a reply may be sent that was made of it.
//!
//! Each shard has the position of the last record that changed it, raised while it is still held exclusively. Whoever
//! locks a shard takes note of its position here, whatever for, so that no path to the data can forget it; whoever
//! sends a reply takes what its thread has noted since the reply was begun.

use std::cell::Cell;

/// Stands for everything that the log has by the time at which the reply is made.
pub const EVERYTHING: u64 = u64::MAX;

thread_local! {
    static SHOWN: Cell<u64> = const { Cell::new(0) };
}

/// Notes that this thread has seen what the log has up to a position.
#[inline]
pub(super) fn note(position: u64) {
    SHOWN.with(|shown| shown.set(shown.get().max(position)));
}

/// Notes that this thread has seen something that no shard's position stands for, such as a count that is read without
/// a lock.
#[inline]
pub fn note_everything() {
    note(EVERYTHING);
}

/// The position up to which this thread has seen the log since this was asked last; 0 if it has seen no shard.
#[inline]
pub fn take() -> u64 {
    SHOWN.replace(0)
}

/// What [`take`] would give.
#[inline]
pub fn so_far() -> u64 {
    SHOWN.get()
}

/// Forgets what was seen since [`so_far`] gave this: none of it is shown.
#[inline]
pub fn back_to(position: u64) {
    SHOWN.set(position);
}

/// Does something that no reply of this thread shows; gives what it returns and the position that it has seen.
pub fn apart<T>(work: impl FnOnce() -> T) -> (T, u64) {
    /// Brings back what was noted before, after a panic too.
    struct Before(u64);
    impl Drop for Before {
        fn drop(&mut self) {
            SHOWN.set(self.0);
        }
    }
    let _before = Before(take());
    let done = work();
    (done, take())
}
