//! Expired keys and fields that a transaction came upon. As in Redis they are removed then, and that is told: session
//! stores read a key on purpose so that it is.

use super::Tx;
use super::aside::StaleKeys;
use crate::effect::{Effect, HashChange, List};
use crate::value::hash::{HashRef, packed_fields, passed};

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

    /// Removes an expired value. Returns whether there is a live one that has a deadline, or whose parts have.
    pub(super) fn bury_expired(&mut self, db: u32, key: &[u8], hash: u64) -> bool {
        let space = self.engine.store.space(db as usize);
        let Some(entry) = self.locked.peek(space, key, hash).filter(|entry| entry.has_deadline()) else {
            return false;
        };
        if !entry.expired(self.now()) {
            return true;
        }
        self.tell_expired(db, entry);
        let gone = Effect::Delete { db, key };
        self.note(&gone);
        self.locked.apply(&gone, hash);
        self.carried_out();
        false
    }

    /// Removes those of the fields of a hash that have expired. Their hash goes with its last field, which is not told.
    pub(super) fn bury_expired_fields<'f>(
        &mut self,
        db: u32,
        key: &[u8],
        hash: u64,
        fields: impl Iterator<Item = &'f [u8]>,
    ) {
        let now = self.now();
        let space = self.engine.store.space(db as usize);
        let entry = self.locked.peek(space, key, hash).filter(|entry| entry.has_deadline());
        let Some(there) = entry.and_then(|entry| entry.value().hash()) else { return };
        if !any_expired(&there, now) {
            return;
        }
        // At time 0 no field has expired, so this also finds those that have.
        let has_expired = |name: &&[u8]| there.get(name, 0).is_some_and(|field| passed(field.expire, now));
        let mut expired: Vec<&[u8]> = fields.filter(has_expired).collect();
        if expired.is_empty() {
            return;
        }
        // The command may name a field twice.
        expired.sort_unstable();
        expired.dedup();
        let gone = HashChange::Delete { fields: List::Slices(&expired) }.on(db, key);
        self.note(&gone);
        self.locked.apply(&gone, hash);
        self.carried_out();
        self.tell_fields_expired(db, key, expired.len(), expired.iter().copied());
    }
}

/// Whether a field of a hash has expired. O(log n), in the packed form O(fields) if a field has a deadline.
fn any_expired(hash: &HashRef<'_>, now: u64) -> bool {
    match *hash {
        HashRef::Packed(packed, has_deadlines) => {
            has_deadlines && packed_fields(packed, true).any(|field| field.expired(now))
        }
        HashRef::Big(big) => big.deadline().is_some_and(|at| passed(at, now)),
    }
}
