//! The one way to run a transaction. A unit of work says which shards it needs, whether it may go on once they are
//! locked, and what it does. [`Engine::transact`] locks, asks, runs, and commits; or it undoes the round and runs the
//! unit again, with the shards that it turned out to lack.
//!
//! No unit waits for a shard that a script holds, except those that run scripts themselves: it gets
//! [`NotNow::Lent`], and its caller comes again later.
//!
//! One command, one EXEC and one step of a job in the background are units. There is no other way to begin a
//! transaction.

use super::undo::Reach;
use super::{Engine, NotNow, Tx};
use crate::store::{Holder, Locked, Mode, Patience, Seldom, shown};

/// Work that is done under locks as a whole. It may be run more than once: a round that lacked shards is undone, and
/// the next round locks these too.
pub trait UnitOfWork {
    /// The result of a finished round.
    type Done;

    /// Locks the shards of the unit's keys and those of `reach`. Expensive work that needs no lock is done here, before
    /// locking. It waits for a shard that is lent only if the unit may hold shards for long itself.
    ///
    /// # Errors
    /// Why the shards cannot be had now.
    fn lock<'e>(&mut self, engine: &'e Engine, reach: &Reach) -> Result<Locked<'e>, NotNow>;

    /// Whether the unit may go on under its locks. The state of durability does not change while they are held.
    ///
    /// # Errors
    /// Why it may not. Then nothing was changed, and nothing of the shards is shown.
    fn admit(&self, engine: &Engine, locked: &Locked<'_>) -> Result<(), NotNow>;

    /// As whose the hold is counted; `None` for commands, which measure their holds themselves.
    fn holder(&self) -> Option<Holder> {
        None
    }

    /// Does the work.
    fn run(&mut self, tx: &mut Tx<'_>) -> Self::Done;

    /// Takes back what an undone round has left outside the transaction. The shards are still held.
    fn undone(&mut self) {}
}

/// The shards of a job that are known beforehand.
#[derive(Clone, Copy)]
pub enum Over<'h> {
    /// The shards of some hashes, exclusively.
    Hashes(&'h [u64]),
    /// The shards of some hashes, shared.
    Reading(&'h [u64]),
    /// One shard, exclusively.
    Shard(usize),
    /// All shards, exclusively.
    Everything,
}

/// A job over shards that are known beforehand.
struct Job<'h, F> {
    holder: Holder,
    over: Over<'h>,
    body: F,
}

impl<T, F: FnMut(&mut Tx<'_>) -> T> UnitOfWork for Job<'_, F> {
    type Done = T;

    fn lock<'e>(&mut self, engine: &'e Engine, reach: &Reach) -> Result<Locked<'e>, NotNow> {
        let (store, now, patience) = (&engine.store, engine.clock.now_ms(), Patience::Short);
        let (hashes, mode) = match self.over {
            Over::Hashes(hashes) => (hashes, Mode::Write),
            Over::Reading(hashes) => (hashes, Mode::Read),
            Over::Shard(_) | Over::Everything => (&[][..], Mode::Write),
        };
        let locked = match (self.over, hashes) {
            (Over::Shard(shard), _) if reach.is_first() => {
                store.lock_shard_within(patience, shard, mode, now)
            }
            (Over::Hashes(_) | Over::Reading(_), [hash]) if reach.is_first() => {
                store.lock_one_within(patience, *hash, mode, now)
            }
            (Over::Hashes(_) | Over::Reading(_), hashes) if !reach.is_everything() => {
                store.lock_many_within(patience, &[hashes, reach.hashes()].concat(), mode, now)
            }
            // A job over one shard that turned out to need others locks all of them.
            _ => store.lock_all_within(patience, Mode::Write, now),
        };
        Ok(locked?)
    }

    fn holder(&self) -> Option<Holder> {
        Some(self.holder)
    }

    fn admit(&self, engine: &Engine, locked: &Locked<'_>) -> Result<(), NotNow> {
        engine.admits(!matches!(self.over, Over::Reading(_)))?;
        if locked.holds_closed() { Err(NotNow::Closed) } else { Ok(()) }
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> T {
        (self.body)(tx)
    }
}

impl Engine {
    /// Runs a unit of work in a database, as one transaction and one record of the log. `record` is a scratch buffer.
    /// The caller holds no shard. Inlined, because nearly every transaction is that of one command.
    ///
    /// # Errors
    /// Why the unit may not go on now.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub fn transact<U: UnitOfWork>(
        &self,
        db: usize,
        record: &mut Vec<u8>,
        unit: &mut U,
    ) -> Result<U::Done, NotNow> {
        let mut reach = Reach::default();
        loop {
            let seen = shown::so_far();
            let locked = unit.lock(self, &reach)?;
            // What was removed is freed after the shards are given back.
            let (timer, done, told, _garbage);
            {
                // The locked shards are moved once, so nothing may refer to them before they are the transaction's.
                let mut tx = Tx::new(self, locked, db, record);
                if let Err(reason) = unit.admit(self, tx.locked()) {
                    shown::back_to(seen);
                    return Err(reason);
                }
                timer = unit.holder().map(|holder| self.store.holds.timer(holder));
                done = unit.run(&mut tx);
                if reach.exceeded(&mut tx) {
                    unit.undone();
                    continue;
                }
                if let Some(lent) = tx.locked.lacks()
                    && tx.effects == 0
                {
                    // It has walked over shards and could not have one, so what it has found is of no use.
                    unit.undone();
                    shown::back_to(seen);
                    return Err(lent.into());
                }
                _garbage = timer.as_ref().map_or(Seldom::NONE, |_| tx.locked.take_garbage());
                told = tx.commit_in_place();
                // The transaction is dropped here, which gives the shards back. It is not moved, because that would
                // copy it.
            }
            drop(timer);
            if told {
                self.listeners.released();
            }
            return Ok(done);
        }
    }

    /// Runs `body` in a transaction over shards that are known beforehand, if changes may be made. `body` is run again
    /// if it lacked shards. The hold is counted as that of `holder`.
    ///
    /// # Errors
    /// Why no changes may be made now.
    pub fn transact_over<T>(
        &self,
        holder: Holder,
        over: Over<'_>,
        db: usize,
        record: &mut Vec<u8>,
        body: impl FnMut(&mut Tx<'_>) -> T,
    ) -> Result<T, NotNow> {
        self.transact(db, record, &mut Job { holder, over, body })
    }
}
