//! Entries of all kinds, several beside each other, against a plain model: values that become ones of other kinds,
//! deadlines that come and go, strings and hashes that grow and shrink, copies, and what is dropped.

use super::*;
use crate::env::memory::thread_bytes;
use crate::store::collection::pack_item;
use crate::value::list::{BigList, encode_all, packed_of};
use crate::value::packed::put_part;
use crate::value::set::{BigSet, empty_ints};
use crate::value::stream::{NodeLimits, Stream, StreamId};
use crate::value::zset::{BigZset, pack_member};
use std::collections::{BTreeMap, BTreeSet};

/// The most entries at a time.
const MOST: usize = 6;

/// What a value is. Fields have a value and a deadline, or 0.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Near(Vec<u8>),
    Far(Vec<u8>),
    Packed(BTreeMap<u8, (Vec<u8>, u64)>, bool),
    Hash(BTreeMap<u8, (Vec<u8>, u64)>),
    Members(BTreeSet<u8>),
    Ints(BTreeSet<u8>),
    Set(BTreeSet<u8>),
    PackedItems(BTreeMap<u8, Vec<u8>>),
    Items(BTreeMap<u8, Vec<u8>>),
    Stream(Vec<Vec<u8>>),
    PackedList(Vec<Vec<u8>>),
    List(Vec<Vec<u8>>),
    /// Members by their scores.
    PackedZset(BTreeMap<u8, Vec<u8>>),
    Zset(BTreeMap<u8, Vec<u8>>),
}

#[derive(Clone, Debug)]
struct Kept {
    space: u32,
    key: Vec<u8>,
    expire: Option<u64>,
    clock: u32,
    raw: bool,
    value: Value,
}

#[derive(Clone, Debug)]
enum Step {
    New(u32, Vec<u8>, Option<u64>, Value),
    Become(Value),
    Expire(Option<u64>),
    Rename(u32, Vec<u8>),
    Clock(u32),
    Raw(bool),
    /// A string's new length, and where its byte is changed.
    Resize(usize, usize),
    /// A field, item or entry is added, or with nothing taken away.
    Part(u8, Option<Vec<u8>>, u64),
    Copy(u32, Vec<u8>, u32),
    CopyApart,
    Drop,
}

fn fields() -> impl Strategy<Value = BTreeMap<u8, (Vec<u8>, u64)>> {
    prop::collection::btree_map(0u8..20, (bytes(), prop_oneof![Just(0u64), 1u64..100_000]), 1..6)
}

fn items() -> impl Strategy<Value = BTreeMap<u8, Vec<u8>>> {
    prop::collection::btree_map(0u8..20, bytes(), 1..6)
}

fn members() -> impl Strategy<Value = BTreeSet<u8>> {
    prop::collection::btree_set(0u8..20, 1..6)
}

/// The text of a member.
fn member(n: u8) -> Vec<u8> {
    n.to_string().into_bytes()
}

/// Makes each member unique by appending its score.
fn named(mut members: BTreeMap<u8, Vec<u8>>) -> BTreeMap<u8, Vec<u8>> {
    members.iter_mut().for_each(|(score, member)| member.push(*score));
    members
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => bytes().prop_map(Value::Near),
        3 => bytes().prop_map(Value::Far),
        2 => (fields(), any::<bool>()).prop_map(|(mut fields, ttl)| {
            fields.values_mut().for_each(|field| field.1 *= u64::from(ttl));
            Value::Packed(fields, ttl)
        }),
        2 => fields().prop_map(Value::Hash),
        1 => members().prop_map(Value::Members),
        1 => members().prop_map(Value::Ints),
        2 => members().prop_map(Value::Set),
        1 => items().prop_map(Value::PackedItems),
        1 => items().prop_map(Value::Items),
        1 => prop::collection::vec(bytes(), 0..4).prop_map(Value::Stream),
        1 => prop::collection::vec(bytes(), 1..6).prop_map(Value::PackedList),
        1 => prop::collection::vec(bytes(), 1..6).prop_map(Value::List),
        1 => items().prop_map(named).prop_map(Value::PackedZset),
        1 => items().prop_map(named).prop_map(Value::Zset),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (space(), bytes(), expire(), value()).prop_map(|(s, k, e, v)| Step::New(s, k, e, v)),
        4 => value().prop_map(Step::Become),
        3 => expire().prop_map(Step::Expire),
        2 => (space(), bytes()).prop_map(|(s, k)| Step::Rename(s, k)),
        1 => (0u32..1 << 24).prop_map(Step::Clock),
        1 => any::<bool>().prop_map(Step::Raw),
        4 => (length(), length()).prop_map(|(len, at)| Step::Resize(len, at)),
        5 => (0u8..20, prop::option::weighted(0.7, bytes()), prop_oneof![Just(0u64), 1u64..100_000])
            .prop_map(|(name, part, at)| Step::Part(name, part, at)),
        2 => (space(), bytes(), 0u32..1 << 24).prop_map(|(s, k, c)| Step::Copy(s, k, c)),
        1 => Just(Step::CopyApart),
        2 => Just(Step::Drop),
    ]
}

fn object(value: &Value) -> Option<Box<Object>> {
    match value {
        Value::Hash(fields) => {
            let mut hash = BigHash::default();
            for (name, (value, at)) in fields {
                hash.set(&[*name], value, *at);
            }
            Some(Box::new(Object::Hash(hash)))
        }
        Value::Set(members) => {
            let mut set = BigSet::default();
            members.iter().for_each(|n| assert!(set.add(&member(*n))));
            Some(Box::new(Object::Set(set)))
        }
        Value::Items(items) => {
            let mut all = Collection::default();
            for (sort, item) in items {
                all.put(&[*sort], item);
            }
            Some(Box::new(Object::Items(all)))
        }
        Value::Stream(texts) => {
            let mut stream = Stream::new();
            texts.iter().for_each(|text| append(&mut stream, text));
            Some(Box::new(Object::Stream(stream)))
        }
        Value::List(texts) => {
            let mut list = BigList::default();
            texts.iter().for_each(|text| list.push(false, text));
            Some(Box::new(Object::List(list)))
        }
        Value::Near(_)
        | Value::Far(_)
        | Value::Packed(..)
        | Value::Members(_)
        | Value::Ints(_)
        | Value::PackedList(_)
        | Value::PackedItems(_)
        | Value::PackedZset(_) => None,
        Value::Zset(members) => {
            let mut set = BigZset::default();
            members.iter().for_each(|(score, member)| assert!(set.set(member, (*score).into()).is_none()));
            Some(Box::new(Object::Zset(set)))
        }
    }
}

fn append(stream: &mut Stream, text: &[u8]) {
    let id = StreamId::new(stream.len() + 1, 0);
    let parts: [&[u8]; 2] = [b"field", text];
    stream.append(id, parts.into_iter(), NodeLimits::default()).unwrap();
}

/// The kind and the bytes of a value that stands in its block.
fn packed(value: &Value) -> Option<(Kind, Vec<u8>)> {
    let mut out = Vec::new();
    match value {
        Value::Near(bytes) => Some((Kind::Str, bytes.clone())),
        Value::Packed(fields, ttl) => {
            fields.iter().for_each(|(name, (value, at))| pack_field(&mut out, *ttl, &[*name], value, *at));
            Some((if *ttl { Kind::HashTtl } else { Kind::Hash }, out))
        }
        Value::Members(members) => {
            members.iter().for_each(|n| put_part(&mut out, &member(*n)));
            Some((Kind::Set, out))
        }
        Value::Ints(members) => {
            out = empty_ints(0);
            members.iter().for_each(|n| out.extend_from_slice(&u16::from(*n).to_le_bytes()));
            Some((Kind::IntSet, out))
        }
        Value::PackedItems(items) => {
            items.iter().for_each(|(sort, item)| pack_item(&[*sort], item, &mut out));
            Some((Kind::Items, out))
        }
        Value::PackedList(texts) => {
            let entries = encode_all(texts.iter().map(Vec::as_slice));
            Some((Kind::List, packed_of(&entries, texts.len())))
        }
        Value::PackedZset(members) => {
            members.iter().for_each(|(score, member)| pack_member(&mut out, member, (*score).into()));
            Some((Kind::SortedSet, out))
        }
        Value::Far(_)
        | Value::Hash(_)
        | Value::Set(_)
        | Value::Items(_)
        | Value::Stream(_)
        | Value::List(_)
        | Value::Zset(_) => None,
    }
}

fn made(space: u32, key: &[u8], expire: Option<u64>, value: &Value, clock: u32) -> Entry {
    if let Value::Far(bytes) = value {
        return Entry::far(space, key, expire, bytes.clone(), clock);
    }
    match (object(value), packed(value)) {
        (Some(object), _) => Entry::boxed(space, key, expire, object, clock),
        (_, Some((kind, payload))) => {
            Entry::new(&Parts { space, key, expire, kind, payload: &payload }, clock)
        }
        _ => unreachable!("a value is apart or not"),
    }
}

/// Gives an entry another value, as effects do.
fn turn_into(entry: &mut Entry, kept: &mut Kept, value: Value) {
    if let Some((kind, payload)) = packed(&value) {
        entry.replace(kind, kept.expire, &payload);
    } else {
        *entry = made(entry.space(), entry.key(), entry.expire(), &value, entry.clock());
    }
    (kept.value, kept.raw) = (value, false);
}

fn resize(entry: &mut Entry, kept: &mut Kept, len: usize, at: usize) {
    entry.resize_string(len);
    if let Some(byte) = entry.string_mut().get_mut(at) {
        *byte = 0xee;
    }
    if let Value::Near(bytes) | Value::Far(bytes) = &mut kept.value {
        bytes.resize(len, 0);
        bytes.get_mut(at).into_iter().for_each(|byte| *byte = 0xee);
    }
}

/// Adds a part to a value that is apart, or removes one, but not the last.
fn change_part(entry: &mut Entry, kept: &mut Kept, name: u8, part: Option<&Vec<u8>>, at: u64) {
    match (entry.object_mut(), &mut kept.value, part) {
        (Some(Object::Hash(hash)), Value::Hash(fields), Some(text)) => {
            hash.set(&[name], text, at);
            fields.insert(name, (text.clone(), at));
        }
        (Some(Object::Hash(hash)), Value::Hash(fields), None) if fields.len() > 1 => {
            hash.remove(&[name]);
            fields.remove(&name);
        }
        (Some(Object::Set(set)), Value::Set(members), Some(_)) => {
            assert_eq!(set.add(&member(name)), members.insert(name));
        }
        (Some(Object::Set(set)), Value::Set(members), None) if members.len() > 1 => {
            assert_eq!(set.remove(&member(name)), members.remove(&name));
        }
        (Some(Object::Items(all)), Value::Items(items), Some(text)) => {
            all.put(&[name], text);
            items.insert(name, text.clone());
        }
        (Some(Object::Items(all)), Value::Items(items), None) if items.len() > 1 => {
            all.remove(&[name]);
            items.remove(&name);
        }
        (Some(Object::Stream(stream)), Value::Stream(texts), Some(text)) => {
            append(stream, text);
            texts.push(text.clone());
        }
        (Some(Object::List(list)), Value::List(texts), Some(text)) => {
            list.push(false, text);
            texts.push(text.clone());
        }
        (Some(Object::List(list)), Value::List(texts), None) if texts.len() > 1 => {
            drop(list.remove(0, 1));
            texts.remove(0);
        }
        _ => {}
    }
    entry.refresh_deadline();
}

type Pool = Vec<(Entry, Kept)>;

fn take(pool: &mut Pool, at: usize, step: &Step) {
    let room = pool.len() < MOST;
    if let Step::New(space, key, expire, value) = step {
        let kept = Kept {
            space: *space,
            key: key.clone(),
            expire: *expire,
            clock: 5,
            raw: false,
            value: value.clone(),
        };
        if room {
            pool.push((made(*space, key, *expire, value, 5), kept));
        }
        return;
    }
    if pool.is_empty() {
        return;
    }
    let at = at % pool.len();
    let (entry, kept) = &mut pool[at];
    match step.clone() {
        Step::New(..) => {}
        Step::Become(value) => turn_into(entry, kept, value),
        Step::Expire(expire) => {
            entry.set_expire(expire);
            kept.expire = expire;
        }
        Step::Rename(space, key) => {
            let (entry, mut kept) = pool.swap_remove(at);
            (kept.space, kept.key) = (space, key);
            pool.push((entry.with_name(space, &kept.key), kept));
        }
        Step::Clock(clock) => {
            entry.set_clock(clock);
            kept.clock = clock;
        }
        Step::Raw(raw) => {
            entry.set_raw(raw);
            kept.raw = raw;
        }
        Step::Resize(len, place) => resize(entry, kept, len, place),
        Step::Part(name, part, deadline) => change_part(entry, kept, name, part.as_ref(), deadline),
        Step::Copy(space, key, clock)
            if room && (entry.kind() != Kind::Boxed || entry.value().list().is_some()) =>
        {
            let copy = entry.named_twin(space, &key, clock);
            let kept = Kept { space, key, clock, ..kept.clone() };
            pool.push((copy, kept));
        }
        Step::CopyApart if room => {
            if let Value::Near(bytes) | Value::Far(bytes) = &kept.value {
                let (copy, kept) =
                    (entry.far_twin(), Kept { value: Value::Far(bytes.clone()), ..kept.clone() });
                pool.push((copy, kept));
            }
        }
        Step::Copy(..) | Step::CopyApart => {}
        Step::Drop => drop(pool.swap_remove(at)),
    }
}

fn texts(stream: &Stream) -> Vec<Vec<u8>> {
    let entries = stream.range(StreamId::MIN, StreamId::MAX);
    entries.map(|mut entry| entry.fields.next().unwrap().1.into_vec()).collect()
}

fn elements(entry: &Entry) -> Vec<Vec<u8>> {
    entry.value().list().unwrap().iter_from(0).map(|found| found.into_vec()).collect()
}

/// The value that an entry shows.
fn shown(entry: &Entry) -> Value {
    let pairs = || {
        let hash = entry.value().hash().unwrap();
        let mut fields = BTreeMap::new();
        hash.each_live(0, |f| drop(fields.insert(f.name[0], (f.value.to_vec(), f.expire))));
        fields
    };
    let collection = || {
        let items = entry.value().items().unwrap();
        items.iter().map(|(sort, item)| (sort[0], item.to_vec())).collect()
    };
    let members = || {
        let set = entry.value().set().unwrap();
        set.iter().map(|member| std::str::from_utf8(&member.bytes()).unwrap().parse().unwrap()).collect()
    };
    let scored = || {
        let set = entry.value().zset().unwrap();
        set.iter().map(|(member, score)| (score as u8, member.to_vec())).collect()
    };
    match (entry.kind(), entry.value()) {
        (Kind::Set, ValueRef::Set(_, false)) => Value::Members(members()),
        (Kind::IntSet, ValueRef::Set(_, true)) => Value::Ints(members()),
        (Kind::Boxed, ValueRef::Boxed(Object::Set(_))) => Value::Set(members()),
        (Kind::Str, ValueRef::Str(bytes)) => Value::Near(bytes.to_vec()),
        (Kind::Far, ValueRef::Str(bytes)) => Value::Far(bytes.to_vec()),
        (Kind::Hash, ValueRef::Hash(_, false)) => Value::Packed(pairs(), false),
        (Kind::HashTtl, ValueRef::Hash(_, true)) => Value::Packed(pairs(), true),
        (Kind::Items, ValueRef::Items(_)) => Value::PackedItems(collection()),
        (Kind::Boxed, ValueRef::Boxed(Object::Hash(_))) => Value::Hash(pairs()),
        (Kind::Boxed, ValueRef::Boxed(Object::Items(_))) => Value::Items(collection()),
        (Kind::Boxed, ValueRef::Boxed(Object::Stream(stream))) => Value::Stream(texts(stream)),
        (Kind::List, ValueRef::List(_)) => Value::PackedList(elements(entry)),
        (Kind::Boxed, ValueRef::Boxed(Object::List(_))) => Value::List(elements(entry)),
        (Kind::SortedSet, ValueRef::Zset(_)) => Value::PackedZset(scored()),
        (Kind::Boxed, ValueRef::Boxed(Object::Zset(_))) => Value::Zset(scored()),
        (kind, _) => panic!("a value of another kind than {kind:?}"),
    }
}

fn check(entry: &Entry, kept: &Kept) {
    assert!(entry.is(kept.space, &kept.key) && entry.space() == kept.space && entry.key() == kept.key);
    assert_eq!((entry.expire(), entry.clock(), entry.is_raw()), (kept.expire, kept.clock, kept.raw));
    assert_eq!(shown(entry), kept.value);
    assert_eq!(entry.object_address().is_some(), entry.kind().is_apart());
    let fields: Vec<u64> = match &kept.value {
        Value::Packed(fields, _) | Value::Hash(fields) => fields.values().map(|(_, at)| *at).collect(),
        _ => Vec::new(),
    };
    let earliest = fields.iter().copied().filter(|at| *at != 0).chain(kept.expire).min();
    assert_eq!(entry.has_deadline(), earliest.is_some());
    assert!(earliest.is_none_or(|at| entry.maybe_due(at)), "nothing due is overlooked");
    for now in [0, 50_000, u64::MAX] {
        let own = kept.expire.is_some_and(|at| at <= now);
        let parts = !fields.is_empty() && fields.iter().all(|at| *at != 0 && *at <= now);
        let items = matches!(kept.value, Value::Items(_) | Value::PackedItems(_));
        assert_eq!(entry.expired(now), !items && (own || parts), "at {now}");
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn entries_of_all_kinds_are_what_was_done_to_them_and_give_everything_back(
        steps in prop::collection::vec((any::<usize>(), step()), 1..40),
    ) {
        // What a thread allocates once must exist before the first measurement.
        drop(made(1, b"k", None, &Value::Hash(BTreeMap::new()), 0));
        let before = thread_bytes();
        {
            let mut pool = Pool::new();
            for (at, step) in &steps {
                take(&mut pool, *at, step);
                pool.iter().for_each(|(entry, kept)| check(entry, kept));
            }
        }
        prop_assert_eq!(thread_bytes(), before, "bytes that nobody has any more");
    }
}
