//! CLIENT PAUSE: until when commands wait, and who is woken when they may go on.

use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Release},
};
use tokio::sync::Notify;

/// The server-wide pause. Asking costs one load while there is none.
#[derive(Default)]
pub struct Pause {
    /// The end in ms since the epoch; 0 if there is no pause.
    until: AtomicU64,
    /// Whether reads wait too.
    all: AtomicBool,
    /// Tells waiting connections that the pause has changed.
    changed: Notify,
}

impl Pause {
    /// Begins a pause, or extends the one there is: the later end and the stricter kind count.
    pub fn begin(&self, until: u64, all: bool, now: u64) {
        if self.until.load(Acquire) <= now {
            self.all.store(all, Release);
            self.until.store(until, Release);
        } else {
            self.all.fetch_or(all, AcqRel);
            self.until.fetch_max(until, AcqRel);
        }
        self.changed.notify_waiters();
    }

    /// Ends the pause.
    pub fn end(&self) {
        self.until.store(0, Release);
        self.changed.notify_waiters();
    }

    /// Until when a command waits, in ms since the epoch; `None` if it may run.
    #[inline]
    pub fn until(&self, writes: bool, now: u64) -> Option<u64> {
        let until = self.until.load(Acquire);
        (until != 0 && until > now && (writes || self.all.load(Acquire))).then_some(until)
    }

    /// The kind of pause and its remaining ms, for INFO.
    pub fn state(&self, now: u64) -> Option<(bool, u64)> {
        let left = self.until.load(Acquire).saturating_sub(now);
        (left > 0).then(|| (self.all.load(Acquire), left))
    }

    /// Resolves when the pause has changed, or at once if there is none at the time `now`.
    pub async fn over_or_changed(&self, now: u64) {
        // From here on no change is missed.
        let changed = self.changed.notified();
        if self.state(now).is_some() {
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pause;

    #[test]
    fn the_later_end_and_the_stricter_kind_count() {
        let pause = Pause::default();
        assert_eq!(pause.until(true, 100), None);
        pause.begin(200, false, 100);
        assert_eq!((pause.until(true, 150), pause.until(false, 150)), (Some(200), None));
        pause.begin(180, true, 150);
        assert_eq!((pause.until(true, 190), pause.until(false, 190)), (Some(200), Some(200)));
        assert_eq!(pause.until(true, 200), None);
        pause.begin(300, false, 250);
        assert_eq!(pause.until(false, 260), None);
        pause.end();
        assert_eq!(pause.state(260), None);
    }
}
