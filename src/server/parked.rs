//! Connections whose replies wait for a log that answers later, in the order of the positions that they wait for.

use super::connection::Shared;
use crate::log::Lsn;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

/// The parked connections of a worker, each there once. To park one or to take one out costs the logarithm of their
/// number.
#[derive(Default)]
pub(super) struct Parked(BinaryHeap<Reverse<Waiting>>);

struct Waiting {
    lsn: Lsn,
    shared: Rc<Shared>,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.lsn == other.lsn
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.lsn.cmp(&other.lsn)
    }
}

impl Parked {
    /// Parks a connection until the log has reached its next gate. Gates open in order, so one that is parked already
    /// stays where it is.
    pub(super) fn park(&mut self, shared: Rc<Shared>) {
        let gate = shared.outbox.borrow().next_gate();
        if let Some(lsn) = gate
            && !shared.is_parked.replace(true)
        {
            self.0.push(Reverse(Waiting { lsn, shared }));
        }
    }

    /// Takes out a connection that waits for nothing beyond `upto`.
    pub(super) fn next(&mut self, upto: Lsn) -> Option<Rc<Shared>> {
        if self.0.peek()?.0.lsn > upto {
            return None;
        }
        let Reverse(Waiting { shared, .. }) = self.0.pop()?;
        shared.is_parked.set(false);
        Some(shared)
    }
}
