//! Entries against a plain model. `scripts/test memory` runs them under a checker of memory; run them under Miri, too,
//! after every change here: `MIRIFLAGS=-Zmiri-permissive-provenance cargo +nightly miri test --lib store::entry`.

mod kinds;

use super::layout::{class_of, class_size, total_size};
use super::*;
use crate::store::collection::Collection;
use crate::value::hash::{BigHash, pack_field};
use proptest::prelude::*;

/// What an entry of inline kind must hold.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    space: u32,
    key: Vec<u8>,
    expire: Option<u64>,
    kind: Kind,
    payload: Vec<u8>,
    raw: bool,
    clock: u32,
}

#[derive(Clone, Debug)]
enum Step {
    Replace(Kind, Option<u64>, Vec<u8>),
    /// Where, how much is removed (both cut down to what is there), and what takes its place.
    Splice(usize, usize, Vec<u8>),
    Overwrite(usize, u8),
    SetExpire(Option<u64>),
    Rename(u32, Vec<u8>),
    MarkRaw,
    SetClock(u32),
}

/// Lengths at which the width of a length or the size class of the block changes.
fn length() -> impl Strategy<Value = usize> {
    let sizes = (0u8..if cfg!(miri) { 16 } else { 40 })
        .prop_map(class_size)
        .prop_flat_map(|size| size.saturating_sub(40)..=size + 2);
    // Miri takes a second for each of the long ones.
    let more = u32::from(!cfg!(miri));
    prop_oneof![
        20 => 0usize..40,
        10 => 110usize..145,
        1 + 5 * more => sizes,
        1 + 3 * more => 16_350usize..16_400,
        2 => prop::sample::select(vec![127usize, 128]),
        1 + 2 * more => prop::sample::select(vec![16_383usize, 16_384]),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    (length(), any::<u8>()).prop_map(|(len, first)| (0..len).map(|i| first.wrapping_add(i as u8)).collect())
}

fn expire() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), any::<u64>().prop_map(Some), (0u64..100_000).prop_map(Some)]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![4 => Just(Kind::Str), 1 => Just(Kind::Hash), 1 => Just(Kind::Items)]
}

fn space() -> impl Strategy<Value = u32> {
    prop_oneof![0u32..16, 120u32..140, 16_380u32..16_390, Just(u32::MAX)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (kind(), expire(), bytes()).prop_map(|(k, e, b)| Step::Replace(k, e, b)),
        6 => (length(), length(), bytes()).prop_map(|(at, remove, b)| Step::Splice(at, remove, b)),
        2 => (length(), any::<u8>()).prop_map(|(at, b)| Step::Overwrite(at, b)),
        2 => expire().prop_map(Step::SetExpire),
        1 => (space(), bytes()).prop_map(|(s, k)| Step::Rename(s, k)),
        1 => Just(Step::MarkRaw),
        1 => (0u32..1 << 24).prop_map(Step::SetClock),
    ]
}

impl Model {
    fn take(&mut self, entry: Entry, step: &Step) -> Entry {
        let mut entry = entry;
        match step.clone() {
            Step::Replace(kind, expire, payload) => {
                entry.replace(kind, expire, &payload);
                (self.kind, self.expire, self.payload, self.raw) = (kind, expire, payload, false);
            }
            Step::Splice(at, remove, bytes) => {
                let at = at.min(self.payload.len());
                let remove = remove.min(self.payload.len() - at);
                let hole = entry.splice(at, remove, bytes.len());
                assert!(hole.iter().all(|b| *b == 0), "what is inserted begins as zeros");
                hole.copy_from_slice(&bytes);
                self.payload.splice(at..at + remove, bytes);
            }
            Step::Overwrite(at, byte) => {
                if let Some(target) = self.payload.get_mut(at) {
                    *target = byte;
                    entry.payload_mut()[at] = byte;
                }
            }
            Step::SetExpire(expire) => {
                entry.set_expire(expire);
                self.expire = expire;
            }
            Step::Rename(space, key) => {
                entry = entry.with_name(space, &key);
                (self.space, self.key) = (space, key);
            }
            Step::MarkRaw => {
                entry.mark_raw();
                self.raw = true;
            }
            Step::SetClock(clock) => {
                entry.set_clock(clock);
                self.clock = clock;
            }
        }
        entry
    }

    fn check(&self, entry: &Entry) {
        let payload = match entry.value() {
            ValueRef::Str(bytes)
            | ValueRef::Hash(bytes, _)
            | ValueRef::Items(bytes)
            | ValueRef::List(bytes)
            | ValueRef::Zset(bytes) => bytes,
            ValueRef::Set(..) | ValueRef::Boxed(_) => panic!("nothing was boxed, and no set made"),
        };
        let seen = Model {
            space: entry.space(),
            key: entry.key().to_vec(),
            expire: entry.expire(),
            kind: entry.kind(),
            payload: payload.to_vec(),
            raw: entry.is_raw(),
            clock: entry.clock(),
        };
        assert_eq!(&seen, self);
        assert!(entry.is(self.space, &self.key));
        assert!(!entry.is(self.space ^ 1, &self.key));
        assert_eq!(entry.has_deadline(), self.expire.is_some());
        if let Some(at) = self.expire {
            // A collection's deadline says nothing of the collection as a whole.
            let whole = self.kind != Kind::Items;
            assert!(entry.expired(at) == whole && (at == 0 || !entry.expired(at - 1)));
            assert!(entry.maybe_due(at), "nothing due is overlooked");
        }
        let used = total_size(self.space, self.key.len(), payload.len(), self.expire.is_some());
        assert!(used <= entry.block_size(), "{used} bytes in {}", entry.block_size());
    }
}

fn config() -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if cfg!(miri) {
        config.cases = 10;
        config.max_shrink_iters = 0;
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn steps_leave_what_the_model_holds(
        space in space(), key in bytes(), expire in expire(), kind in kind(), payload in bytes(), clock in 0u32..1 << 24,
        steps in prop::collection::vec(step(), 1..12),
    ) {
        let parts = Parts { space, key: &key, expire, kind, payload: &payload };
        let mut entry = Entry::new(&parts, clock);
        let mut model = Model { space, key: key.clone(), expire, kind, payload: payload.clone(), raw: false, clock };
        model.check(&entry);
        for step in &steps {
            entry = model.take(entry, step);
            model.check(&entry);
        }
    }

    #[test]
    fn a_class_holds_its_sizes_and_wastes_at_most_a_quarter(size in 1usize..1 << 34) {
        let class = class_of(size);
        prop_assert!(class_size(class) >= size);
        prop_assert!(class == 0 || class_size(class - 1) < size);
        prop_assert!(size <= 128 || class_size(class) <= size + size / 4);
    }

    #[test]
    fn the_slot_holds_the_earliest_deadline(
        own in expire(), fields in prop::collection::vec((bytes(), 0u64..100_000), 1..5), boxed in any::<bool>(),
        later in expire(),
    ) {
        let inner = fields.iter().map(|(_, at)| *at).filter(|at| *at != 0).min();
        let mut packed = Vec::new();
        for (i, (value, at)) in fields.iter().enumerate() {
            pack_field(&mut packed, true, &[i as u8], value, *at);
        }
        let mut entry = if boxed {
            let big = BigHash::from_packed(&packed, true);
            Entry::boxed(1, b"key", own, Box::new(Object::Hash(big)), 7)
        } else {
            Entry::new(&Parts { space: 1, key: b"key", expire: own, kind: Kind::HashTtl, payload: &packed }, 7)
        };
        let check = |entry: &Entry, own: Option<u64>| {
            let all = own.into_iter().chain(inner).min();
            assert_eq!(entry.expire(), own);
            assert_eq!(entry.has_deadline(), all.is_some());
            assert!(all.is_none_or(|at| entry.maybe_due(at)));
        };
        check(&entry, own);
        entry.set_expire(later);
        check(&entry, later);
        entry = entry.with_name(300, b"another key that is longer than the one before");
        check(&entry, later);
        entry.set_expire(None);
        check(&entry, None);
        prop_assert!(entry.is(300, b"another key that is longer than the one before"));
        entry.replace(Kind::Str, None, b"");
        prop_assert!(!entry.has_deadline());
    }
}

#[test]
fn boxed_values_move_with_their_entry_and_go_with_it() {
    let object = || Box::new(Object::Items(Collection::from_packed(b"", None)));
    let mut entry = Entry::boxed(1, b"k", None, object(), 3);
    assert!(entry.object_mut().is_some());
    entry.set_expire(Some(1000));
    entry.set_expire(Some(2000));
    entry.set_expire(None);
    let mut entry = entry.with_name(2, &[b'k'; 300]);
    assert!(matches!(entry.value(), ValueRef::Boxed(Object::Items(_))));
    assert!(entry.object_mut().is_some());
    entry.replace(Kind::Str, Some(5), b"now inline");
    assert!(entry.object_mut().is_none());
    assert_eq!((entry.expire(), entry.clock()), (Some(5), 3));
    drop(Entry::boxed(1, b"k", Some(9), object(), 3));
}

#[test]
fn a_string_apart_stays_where_it_is_whatever_happens_to_its_entry() {
    let mut entry = Entry::far(1, b"k", None, vec![7; 1000], 3);
    let text = |entry: &Entry| match entry.value() {
        ValueRef::Str(bytes) => (bytes.as_ptr().addr(), bytes.to_vec()),
        _ => panic!("a string"),
    };
    let (before, address) = (text(&entry), entry.object_address());
    entry.set_expire(Some(1000));
    entry.mark_raw();
    let mut entry = entry.with_name(2, &[b'k'; 300]);
    assert_eq!((text(&entry), entry.object_address()), (before, address));
    assert!(address.is_some() && entry.is_raw() && entry.expire() == Some(1000) && entry.clock() == 3);
    entry.resize_string(5000);
    entry.string_mut()[4999] = 9;
    entry.resize_string(999);
    entry.resize_string(1001);
    assert_eq!(text(&entry).1, [vec![7; 999], vec![0; 2]].concat());
    assert!(entry.far_bytes() >= 5000 && entry.far_twin().far_bytes() < 2000);
    assert_eq!(text(&entry.far_twin()).1, text(&entry).1);
    entry.replace(Kind::Str, None, b"near");
    assert_eq!((entry.kind(), entry.far_bytes(), text(&entry).1), (Kind::Str, 0, b"near".to_vec()));
}

#[test]
fn growth_at_the_end_is_geometric() {
    let mut entry =
        Entry::new(&Parts { space: 0, key: b"k", expire: None, kind: Kind::Str, payload: b"" }, 0);
    let mut blocks = 0;
    let mut before = entry.block_size();
    for len in 0..20_000 {
        entry.splice(len, 0, 1)[0] = len as u8;
        blocks += usize::from(entry.block_size() != before);
        before = entry.block_size();
    }
    assert!(blocks < 40, "{blocks} reallocations for 20000 appended bytes");
    let ValueRef::Str(bytes) = entry.value() else { panic!("a string") };
    assert!(bytes.iter().enumerate().all(|(i, b)| *b == i as u8));
}

#[test]
fn readers_of_one_entry_set_its_clock_together() {
    let entry =
        Entry::new(&Parts { space: 0, key: b"k", expire: Some(9), kind: Kind::Str, payload: b"v" }, 0);
    std::thread::scope(|scope| {
        for thread in 0..3u32 {
            let entry = &entry;
            scope.spawn(move || {
                for i in 0..50 {
                    entry.set_clock(thread * 1000 + i);
                    assert!(matches!(entry.value(), ValueRef::Str(b"v")));
                    assert_eq!(entry.expire(), Some(9));
                }
            });
        }
    });
    assert_eq!(entry.clock() % 1000, 49);
}

fn small(kind: Kind, payload: &[u8]) -> Entry {
    Entry::new(&Parts { space: 1, key: b"k", expire: None, kind, payload }, 3)
}

fn of_items() -> Entry {
    Entry::boxed(1, b"k", None, Box::new(Object::Items(Collection::from_packed(b"", None))), 3)
}

/// Runs work that must panic, and returns the panic's message.
fn refused<T>(work: impl FnOnce() -> T) -> String {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    let Err(reason) = result else { panic!("it went through") };
    match reason.downcast::<String>() {
        Ok(reason) => *reason,
        Err(reason) => (*reason.downcast::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn bytes_are_never_taken_for_what_is_apart() {
    for kind in [Kind::Far, Kind::Boxed] {
        for payload in [&[0x41; 8][..], b"", b"short", &[0; 8]] {
            assert!(refused(|| small(kind, payload)).contains("allocation of its own"));
            for mut entry in
                [small(Kind::Str, b"12345678"), Entry::far(1, b"k", None, vec![7; 9], 3), of_items()]
            {
                let before = entry.kind();
                assert!(refused(|| entry.replace(kind, None, payload)).contains("allocation of its own"));
                assert_eq!(entry.kind(), before);
            }
        }
    }
}

#[test]
fn what_is_apart_is_reached_only_as_what_it_is() {
    let far = || Entry::far(1, b"k", None, vec![7; 9], 3);
    for mut entry in [far(), of_items()] {
        let address = entry.object_address();
        entry.payload_mut().fill(0x41);
        assert!(refused(|| entry.splice(0, 8, 8).fill(0x41)).contains("kind"));
        assert!(refused(|| entry.splice(8, 0, 1).len()).contains("kind"));
        assert_eq!(entry.object_address(), address);
        assert!(entry.payload_mut().is_empty());
    }
    let mut entry = of_items();
    entry.string_mut().fill(0x41);
    entry.resize_string(100);
    entry.resize_string(0);
    assert!(entry.string_mut().is_empty() && entry.object_mut().is_some());
    assert!(refused(|| entry.twin()).contains("object"));
    assert!(refused(|| entry.named_twin(2, b"other", 0)).contains("object"));
    assert!(matches!(entry.far_twin().value(), ValueRef::Str(b"")));
    let (one, other) = (far(), far().twin());
    assert_ne!(one.object_address(), other.object_address());
    drop(one);
    assert!(matches!(other.value(), ValueRef::Str(bytes) if *bytes == [7; 9]));
}

#[test]
fn a_hash_is_no_string() {
    let mut packed = Vec::new();
    pack_field(&mut packed, false, b"f", b"v", 0);
    let mut entry = small(Kind::Hash, &packed);
    entry.resize_string(1000);
    entry.string_mut().fill(0xff);
    assert!(matches!(entry.value(), ValueRef::Hash(bytes, false) if *bytes == packed));
}

#[test]
fn a_part_that_is_not_there_is_not_spliced() {
    let mut entry = small(Kind::Str, b"0123456789");
    for (at, remove) in
        [(11, 0), (10, 1), (0, 11), (5, usize::MAX), (usize::MAX, 1), (usize::MAX, usize::MAX)]
    {
        assert!(refused(|| entry.splice(at, remove, 1).len()).contains("of 10"), "{remove} at {at}");
    }
    for insert in [usize::MAX, usize::MAX - 9, isize::MAX as usize, isize::MAX as usize / 2] {
        assert!(refused(|| entry.splice(10, 0, insert).len()).contains("a block of"), "{insert}");
    }
    assert!(matches!(entry.value(), ValueRef::Str(b"0123456789")));
    assert_eq!(entry.splice(10, 0, 0).len(), 0);
}

#[test]
fn a_clock_of_any_value_leaves_kind_and_flags_alone() {
    let mut entry = small(Kind::Items, b"12345");
    entry.mark_raw();
    for clock in [u32::MAX, 1 << 24, 0, 0x1_2345] {
        entry.set_clock(clock);
        assert_eq!((entry.clock(), entry.kind(), entry.is_raw()), (clock & 0xff_ffff, Kind::Items, true));
    }
    let entry =
        Entry::new(&Parts { space: 1, key: b"k", expire: None, kind: Kind::Str, payload: b"v" }, u32::MAX);
    assert_eq!((entry.clock(), entry.kind(), entry.is_raw()), (0xff_ffff, Kind::Str, false));
}

#[test]
fn a_kind_is_read_back_and_nothing_else_is_one() {
    let all = [
        Kind::Str,
        Kind::Hash,
        Kind::HashTtl,
        Kind::Items,
        Kind::Far,
        Kind::List,
        Kind::Set,
        Kind::IntSet,
        Kind::SortedSet,
        Kind::Boxed,
    ];
    all.into_iter().for_each(|kind| assert_eq!(Kind::from_bits(kind as u32), kind));
    let others = (0..16).filter(|bits| all.iter().all(|kind| *kind as u32 != *bits));
    assert_eq!(others.inspect(|bits| drop(refused(|| Kind::from_bits(*bits)))).count(), 16 - all.len());
}
