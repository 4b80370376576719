//! Values that are made from others: entries that are moved or copied to another key, combinations of strings, and what
//! comes in Redis's serialisation.

use super::Place;
use crate::effect::List;
use crate::store::entry::Kind;
use crate::store::{Entry, Locked, Object, ValueRef};
use crate::value::bits::{BitOp, bitop};
use crate::value::hash::BigHash;
use crate::value::rdb::{Decoded, decode_unsigned_dump};

impl Locked<'_> {
    /// Moves what is at a place to another one, in place of what is there, with its deadlines and its access clock.
    /// O(1) beside what freeing the latter costs: a large value is not looked into.
    pub(super) fn move_entry(&mut self, from: Place<'_>, to: Place<'_>) {
        let Some((entry, slot)) = self.take(from) else { return };
        self.delete(to);
        self.store.note_moved(from, to, &entry);
        self.recorded_move(from, to, slot);
        self.insert_unrecorded(to, entry.with_name(to.space, to.key));
        self.changed(to);
    }

    /// Copies what is at a place to another one, in place of what is there, with its deadlines. Whether it has expired
    /// does not matter: it had not when it was copied first.
    pub(super) fn copy_entry(&mut self, from: Place<'_>, to: Place<'_>) {
        let clock = self.store.fresh_clock(self.now);
        let Some(entry) = self.look(from) else { return };
        let (space, key, expire) = (to.space, to.key, entry.expire());
        let boxed = |object| Entry::boxed(space, key, expire, Box::new(object), clock);
        let copy = match entry.value() {
            ValueRef::Boxed(Object::Hash(big)) => {
                let mut copy = BigHash::default();
                for f in big.iter() {
                    copy.set(f.name, f.value, f.expire);
                }
                boxed(Object::Hash(copy))
            }
            ValueRef::Boxed(Object::Stream(stream)) => boxed(Object::Stream(stream.clone())),
            ValueRef::Str(bytes) if entry.kind() == Kind::Far => {
                Entry::far(space, key, expire, bytes.to_vec(), clock)
            }
            ValueRef::Str(_) | ValueRef::Hash(..) => entry.named_twin(space, key, clock),
            // No key has items.
            ValueRef::Items(_) | ValueRef::Boxed(Object::Items(_)) => return,
        };
        self.put_entry(to, copy);
    }

    /// Puts a combination of strings at a place, in place of what is there. What is not there or no string counts as
    /// empty.
    pub(super) fn combine(&mut self, place: Place<'_>, op: BitOp, keys: List<'_>) {
        let Some(db) = place.db else { return };
        let sources = keys.iter().map(|key| {
            let entry = self.look(self.place(db as u32, key, self.store.hash(key)));
            match entry.map(Entry::value) {
                Some(ValueRef::Str(bytes)) => bytes,
                _ => &[],
            }
        });
        let result = bitop(op, &sources.collect::<Vec<_>>());
        self.put_string(place, result, None);
    }

    /// Puts the string that a payload holds at a place, in place of what is there.
    pub(super) fn restore(&mut self, place: Place<'_>, payload: &[u8], expire: Option<u64>) {
        // Its checksum and its type were looked at when it came.
        if let Ok(Decoded::String(bytes)) = decode_unsigned_dump(payload) {
            self.put_string(place, bytes, expire);
        }
    }

    fn put_string(&mut self, place: Place<'_>, bytes: Vec<u8>, expire: Option<u64>) {
        if !self.is_far(bytes.len()) {
            return self.put(place, Kind::Str, expire, &bytes);
        }
        let clock = self.clock_over(place);
        self.put_entry(place, Entry::far(place.space, place.key, expire, bytes, clock));
    }
}
