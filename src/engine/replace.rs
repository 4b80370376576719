//! Putting a value made of elements in the place of whatever is at a key.

use super::{EFFECT_BYTES, Tx};
use crate::effect::{Effect, List, SetChange};
use crate::log::LogError;
use crate::store::Entry;
use crate::value::packed::varint_len;
use std::sync::atomic::Ordering::Relaxed;

/// Whether a key that already holds a value is told as new when another value takes its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Renewal {
    /// It is told as new, as if the old value were removed first.
    New,
    /// It is not told as new: the value is overwritten.
    Overwritten,
}

impl Tx<'_> {
    /// Puts a set of these members, with this deadline, in place of what is at a key of the current database. Without
    /// members it only removes what is there. It counts as one change. Returns whether anything changed. O(members).
    ///
    /// # Errors
    /// Those of [`Tx::ask`]; nothing was changed then.
    pub fn put_set(
        &mut self,
        key: &[u8],
        members: List<'_>,
        expire: Option<u64>,
        renewal: Renewal,
    ) -> Result<bool, LogError> {
        let there = self.exists(key);
        if members.is_empty() && !there {
            return Ok(false);
        }
        let (db, before) = (self.db as u32, self.changes());
        let bytes: usize = members.iter().map(|member| member.len() + varint_len(member.len())).sum();
        self.ask(bytes + 3 * (key.len() + EFFECT_BYTES))?;
        let overwrites = there && renewal == Renewal::Overwritten;
        let frequency = if overwrites { self.frequency_of(key) } else { None };
        if there {
            self.apply(Effect::Delete { db, key });
        }
        if !members.is_empty() {
            self.telling.replacing = overwrites;
            self.apply(SetChange::Add { members }.on(db, key));
            self.telling.replacing = false;
            if let (Some(clock), Some(entry)) = (frequency, self.peek(key)) {
                entry.set_clock(clock);
            }
            if expire.is_some() {
                self.apply(Effect::Expire { db, key, at: expire });
            }
        }
        self.count_changes(before, 1);
        Ok(true)
    }

    /// The access clock of a key if it counts how often the key is used.
    fn frequency_of(&self, key: &[u8]) -> Option<u32> {
        let lfu = self.engine.store.lfu.load(Relaxed);
        self.peek(key).filter(|_| lfu).map(Entry::clock)
    }

    fn peek(&self, key: &[u8]) -> Option<&Entry> {
        self.locked.peek(self.engine.store.space(self.db), key, self.hash(key))
    }
}
