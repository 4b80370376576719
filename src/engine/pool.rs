//! The candidates for eviction.

use crate::store::Victim;

/// How many candidates are remembered from earlier samples. With these, a few samples for each victim come close to the
/// exact order.
const POOL: usize = 16;

/// The best candidates seen so far, the best last.
#[derive(Default)]
pub(super) struct Pool(Vec<Victim>);

impl Pool {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes the best candidate.
    pub(super) fn pop(&mut self) -> Option<Victim> {
        self.0.pop()
    }

    pub(super) fn add(&mut self, victim: Victim) {
        if self.0.iter().any(|v| v.db == victim.db && v.key == victim.key) {
            return;
        }
        let at = self.0.partition_point(|v| v.score <= victim.score);
        if self.0.len() < POOL {
            self.0.insert(at, victim);
        } else if at > 0 {
            self.0.insert(at, victim);
            self.0.remove(0);
        }
    }
}
