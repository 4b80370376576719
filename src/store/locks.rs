//! Taking shards: one, several, or all.

use super::holds;
use super::lent::{self, Lent, Patience, Turn};
use super::locked::{Guard, Held, Locked, Mode};
use super::raw_table::Raw;
use super::seldom::Seldom;
use super::shown::KeyClasses;
use super::turns::Shards;
use super::{Store, gate, shown};
use dashmap::RwLockWriteGuard;
use std::cell::Cell;

/// The shards that are locked, and the turns that go with them if they may be held for long.
type Taken<'a> = (Held<'a>, Seldom<Turn<'a>>);

impl Store {
    #[inline]
    pub(super) fn write(&self, shard: usize) -> RwLockWriteGuard<'_, Raw> {
        debug_assert!(lent::may_wait(), "a thread that serves clients waits without bound");
        loop {
            if let Some(guard) = self.write_unless_lent(shard) {
                return guard;
            }
            self.wait_for_turn(&[shard]);
        }
    }

    #[inline]
    fn write_unless_lent(&self, shard: usize) -> Option<RwLockWriteGuard<'_, Raw>> {
        let lock = self.raw(shard);
        let wait = || holds::outside(|| self.sides[shard].gate.write_unless_lent(lock));
        lock.try_write().or_else(wait)
    }

    /// Locks a shard; `None` if it is lent.
    #[inline]
    fn guard_unless_lent(&self, shard: usize, mode: Mode) -> Option<Guard<'_>> {
        match mode {
            Mode::Read => {
                let (gate, lock) = (&self.sides[shard].gate, self.raw(shard));
                let wait = || holds::outside(|| gate.read_unless_lent(lock));
                gate.try_read(lock).or_else(wait).map(Guard::Read)
            }
            Mode::Write => self.write_unless_lent(shard).map(Guard::Write),
        }
    }

    /// Locks a shard that is lent to this thread.
    fn guard_of_borrower(&self, shard: usize, mode: Mode) -> Guard<'_> {
        let (gate, lock) = (&self.sides[shard].gate, self.raw(shard));
        match mode {
            Mode::Read => Guard::Read(holds::outside(|| gate.read(lock))),
            Mode::Write => Guard::Write(holds::outside(|| gate.write(lock))),
        }
    }

    /// As [`Store::guard_unless_lent`], but `None` if another thread holds the shard for longer than a short command
    /// takes.
    #[inline]
    fn guard_soon(&self, shard: usize, mode: Mode) -> Option<Guard<'_>> {
        let gate = &self.sides[shard].gate;
        match mode {
            Mode::Read => gate.read_soon(self.raw(shard)).map(Guard::Read),
            Mode::Write => gate.write_soon(self.raw(shard)).map(Guard::Write),
        }
    }

    /// Waits until no other thread has the turn of one of the shards. This thread holds none.
    #[cold]
    fn wait_for_turn(&self, shards: &[usize]) {
        // It never gives up.
        let turn = holds::outside(|| Turn::take(self, shards.into(), &|_| false));
        drop(turn);
    }

    /// Locks shards, given in ascending order, as far as they are not lent.
    fn guards(
        &self,
        shards: impl ExactSizeIterator<Item = usize> + Clone,
        mode: Mode,
    ) -> Result<Held<'_>, Lent> {
        let (soon, wait) =
            (|shard| self.guard_soon(shard, mode), |shard| self.guard_unless_lent(shard, mode));
        gate::take_all(shards, soon, wait).map(Held::Many).map_err(Lent)
    }

    /// Has shards lent, given in ascending order, and locks them.
    #[cold]
    #[inline(never)]
    fn borrow(
        &self,
        shards: Shards,
        mode: Mode,
        gives_up: &dyn Fn(usize) -> bool,
    ) -> Result<Taken<'_>, Lent> {
        let mut turn = holds::outside(|| Turn::take(self, shards.clone(), gives_up))?;
        holds::outside(|| turn.lend());
        let take = |shard| self.guard_of_borrower(shard, mode);
        let held = match shards[..] {
            [] => Held::None,
            [one] => Held::One(one, take(one)),
            _ => {
                let soon = |shard| self.guard_soon(shard, mode);
                Held::Many(
                    gate::take_all(shards.iter().copied(), soon, |shard| Some(take(shard))).map_err(Lent)?,
                )
            }
        };
        let mut kept = Seldom::NONE;
        *kept = Some(Box::new(turn));
        Ok((held, kept))
    }

    /// Locks shards, given in ascending order.
    fn take(&self, patience: Patience<'_>, shards: Shards, mode: Mode) -> Result<Taken<'_>, Lent> {
        if let Patience::Lends(gives_up) = patience {
            return self.borrow(shards, mode, gives_up);
        }
        let held = match shards[..] {
            [] => Held::None,
            [one] => Held::One(one, self.guard_unless_lent(one, mode).ok_or(Lent(one))?),
            _ => self.guards(shards.iter().copied(), mode)?,
        };
        Ok((held, Seldom::NONE))
    }

    /// Runs `lock` until it succeeds. Between two attempts it waits for the turn of the shard that was lent.
    fn in_turn<'a>(&'a self, lock: impl Fn() -> Result<Locked<'a>, Lent>) -> Locked<'a> {
        debug_assert!(lent::may_wait(), "a thread that serves clients waits without bound");
        loop {
            match lock() {
                Ok(locked) => return locked,
                Err(Lent(shard)) => self.wait_for_turn(&[shard]),
            }
        }
    }

    /// Whether a writer waits for the shard of a hash.
    #[cfg(test)]
    pub(crate) fn has_writer_waiting(&self, hash: u64) -> bool {
        !self.sides[self.shard_of(hash)].gate.is_open()
    }

    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn locked<'a>(&'a self, (held, turn): Taken<'a>, noted: KeyClasses, now: u64) -> Locked<'a> {
        let changed = KeyClasses::NONE;
        Locked {
            store: self,
            held,
            turn,
            garbage: Seldom::NONE,
            recording: Seldom::NONE,
            changed,
            noted,
            lacks: Cell::new(None),
            now,
            no_touch: false,
        }
    }

    /// Locks nothing: for commands without keys.
    pub fn lock_none(&self, now: u64) -> Locked<'_> {
        self.locked((Held::None, Seldom::NONE), KeyClasses::NONE, now)
    }

    /// Locks the shard of one hash, for a thread that may wait for a script.
    pub fn lock_one(&self, hash: u64, mode: Mode, now: u64) -> Locked<'_> {
        self.in_turn(|| self.lock_one_within(Patience::Short, hash, mode, now))
    }

    /// Locks the shard of one hash. It is inlined, because nearly every transaction begins with it, and its result is
    /// large to move.
    ///
    /// # Errors
    /// The patience did not suffice. So it is for the functions below.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub fn lock_one_within(
        &self,
        patience: Patience<'_>,
        hash: u64,
        mode: Mode,
        now: u64,
    ) -> Result<Locked<'_>, Lent> {
        let shard = self.shard_of(hash);
        let taken = match patience {
            Patience::Short => {
                let guard = self.guard_unless_lent(shard, mode).ok_or(Lent(shard))?;
                (Held::One(shard, guard), Seldom::NONE)
            }
            Patience::Lends(gives_up) => self.borrow([shard][..].into(), mode, gives_up)?,
        };
        shown::note(self.sides[shard].positions.of(hash));
        Ok(self.locked(taken, KeyClasses::of(hash), now))
    }

    /// Locks one shard by its number, to walk over it, for a thread that may wait for a script.
    pub fn lock_shard(&self, shard: usize, mode: Mode, now: u64) -> Locked<'_> {
        self.in_turn(|| self.lock_shard_within(Patience::Short, shard, mode, now))
    }

    /// Locks one shard by its number, to walk over it.
    ///
    /// # Errors
    /// See [`Store::lock_one_within`].
    pub fn lock_shard_within(
        &self,
        patience: Patience<'_>,
        shard: usize,
        mode: Mode,
        now: u64,
    ) -> Result<Locked<'_>, Lent> {
        let taken = self.take(patience, [shard][..].into(), mode)?;
        shown::note(self.sides[shard].positions.greatest());
        Ok(self.locked(taken, KeyClasses::ALL, now))
    }

    /// Locks the shards of several hashes, each shard once, for a thread that may wait for a script.
    pub fn lock_many(&self, hashes: &[u64], mode: Mode, now: u64) -> Locked<'_> {
        self.in_turn(|| self.lock_many_within(Patience::Short, hashes, mode, now))
    }

    /// Locks the shards of several hashes; each shard once.
    ///
    /// # Errors
    /// See [`Store::lock_one_within`].
    pub fn lock_many_within(
        &self,
        patience: Patience<'_>,
        hashes: &[u64],
        mode: Mode,
        now: u64,
    ) -> Result<Locked<'_>, Lent> {
        if let [only] = hashes {
            return self.lock_one_within(patience, *only, mode, now);
        }
        let mut shards: Shards = hashes.iter().map(|h| self.shard_of(*h)).collect();
        shards.sort_unstable();
        shards.dedup();
        if shards.len() == self.shard_count() {
            // All shards are needed, and the caller may then walk over them.
            return self.lock_all_within(patience, mode, now);
        }
        let taken = self.take(patience, shards, mode)?;
        hashes.iter().for_each(|hash| self.note_shown(*hash));
        Ok(self.locked(taken, KeyClasses::NONE, now))
    }

    /// Locks every shard, for a thread that may wait for a script.
    pub fn lock_all(&self, mode: Mode, now: u64) -> Locked<'_> {
        self.in_turn(|| self.lock_all_within(Patience::Short, mode, now))
    }

    /// Locks every shard. About 10 ns for each shard if no other thread holds one.
    ///
    /// # Errors
    /// See [`Store::lock_one_within`].
    pub fn lock_all_within(&self, patience: Patience<'_>, mode: Mode, now: u64) -> Result<Locked<'_>, Lent> {
        let taken = self.take(patience, (0..self.shard_count()).collect(), mode)?;
        self.sides.iter().for_each(|side| shown::note(side.positions.greatest()));
        Ok(self.locked(taken, KeyClasses::ALL, now))
    }
}

impl<'a> Locked<'a> {
    /// Takes the shard of a hash exclusively, if it is not held yet, is open, and can be had without waiting; returns
    /// whether it is held exclusively now. It does not wait, because a thread that holds shards may wait only for
    /// greater ones.
    pub fn try_extend(&mut self, hash: u64) -> bool {
        let shard = self.store.shard_of(hash);
        let at = match &self.held {
            Held::None => 0,
            Held::One(held, guard) if *held == shard => return matches!(guard, Guard::Write(_)),
            Held::One(held, _) => usize::from(*held < shard),
            Held::Many(guards) => match guards.binary_search_by_key(&shard, |(held, _)| *held) {
                Ok(at) => return matches!(guards[at].1, Guard::Write(_)),
                Err(at) => at,
            },
        };
        if self.turn.as_mut().is_some_and(|turn| !turn.try_add(shard)) {
            return false;
        }
        let Some(guard) = self.store.raw(shard).try_write() else { return false };
        if self.store.is_closed(shard) {
            return false;
        }
        self.store.note_shown(hash);
        let mut guards = match std::mem::replace(&mut self.held, Held::None) {
            Held::None => Vec::new(),
            Held::One(held, guard) => vec![(held, guard)],
            Held::Many(guards) => guards,
        };
        guards.insert(at, (shard, Guard::Write(guard)));
        self.held = Held::Many(guards);
        self.noted = KeyClasses::NONE;
        true
    }

    /// Locks a shard for a walk that goes over shards one by one while this thread holds none. If the shard is lent,
    /// this is noted, and the walk ends: what it has found is of no use.
    pub(super) fn lock_for_walk(&self, shard: usize) -> Option<Locked<'a>> {
        let locked = self.store.lock_shard_within(Patience::Short, shard, Mode::Read, self.now);
        locked.inspect_err(|lent| self.lacks.set(Some(*lent))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One hash for each shard, in the order of shards.
    fn hashes(store: &Store) -> Vec<u64> {
        let mut found = vec![None; store.shard_count()];
        for n in 0..1000_u32 {
            let hash = store.hash(&n.to_le_bytes());
            found[store.shard_of(hash)] = Some(hash);
        }
        found.into_iter().map(Option::unwrap).collect()
    }

    #[test]
    fn more_shards_are_taken_only_where_nobody_holds_them() {
        let store = Store::new(8, 1);
        let hashes = hashes(&store);
        let other = store.lock_one(hashes[5], Mode::Read, 0);
        for begun in [&[][..], &[hashes[3]], &[hashes[2], hashes[6]]] {
            let mut locked = store.lock_many(begun, Mode::Write, 0);
            assert!(!locked.try_extend(hashes[5]), "a reader has it");
            for shard in [3, 0, 7, 6, 2, 2, 1, 4] {
                assert!(locked.try_extend(hashes[shard]), "{shard}");
                assert!(locked.raw_mut(shard).is_some());
            }
            assert!(!locked.holds_all());
        }
        drop(other);
        let mut locked = store.lock_one(hashes[0], Mode::Read, 0);
        assert!(!locked.try_extend(hashes[0]), "it is held shared");
        assert!(locked.try_extend(hashes[1]));
        assert!(locked.raw(0).is_some() && locked.raw_mut(1).is_some());
    }

    /// Waits until a writer waits for the shard of a hash.
    fn until_waited_for(store: &Store, hash: u64) {
        while !store.has_writer_waiting(hash) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_reader_that_comes_later_comes_after_the_writer() {
        let store = Store::new(8, 1);
        let hashes = hashes(&store);
        let order = parking_lot::Mutex::new(Vec::new());
        let reader = store.lock_one(hashes[5], Mode::Read, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _locked = store.lock_one(hashes[5], Mode::Write, 0);
                order.lock().push("writer");
            });
            until_waited_for(&store, hashes[5]);
            store.prefetch([(hashes[5], 0)].into_iter());
            let ways: [fn(&Store, u64) -> Locked<'_>; 3] = [
                |store, hash| store.lock_one(hash, Mode::Read, 0),
                |store, hash| store.lock_shard(store.shard_of(hash), Mode::Read, 0),
                |store, _| store.lock_all(Mode::Read, 0),
            ];
            for way in ways {
                let (store, order, hash) = (&store, &order, hashes[5]);
                scope.spawn(move || {
                    let _locked = way(store, hash);
                    order.lock().push("reader");
                });
            }
            drop(reader);
        });
        assert_eq!(*order.lock(), ["writer", "reader", "reader", "reader"]);
    }

    #[test]
    fn who_waits_for_a_shard_keeps_nobody_from_the_others() {
        let store = Store::new(8, 1);
        let hashes = hashes(&store);
        for wanted in [&hashes[..], &[hashes[2], hashes[5], hashes[6]]] {
            let reader = store.lock_one(hashes[5], Mode::Read, 0);
            let (done, is_done) = std::sync::mpsc::channel();
            std::thread::scope(|scope| {
                let (store, hashes) = (&store, &hashes);
                let all = scope.spawn(move || {
                    let locked = store.lock_many(wanted, Mode::Write, 0);
                    wanted.iter().all(|hash| locked.owns(*hash))
                });
                until_waited_for(store, hashes[5]);
                scope.spawn(move || {
                    for shard in [0, 1, 2, 3, 4, 6, 7] {
                        drop(store.lock_one(hashes[shard], Mode::Write, 0));
                    }
                    done.send(())
                });
                let free = is_done.recv_timeout(std::time::Duration::from_secs(20));
                drop(reader);
                assert!(all.join().unwrap());
                assert!(free.is_ok(), "shards are kept that nobody uses");
            });
        }
    }
}
