//! Locked shards whose hold is measured.

use super::holds::{Holder, Timer};
use super::locked::{Garbage, Locked};
use super::seldom::Seldom;
use std::ops::{Deref, DerefMut};

/// Locked shards, and the timer of their hold. The fields are dropped in their order, so that the time for freeing
/// removed entries is not part of the hold.
pub struct Timed<'a> {
    locked: Locked<'a>,
    _timer: Timer<'a>,
    garbage: Seldom<Garbage>,
}

impl<'a> Locked<'a> {
    /// Measures the hold of the shards as one of `holder`.
    pub fn timed(self, holder: Holder) -> Timed<'a> {
        let timer = self.store().holds.timer(holder);
        Timed { locked: self, _timer: timer, garbage: Seldom::NONE }
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        self.garbage = self.locked.take_garbage();
    }
}

impl<'a> Deref for Timed<'a> {
    type Target = Locked<'a>;

    fn deref(&self) -> &Locked<'a> {
        &self.locked
    }
}

impl DerefMut for Timed<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.locked
    }
}
