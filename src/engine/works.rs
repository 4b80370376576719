//! Permits of those who work on the store beside the commands: upkeep, checkpoints, lifting, populating, scrubbing.
//!
//! Whoever takes the data away (falling back, a reload, the end) excludes them first: no permit is given any more,
//! those that are out are revoked, and it waits until they came back. A holder asks [`Works::revoked`] between two
//! pieces of its work and gives up if so. A permit says nothing about the state of durability: that is asked again
//! under each lock.
//!
//! Nobody excludes others while holding a shard or a permit.

use super::sync::{AtomicBool, Condvar, Mutex, Ordering};

/// The permits that are out.
#[derive(Default)]
pub(super) struct Works {
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Whether somebody excludes the others: a copy for those who ask often.
    revoked: AtomicBool,
}

#[derive(Default)]
struct Inner {
    out: usize,
    excluding: bool,
}

impl Works {
    /// Takes a permit, which must come back through [`Works::leave`]; false while nobody may work.
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

    /// Takes a permit until the result is dropped; none while nobody may work.
    pub(super) fn permit(&self) -> Option<Permit<'_>> {
        // Only one that was given may be dropped: that gives it back.
        self.enter().then(|| Permit(self))
    }

    /// Whether those who work are to give up.
    pub(super) fn revoked(&self) -> bool {
        self.revoked.load(Ordering::Acquire)
    }

    /// Revokes all permits, waits until they came back, and gives out none until the result is dropped. One at a time.
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

/// Nobody else works on the store.
pub(super) struct Excluded<'a>(&'a Works);

impl Drop for Excluded<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.inner.lock();
        inner.excluding = false;
        // Under the lock, so that who excludes next does not find it taken back.
        self.0.revoked.store(false, Ordering::Release);
        drop(inner);
        self.0.changed.notify_all();
    }
}
