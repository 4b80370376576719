//! Copies that still share parts with their originals.
//!
//! COPY shares the parts of a large value, so it takes almost no time. A change of a shared part copies the part. So
//! that such a change needs no memory that was not counted before, the memory that the copy will take by itself counts
//! as used from COPY on. A background thread gives the copy parts of its own, a few at a time, until it shares none. A
//! part that a command copies in the meantime counts twice until the thread reaches it.
//!
//! A copy is known by the address of its object. It is followed when its entry moves, and forgotten when the entry
//! leaves the store. If an object is freed in another way, the thread forgets its address when it finds no such object.

use crate::value::shared::OwnStep;
use ahash::AHashMap;
use parking_lot::Mutex;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// The most passes over a copy. Elements that come or go may move a shared part to where the pass has been.
const PASSES: u32 = 3;

/// The copies that share parts, by the addresses of their objects.
#[derive(Default)]
pub(super) struct SharingCopies {
    all: Mutex<AHashMap<usize, SharingCopy>>,
    /// How many there are.
    count: AtomicUsize,
    /// The bytes that they have not allocated yet.
    bytes: AtomicU64,
}

/// Where a copy is.
#[derive(Clone)]
pub(super) struct CopySpot {
    pub(super) shard: usize,
    pub(super) space: u32,
    pub(super) key: Box<[u8]>,
}

#[derive(Clone)]
struct SharingCopy {
    spot: CopySpot,
    /// What it has not allocated yet.
    bytes: u64,
    /// Where the next step begins.
    next: usize,
    passes: u32,
    /// Whether this pass has come upon something shared.
    copied: bool,
}

impl SharingCopy {
    /// Takes note of a step; the copy, if there is more to do.
    fn after(mut self, step: OwnStep) -> Option<Self> {
        self.bytes = self.bytes.saturating_sub(step.bytes as u64);
        self.copied |= step.copied;
        if let Some(next) = step.next {
            self.next = next;
            return Some(self);
        }
        self.passes += 1;
        let again = std::mem::take(&mut self.copied) && self.passes < PASSES;
        again.then_some(Self { next: 0, ..self })
    }
}

impl SharingCopies {
    /// Changes what is known of an object.
    fn change(&self, address: usize, change: impl FnOnce(Option<SharingCopy>) -> Option<SharingCopy>) {
        let mut all = self.all.lock();
        let before = all.remove(&address);
        let bytes = before.as_ref().map_or(0, |copy| copy.bytes);
        let after = change(before);
        self.bytes.fetch_add(after.as_ref().map_or(0, |copy| copy.bytes).wrapping_sub(bytes), Relaxed);
        all.extend(after.map(|copy| (address, copy)));
        self.count.store(all.len(), Release);
    }

    /// Whether nothing is shared. One load.
    #[inline]
    pub(super) fn are_none(&self) -> bool {
        self.count.load(Acquire) == 0
    }

    /// The bytes that the copies have not allocated yet.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Adds a copy of so many bytes.
    pub(super) fn add(&self, address: usize, spot: CopySpot, bytes: u64) {
        self.change(address, |_| Some(SharingCopy { spot, bytes, next: 0, passes: 0, copied: false }));
    }

    /// Takes note that an object has a twin, which is in its place, while the object itself may come back.
    pub(super) fn add_twin(&self, of: usize, twin: usize) {
        let copy = self.all.lock().get(&of).cloned();
        self.change(twin, |_| copy);
    }

    /// Takes note that a copy is elsewhere.
    pub(super) fn follow(&self, address: usize, spot: CopySpot) {
        if let Some(copy) = self.all.lock().get_mut(&address) {
            copy.spot = spot;
        }
    }

    /// Forgets an object.
    pub(super) fn forget(&self, address: usize) {
        self.change(address, |_| None);
    }

    /// Forgets the copies in places that qualify. The caller holds their shards exclusively.
    pub(super) fn forget_where(&self, qualifies: impl Fn(&CopySpot) -> bool) {
        let mut all = self.all.lock();
        let gone: u64 = all.extract_if(|_, copy| qualifies(&copy.spot)).map(|(_, copy)| copy.bytes).sum();
        self.bytes.fetch_sub(gone, Relaxed);
        self.count.store(all.len(), Release);
    }

    /// One of the copies.
    pub(super) fn any(&self) -> Option<usize> {
        self.all.lock().keys().next().copied()
    }

    /// Where a copy is, and where its next step begins.
    pub(super) fn get(&self, address: usize) -> Option<(CopySpot, usize)> {
        self.all.lock().get(&address).map(|copy| (copy.spot.clone(), copy.next))
    }

    /// Takes note of a step that was made in a shard, or that the copy was not found there. One that has moved to
    /// another shard meanwhile is looked for there.
    pub(super) fn note_step(&self, address: usize, shard: usize, step: Option<OwnStep>) {
        self.change(address, |copy| match copy {
            Some(copy) if copy.spot.shard == shard => copy.after(step?),
            other => other,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Locked, Mode, Store};
    use crate::effect::{Effect, List, ListChange, SetChange, Structural};

    const MEMBERS: usize = 300;

    fn apply(store: &Store, effect: &Effect<'_>, key: &[u8]) {
        let hash = store.hash(key);
        let hashes = [hash, store.hash(effect.sources().next().map_or(key, |(_, source)| source))];
        store.lock_many(&hashes, Mode::Write, 0).apply(effect, hash);
    }

    fn apply_to_all(store: &Store, change: &Structural<'_>) {
        store.lock_all(Mode::Write, 0).apply_structural(change);
    }

    fn copy(store: &Store, from: &[u8], to: &[u8]) {
        apply(store, &Effect::Copy { db: 0, key: from, to_db: 0, to }, to);
    }

    /// A set and a list, both large.
    fn filled() -> Store {
        let store = Store::new(4, 2);
        let names: Vec<String> = (0..MEMBERS).map(|n| format!("some member {n:050}")).collect();
        let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
        apply(&store, &SetChange::Add { members: List::Slices(&names) }.on(0, b"set"), b"set");
        let push = ListChange::Push { front: false, values: List::Slices(&names) };
        (0..4).for_each(|_| apply(&store, &push.on(0, b"list"), b"list"));
        store
    }

    fn measure(locked: &Locked<'_>, key: &[u8]) -> u64 {
        let entry = locked.peek(locked.store().space(0), key, locked.store().hash(key)).unwrap();
        let crate::store::ValueRef::Boxed(object) = entry.value() else { panic!("it is small") };
        object.memory(0) as u64
    }

    fn memory(store: &Store, key: &[u8]) -> u64 {
        measure(&store.lock_one(store.hash(key), Mode::Read, 0), key)
    }

    fn own_all(store: &Store) {
        while store.own_some(0) {}
        assert_eq!(store.shared_bytes(), 0);
    }

    #[test]
    fn what_a_copy_shares_counts_until_it_has_parts_of_its_own() {
        for key in [b"set".as_slice(), b"list"] {
            let store = filled();
            copy(&store, key, b"copy");
            let whole = memory(&store, key);
            assert!(store.shared_bytes().abs_diff(whole) < whole / 20, "{} of {whole}", store.shared_bytes());
            let mut before = store.shared_bytes();
            while store.own_some(0) {
                let now = store.shared_bytes();
                assert!(now <= before);
                before = now;
            }
            assert_eq!(store.shared_bytes(), 0);
        }
    }

    #[test]
    fn a_copy_is_followed_and_forgotten_with_its_entry() {
        for key in [b"set".as_slice(), b"list"] {
            let store = filled();
            let whole = memory(&store, key);
            copy(&store, key, b"copy");
            assert!(store.own_some(0));
            apply(&store, &Effect::Move { db: 0, key: b"copy", to_db: 0, to: b"other" }, b"other");
            let left = store.shared_bytes();
            assert!(left > 0);
            own_all(&store);
            let begun = crate::env::memory::thread_bytes();
            apply(&store, &Effect::Delete { db: 0, key }, key);
            let freed = (begun - crate::env::memory::thread_bytes()) as u64;
            assert!(cfg!(miri) || freed > whole * 9 / 10, "{freed} of {whole} bytes are free");
            copy(&store, b"other", b"copy");
            assert!(store.shared_bytes() > 0);
            apply(&store, &Effect::Delete { db: 0, key: b"copy" }, b"copy");
            assert_eq!(store.shared_bytes(), 0);
            copy(&store, b"other", b"copy");
            copy(&store, b"other", b"copy");
            let twice = store.shared_bytes();
            assert!(twice.abs_diff(whole) < whole / 5, "{twice} bytes for one copy of {whole}");
            apply_to_all(&store, &Structural::SwapDb { a: 0, b: 1 });
            assert_eq!(store.shared_bytes(), twice);
            apply_to_all(&store, &Structural::FlushDb { db: 0, space: 100 });
            assert_eq!(store.shared_bytes(), twice, "it is in the other database");
            apply_to_all(&store, &Structural::FlushDb { db: 1, space: 101 });
            assert_eq!(store.shared_bytes(), 0);
            assert!(!store.own_some(0), "nothing is copied for a database that was flushed");
            let store = filled();
            copy(&store, key, b"copy");
            assert!(store.shared_bytes() > 0);
            (0..store.shard_count()).for_each(|shard| store.clear_shard(shard));
            assert_eq!(store.shared_bytes(), 0);
        }
    }

    /// A change within a list is taken back by a twin of it, which is a copy too.
    #[test]
    fn a_copy_that_is_changed_and_taken_back_still_counts() {
        let store = filled();
        copy(&store, b"list", b"copy");
        let before = store.shared_bytes();
        for takes_back in [true, false] {
            let hash = store.hash(b"copy");
            let mut locked = store.lock_one(hash, Mode::Write, 0);
            locked.record_changes();
            let set = ListChange::Set { at: 5, value: b"x" };
            locked.apply(&set.on(0, b"copy"), hash);
            if takes_back {
                locked.take_back(&|_, _| None);
            } else {
                locked.keep_changes();
            }
            drop(locked);
            assert_eq!(store.shared_bytes(), before);
        }
        own_all(&store);
    }
}
