//! Turns: the right to hold shards for long, or to wait for them behind those that do. A shard has one turn at a time.
//! Threads get their turns in the order in which they came, as far as they want the same shards.

use parking_lot::{Condvar, Mutex};
use smallvec::SmallVec;
use std::time::Duration;

/// The numbers of some shards.
pub(super) type Shards = SmallVec<[usize; 8]>;

/// How often a thread that waits for its turn is asked whether it gives up.
const ASKED: Duration = Duration::from_millis(5);

/// A key, with its database, that has something for waiting clients.
type ReadyKey = (usize, Box<[u8]>);

/// The turns of all shards.
pub(super) struct Turns {
    state: Mutex<State>,
    freed: Condvar,
}

struct State {
    /// Whether a shard's turn is taken.
    taken: Box<[bool]>,
    /// Threads that wait, in the order in which they came: their tickets, and the shards that they want.
    queue: Vec<(u64, Shards)>,
    last_ticket: u64,
    /// Keys whose waiting clients are served once shards are given back.
    put_off: Vec<ReadyKey>,
}

impl State {
    /// A shard of `shards` whose turn is taken, or that a thread which came before wants.
    fn missing(&self, ticket: u64, shards: &[usize]) -> Option<usize> {
        let before = || self.queue.iter().take_while(|(other, _)| *other < ticket);
        let is_wanted = |shard: &usize| before().any(|(_, wanted)| wanted.contains(shard));
        shards.iter().copied().find(|shard| self.taken[*shard] || is_wanted(shard))
    }

    fn mark(&mut self, shards: &[usize], taken: bool) {
        shards.iter().for_each(|shard| self.taken[*shard] = taken);
    }
}

impl Turns {
    /// The turns of so many shards.
    pub(super) fn new(shards: usize) -> Self {
        let taken = vec![false; shards].into();
        let state = State { taken, queue: Vec::new(), last_ticket: 0, put_off: Vec::new() };
        Self { state: Mutex::new(state), freed: Condvar::new() }
    }

    /// Waits for the turns of some shards, all at once. Every few milliseconds `gives_up` is asked, with a shard that
    /// is missing.
    ///
    /// # Errors
    /// That shard, if the thread gives up.
    pub(super) fn take(&self, shards: &[usize], gives_up: &dyn Fn(usize) -> bool) -> Result<(), usize> {
        let mut state = self.state.lock();
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.queue.push((ticket, shards.into()));
        let outcome = loop {
            match state.missing(ticket, shards) {
                None => break Ok(()),
                Some(shard) if gives_up(shard) => break Err(shard),
                Some(_) => drop(self.freed.wait_for(&mut state, ASKED)),
            }
        };
        state.queue.retain(|(other, _)| *other != ticket);
        match outcome {
            Ok(()) => state.mark(shards, true),
            // Those behind it may go on.
            Err(_) => drop(self.freed.notify_all()),
        }
        outcome
    }

    /// Takes a shard's turn if nobody has it or waits for it.
    pub(super) fn try_take(&self, shard: usize) -> bool {
        let mut state = self.state.lock();
        let free = state.missing(u64::MAX, &[shard]).is_none();
        if free {
            state.mark(&[shard], true);
        }
        free
    }

    /// Gives turns back. Returns the keys that were put off meanwhile.
    pub(super) fn give_back(&self, shards: &[usize]) -> Vec<ReadyKey> {
        let mut state = self.state.lock();
        state.mark(shards, false);
        self.freed.notify_all();
        std::mem::take(&mut state.put_off)
    }

    /// Keeps a key until turns are given back; false if the turn of `shard` is not taken any more.
    pub(super) fn put_off(&self, shard: usize, db: usize, key: &[u8]) -> bool {
        let mut state = self.state.lock();
        let is_taken = state.taken[shard];
        if is_taken {
            state.put_off.push((db, key.into()));
        }
        is_taken
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::thread;

    /// Waits until so many threads wait for turns.
    fn until_waiting(turns: &Turns, threads: usize) {
        while turns.state.lock().queue.len() != threads {
            thread::yield_now();
        }
    }

    #[test]
    fn turns_go_to_those_who_came_first() {
        let turns = Arc::new(Turns::new(4));
        assert_eq!(turns.take(&[1, 2], &|_| false), Ok(()));
        assert!(!turns.try_take(1) && turns.try_take(0));
        let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let waits = |name: &'static str, shards: &'static [usize]| {
            let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
            thread::spawn(move || {
                turns.take(shards, &|_| false).unwrap();
                order.lock().push(name);
                turns.give_back(shards);
            })
        };
        let first = waits("first", &[2, 3]);
        until_waiting(&turns, 1);
        let second = waits("second", &[3]);
        until_waiting(&turns, 2);
        assert!(!turns.try_take(3), "others wait for it");
        assert!(order.lock().is_empty());
        turns.give_back(&[1, 2]);
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(*order.lock(), ["first", "second"]);
        assert!(turns.try_take(3));
    }

    #[test]
    fn a_thread_that_gives_up_is_in_nobodys_way() {
        let turns = Arc::new(Turns::new(4));
        assert_eq!(turns.take(&[1], &|_| false), Ok(()));
        let gives_up = Arc::new(AtomicBool::new(false));
        let (there, asked) = (Arc::clone(&turns), Arc::clone(&gives_up));
        let waits = thread::spawn(move || there.take(&[1, 2], &|_| asked.load(Relaxed)));
        until_waiting(&turns, 1);
        assert!(!turns.try_take(2));
        gives_up.store(true, Relaxed);
        assert_eq!(waits.join().unwrap(), Err(1));
        assert!(turns.try_take(2) && !turns.try_take(1));
    }

    #[test]
    fn keys_are_put_off_while_a_turn_is_taken() {
        let turns = Turns::new(4);
        assert!(!turns.put_off(1, 0, b"key"));
        assert_eq!(turns.take(&[1], &|_| false), Ok(()));
        assert!(turns.put_off(1, 3, b"key") && !turns.put_off(2, 0, b"other"));
        assert_eq!(turns.give_back(&[1]), [(3, Box::from(&b"key"[..]))]);
    }
}
