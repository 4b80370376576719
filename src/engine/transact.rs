//! The one way to run a transaction. A unit of work says which shards it needs, whether it may go on once they are
//! locked, and what it does; [`Engine::transact`] locks, asks, runs, and commits, or undoes the round and runs it again
//! with the shards that it turned out to lack.
//!
//! One command, one EXEC and one step of a job in the background are units. Nobody else begins a transaction.

use super::undo::Reach;
use super::{Engine, NotNow, Tx};
use crate::store::{Holder, Locked, Mode, shown};

/// What is done under locks as a whole. A unit may be run more than once: a round that lacked shards is undone, and the
/// next one locks these too.
pub trait UnitOfWork {
    /// What a finished round gives.
    type Done;

    /// Locks what the unit needs: the shards of its keys and those of `reach`. What is expensive and needs no lock is
    /// done here, before the lock is taken.
    fn lock<'e>(&mut self, engine: &'e Engine, reach: &Reach) -> Locked<'e>;

    /// Whether the unit may go on under its locks, where the state of durability stays as it is.
    ///
    /// # Errors
    /// Why not. Nothing was changed, and nothing is shown of the shards.
    fn admit(&self, engine: &Engine, locked: &Locked<'_>) -> Result<(), NotNow>;

    /// What the hold is counted for, if it is none of a command: those measure themselves.
    fn holder(&self) -> Option<Holder> {
        None
    }

    /// Does the work.
    fn run(&mut self, tx: &mut Tx<'_>) -> Self::Done;

    /// Takes back what a round that was undone left outside the transaction. Its shards are still held.
    fn undone(&mut self) {}
}

/// The shards of a job that knows them beforehand.
#[derive(Clone, Copy)]
pub enum Over<'h> {
    /// Those of some hashes, exclusively.
    Hashes(&'h [u64]),
    /// Those of some hashes, to read.
    Reading(&'h [u64]),
    /// One shard, exclusively.
    Shard(usize),
    /// All of them, exclusively.
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

    fn lock<'e>(&mut self, engine: &'e Engine, reach: &Reach) -> Locked<'e> {
        let (store, now) = (&engine.store, engine.clock.now_ms());
        let (hashes, mode) = match self.over {
            Over::Hashes(hashes) => (hashes, Mode::Write),
            Over::Reading(hashes) => (hashes, Mode::Read),
            Over::Shard(_) | Over::Everything => (&[][..], Mode::Write),
        };
        match (self.over, hashes) {
            (Over::Shard(shard), _) if reach.is_first() => store.lock_shard(shard, mode, now),
            (Over::Hashes(_) | Over::Reading(_), [hash]) if reach.is_first() => {
                store.lock_one(*hash, mode, now)
            }
            (Over::Hashes(_) | Over::Reading(_), hashes) if !reach.is_everything() => {
                store.lock_many(&[hashes, reach.hashes()].concat(), mode, now)
            }
            // A shard whose job turned out to need others is held with all of them.
            _ => store.lock_all(Mode::Write, now),
        }
    }

    fn holder(&self) -> Option<Holder> {
        Some(self.holder)
    }

    fn admit(&self, engine: &Engine, _locked: &Locked<'_>) -> Result<(), NotNow> {
        engine.admits(!matches!(self.over, Over::Reading(_)))
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
            let locked = unit.lock(self, &reach);
            if let Err(reason) = unit.admit(self, &locked) {
                shown::back_to(seen);
                return Err(reason);
            }
            let timer = unit.holder().map(|holder| self.store.holds.timer(holder));
            // What was removed is freed when the hold is over.
            let (done, _garbage);
            {
                let mut tx = Tx::new(self, locked, db, record);
                done = unit.run(&mut tx);
                if reach.exceeded(&mut tx) {
                    unit.undone();
                    continue;
                }
                _garbage = timer.as_ref().and_then(|_| tx.locked.take_garbage());
                tx.commit_in_place();
                // Here the shards are given back. Nobody moves the transaction, which would copy it.
            }
            drop(timer);
            return Ok(done);
        }
    }

    /// Runs `body` in a transaction over shards that are known beforehand, as long as changes may be made. It is run
    /// again if it lacked shards. `holder` is what their hold is counted for.
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
