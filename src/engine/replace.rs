//! Values made of elements that take the place of what is at a key, whatever that is.

use super::{EFFECT_BYTES, Tx};
use crate::effect::{Effect, List, SetChange};
use crate::log::LogError;
use crate::value::packed::varint_len;

/// Whether a key at which there is something else already is told as a new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Renewal {
    /// It is, for what was there is removed first.
    New,
    /// It is not: it is overwritten.
    Overwritten,
}

impl Tx<'_> {
    /// Puts a set of these members in place of what is at a key of the current database, with this deadline; without
    /// members only removes what is there. It counts as one change. O(members). Whether anything was changed.
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
        if there {
            self.apply(Effect::Delete { db, key });
        }
        if !members.is_empty() {
            self.telling.replacing = there && renewal == Renewal::Overwritten;
            self.apply(SetChange::Add { members }.on(db, key));
            self.telling.replacing = false;
            if expire.is_some() {
                self.apply(Effect::Expire { db, key, at: expire });
            }
        }
        self.count_changes(before, 1);
        Ok(true)
    }
}
