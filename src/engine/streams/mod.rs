//! Streams within a transaction.

use super::Tx;
use crate::effect::StreamChange;

impl Tx<'_> {
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
