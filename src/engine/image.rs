//! The image of one shard in a checkpoint: the shard exactly as it was at one LSN, see [`crate::store::ShardImage`].

use super::{Engine, EngineError};
use crate::effect;
use crate::env::process;
use crate::store::{Holder, Mode, Owner, PieceEnd, SpaceOwners};
use std::sync::atomic::Ordering::Relaxed;

/// A record ends after so many bytes; after a few under test, so that there are several records.
const RECORD_BYTES: usize = if cfg!(test) { 512 } else { 1 << 20 };

impl Engine {
    /// Gives the effects that build a shard's entries to `sink`, in one or more records, made one after the other, with
    /// the LSN that all of them reflect. Returns the longest time that the shard was held, in microseconds. The LSN is
    /// read under the shard's lock, so every later change of the shard has a greater LSN. The caller reads shards in
    /// ascending order.
    ///
    /// # Errors
    /// [`EngineError::Loading`] if the data was taken away meanwhile, [`EngineError::Closed`] if a change of the shard
    /// has panicked, and those of `sink`.
    pub(super) fn image(
        &self,
        shard: usize,
        sink: &mut dyn FnMut(u64, &[u8]) -> Result<(), EngineError>,
    ) -> Result<u64, EngineError> {
        let mut record = vec![effect::VERSION];
        let locked = self.store.lock_shard(shard, Mode::Read, self.clock.now_ms()).timed(Holder::Checkpoint);
        if locked.holds_closed() {
            return Err(EngineError::Closed);
        }
        let began = self.clock.monotonic_micros();
        let lsn = self.tail();
        self.save.shards_read.store(shard + 1, Relaxed);
        let mut image = locked.begin_image(&self.store, shard, self.owners(), &mut record);
        let mut longest = self.clock.monotonic_micros() - began;
        drop(locked);
        while image.has_more() {
            #[cfg(test)]
            between::run(self);
            process::rest();
            let mut more = image.begin_without_hold();
            if !more {
                let at = image.next_shard();
                let now = self.clock.now_ms();
                let locked = self.store.lock_shard(at, Mode::Read, now).timed(Holder::Checkpoint);
                let began = self.clock.monotonic_micros();
                let piece = image.piece(&locked, at, &mut record);
                longest = longest.max(self.clock.monotonic_micros() - began);
                drop(locked);
                if piece == PieceEnd::Lost {
                    return Err(if self.store.has_closed() {
                        EngineError::Closed
                    } else {
                        EngineError::Loading
                    });
                }
                more = piece == PieceEnd::Read;
            }
            while more {
                more = image.complete(&mut record);
                if record.len() >= RECORD_BYTES {
                    sink(lsn, &record)?;
                    record.truncate(1);
                    record.shrink_to(2 * RECORD_BYTES);
                }
            }
        }
        sink(lsn, &record)?;
        Ok(longest)
    }

    /// As [`Engine::image`] of a closed shard, which `apart` has read. No change is made to a shard while it is closed,
    /// so what it was when `apart` read it holds still, if it is the same `closing`.
    ///
    /// # Errors
    /// [`EngineError::Closed`] if the shard was opened meanwhile, even if it was closed again, and those of `sink`.
    pub(super) fn image_of_closed(
        &self,
        apart: &Self,
        (shard, closing): (usize, u32),
        sink: &mut dyn FnMut(u64, &[u8]) -> Result<(), EngineError>,
    ) -> Result<u64, EngineError> {
        let locked = self.store.lock_shard(shard, Mode::Read, self.clock.now_ms()).timed(Holder::Checkpoint);
        if self.store.closing_of(shard) != Some(closing) {
            return Err(EngineError::Closed);
        }
        let lsn = self.tail();
        self.save.shards_read.store(shard + 1, Relaxed);
        drop(locked);
        apart.image(shard, &mut |_, record| sink(lsn, record))
    }

    /// The owners of all spaces. A shard is locked.
    fn owners(&self) -> SpaceOwners {
        let databases =
            (0..self.store.databases()).map(|db| (self.store.space(db), Owner::Database(db as u32)));
        let own = effect::OWN.map(|space| (space, Owner::Database(space)));
        let tables = self.tables.spaces().into_iter().map(|space| (space, Owner::Table(space)));
        databases.chain(own).chain(tables).collect()
    }
}

/// Hooks by which tests do something between two pieces of an image.
#[cfg(test)]
pub(super) mod between {
    use super::Engine;
    use std::cell::RefCell;

    type Work = Box<dyn FnMut(&Engine)>;

    thread_local! {
        static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
    }

    /// Calls `work` between two pieces of each checkpoint that this thread writes from now on.
    pub(in crate::engine) fn pieces(work: impl FnMut(&Engine) + 'static) {
        WORK.set(Some(Box::new(work)));
    }

    /// Removes this thread's hook.
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
