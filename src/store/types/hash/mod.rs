//! Effects on hashes. A packed hash is changed in place. It becomes an indexed one when it exceeds the thresholds, and
//! never a packed one again.

mod image;
#[cfg(test)]
mod tests;

pub(super) use image::put_kept;
pub(in crate::store) use image::{HashReading, hash_pairs};

use crate::effect::{FieldExpire, HashChange, List};
use crate::store::Locked;
use crate::store::ValueRef;
use crate::store::entry::{Entry, Kind, Parts};
use crate::store::object::Object;
use crate::store::place::Place;
use crate::store::reader::ValueChange;
use crate::value::hash::{
    BigHash, Field, HashRef, pack_field, packed_fields, packed_find, packed_fits, passed, same_name,
};
use crate::value::packed::{fill_part, part_len};
use crate::value::parted;
use std::sync::atomic::Ordering::Relaxed;

type Inverse = parted::PartInverse<Field>;

/// The thresholds of the packed form.
#[derive(Clone, Copy)]
struct Limits {
    entries: usize,
    value: usize,
}

impl Locked<'_> {
    /// Applies a change of a hash. Returns how many live fields are added or removed.
    pub(in crate::store) fn hash(&mut self, place: Place<'_>, change: &HashChange<'_>) -> usize {
        self.keep_for_image(place, ValueChange::Hash(change));
        match *change {
            HashChange::Put { ttl, payload, expire } => self.hash_put(place, ttl, expire, payload),
            HashChange::Set { pairs, expire } => return self.hash_set(place, pairs, expire),
            HashChange::Delete { fields } => return self.hash_delete(place, fields),
            HashChange::Expire { fields, at } => self.hash_expire(place, fields, at),
        }
        0
    }

    fn hash_limits(&self) -> Limits {
        Limits {
            entries: self.store.thresholds.hash_entries.load(Relaxed),
            value: self.store.thresholds.hash_value.load(Relaxed),
        }
    }

    /// Stores a whole hash. If the packed payload exceeds the thresholds, the hash is indexed.
    fn hash_put(&mut self, place: Place<'_>, ttl: bool, expire: Option<u64>, payload: &[u8]) {
        let limits = self.hash_limits();
        if packed_fits(payload, ttl, limits.entries, limits.value) {
            self.put(place, if ttl { Kind::HashTtl } else { Kind::Hash }, expire, payload);
            return;
        }
        let big = Box::new(Object::Hash(BigHash::from_packed(payload, ttl)));
        let entry = Entry::boxed(place.space, place.key, expire, big, self.clock_over(place));
        self.put_entry(place, entry);
    }

    /// Sets fields. Returns how many of them did not exist or had expired.
    fn hash_set(&mut self, place: Place<'_>, pairs: List<'_>, expire: FieldExpire) -> usize {
        let limits = self.hash_limits();
        let now = self.now;
        let mut kept = self.records_within(place).then(Vec::new);
        let created = if let Some(entry) = self.find(place) {
            let before = entry.deadlines();
            let created = set_fields(entry, pairs, expire, limits, now, kept.as_mut());
            let (deadline, after) = (entry.has_deadline(), entry.deadlines());
            self.note_deadline(place, deadline);
            self.count_deadlines(place, before, after);
            created
        } else {
            let clock = self.store.fresh_clock(now);
            let (entry, created) = new_hash(place, pairs, expire, limits, clock);
            self.insert(place, entry);
            created
        };
        self.record_fields(place, kept.unwrap_or_default());
        self.changed(place);
        created
    }

    /// Removes fields, and the hash with its last field. Returns how many live fields were removed.
    fn hash_delete(&mut self, place: Place<'_>, fields: List<'_>) -> usize {
        let now = self.now;
        let mut kept = self.records_within(place).then(Vec::new);
        let Some(entry) = self.find(place) else { return 0 };
        let before = entry.deadlines();
        let mut removed = 0;
        let empty;
        if let Some(Object::Hash(big)) = entry.object_mut() {
            let gone = fields.iter().filter_map(|name| match &mut kept {
                Some(kept) => big.remove_kept(name, kept),
                None => big.remove(name),
            });
            removed = gone.filter(|expire| !passed(*expire, now)).count();
            empty = big.is_empty();
        } else {
            for name in fields.iter() {
                let ValueRef::Hash(packed, ttl) = entry.value() else { return removed };
                if let Some(f) = packed_find(packed, ttl, name) {
                    removed += usize::from(!f.expired(now));
                    let (start, len) = (f.start, f.end - f.start);
                    entry.splice(start, len, 0);
                }
            }
            empty = matches!(entry.value(), ValueRef::Hash([], _));
        }
        refresh(entry);
        let after = entry.deadlines();
        self.count_deadlines(place, before, after);
        self.record_fields(place, kept.unwrap_or_default());
        if empty {
            self.delete(place);
        } else {
            self.changed(place);
        }
        removed
    }

    /// Sets the deadline of fields (0 for none).
    fn hash_expire(&mut self, place: Place<'_>, fields: List<'_>, at: u64) {
        let mut kept = self.records_within(place).then(Vec::new);
        let Some(entry) = self.find(place) else { return };
        let before = entry.deadlines();
        if let Some(Object::Hash(big)) = entry.object_mut() {
            for name in fields.iter() {
                match &mut kept {
                    Some(kept) => big.set_expire_kept(name, at, kept),
                    None => big.set_expire(name, at),
                };
            }
        } else {
            if at != 0 {
                make_ttl_form(entry);
            }
            for name in fields.iter() {
                let ValueRef::Hash(packed, true) = entry.value() else { break };
                if let Some(end) = packed_find(packed, true, name).map(|f| f.value_end) {
                    write_deadline(entry, end, at);
                }
            }
        }
        refresh(entry);
        let (deadline, after) = (entry.has_deadline(), entry.deadlines());
        self.record_fields(place, kept.unwrap_or_default());
        self.note_deadline(place, deadline);
        self.count_deadlines(place, before, after);
        self.changed(place);
    }

    /// Records what undoes changes of fields.
    fn record_fields(&mut self, place: Place<'_>, inverses: Vec<Inverse>) {
        if !inverses.is_empty() {
            self.record_within(place, inverses);
        }
    }
}

pub(super) fn take_back(entry: &mut Entry, inverses: Vec<Inverse>) {
    if let Some(Object::Hash(big)) = entry.object_mut() {
        inverses.into_iter().rev().for_each(|inverse| big.revert(inverse));
        entry.refresh_deadline();
    }
}

/// Updates the slot's deadline if fields may have deadlines.
fn refresh(entry: &mut Entry) {
    if entry.kind() != Kind::Hash {
        entry.refresh_deadline();
    }
}

fn pairs_of<'a>(list: &List<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let mut items = list.iter();
    std::iter::from_fn(move || Some((items.next()?, items.next()?)))
}

fn after(before: u64, expire: FieldExpire) -> u64 {
    match expire {
        FieldExpire::Clear => 0,
        FieldExpire::Keep => before,
        FieldExpire::At(at) => at,
    }
}

/// A hash of these fields, and their number. Of a field that is given twice the last value counts.
fn new_hash(
    place: Place<'_>,
    pairs: List<'_>,
    expire: FieldExpire,
    limits: Limits,
    clock: u32,
) -> (Entry, usize) {
    let at = after(0, expire);
    let small = pairs.len() / 2 <= limits.entries && pairs.iter().all(|s| s.len() <= limits.value);
    if !small {
        let mut big = BigHash::default();
        for (name, value) in pairs_of(&pairs) {
            big.set(name, value, at);
        }
        let count = big.len();
        let object = Box::new(Object::Hash(big));
        return (Entry::boxed(place.space, place.key, None, object, clock), count);
    }
    let ttl = at != 0;
    let per_field = 4 + usize::from(ttl) * 8;
    let mut payload =
        Vec::with_capacity(pairs.iter().map(<[u8]>::len).sum::<usize>() + pairs.len() / 2 * per_field);
    let mut count = 0;
    for (name, value) in pairs_of(&pairs) {
        let Some((start, end)) = packed_find(&payload, ttl, name).map(|f| (f.start, f.end)) else {
            pack_field(&mut payload, ttl, name, value, at);
            count += 1;
            continue;
        };
        let tail = payload.split_off(end);
        payload.truncate(start);
        pack_field(&mut payload, ttl, name, value, at);
        payload.extend_from_slice(&tail);
    }
    let kind = if ttl { Kind::HashTtl } else { Kind::Hash };
    let parts = Parts { space: place.space, key: place.key, expire: None, kind, payload: &payload };
    (Entry::new(&parts, clock), count)
}

fn set_fields(
    entry: &mut Entry,
    pairs: List<'_>,
    expire: FieldExpire,
    limits: Limits,
    now: u64,
    kept: Option<&mut Vec<Inverse>>,
) -> usize {
    let mut created = 0;
    if entry.kind() == Kind::Boxed {
        created += set_big(entry, pairs_of(&pairs), expire, now, kept);
    } else {
        if matches!(expire, FieldExpire::At(at) if at != 0) {
            make_ttl_form(entry);
        }
        for (i, (name, value)) in pairs_of(&pairs).enumerate() {
            let Some(new) = set_packed(entry, name, value, expire, limits, now) else {
                make_big(entry);
                created += set_big(entry, pairs_of(&pairs).skip(i), expire, now, None);
                break;
            };
            created += usize::from(new);
        }
    }
    refresh(entry);
    created
}

fn set_big<'a>(
    entry: &mut Entry,
    pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    expire: FieldExpire,
    now: u64,
    mut kept: Option<&mut Vec<Inverse>>,
) -> usize {
    let Some(Object::Hash(big)) = entry.object_mut() else { return 0 };
    let mut created = 0;
    for (name, value) in pairs {
        let at = match expire {
            FieldExpire::Keep => big.get(name).map_or(0, |f| f.expire),
            FieldExpire::Clear | FieldExpire::At(_) => after(0, expire),
        };
        let before = match &mut kept {
            Some(kept) => big.set_kept(name, value, at, kept),
            None => big.set(name, value, at),
        };
        created += usize::from(before.is_none_or(|at| passed(at, now)));
    }
    created
}

/// Sets one field in a packed hash, and returns whether the field is new or had expired. `None`, without a change, if
/// the hash exceeds the limits of the packed form.
fn set_packed(
    entry: &mut Entry,
    name: &[u8],
    value: &[u8],
    expire: FieldExpire,
    limits: Limits,
    now: u64,
) -> Option<bool> {
    let ValueRef::Hash(packed, ttl) = entry.value() else { return Some(false) };
    if name.len() > limits.value || value.len() > limits.value {
        return None;
    }
    let mut count = 0;
    let found = packed_fields(packed, ttl).inspect(|_| count += 1).find(|f| same_name(f.name, name));
    let Some(found) = found else {
        if count >= limits.entries {
            return None;
        }
        let end = packed.len();
        let deadline = if ttl { 8 } else { 0 };
        let target = entry.splice(end, 0, part_len(name) + part_len(value) + deadline);
        let (head, rest) = target.split_at_mut(part_len(name));
        fill_part(head, name);
        let (body, tail) = rest.split_at_mut(part_len(value));
        fill_part(body, value);
        if ttl {
            tail.copy_from_slice(&after(0, expire).to_le_bytes());
        }
        return Some(true);
    };
    // After a threshold was lowered, any write converts a hash that exceeds it. Usually the payload's length shows that
    // it does not.
    let smallest = if ttl { 10 } else { 2 };
    if packed.len() / smallest > limits.entries && packed_fields(packed, ttl).nth(limits.entries).is_some() {
        return None;
    }
    let (value_at, old_len, before) = (found.value_at, found.value.len(), found.expire);
    let mut value_end = found.value_end;
    if old_len == value.len() {
        if let Some(target) = entry.payload_mut().get_mut(value_end - old_len..value_end) {
            target.copy_from_slice(value);
        }
    } else {
        fill_part(entry.splice(value_at, value_end - value_at, part_len(value)), value);
        value_end = value_at + part_len(value);
    }
    if ttl {
        write_deadline(entry, value_end, after(before, expire));
    }
    Some(passed(before, now))
}

fn write_deadline(entry: &mut Entry, at: usize, deadline: u64) {
    if let Some(target) = entry.payload_mut().get_mut(at..at + 8) {
        target.copy_from_slice(&deadline.to_le_bytes());
    }
}

fn make_ttl_form(entry: &mut Entry) {
    let ValueRef::Hash(packed, false) = entry.value() else { return };
    let mut payload = Vec::with_capacity(packed.len() * 2);
    for f in packed_fields(packed, false) {
        pack_field(&mut payload, true, f.name, f.value, 0);
    }
    let expire = entry.expire();
    entry.replace(Kind::HashTtl, expire, &payload);
}

fn make_big(entry: &mut Entry) {
    let Some(HashRef::Packed(packed, ttl)) = entry.value().hash() else { return };
    let big = Box::new(Object::Hash(BigHash::from_packed(packed, ttl)));
    *entry = Entry::boxed(entry.space(), entry.key(), entry.expire(), big, entry.clock());
}
