//! The image of one shard in a checkpoint: the shard exactly as it was at one LSN, see [`crate::store::ShardImage`].

use super::{Engine, EngineError};
use crate::effect;
use crate::env::process;
use crate::store::{Mode, Owner, Piece};

impl Engine {
    /// Writes the effects that build a shard's entries into `chunk`; returns the LSN that it reflects, and the longest time
    /// that the shard was held in microseconds. The LSN is read under the lock: whoever changes the shard later appends later.
    ///
    /// # Errors
    /// [`EngineError::Loading`] if the data was taken away meanwhile.
    pub(super) fn image(&self, shard: usize, chunk: &mut Vec<u8>) -> Result<(u64, u64), EngineError> {
        chunk.clear();
        chunk.push(effect::VERSION);
        let locked = self.store.lock_shard(shard, Mode::Read, self.clock.now_ms());
        let began = self.clock.monotonic_micros();
        let lsn = self.tail();
        let mut image = locked.begin_image(&self.store, shard, &|space| self.owner_of(space), chunk);
        let mut longest = self.clock.monotonic_micros() - began;
        drop(locked);
        while image.has_more() {
            #[cfg(test)]
            between::run(self);
            process::give_way();
            let locked = self.store.lock_shard(shard, Mode::Read, self.clock.now_ms());
            let began = self.clock.monotonic_micros();
            let piece = image.piece(&locked, chunk);
            longest = longest.max(self.clock.monotonic_micros() - began);
            drop(locked);
            match piece {
                Piece::Read => image.complete(chunk),
                Piece::Lost => return Err(EngineError::Loading),
            }
        }
        Ok((lsn, longest))
    }

    fn owner_of(&self, space: u32) -> Option<Owner> {
        if let Some(db) = (0..self.store.databases()).find(|db| self.store.space(*db) == space) {
            return Some(Owner::Database(db as u32));
        }
        if effect::is_own(space) {
            return Some(Owner::Database(space));
        }
        self.tables.owns(space).then_some(Owner::Table(space))
    }
}

/// What tests have happen between two pieces.
#[cfg(test)]
pub(super) mod between {
    use super::Engine;
    use std::cell::RefCell;

    type Work = Box<dyn FnMut(&Engine)>;

    thread_local! {
        static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
    }

    /// Does something between two pieces of whatever this thread writes into checkpoints from now on.
    pub(in crate::engine) fn pieces(work: impl FnMut(&Engine) + 'static) {
        WORK.set(Some(Box::new(work)));
    }

    /// Leaves this thread's checkpoints alone again.
    pub(in crate::engine) fn nothing() {
        WORK.set(None);
    }

    pub(super) fn run(engine: &Engine) {
        if let Some(mut work) = WORK.take() {
            work(engine);
            WORK.set(Some(work));
        }
    }
}
