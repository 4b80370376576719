//! Connections whose replies wait for a log that answers later, in the order of the positions that they wait for.

use super::shared::Shared;
use crate::log::Lsn;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::{Rc, Weak};

/// With fewer entries than this, the entries of ended connections are not looked for.
const LOOK_AT: usize = 64;

/// The parked connections of a worker; each is in it once. Parking one and taking one out each take O(log n).
///
/// It does not keep a connection alive. A connection that ends leaves its entry behind; even so there are at most
/// [`LOOK_AT`] entries, or twice as many as were left when the entries of ended connections were taken out last.
#[derive(Default)]
pub(super) struct ParkedConnections {
    heap: BinaryHeap<Reverse<Waiting>>,
    /// The entries that were left when those of ended connections were taken out last.
    left: usize,
}

struct Waiting {
    lsn: Lsn,
    shared: Weak<Shared>,
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

impl ParkedConnections {
    /// Parks a connection until the log has reached its next gate. A connection that is parked already keeps its entry,
    /// because its gates open in order.
    pub(super) fn park(&mut self, shared: &Rc<Shared>) {
        let gate = shared.outbox.borrow().next_gate();
        if let Some(lsn) = gate
            && !shared.is_parked.replace(true)
        {
            if self.heap.len() >= LOOK_AT.max(self.left * 2) {
                self.heap.retain(|Reverse(waiting)| waiting.shared.strong_count() > 0);
                self.left = self.heap.len();
                self.heap.shrink_to(LOOK_AT.max(self.left * 2));
            }
            self.heap.push(Reverse(Waiting { lsn, shared: Rc::downgrade(shared) }));
        }
    }

    /// Takes out a connection that waits for nothing beyond `upto`.
    pub(super) fn next(&mut self, upto: Lsn) -> Option<Rc<Shared>> {
        while self.heap.peek()?.0.lsn <= upto {
            let Reverse(Waiting { shared, .. }) = self.heap.pop()?;
            if let Some(shared) = shared.upgrade() {
                shared.is_parked.set(false);
                return Some(shared);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Clock;
    use crate::node::ClientHandle;
    use crate::resp::Chain;
    use crate::server::stream::split_unix;
    use std::cell::{Cell, RefCell};
    use std::sync::Arc;

    /// A connection that waits for an LSN.
    fn waiting(lsn: Lsn) -> Rc<Shared> {
        let (own, _) = std::os::unix::net::UnixStream::pair().unwrap();
        own.set_nonblocking(true).unwrap();
        let (_, write) = split_unix(tokio::net::UnixStream::from_std(own).unwrap());
        let now = Clock::System.instant();
        let client = Arc::new(ClientHandle::new(1, String::new(), String::new(), true, now));
        let (draining, is_parked) = (Cell::new(false), Cell::new(false));
        let shared =
            Shared { outbox: RefCell::default(), most: Cell::new(0), write, client, draining, is_parked };
        let mut chain = Chain::default();
        chain.put(b"reply");
        shared.outbox.borrow_mut().put_back(chain, lsn, 0, true);
        Rc::new(shared)
    }

    #[test]
    fn connections_come_out_in_the_order_of_their_positions_and_ended_ones_do_not() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let mut parked = ParkedConnections::default();
        let mut connections: Vec<_> = [7, 3, 5, 9].into_iter().map(waiting).collect();
        connections.iter().for_each(|shared| parked.park(shared));
        parked.park(&connections[0]);
        drop(connections.remove(2));
        assert!(parked.next(2).is_none());
        assert!(Rc::ptr_eq(&parked.next(8).unwrap(), &connections[1]), "the one at 3");
        assert!(Rc::ptr_eq(&parked.next(8).unwrap(), &connections[0]), "the one at 7");
        assert!(parked.next(8).is_none());
        assert!(connections[2].is_parked.get() && !connections[0].is_parked.get());
    }

    #[test]
    fn entries_of_ended_connections_do_not_pile_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let mut parked = ParkedConnections::default();
        let alive: Vec<_> = (0..100).map(|_| waiting(1)).collect();
        alive.iter().for_each(|shared| parked.park(shared));
        for _ in 0..1000 {
            parked.park(&waiting(1));
            assert!(parked.heap.len() <= 200);
        }
        let taken = std::iter::from_fn(|| parked.next(1)).count();
        assert_eq!(taken, alive.len());
    }
}
