//! Permits for work on the store beside the commands: upkeep, checkpoints, lifting, populating, scrubbing.
//!
//! A thread that takes the data away (falling back, a reload, the end) excludes the permits' holders first: it stops
//! giving permits, revokes those that are out, and waits until they have come back. A holder checks [`Works::revoked`]
//! between two pieces of its work and gives up if it is true. A permit does not depend on the state of durability: a
//! holder checks that again under each lock.
//!
//! A thread that excludes the others holds neither a shard nor a permit.

use super::sync::{AtomicBool, Condvar, Mutex, Ordering};

/// The permits that are given out.
#[derive(Default)]
pub(super) struct Works {
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Whether a thread excludes the others: a copy that is read without the lock.
    revoked: AtomicBool,
}

#[derive(Default)]
struct Inner {
    out: usize,
    excluding: bool,
}

impl Works {
    /// Takes a permit, which must come back through [`Works::leave`]; false while a thread excludes the others.
    pub(super) fn enter(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.out += usize::from(!inner.excluding);
        !inner.excluding
    }

    /// Gives a permit back.
    pub(super) fn leave(&self) {
        let mut inner = self.inner.lock();
        inner.out -= 1;
        drop(inner);
        self.changed.notify_all();
    }

    /// Takes a permit until the result is dropped; `None` while a thread excludes the others.
    pub(super) fn permit(&self) -> Option<Permit<'_>> {
        // `then`, not `then_some`: dropping a `Permit` gives one back, so none may be made unless one was taken.
        self.enter().then(|| Permit(self))
    }

    /// Whether the holders of permits must give up.
    pub(super) fn revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Revokes all permits, waits until they have come back, and gives none out until the result is dropped. Only one
    /// thread excludes at a time.
    pub(super) fn exclude(&self) -> Excluded<'_> {
        let mut inner = self.inner.lock();
        while inner.excluding {
            inner = self.changed.wait(inner);
        }
        inner.excluding = true;
        self.revoked.store(true, Ordering::Release);
        while inner.out > 0 {
            inner = self.changed.wait(inner);
        }
        Excluded(self)
    }
}

/// The right to work on the store.
pub(super) struct Permit<'a>(&'a Works);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// The right to work on the store alone.
pub(super) struct Excluded<'a>(&'a Works);

impl Drop for Excluded<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.inner.lock();
        inner.excluding = false;
        // Set under the lock; otherwise this could overwrite the flag of the next thread that excludes.
        self.0.revoked.store(false, Ordering::Release);
        drop(inner);
        self.0.changed.notify_all();
    }
}
