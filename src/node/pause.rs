//! CLIENT PAUSE: until when commands wait, and how they are woken.

use crate::env::{AtomicInstant, Clock, Instant};
use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Acquire, Release},
};
use tokio::sync::Notify;

/// The server-wide pause. While there is none, asking costs one load.
#[derive(Default)]
pub struct Pause {
    /// The end; none if there is no pause.
    until: AtomicInstant,
    /// Whether reads wait too.
    all: AtomicBool,
    /// Tells waiting connections that the pause has changed.
    changed: Notify,
}

impl Pause {
    /// Begins a pause or extends the present one: the later end and the stricter kind win.
    pub fn begin(&self, until: Instant, all: bool, now: Instant) {
        if self.until.load().is_none_or(|end| end <= now) {
            self.all.store(all, Release);
            self.until.store(Some(until));
        } else {
            self.all.fetch_or(all, AcqRel);
            self.until.extend(until);
        }
        self.changed.notify_waiters();
    }

    /// Ends the pause.
    pub fn end(&self) {
        self.until.store(None);
        self.changed.notify_waiters();
    }

    /// Until when a command must wait, which `writes` or only reads; `None` if it may run.
    #[inline]
    pub fn until(&self, writes: bool, clock: &Clock) -> Option<Instant> {
        let until = self.until.load()?;
        (until > clock.instant() && (writes || self.all.load(Acquire))).then_some(until)
    }

    /// Resolves when no pause of either kind is in force, or when the pause has changed.
    pub async fn ends_or_changes(&self, clock: &Clock) {
        let now = clock.instant();
        if let Some(until) = self.until(true, clock) {
            let _ = tokio::time::timeout(until.since(now), self.over_or_changed(now)).await;
        }
    }

    /// The kind of pause and its remaining ms, for INFO.
    pub fn state(&self, now: Instant) -> Option<(bool, u64)> {
        let until = self.until.load().filter(|until| *until > now)?;
        Some((self.all.load(Acquire), until.ms_since(now)))
    }

    /// Resolves when the pause has changed, or at once if there is none at the time `now`.
    pub async fn over_or_changed(&self, now: Instant) {
        // A change after this line is not missed.
        let changed = self.changed.notified();
        if self.state(now).is_some() {
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pause;
    use crate::env::Clock;

    #[test]
    fn the_later_end_and_the_stricter_kind_count() {
        let (pause, clock) = (Pause::default(), Clock::manual(0));
        let begun = clock.instant();
        let at = |ms: u64| begun.after_ms(ms);
        let pass = |ms: u64| clock.as_manual().unwrap().advance_ms(ms);
        let until = |writes: bool| pause.until(writes, &clock);
        pass(100);
        assert_eq!(until(true), None);
        pause.begin(at(200), false, at(100));
        pass(50);
        assert_eq!((until(true), until(false)), (Some(at(200)), None));
        pause.begin(at(180), true, at(150));
        pass(40);
        assert_eq!((until(true), until(false)), (Some(at(200)), Some(at(200))));
        assert_eq!(pause.state(at(190)), Some((true, 10)));
        pass(10);
        assert_eq!(until(true), None);
        pause.begin(at(300), false, at(250));
        pass(60);
        assert_eq!(until(false), None);
        pause.end();
        assert_eq!(pause.state(at(260)), None);
    }
}
