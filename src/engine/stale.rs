//! Expired keys that a transaction came upon. As in Redis they are removed then, and that is told: session stores read
//! a key on purpose so that it is.

use super::Tx;
use super::aside::StaleKeys;

impl Tx<'_> {
    /// Notes that a lookup came upon an expired key.
    #[cold]
    pub fn note_stale(&self, db: usize, key: &[u8]) {
        /// The background removes the others.
        const MOST: usize = 128;
        let mut stale = self.stale.borrow_mut();
        let stale = &mut stale.get_or_insert_default().0;
        if stale.len() < MOST && !stale.iter().any(|(in_db, other)| *in_db == db && **other == *key) {
            stale.push((db, key.into()));
        }
    }

    /// Takes the expired keys that lookups came upon, or some of them.
    /// [`Engine::remove_expired`](super::Engine::remove_expired) can remove them after the transaction.
    #[inline]
    pub fn take_stale(&mut self) -> Option<Box<StaleKeys>> {
        self.stale.get_mut().take()
    }
}
