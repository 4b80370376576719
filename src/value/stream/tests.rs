//! The stream against a plain list of entries, and Redis's ways of counting against recounting.

use super::*;
use crate::value::ValueError;
use crate::value::listpack::ListpackEntry;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A model of a stream: a plain list of entries.
#[derive(Default)]
struct Model {
    entries: BTreeMap<StreamId, Pairs>,
    last_id: StreamId,
    max_deleted_id: StreamId,
    added: u64,
    groups: BTreeMap<Vec<u8>, ModelGroup>,
}

#[derive(Default)]
struct ModelGroup {
    consumers: BTreeSet<Vec<u8>>,
    pending: BTreeMap<StreamId, (Vec<u8>, u64, u64)>,
}

#[derive(Debug, Clone)]
enum Step {
    Add(NewId, u64, Pairs),
    Delete(prop::sample::Index),
    DeleteAny(StreamId),
    Trim(Trim),
    Marks(u64, u64, bool),
    Group(u8),
    DropGroup(u8),
    Deliver(u8, u8, prop::sample::Index, u64),
    Acknowledge(u8, prop::sample::Index),
    DropConsumer(u8, u8),
    Reload,
}

fn pairs() -> impl Strategy<Value = Pairs> {
    let text = || prop_oneof!["[a-c]{0,3}", "[0-9]{1,4}", "[a-z]{60,70}"].prop_map(String::into_bytes);
    prop_oneof![
        3 => text().prop_map(|value| vec![(b"field".to_vec(), value)]),
        1 => vec((text(), text()), 1..4),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let new_id = prop_oneof![
        4 => Just(NewId::Auto),
        1 => (0u64..60).prop_map(NewId::AutoSeq),
        1 => (0u64..60, 0u64..3).prop_map(|(ms, seq)| NewId::Given(StreamId::new(ms, seq))),
    ];
    let by = prop_oneof![
        (0u64..30).prop_map(TrimBy::MaxLen),
        (0u64..60, 0u64..3).prop_map(|(ms, seq)| TrimBy::MinId(StreamId::new(ms, seq))),
    ];
    let trim = (by, any::<bool>(), 0u64..20).prop_map(|(by, approximate, limit)| {
        Step::Trim(Trim { by, approximate, limit: if approximate { limit } else { 0 } })
    });
    prop_oneof![
        20 => (new_id, 0u64..60, pairs()).prop_map(|(id, now, pairs)| Step::Add(id, now, pairs)),
        4 => any::<prop::sample::Index>().prop_map(Step::Delete),
        1 => (0u64..60, 0u64..3).prop_map(|(ms, seq)| Step::DeleteAny(StreamId::new(ms, seq))),
        1 => trim,
        1 => (0u64..70, 0u64..100, any::<bool>()).prop_map(|(ms, added, deleted)| Step::Marks(ms, added, deleted)),
        1 => (0u8..3).prop_map(Step::Group),
        1 => (0u8..30).prop_map(Step::DropGroup),
        6 => (0u8..3, 0u8..3, any::<prop::sample::Index>(), any::<u64>())
            .prop_map(|(group, consumer, at, ms)| Step::Deliver(group, consumer, at, ms)),
        3 => (0u8..3, any::<prop::sample::Index>()).prop_map(|(group, at)| Step::Acknowledge(group, at)),
        1 => (0u8..3, 0u8..3).prop_map(|(group, consumer)| Step::DropConsumer(group, consumer)),
        1 => Just(Step::Reload),
    ]
}

fn flat(pairs: &Pairs) -> Vec<&[u8]> {
    pairs.iter().flat_map(|(field, value)| [field.as_slice(), value]).collect()
}

fn name(n: u8) -> Vec<u8> {
    vec![b'a' + n; 1 + usize::from(n)]
}

impl Model {
    fn pick(&self, at: prop::sample::Index) -> Option<StreamId> {
        (!self.entries.is_empty())
            .then(|| *self.entries.keys().nth(at.index(self.entries.len())).expect("there"))
    }

    fn add(&mut self, stream: &mut Stream, id: NewId, now: u64, pairs: Pairs, limits: NodeLimits) {
        let resolved = stream.resolve_id(id, now);
        match id {
            NewId::Given(StreamId::MIN) => return assert_eq!(resolved, Err(ValueError::StreamIdZero)),
            NewId::Given(id) => assert_eq!(resolved.ok(), Some(id).filter(|id| *id > self.last_id)),
            NewId::Auto => {
                assert_eq!(resolved.map(|id| id.ms), Ok(now.max(self.last_id.ms)));
            }
            NewId::AutoSeq(ms) => assert_eq!(resolved.is_ok(), ms >= self.last_id.ms),
        }
        let Ok(id) = resolved else { return };
        stream.append(id, flat(&pairs).into_iter(), limits).expect("larger");
        assert_eq!(stream.append(id, [].into_iter(), limits), Err(ValueError::StreamIdTooSmall));
        self.entries.insert(id, pairs);
        self.last_id = id;
        self.added += 1;
    }

    /// Checks a trim: it removes the first entries, exactly as many as asked for unless it is approximate.
    fn trim(&mut self, stream: &mut Stream, trim: Trim) {
        let asked = match trim.by {
            TrimBy::MaxLen(max) => (self.entries.len() as u64).saturating_sub(max),
            TrimBy::MinId(min) => self.entries.range(..min).count() as u64,
        };
        let plan = stream.plan_trim(trim);
        let removed = plan.map_or(0, |plan| stream.trim_through(plan.through));
        assert_eq!(removed, plan.map_or(0, |plan| plan.removed));
        assert!(removed <= asked);
        if trim.limit > 0 {
            assert!(removed <= trim.limit);
        } else if trim.approximate {
            // A deleted entry at the node's end keeps the node if the entry is not old enough.
            let kept = matches!(trim.by, TrimBy::MinId(min) if stream.nodes().next().is_some_and(|n| n.last() >= min));
            let first = stream.nodes().next().map_or(0, StreamNode::live);
            assert!(kept || asked - removed < first.max(1), "a whole node could have gone");
        } else {
            assert_eq!(removed, asked);
        }
        for _ in 0..removed {
            self.entries.pop_first();
        }
    }

    fn marks(&mut self, stream: &mut Stream, ms: u64, added: u64, with_deleted: bool) {
        let last_id = StreamId::new(ms, 0);
        let max_deleted_id = with_deleted.then(|| StreamId::new(ms / 2, 0));
        let marks = StreamMarks { last_id, entries_added: Some(added), max_deleted_id };
        let top = self.entries.last_key_value().map_or(StreamId::MIN, |(id, _)| *id);
        let packed = stream.nodes().last().map_or(StreamId::MIN, StreamNode::last);
        let fine = last_id >= top.max(self.max_deleted_id).max(packed) && added >= self.entries.len() as u64;
        assert_eq!(stream.check_marks(marks).is_ok(), fine);
        if fine {
            stream.set_marks(marks);
            self.last_id = last_id;
            self.added = added;
            self.max_deleted_id =
                max_deleted_id.filter(|id| *id != StreamId::MIN).unwrap_or(self.max_deleted_id);
        }
    }

    fn apply(&mut self, stream: &mut Stream, step: Step, limits: NodeLimits) {
        match step {
            Step::Add(id, now, pairs) => self.add(stream, id, now, pairs, limits),
            Step::Delete(at) => {
                if let Some(id) = self.pick(at) {
                    self.apply(stream, Step::DeleteAny(id), limits);
                }
            }
            Step::DeleteAny(id) => {
                let there = self.entries.remove(&id).is_some();
                assert_eq!(stream.delete(id), there);
                if there {
                    self.max_deleted_id = self.max_deleted_id.max(id);
                }
            }
            Step::Trim(trim) => self.trim(stream, trim),
            Step::Marks(ms, added, deleted) => self.marks(stream, ms, added, deleted),
            Step::Group(group) => {
                let new = stream.groups_mut().insert(&name(group), Group::default());
                assert_eq!(new, !self.groups.contains_key(&name(group)));
                self.groups.entry(name(group)).or_default();
            }
            Step::DropGroup(group) => {
                let there = self.groups.remove(&name(group)).is_some();
                assert_eq!(stream.groups_mut().remove(&name(group)), there);
            }
            Step::Deliver(group, consumer, at, ms) => self.deliver(stream, group, consumer, at, ms),
            Step::Acknowledge(group, at) => self.acknowledge(stream, group, at),
            Step::DropConsumer(group, consumer) => self.drop_consumer(stream, group, consumer),
            Step::Reload => {
                let mut bytes = Vec::new();
                stream.encode(&mut bytes);
                let again = Stream::decode(&bytes).expect("own bytes");
                assert_eq!(again, *stream);
                *stream = again;
            }
        }
    }

    fn deliver(&mut self, stream: &mut Stream, group: u8, consumer: u8, at: prop::sample::Index, ms: u64) {
        let (Some(id), Some(model)) = (self.pick(at), self.groups.get_mut(&name(group))) else { return };
        let group = stream.groups_mut().get_mut(&name(group)).expect("there");
        let (key, new) = group.add_consumer(&name(consumer), ms);
        assert_eq!(new, model.consumers.insert(name(consumer)));
        let deliveries = ms >> 40;
        assert!(group.assign(id, Pending { delivered_at_ms: ms, deliveries, consumer: key }));
        model.pending.insert(id, (name(consumer), ms, deliveries));
    }

    fn acknowledge(&mut self, stream: &mut Stream, group: u8, at: prop::sample::Index) {
        let Some(model) = self.groups.get_mut(&name(group)) else { return };
        let group = stream.groups_mut().get_mut(&name(group)).expect("there");
        assert!(!group.acknowledge(StreamId::MAX));
        if model.pending.is_empty() {
            return;
        }
        let id = *model.pending.keys().nth(at.index(model.pending.len())).expect("there");
        model.pending.remove(&id);
        assert!(group.acknowledge(id));
    }

    fn drop_consumer(&mut self, stream: &mut Stream, group: u8, consumer: u8) {
        let Some(model) = self.groups.get_mut(&name(group)) else { return };
        let group = stream.groups_mut().get_mut(&name(group)).expect("there");
        let there = model.consumers.remove(&name(consumer));
        let before = model.pending.len();
        model.pending.retain(|_, (owner, ..)| *owner != name(consumer));
        let expected = there.then_some(before - model.pending.len());
        assert_eq!(group.remove_consumer(&name(consumer)), expected);
    }

    fn check(&self, stream: &Stream) {
        let read = |entry: StreamEntry<'_>| {
            let pairs: Pairs =
                entry.fields.map(|(f, v)| (ListpackEntry::into_vec(f), ListpackEntry::into_vec(v))).collect();
            (entry.id, pairs)
        };
        let forwards: Vec<_> = stream.range(StreamId::MIN, StreamId::MAX).map(read).collect();
        let expected: Vec<_> = self.entries.iter().map(|(id, pairs)| (*id, pairs.clone())).collect();
        assert_eq!(forwards, expected);
        let mut backwards: Vec<_> = stream.range_rev(StreamId::MIN, StreamId::MAX).map(read).collect();
        backwards.reverse();
        assert_eq!(backwards, expected);
        let first = self.entries.first_key_value().map_or(StreamId::MIN, |(id, _)| *id);
        assert_eq!((stream.len(), stream.first_id()), (self.entries.len() as u64, first));
        assert_eq!((stream.last_id(), stream.max_deleted_id()), (self.last_id, self.max_deleted_id));
        assert_eq!(stream.entries_added(), self.added);
        assert_eq!(stream.node_bytes, stream.nodes().map(StreamNode::memory).sum::<usize>());
        assert!(stream.nodes().all(|node| node.live() > 0));
        assert_eq!(stream.groups().len(), self.groups.len());
        for ((name, group), (model_name, model)) in stream.groups().iter().zip(&self.groups) {
            assert_eq!(name, model_name);
            let names: Vec<&[u8]> = group.consumers().map(Consumer::name).collect();
            assert_eq!(names, model.consumers.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let pending: Vec<_> = group
                .pending(StreamId::MIN..=StreamId::MAX)
                .map(|(id, p)| {
                    let owner = group.consumer(p.consumer).expect("there").name().to_vec();
                    (id, (owner, p.delivered_at_ms, p.deliveries))
                })
                .collect();
            assert_eq!(pending, model.pending.clone().into_iter().collect::<Vec<_>>());
            for consumer in group.consumers() {
                let own: Vec<StreamId> = consumer.pending(StreamId::MIN..=StreamId::MAX).collect();
                let expected = model.pending.iter().filter(|(_, (owner, ..))| owner == consumer.name());
                assert_eq!(own, expected.map(|(id, _)| *id).collect::<Vec<_>>());
            }
        }
    }
}

proptest! {
    #[test]
    fn it_is_the_list_it_stands_for(
        steps in vec(step(), 1..120), max_entries in 0usize..8, max_bytes in prop_oneof![Just(0usize), 60usize..400],
    ) {
        let limits = NodeLimits { max_bytes, max_entries };
        let (mut stream, mut model) = (Stream::new(), Model::default());
        for step in steps {
            model.apply(&mut stream, step, limits);
            model.check(&stream);
        }
    }

    /// Each node is read at most once, however many of its entries are looked up.
    #[test]
    fn ascending_lookups(ids in proptest::collection::btree_set(1u64..200, 0..100), gone in vec(1u64..200, 0..30),
                         wanted in proptest::collection::btree_set(0u64..205, 0..100), max_entries in 1usize..10) {
        let mut stream = Stream::new();
        let limits = NodeLimits { max_bytes: 0, max_entries };
        for ms in &ids {
            stream.append(StreamId::new(*ms, 5), [b"f".as_slice(), b"v"].into_iter(), limits).expect("larger");
        }
        for ms in &gone {
            stream.delete(StreamId::new(*ms, 5));
        }
        let mut lookups = stream.lookups();
        for ms in &wanted {
            let id = StreamId::new(*ms, 5);
            let found = lookups.get(id).map(|entry| entry.id);
            prop_assert_eq!(found, stream.get(id).map(|entry| entry.id));
        }
        // An entry that is greater than the identifier is compared once more with the next one.
        prop_assert!(lookups.read <= ids.len() + wanted.len(), "{}", lookups.read);
    }

    #[test]
    fn ranges(ids in proptest::collection::btree_set(1u64..100, 0..60), gone in vec(1u64..100, 0..30),
              start in 0u64..105, end in 0u64..105, max_entries in 1usize..10) {
        let mut stream = Stream::new();
        let limits = NodeLimits { max_bytes: 0, max_entries };
        for ms in &ids {
            stream.append(StreamId::new(*ms, 5), [b"f".as_slice(), b"v"].into_iter(), limits).expect("larger");
        }
        for ms in &gone {
            stream.delete(StreamId::new(*ms, 5));
        }
        let (start, end) = (StreamId::new(start, 5), StreamId::new(end, 5));
        let live = ids.iter().filter(|ms| !gone.contains(ms)).map(|ms| StreamId::new(*ms, 5));
        let expected: Vec<StreamId> = live.filter(|id| start <= *id && *id <= end).collect();
        let found: Vec<StreamId> = stream.range(start, end).map(|entry| entry.id).collect();
        prop_assert_eq!(&found, &expected);
        let mut back: Vec<StreamId> = stream.range_rev(start, end).map(|entry| entry.id).collect();
        back.reverse();
        prop_assert_eq!(back, expected);
        let there = ids.contains(&start.ms) && !gone.contains(&start.ms);
        prop_assert_eq!(stream.get(start).map(|entry| entry.id), there.then_some(start));
    }

    #[test]
    fn hostile_bytes(hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>()) {
        let mut stream = Stream::new();
        for ms in 1..20u64 {
            let value = ms.to_string();
            let pair = [b"f".as_slice(), value.as_bytes()];
            stream.append(StreamId::new(ms, 0), pair.into_iter(), NodeLimits { max_bytes: 0, max_entries: 6 }).expect("larger");
        }
        let mut group = Group::new(GroupPosition { last_id: StreamId::new(9, 0), entries_read: Some(9) });
        let (key, _) = group.add_consumer(b"ann", 5);
        group.assign(StreamId::new(8, 0), Pending { delivered_at_ms: 7, deliveries: 1, consumer: key });
        stream.groups_mut().insert(b"g", group);
        stream.delete(StreamId::new(3, 0));
        let mut bytes = Vec::new();
        stream.encode(&mut bytes);
        let at = cut.index(bytes.len());
        prop_assert_eq!(Stream::decode(&bytes[..at]), Err(ValueError::MalformedStream));
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(stream) = Stream::decode(&bytes) {
            prop_assert_eq!(stream.range(StreamId::MIN, StreamId::MAX).count() as u64, stream.len());
        }
    }

    /// If no entry was deleted from the middle, the lag equals the counted number of unread entries.
    #[test]
    fn lag(adds in 1u64..40, trimmed in 0u64..40, read in 0u64..50, more in 0u64..10) {
        let mut stream = Stream::new();
        let limits = NodeLimits::default();
        let add = |stream: &mut Stream, ms: u64| {
            stream.append(StreamId::new(ms, 0), [b"f".as_slice(), b"v"].into_iter(), limits).expect("larger");
        };
        (1..=adds).for_each(|ms| add(&mut stream, ms));
        let mut group = Group::default();
        let ids: Vec<StreamId> = stream.range(StreamId::MIN, StreamId::MAX).map(|entry| entry.id).collect();
        for id in ids.iter().take(read as usize) {
            group.position = stream.advance(group.position, *id);
        }
        if let Some(plan) = stream.plan_trim(Trim { by: TrimBy::MaxLen(adds.saturating_sub(trimmed)), approximate: false, limit: 0 }) {
            stream.trim_through(plan.through);
        }
        (1..=more).for_each(|ms| add(&mut stream, adds + ms));
        let unread = stream.range(group.position.last_id.next().expect("not the last"), StreamId::MAX).count() as u64;
        prop_assert_eq!(stream.lag(&group), Some(unread));
    }
}

#[test]
fn the_end_of_all_identifiers() {
    let mut stream = Stream::new();
    let pair = || [b"f".as_slice(), b"v"].into_iter();
    let limits = NodeLimits::default();
    stream.append(StreamId::new(5, u64::MAX), pair(), limits).expect("larger");
    assert_eq!(stream.resolve_id(NewId::AutoSeq(5), 0), Err(ValueError::StreamIdTooSmall));
    assert_eq!(stream.resolve_id(NewId::Auto, 0), Ok(StreamId::new(6, 0)));
    stream.append(StreamId::MAX, pair(), limits).expect("larger");
    for id in [NewId::Auto, NewId::AutoSeq(9), NewId::Given(StreamId::new(9, 9))] {
        assert_eq!(stream.resolve_id(id, 0), Err(ValueError::StreamExhausted));
    }
    assert_eq!(stream.plan_trim(Trim { by: TrimBy::MaxLen(1), approximate: true, limit: 0 }), None);
    let plan = stream.plan_trim(Trim { by: TrimBy::MaxLen(0), approximate: false, limit: 0 }).expect("all");
    assert_eq!(plan, TrimPlan { through: StreamId::MAX, removed: 2 });
    assert_eq!(stream.trim_through(plan.through), 2);
    assert_eq!((stream.len(), stream.first_id(), stream.nodes().len()), (0, StreamId::MIN, 0));
}

#[test]
fn limits_of_approximate_trimming() {
    assert_eq!(default_trim_limit(100), 10_000);
    assert_eq!(default_trim_limit(0), 10_000);
    assert_eq!(default_trim_limit(usize::MAX), 1_000_000);
}
