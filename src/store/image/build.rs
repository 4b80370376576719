//! The effects that build a value from nothing.

use crate::effect::{HashChange, ListChange, StringChange, ZsetChange};
use crate::store::types::{hash, list, put_deadline, set, stream, zset};
use crate::store::{Entry, Object, ValueRef};
use crate::value::list::packed_entries;

/// Appends the effects that build an entry's value at a key from nothing.
pub fn key_effects(db: u32, key: &[u8], entry: &Entry, out: &mut Vec<u8>) {
    let expire = entry.expire();
    match entry.value() {
        ValueRef::Str(value) => StringChange::Set { value, expire }.on(db, key).encode(out),
        ValueRef::Hash(payload, ttl) => {
            HashChange::Put { expire, ttl, payload }.on(db, key).encode(out);
        }
        ValueRef::Set(..) | ValueRef::Boxed(Object::Set(_)) => {
            set::set_effects(db, key, entry.value(), out);
            put_deadline(db, key, expire, out);
        }
        ValueRef::List(packed) => {
            ListChange::Put { payload: packed_entries(packed), expire }.on(db, key).encode(out);
        }
        ValueRef::Boxed(Object::List(big)) => {
            list::list_effects(db, key, big, out);
            put_deadline(db, key, expire, out);
        }
        ValueRef::Zset(payload) => ZsetChange::Put { payload, expire }.on(db, key).encode(out),
        ValueRef::Items(_) | ValueRef::Boxed(Object::Items(_)) => {}
        ValueRef::Boxed(Object::Stream(stream)) => stream::stream_effects(db, key, stream, expire, out),
        ValueRef::Boxed(Object::Hash(big)) => {
            hash::hash_pairs(db, key, big.iter(), out);
            put_deadline(db, key, expire, out);
        }
        ValueRef::Boxed(Object::Zset(set)) => {
            zset::zset_pairs(db, key, set.range(0, usize::MAX, false), out);
            put_deadline(db, key, expire, out);
        }
    }
}
