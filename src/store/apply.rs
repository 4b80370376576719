//! The one function that changes the store: an effect is applied to the locked shard of its key.

use super::collection::{self, Collection};
use super::entry::{Kind, Parts, ValueRef};
use super::object::Object;
use super::table;
use super::{Entry, Locked, Store};
use crate::effect::{Effect, FieldExpire, List, PackedKind};
use crate::value::hash::{self, BigHash, pack_field};
use crate::value::packed::{put_varint_to, varint_len};
use std::sync::atomic::Ordering::Relaxed;

/// Where an effect goes.
#[derive(Clone, Copy)]
struct Place<'k> {
    shard: usize,
    /// The full hash, with the space mixed in.
    hash: u64,
    space: u32,
    /// The database whose keys are counted; none for tables.
    db: Option<usize>,
    key: &'k [u8],
}

impl Locked<'_> {
    /// Applies an effect to the key's shard, which is locked exclusively. `hash` is the key's hash. Structural effects
    /// need all shards, see [`Locked::apply_structural`].
    pub fn apply(&mut self, effect: &Effect<'_>, hash: u64) {
        match *effect {
            Effect::SetString { db, key, value, expire } => {
                let place = self.place(db, key, hash);
                self.put(place, Kind::Str, expire, value);
            }
            Effect::PutPacked { db, key, expire, kind, payload } => {
                let place = self.place(db, key, hash);
                let kind = match kind {
                    PackedKind::Hash => Kind::Hash,
                    PackedKind::HashTtl => Kind::HashTtl,
                };
                self.put(place, kind, expire, payload);
            }
            Effect::Splice { db, key, at, bytes } => {
                let place = self.place(db, key, hash);
                self.splice(place, at, bytes);
            }
            Effect::Delete { db, key } => {
                let place = self.place(db, key, hash);
                self.delete(place);
            }
            Effect::Expire { db, key, at } => {
                let place = self.place(db, key, hash);
                self.expire(place, at);
            }
            Effect::HashSet { db, key, pairs, expire } => {
                let place = self.place(db, key, hash);
                self.hash_set(place, pairs, expire);
            }
            Effect::HashDelete { db, key, fields } => {
                let place = self.place(db, key, hash);
                self.hash_delete(place, fields);
            }
            Effect::HashExpire { db, key, fields, at } => {
                let place = self.place(db, key, hash);
                self.hash_expire(place, fields, at);
            }
            Effect::ItemPut { table, partition, sort, item } => {
                let place = self.table_place(table, partition, hash);
                self.item_put(place, sort, item);
            }
            Effect::ItemDelete { table, partition, sort } => {
                let place = self.table_place(table, partition, hash);
                self.item_delete(place, sort);
            }
            Effect::FlushDb { .. }
            | Effect::SwapDb { .. }
            | Effect::TablePut { .. }
            | Effect::TableDrop { .. } => {
                debug_assert!(false, "structural effects are applied by apply_structural");
            }
        }
    }

    #[inline]
    fn place<'k>(&self, db: u32, key: &'k [u8], hash: u64) -> Place<'k> {
        let space = self.store.space(db as usize);
        let shard = self.store.shard_of(hash);
        Place { shard, hash: Store::place(hash, space), space, db: Some(db as usize), key }
    }

    #[inline]
    fn table_place<'k>(&self, table: u32, key: &'k [u8], hash: u64) -> Place<'k> {
        let shard = self.store.shard_of(hash);
        Place { shard, hash: Store::place(hash, table), space: table, db: None, key }
    }

    #[inline]
    /// The entry, to change it.
    fn find(&mut self, place: Place<'_>) -> Option<&mut Entry> {
        table::find_mut(self.raw_mut(place.shard)?, place.hash, place.space, place.key)
    }

    fn insert(&mut self, place: Place<'_>, entry: Entry) {
        let store = self.store;
        if entry.has_deadline() {
            store.sides[place.shard].deadlines.store(true, Relaxed);
        }
        let expires = i32::from(entry.expire().is_some());
        let Some(raw) = self.raw_mut(place.shard) else { return };
        if table::insert(raw, place.hash, entry, |e| store.place_of(e)) {
            store.sides[place.shard].generation.fetch_add(1, Relaxed);
        }
        if let Some(db) = place.db {
            store.count(place.shard, db, 1, expires);
        }
    }

    fn changed(&self, place: Place<'_>, expires: i32) {
        if let (Some(db), true) = (place.db, expires != 0) {
            self.store.count(place.shard, db, 0, expires);
        }
        self.store.touched(place.shard, place.space, place.key);
    }

    fn put(&mut self, place: Place<'_>, kind: Kind, expire: Option<u64>, payload: &[u8]) {
        let clock = self.store.fresh_clock(self.now);
        let lfu = self.store.lfu.load(Relaxed);
        if let Some(entry) = self.find(place) {
            let before = i32::from(entry.expire().is_some());
            entry.replace(kind, expire, payload);
            if !lfu {
                entry.set_clock(clock);
            }
            self.changed(place, i32::from(expire.is_some()) - before);
            return;
        }
        let parts = Parts { space: place.space, key: place.key, expire, kind, payload };
        self.insert(place, Entry::new(&parts, clock));
        self.changed(place, 0);
    }

    fn delete(&mut self, place: Place<'_>) {
        let Some(raw) = self.raw_mut(place.shard) else { return };
        let Some(entry) = table::remove(raw, place.hash, place.space, place.key) else { return };
        let expires = i32::from(entry.expire().is_some());
        if let Some(db) = place.db {
            self.store.count(place.shard, db, -1, -expires);
        }
        self.store.touched(place.shard, place.space, place.key);
    }

    fn expire(&mut self, place: Place<'_>, at: Option<u64>) {
        let Some(entry) = self.find(place) else { return };
        let before = i32::from(entry.expire().is_some());
        entry.set_expire(at);
        self.changed(place, i32::from(at.is_some()) - before);
    }

    fn splice(&mut self, place: Place<'_>, at: usize, bytes: &[u8]) {
        let clock = self.store.fresh_clock(self.now);
        let end = at + bytes.len();
        if let Some(entry) = self.find(place) {
            let ValueRef::Str(old) = entry.value() else { return };
            let len = old.len();
            if end > len {
                entry.splice(len, 0, end - len);
            }
            if let Some(target) = entry.payload_mut().get_mut(at..end) {
                target.copy_from_slice(bytes);
            }
            entry.mark_raw();
        } else {
            let mut value = vec![0; at];
            value.extend_from_slice(bytes);
            let parts =
                Parts { space: place.space, key: place.key, expire: None, kind: Kind::Str, payload: &value };
            let mut entry = Entry::new(&parts, clock);
            entry.mark_raw();
            self.insert(place, entry);
        }
        self.changed(place, 0);
    }

    fn hash_set(&mut self, place: Place<'_>, pairs: List<'_>, expire: FieldExpire) {
        let clock = self.store.fresh_clock(self.now);
        let limits = HashLimits {
            entries: self.store.thresholds.hash_entries.load(Relaxed),
            value: self.store.thresholds.hash_value.load(Relaxed),
        };
        if let Some(entry) = self.find(place) {
            set_fields(entry, pairs, expire, limits);
        } else {
            let entry = new_hash(place.space, place.key, pairs, expire, limits, clock);
            self.insert(place, entry);
        }
        self.changed(place, 0);
    }

    fn hash_delete(&mut self, place: Place<'_>, fields: List<'_>) {
        let Some(entry) = self.find(place) else { return };
        let mut empty = false;
        if let Some(Object::Hash(big)) = entry.object_mut() {
            for field in fields.iter() {
                big.remove(field);
            }
            big.recompute_deadline();
            empty = big.is_empty();
        } else {
            for field in fields.iter() {
                let ValueRef::Hash(packed, ttl) = entry.value() else { return };
                if let Some((start, end)) = hash::packed_find(packed, ttl, field).map(|f| (f.start, f.end)) {
                    entry.splice(start, end - start, 0);
                }
            }
            if let ValueRef::Hash(packed, _) = entry.value() {
                empty = packed.is_empty();
            }
        }
        if empty {
            self.delete(place);
        } else {
            entry.refresh_deadline();
            self.changed(place, 0);
        }
    }

    fn hash_expire(&mut self, place: Place<'_>, fields: List<'_>, at: u64) {
        let Some(entry) = self.find(place) else { return };
        if let Some(Object::Hash(big)) = entry.object_mut() {
            for field in fields.iter() {
                big.set_expire(field, at);
            }
            big.recompute_deadline();
        } else {
            make_ttl_form(entry);
            for field in fields.iter() {
                let ValueRef::Hash(packed, true) = entry.value() else { return };
                if let Some(end) = hash::packed_find(packed, true, field).map(|f| f.value_end) {
                    write_deadline(entry, end, at);
                }
            }
        }
        entry.refresh_deadline();
        self.changed(place, 0);
    }

    fn item_put(&mut self, place: Place<'_>, sort: &[u8], item: &[u8]) {
        let clock = self.store.fresh_clock(self.now);
        let limit = self.store.thresholds.items_bytes.load(Relaxed);
        if let Some(entry) = self.find(place) {
            put_item(entry, sort, item, limit);
        } else {
            let mut payload = Vec::with_capacity(sort.len() + item.len() + 10);
            collection::pack_item(sort, item, &mut payload);
            let parts = Parts {
                space: place.space,
                key: place.key,
                expire: None,
                kind: Kind::Items,
                payload: &payload,
            };
            self.insert(place, Entry::new(&parts, clock));
        }
        self.changed(place, 0);
    }

    fn item_delete(&mut self, place: Place<'_>, sort: &[u8]) {
        let Some(entry) = self.find(place) else { return };
        let empty = if let Some(Object::Items(items)) = entry.object_mut() {
            items.remove(sort);
            items.is_empty()
        } else {
            let ValueRef::Items(packed) = entry.value() else { return };
            let (start, end, _) = collection::packed_find(packed, sort);
            let all = end - start == packed.len();
            if !all {
                entry.splice(start, end - start, 0);
            }
            all
        };
        if empty {
            self.delete(place);
        } else {
            self.changed(place, 0);
        }
    }

    /// Applies an effect about whole databases. The caller holds all shards exclusively.
    pub fn apply_structural(&mut self, effect: &Effect<'_>) {
        debug_assert!(self.holds_all());
        let store = self.store;
        match *effect {
            Effect::FlushDb { db, space } => {
                store.note_space(space);
                self.touch_database(db as usize, None);
                if let Some(slot) = store.dbs.get(db as usize) {
                    store.give_up_space(slot.swap(space, Relaxed));
                }
                for count in store.sides.iter().filter_map(|s| s.counts.get(db as usize)) {
                    count.keys.store(0, Relaxed);
                    count.expires.store(0, Relaxed);
                }
            }
            Effect::SwapDb { a, b } => {
                let (a, b) = (a as usize, b as usize);
                self.touch_database(a, Some(b));
                self.touch_database(b, Some(a));
                let (Some(x), Some(y)) = (store.dbs.get(a), store.dbs.get(b)) else { return };
                let old = x.load(Relaxed);
                x.store(y.load(Relaxed), Relaxed);
                y.store(old, Relaxed);
                for side in &store.sides {
                    let (Some(x), Some(y)) = (side.counts.get(a), side.counts.get(b)) else { continue };
                    swap(&x.keys, &y.keys);
                    swap(&x.expires, &y.expires);
                }
            }
            Effect::TablePut { table, .. } => store.note_space(table),
            Effect::TableDrop { table } => store.give_up_space(table),
            _ => debug_assert!(false, "only structural effects come here"),
        }
    }

    /// Raises the watchers of the database's keys that exist, in it or in the one that takes its place.
    fn touch_database(&self, db: usize, other: Option<usize>) {
        let space = self.store.space(db);
        for shard in 0..self.store.shard_count() {
            for key in self.store.watched_keys(shard, space) {
                let hash = self.store.hash(&key);
                let there = |space| self.peek(space, &key, hash).is_some_and(|e| !e.expired(self.now));
                if there(space) || other.is_some_and(|o| there(self.store.space(o))) {
                    self.store.touched(shard, space, &key);
                }
            }
        }
    }
}

fn swap(a: &std::sync::atomic::AtomicU32, b: &std::sync::atomic::AtomicU32) {
    let old = a.load(Relaxed);
    a.store(b.load(Relaxed), Relaxed);
    b.store(old, Relaxed);
}

#[derive(Clone, Copy)]
struct HashLimits {
    entries: usize,
    value: usize,
}

fn pairs_of<'a>(list: &List<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let mut items = list.iter();
    std::iter::from_fn(move || Some((items.next()?, items.next()?)))
}

fn new_hash(
    space: u32,
    key: &[u8],
    pairs: List<'_>,
    expire: FieldExpire,
    limits: HashLimits,
    clock: u32,
) -> Entry {
    let at = if let FieldExpire::At(at) = expire { at } else { 0 };
    let small = pairs.len() / 2 <= limits.entries && pairs.iter().all(|s| s.len() <= limits.value);
    if !small {
        let mut big = BigHash::default();
        for (field, value) in pairs_of(&pairs) {
            big.set(field, value, at);
        }
        return Entry::boxed(space, key, None, Box::new(Object::Hash(big)), clock);
    }
    let ttl = at != 0;
    let mut payload = Vec::with_capacity(pairs.iter().map(|s| s.len() + 3 + usize::from(ttl) * 4).sum());
    for (i, (field, value)) in pairs_of(&pairs).enumerate() {
        // A field given twice counts once, with its last value; looking back is cheap below the threshold.
        if i > 0
            && let Some((start, end)) = hash::packed_find(&payload, ttl, field).map(|f| (f.start, f.end))
        {
            let tail = payload.split_off(end);
            payload.truncate(start);
            pack_field(&mut payload, ttl, field, value, at);
            payload.extend_from_slice(&tail);
            continue;
        }
        pack_field(&mut payload, ttl, field, value, at);
    }
    let kind = if ttl { Kind::HashTtl } else { Kind::Hash };
    Entry::new(&Parts { space, key, expire: None, kind, payload: &payload }, clock)
}

fn set_fields(entry: &mut Entry, pairs: List<'_>, expire: FieldExpire, limits: HashLimits) {
    if entry.kind() != Kind::Boxed {
        if matches!(expire, FieldExpire::At(_)) {
            make_ttl_form(entry);
        }
        for (i, (field, value)) in pairs_of(&pairs).enumerate() {
            if !set_packed(entry, field, value, expire, limits) {
                make_big(entry);
                set_big(entry, &pairs, i, expire);
                break;
            }
        }
    } else {
        set_big(entry, &pairs, 0, expire);
    }
    if entry.kind() != Kind::Hash {
        entry.refresh_deadline();
    }
}

fn set_big(entry: &mut Entry, pairs: &List<'_>, skip: usize, expire: FieldExpire) {
    let Some(Object::Hash(big)) = entry.object_mut() else { return };
    for (field, value) in pairs_of(pairs).skip(skip) {
        let at = match expire {
            FieldExpire::Clear => 0,
            FieldExpire::Keep => big.get(field).map_or(0, |v| v.expire),
            FieldExpire::At(at) => at,
        };
        big.set(field, value, at);
    }
}

/// Sets one field in a packed hash; returns false, having changed nothing, if it must outgrow the packed form.
fn set_packed(
    entry: &mut Entry,
    field: &[u8],
    value: &[u8],
    expire: FieldExpire,
    limits: HashLimits,
) -> bool {
    let ValueRef::Hash(packed, ttl) = entry.value() else { return true };
    if field.len() > limits.value || value.len() > limits.value {
        return false;
    }
    let mut count = 0;
    let mut found = None;
    for f in hash::packed_fields(packed, ttl) {
        count += 1;
        if f.field == field {
            found = Some((f.value_at, f.value_end, f.value.len(), f.expire));
            break;
        }
    }
    let at = |old| match expire {
        FieldExpire::Clear => 0,
        FieldExpire::Keep => old,
        FieldExpire::At(at) => at,
    };
    let Some((value_at, value_end, old_len, old_expire)) = found else {
        if count >= limits.entries {
            return false;
        }
        let size = varint_len(field.len())
            + field.len()
            + varint_len(value.len())
            + value.len()
            + usize::from(ttl) * 8;
        let mut bytes = smallvec::SmallVec::<[u8; 256]>::with_capacity(size);
        write_part(&mut bytes, field);
        write_part(&mut bytes, value);
        if ttl {
            bytes.extend_from_slice(&at(0).to_le_bytes());
        }
        let end = packed.len();
        entry.splice(end, 0, bytes.len()).copy_from_slice(&bytes);
        return true;
    };
    let mut value_end = value_end;
    if old_len == value.len() {
        if let Some(target) = entry.payload_mut().get_mut(value_end - old_len..value_end) {
            target.copy_from_slice(value);
        }
    } else {
        let mut bytes = smallvec::SmallVec::<[u8; 256]>::new();
        write_part(&mut bytes, value);
        entry.splice(value_at, value_end - value_at, bytes.len()).copy_from_slice(&bytes);
        value_end = value_at + bytes.len();
    }
    if ttl {
        write_deadline(entry, value_end, at(old_expire));
    }
    true
}

fn write_part(out: &mut smallvec::SmallVec<[u8; 256]>, part: &[u8]) {
    let mut n = part.len();
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out.extend_from_slice(part);
}

fn write_deadline(entry: &mut Entry, at: usize, deadline: u64) {
    if let Some(target) = entry.payload_mut().get_mut(at..at + 8) {
        target.copy_from_slice(&deadline.to_le_bytes());
    }
}

fn make_ttl_form(entry: &mut Entry) {
    let ValueRef::Hash(packed, false) = entry.value() else { return };
    let mut payload = Vec::with_capacity(packed.len() * 2);
    for f in hash::packed_fields(packed, false) {
        pack_field(&mut payload, true, f.field, f.value, 0);
    }
    let expire = entry.expire();
    entry.replace(Kind::HashTtl, expire, &payload);
}

fn make_big(entry: &mut Entry) {
    let ValueRef::Hash(packed, ttl) = entry.value() else { return };
    let big = Box::new(Object::Hash(BigHash::from_packed(packed, ttl)));
    *entry = Entry::boxed(entry.space(), entry.key(), entry.expire(), big, entry.clock());
}

fn put_item(entry: &mut Entry, sort: &[u8], item: &[u8], limit: usize) {
    if let Some(Object::Items(items)) = entry.object_mut() {
        items.put(sort, item);
        return;
    }
    let ValueRef::Items(packed) = entry.value() else { return };
    let (start, end, _) = collection::packed_find(packed, sort);
    let alone = end - start == packed.len();
    if !alone && packed.len() - (end - start) + item.len() + sort.len() > limit {
        let mut items = Collection::from_packed(packed);
        items.put(sort, item);
        let big = Box::new(Object::Items(items));
        *entry = Entry::boxed(entry.space(), entry.key(), entry.expire(), big, entry.clock());
        return;
    }
    let mut bytes = Vec::with_capacity(sort.len() + item.len() + 10);
    put_varint_to(&mut bytes, sort.len());
    bytes.extend_from_slice(sort);
    put_varint_to(&mut bytes, item.len());
    bytes.extend_from_slice(item);
    entry.splice(start, end - start, bytes.len()).copy_from_slice(&bytes);
}
