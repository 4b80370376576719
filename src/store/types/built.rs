//! Values of any size that are built before their shard is locked, and stored as a whole under the lock.

use crate::store::place::Place;
use crate::store::shown::KeyClasses;
use crate::store::{Entry, Locked, Object};
use crate::value::hash::BigHash;
use crate::value::list::BigList;
use crate::value::rdb::{Decoded, decode_unsigned_dump};
use crate::value::set::BigSet;
use crate::value::stream::Stream;
use crate::value::zset::{BigZset, pack_all};

/// A value that is not stored at a key yet.
pub struct Built(Value);

enum Value {
    String(Vec<u8>),
    Object(Box<Object>),
}

impl Built {
    /// The value of a payload in Redis's serialisation. Fields of a hash that had expired by `read_at`, in ms since the
    /// epoch, are left out; `None` if nothing is left. O(size of the value), for a sorted set O(n log n).
    pub fn of(decoded: Decoded, read_at: u64) -> Option<Self> {
        match decoded {
            Decoded::String(bytes) => Some(Self::string(bytes)),
            Decoded::Hash(fields) => {
                let mut hash = BigHash::default();
                for (name, value, expire) in fields.iter().filter(|f| f.2.is_none_or(|at| at > read_at)) {
                    hash.set(name, value, expire.unwrap_or(0));
                }
                (!hash.is_empty()).then(|| Self(Value::Object(Box::new(Object::Hash(hash)))))
            }
            Decoded::Stream(stream) => Some(Self::stream(*stream)),
            Decoded::Set(members) => {
                let mut set = BigSet::default();
                for member in &members {
                    set.add(member);
                }
                (!set.is_empty()).then(|| Self(Value::Object(Box::new(Object::Set(set)))))
            }
            Decoded::List(elements) => (!elements.is_empty()).then(|| Self::list(&elements.into_entries())),
            Decoded::ZSet(members) => (!members.is_empty()).then(|| Self::zset(&pack_all(members))),
        }
    }

    /// A string.
    pub fn string(bytes: Vec<u8>) -> Self {
        Self(Value::String(bytes))
    }

    /// A list of these entries of a listpack, see [`crate::value::list`].
    pub fn list(entries: &[u8]) -> Self {
        Self(Value::Object(Box::new(Object::List(BigList::from_entries(entries)))))
    }

    /// A sorted set of these packed members.
    pub fn zset(packed: &[u8]) -> Self {
        Self(Value::Object(Box::new(Object::Zset(BigZset::from_packed(packed)))))
    }

    /// A stream.
    pub fn stream(stream: Stream) -> Self {
        Self(Value::Object(Box::new(Object::Stream(stream))))
    }

    /// The string; `None` for other types.
    pub fn as_string(&self) -> Option<&[u8]> {
        match &self.0 {
            Value::String(bytes) => Some(bytes),
            Value::Object(_) => None,
        }
    }
}

impl Locked<'_> {
    /// Stores a value at a key, in place of any value there. The caller holds the key's shard exclusively; `hash` is
    /// the key's hash. O(1) except for a string that is short enough to be in its entry.
    ///
    /// The caller logs an effect that builds the same value, and calls this instead of [`Locked::apply`].
    pub fn put_built(&mut self, (db, key): (u32, &[u8]), hash: u64, built: Built, expire: Option<u64>) {
        self.changed.add(KeyClasses::of(hash));
        let place = self.changing(self.place(db, key, hash));
        self.put_value(place, built, expire);
    }

    /// Stores the value of a payload at a place, in place of any value there.
    pub(in crate::store) fn restore(
        &mut self,
        place: Place<'_>,
        payload: &[u8],
        expire: Option<u64>,
        read_at: u64,
    ) {
        // The command has checked the payload's checksum and its type.
        let decoded = decode_unsigned_dump(payload).ok();
        if let Some(built) = decoded.and_then(|decoded| Built::of(decoded, read_at)) {
            self.put_value(place, built, expire);
        }
    }

    fn put_value(&mut self, place: Place<'_>, built: Built, expire: Option<u64>) {
        match built.0 {
            Value::String(bytes) => self.put_string(place, bytes, expire),
            Value::Object(object) => {
                let clock = self.clock_over(place);
                self.put_entry(place, Entry::boxed(place.space, place.key, expire, object, clock));
            }
        }
    }
}
