//! Effects on strings. A string is in its entry's block; a large one has an allocation of its own.

mod image;

pub(super) use image::StringReading;

use crate::effect::{List, MAX_STRING, StringChange};
use crate::store::ValueRef;
use crate::store::entry::{Kind, Parts};
use crate::store::place::Place;
use crate::store::reader::ValueChange;
use crate::store::{Entry, Locked};
use crate::value::bits::{BitOp, bitop};

impl Locked<'_> {
    /// Applies a change of a string.
    #[inline]
    pub(in crate::store) fn string(&mut self, place: Place<'_>, change: &StringChange<'_>) {
        match *change {
            StringChange::Set { value, expire } => self.put(place, Kind::Str, expire, value),
            StringChange::Splice { at, bytes } => {
                self.keep_for_image(place, ValueChange::String(change));
                self.splice(place, at, bytes);
            }
            StringChange::Restore { payload, expire } => self.restore(place, payload, expire, 0),
        }
    }

    /// Overwrites bytes of a string, which is created and padded with zeros as needed, and marks it as edited.
    fn splice(&mut self, place: Place<'_>, at: usize, bytes: &[u8]) {
        let clock = self.store.fresh_clock(self.now);
        let Some(end) = at.checked_add(bytes.len()).filter(|end| *end <= MAX_STRING) else { return };
        let far = self.is_far(end);
        if far {
            self.set_apart(place);
        }
        self.record_bytes(place, at, end);
        if let Some(entry) = self.find(place) {
            let ValueRef::Str(old) = entry.value() else { return };
            if end > old.len() {
                entry.resize_string(end);
            }
            if let Some(target) = entry.string_mut().get_mut(at..end) {
                target.copy_from_slice(bytes);
            }
            entry.mark_raw();
        } else {
            let Place { space, key, .. } = place;
            let mut entry = if far {
                Entry::far(space, key, None, vec![0; end], clock)
            } else {
                let parts = Parts { space, key, expire: None, kind: Kind::Str, payload: b"" };
                let mut entry = Entry::new(&parts, clock);
                entry.resize_string(end);
                entry
            };
            if let Some(target) = entry.string_mut().get_mut(at..) {
                target.copy_from_slice(bytes);
            }
            entry.mark_raw();
            self.insert(place, entry);
        }
        self.changed(place);
    }

    /// Gives a string that is about to become large an allocation of its own.
    fn set_apart(&mut self, place: Place<'_>) {
        let Some(entry) = self.find(place).filter(|entry| entry.kind() == Kind::Str) else { return };
        let far = entry.far_twin();
        let old = std::mem::replace(entry, far);
        self.replaced(place, old);
    }

    /// Stores a combination of strings at a place, in place of any value there. A missing key, or one that is no
    /// string, counts as empty.
    pub(in crate::store) fn combine(&mut self, place: Place<'_>, op: BitOp, keys: List<'_>) {
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

    pub(in crate::store) fn put_string(&mut self, place: Place<'_>, bytes: Vec<u8>, expire: Option<u64>) {
        if !self.is_far(bytes.len()) {
            return self.put(place, Kind::Str, expire, &bytes);
        }
        let clock = self.clock_over(place);
        self.put_entry(place, Entry::far(place.space, place.key, expire, bytes, clock));
    }

    /// Records the bytes of a string that are about to be overwritten.
    fn record_bytes(&mut self, place: Place<'_>, at: usize, end: usize) {
        if self.recording.is_some()
            && let Some(inverse) = self.find(place).and_then(|entry| entry.undo_of_bytes(at, end))
        {
            self.record_within(place, inverse);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::effect::{Effect, MAX_STRING, StringChange};
    use crate::store::{Entry, Mode, Store, ValueRef};
    use proptest::prelude::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[derive(Clone, Debug)]
    enum Op {
        Set(usize, Option<u64>),
        Splice(usize, usize),
        Delete,
        Expire(Option<u64>),
    }

    fn op() -> impl Strategy<Value = Op> {
        let len = || prop_oneof![4 => 0usize..50, 2 => 100usize..150, 1 => 16_380usize..16_390];
        let at = || prop::option::of(1u64..1 << 50);
        prop_oneof![
            2 => (len(), at()).prop_map(|(len, at)| Op::Set(len, at)),
            6 => (len(), len()).prop_map(|(at, len)| Op::Splice(at, len)),
            1 => Just(Op::Delete),
            1 => at().prop_map(Op::Expire),
        ]
    }

    #[derive(Default, PartialEq, Debug)]
    struct Model {
        value: Option<(Vec<u8>, bool)>,
        expire: Option<u64>,
    }

    fn see(store: &Store) -> Model {
        let hash = store.hash(b"k");
        let locked = store.lock_one(hash, Mode::Read, 0);
        let entry = locked.get(store.space(3), b"k", hash);
        let value = entry.map(|e| {
            let ValueRef::Str(bytes) = e.value() else { panic!("a string") };
            (bytes.to_vec(), e.is_raw())
        });
        Model { value, expire: entry.and_then(Entry::expire) }
    }

    proptest! {
        #[test]
        fn effects_on_a_string_do_what_they_say(ops in prop::collection::vec(op(), 1..20)) {
            let store = Store::new(2, 16);
            // Longer strings have an allocation of their own.
            store.thresholds.string_bytes.store(120, Relaxed);
            let mut model = Model::default();
            for (step, op) in ops.iter().enumerate() {
                let bytes = |len: usize| vec![step as u8 + 1; len];
                let (kept, effect);
                match *op {
                    Op::Set(len, expire) => {
                        kept = bytes(len);
                        effect = StringChange::Set { value: &kept, expire }.on(3, b"k");
                        model = Model { value: Some((kept.clone(), false)), expire };
                    }
                    Op::Splice(at, len) => {
                        kept = bytes(len);
                        effect = StringChange::Splice { at, bytes: &kept }.on(3, b"k");
                        let (value, raw) = model.value.get_or_insert_default();
                        value.resize(value.len().max(at + len), 0);
                        value[at..at + len].copy_from_slice(&kept);
                        *raw = true;
                    }
                    Op::Delete => {
                        effect = Effect::Delete { db: 3, key: b"k" };
                        model = Model::default();
                    }
                    Op::Expire(at) => {
                        effect = Effect::Expire { db: 3, key: b"k", at };
                        if model.value.is_some() {
                            model.expire = at;
                        }
                    }
                }
                let hash = store.hash(b"k");
                store.lock_one(hash, Mode::Write, 0).apply(&effect, hash);
                prop_assert_eq!(&see(&store), &model);
                let counts = (u64::from(model.value.is_some()), u64::from(model.expire.is_some()));
                prop_assert_eq!(store.db_size(3), counts);
            }
        }
    }

    #[test]
    fn what_no_record_can_hold_is_not_made() {
        let store = Store::new(2, 16);
        let hash = store.hash(b"k");
        for at in [MAX_STRING, usize::MAX] {
            let effect = StringChange::Splice { at, bytes: b"x" }.on(3, b"k");
            store.lock_one(hash, Mode::Write, 0).apply(&effect, hash);
        }
        assert!(store.is_empty());
    }
}
