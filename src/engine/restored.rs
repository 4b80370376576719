//! Values of payloads in Redis's serialisation.

use super::{EFFECT_BYTES, Tx};
use crate::effect::{Effect, StringChange};
use crate::log::LogError;
use crate::store::Built;

/// Strings up to this length in bytes are logged as strings; the limit is low under test, so that most are not.
const SMALL: usize = if cfg!(test) { 64 } else { 1024 };

impl Tx<'_> {
    /// Stores a value at a key, in place of any value there. The value was built from a payload that was read at a time
    /// in ms since the epoch. The log gets the payload, or the string in it if that is not longer. O(size of the
    /// payload), which is copied into the record.
    ///
    /// # Errors
    /// Those of [`Tx::ask`]; then nothing was changed.
    pub fn restore(
        &mut self,
        key: &[u8],
        (payload, read_at): (&[u8], u64),
        built: Built,
        expire: Option<u64>,
    ) -> Result<(), LogError> {
        let (db, hash) = (self.db as u32, self.hash(key));
        let whole = Effect::Restore { db, key, payload, expire, read_at };
        let logged = match built.as_string() {
            Some(value) if value.len() <= SMALL || value.len() <= payload.len() => {
                StringChange::Set { value, expire }.on(db, key)
            }
            Some(_) => StringChange::Restore { payload, expire }.on(db, key),
            None => whole,
        };
        self.ask(payload.len().max(SMALL) + key.len() + EFFECT_BYTES)?;
        if self.lacks_shards() {
            return Ok(());
        }
        assert!(self.locked.owns(hash), "a change of a key whose shard is not held exclusively");
        let is_new = self.telling.looks() && self.look_before(&whole, hash);
        self.note(&logged);
        self.locked.put_built((db, key), hash, built, expire);
        self.carried_out();
        if is_new {
            self.look_after(&whole, hash);
        }
        self.changes += 1;
        Ok(())
    }
}
