//! Streams within a transaction.

use super::{EFFECT_BYTES, Tx};
use crate::effect::{self, Decoder, Effect, StreamChange};
use crate::log::LogError;
use crate::store::stream_effects;
use crate::value::stream::Stream;

impl Tx<'_> {
    /// Puts a stream in place of what is at a key. O(size of the stream).
    ///
    /// # Errors
    /// Those of [`Tx::ask`]; nothing was changed then.
    pub fn put_stream(&mut self, key: &[u8], stream: &Stream, expire: Option<u64>) -> Result<(), LogError> {
        let db = self.db as u32;
        let mut record = vec![effect::VERSION];
        stream_effects(db, key, stream, expire, &mut record);
        self.ask(record.len() + key.len() + EFFECT_BYTES)?;
        if self.exists(key) {
            self.apply(Effect::Delete { db, key });
        }
        for effect in Decoder::new(&record).into_iter().flatten().flatten() {
            self.apply(effect);
        }
        Ok(())
    }

    /// Changes a stream in the current database; returns how many entries this removed, see
    /// [`crate::store::Locked::apply`].
    #[inline]
    pub fn change_stream(&mut self, key: &[u8], change: StreamChange<'_>) -> usize {
        let db = self.engine.tables.home(self.db, key) as u32;
        self.apply_counted(change.on(db, key))
    }

    /// Notes that a consumer was seen now. Like the access clock this is no effect, because a consumer that only asks
    /// changes nothing.
    pub fn note_seen(&mut self, key: &[u8], group: &[u8], consumer: &[u8]) {
        let db = self.engine.tables.home(self.db, key);
        let (space, hash) = (self.engine.store.space(db), self.hash(key));
        self.locked.note_consumer_seen(space, key, hash, group, consumer);
    }
}

#[cfg(test)]
mod tests;
