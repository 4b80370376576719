//! A stream is the same after its effects were written down, applied to another key, or undone.

use crate::effect::{Effect, EffectDecoder, Ids, List, StreamChange};
use crate::engine::{Engine, Tx};
use crate::env::Clock;
use crate::store::Mode;
use crate::value::stream::{GroupPosition, Stream, StreamId};
use proptest::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

const KEY: &[u8] = b"k";

#[derive(Clone, Debug)]
enum Op {
    Add(u8, usize),
    Delete(u8),
    Trim(u8),
    Marks(u8),
    Group(u8, u8),
    GroupDelete(u8),
    Consumer(u8, u8, u64),
    ConsumerDelete(u8, u8),
    Pending(u8, u8, Vec<u8>, u64),
    Acknowledge(u8, Vec<u8>),
    DeleteKey,
    Expire(Option<u64>),
}

fn op() -> impl Strategy<Value = Op> {
    let (group, consumer, at) = (|| 0..3u8, || 0..3u8, || any::<u8>());
    let some = || prop::collection::vec(0..60u8, 1..5);
    prop_oneof![
        12 => (1..4u8, 0..60usize).prop_map(|(step, len)| Op::Add(step, len)),
        3 => at().prop_map(Op::Delete),
        1 => at().prop_map(Op::Trim),
        1 => (0..5u8).prop_map(Op::Marks),
        2 => (group(), at()).prop_map(|(g, a)| Op::Group(g, a)),
        1 => group().prop_map(Op::GroupDelete),
        3 => (group(), consumer(), 0..9u64).prop_map(|(g, c, t)| Op::Consumer(g, c, t)),
        1 => (group(), consumer()).prop_map(|(g, c)| Op::ConsumerDelete(g, c)),
        4 => (group(), consumer(), some(), 0..9u64).prop_map(|(g, c, i, t)| Op::Pending(g, c, i, t)),
        3 => (group(), some()).prop_map(|(g, i)| Op::Acknowledge(g, i)),
        1 => Just(Op::DeleteKey),
        1 => prop::option::of(5_000..9_000u64).prop_map(Op::Expire),
    ]
}

fn ids(places: &[u8]) -> Vec<StreamId> {
    places.iter().map(|at| StreamId::new(u64::from(*at), 1)).collect()
}

/// Carries an operation out, if the stream is fit for it.
fn carry_out(tx: &mut Tx<'_>, op: &Op) {
    let stream = tx.entry(KEY).and_then(|e| e.value().stream()).cloned();
    let last = stream.as_ref().map_or(StreamId::MIN, Stream::last_id);
    let name = |n: &u8| vec![b'a' + n; 3];
    match op {
        Op::Add(step, len) => {
            let id = StreamId::new(last.ms + u64::from(*step), 1);
            let value = vec![b'v'; *len];
            let pairs = List::Slices(&[b"field", &value]);
            tx.change_stream(KEY, StreamChange::Add { id, pairs });
        }
        Op::Delete(at) => {
            let at = u64::from(*at).min(last.ms) as u8;
            tx.change_stream(KEY, StreamChange::Delete { ids: Ids::Slice(&ids(&[at])) });
        }
        Op::Trim(at) => {
            let through = StreamId::new(u64::from(*at).min(last.ms), 1);
            tx.change_stream(KEY, StreamChange::Trim { through });
        }
        Op::Marks(more) => {
            let marks = StreamChange::Marks {
                last_id: StreamId::new(last.ms + u64::from(*more), 7),
                max_deleted_id: last,
                entries_added: 1000 + u64::from(*more),
            };
            tx.change_stream(KEY, marks);
        }
        Op::Group(group, at) => {
            let entries_read = (at % 2 == 0).then_some(u64::from(*at));
            let position = GroupPosition { last_id: StreamId::new(u64::from(*at), 1), entries_read };
            tx.change_stream(KEY, StreamChange::Group { group: &name(group), position });
        }
        Op::GroupDelete(group) => {
            tx.change_stream(KEY, StreamChange::GroupDelete { group: &name(group) });
        }
        Op::Consumer(group, consumer, at) => {
            let active_at_ms = (at % 2 == 0).then_some(*at);
            let (group, consumer) = (&name(group), &name(consumer));
            tx.change_stream(KEY, StreamChange::Consumer { group, consumer, seen_at_ms: *at, active_at_ms });
        }
        Op::ConsumerDelete(group, consumer) => {
            tx.change_stream(
                KEY,
                StreamChange::ConsumerDelete { group: &name(group), consumer: &name(consumer) },
            );
        }
        Op::Pending(group, consumer, places, at) => {
            let change = StreamChange::Pending {
                group: &name(group),
                consumer: &name(consumer),
                delivered_at_ms: *at,
                deliveries: at / 3,
                ids: Ids::Slice(&ids(places)),
            };
            tx.change_stream(KEY, change);
        }
        Op::Acknowledge(group, places) => {
            let change = StreamChange::Acknowledge { group: &name(group), ids: Ids::Slice(&ids(places)) };
            tx.change_stream(KEY, change);
        }
        Op::DeleteKey => tx.apply(Effect::Delete { db: 0, key: KEY }),
        Op::Expire(at) => tx.apply(Effect::Expire { db: 0, key: KEY, at: *at }),
    }
}

/// Whether a command would carry an operation out: none changes what is not there.
fn has_effect(tx: &Tx<'_>, op: &Op) -> bool {
    let stream = tx.entry(KEY).and_then(|entry| entry.value().stream());
    let group = |n: &u8| stream.and_then(|stream| stream.groups().get(&[b'a' + n; 3]));
    let consumer =
        |g: &u8, c: &u8| group(g).is_some_and(|group| group.find_consumer(&[b'a' + c; 3]).is_some());
    match op {
        Op::Add(..) | Op::Marks(_) => true,
        Op::Delete(at) => stream.is_some_and(|s| s.get(StreamId::new(u64::from(*at), 1)).is_some()),
        Op::Trim(_) | Op::Group(..) | Op::DeleteKey | Op::Expire(_) => stream.is_some(),
        Op::GroupDelete(g) | Op::Consumer(g, ..) | Op::Acknowledge(g, _) => group(g).is_some(),
        Op::ConsumerDelete(g, c) | Op::Pending(g, c, ..) => consumer(g, c),
    }
}

fn see(tx: &Tx<'_>, key: &[u8]) -> Option<(Stream, Option<u64>)> {
    let entry = tx.entry(key)?;
    Some((entry.value().stream()?.clone(), entry.expire()))
}

proptest! {
    #[test]
    fn streams_are_copied_and_restored(
        before in prop::collection::vec(op(), 0..40),
        then in prop::collection::vec(op(), 1..30),
        node_entries in 1usize..8,
    ) {
        let engine = Engine::in_memory(2, 2, Clock::manual(1000));
        engine.store.thresholds.stream_node_entries.store(node_entries, Relaxed);
        let mut record = Vec::new();
        let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, 1000), 0, &mut record);
        before.iter().for_each(|op| carry_out(&mut tx, op));
        let old = see(&tx, KEY);
        tx.copy_key((0, KEY), (0, b"copy")).unwrap();
        prop_assert_eq!(&see(&tx, b"copy"), &old);
        tx.commit();
        let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, 1000), 0, &mut record);
        tx.begin_undo();
        then.iter().for_each(|op| carry_out(&mut tx, op));
        tx.roll_back();
        prop_assert_eq!(&see(&tx, KEY), &old);
        tx.commit();
        let sizes = engine.store.db_size(0);
        prop_assert_eq!(sizes.0, if old.is_some() { 2 } else { 0 });
    }

    /// A checkpoint of format version 1 shows a large stream at different times, so that recovery replays records which
    /// it shows already.
    #[test]
    fn what_is_replayed_over_a_later_stream_changes_nothing(
        before in prop::collection::vec(op(), 0..40),
        then in prop::collection::vec(op(), 1..30),
        node_entries in 1usize..8,
    ) {
        let engine = Engine::in_memory(2, 2, Clock::manual(1000));
        engine.store.thresholds.stream_node_entries.store(node_entries, Relaxed);
        let mut record = Vec::new();
        let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, 1000), 0, &mut record);
        before.iter().for_each(|op| carry_out(&mut tx, op));
        tx.commit();
        let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, 1000), 0, &mut record);
        for op in &then {
            if has_effect(&tx, op) {
                carry_out(&mut tx, op);
            }
        }
        let shown = see(&tx, KEY);
        let effects = tx.record.clone();
        tx.commit();
        let mut locked = engine.store.lock_all(Mode::Write, 1000);
        for effect in EffectDecoder::new(&effects).into_iter().flatten().flatten() {
            locked.apply(&effect, engine.store.hash(KEY));
        }
        let tx = Tx::new(&engine, locked, 0, &mut record);
        prop_assert_eq!(&see(&tx, KEY), &shown);
        tx.commit();
    }
}
