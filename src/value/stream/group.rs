//! Consumer groups: how far each has read, what was delivered and not acknowledged, and by whom.

use super::StreamId;
use crate::value::heap::{self, Measured};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeInclusive};

/// How far a group has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupPosition {
    /// The last identifier delivered.
    pub last_id: StreamId,
    /// How many entries were read, if that is known.
    pub entries_read: Option<u64>,
}

/// A consumer within its group, for as long as it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConsumerKey(u32);

/// An entry that was delivered and not acknowledged. The entry itself may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// When it was last delivered, in milliseconds since the Unix epoch.
    pub delivered_at_ms: u64,
    /// How many times it was delivered.
    pub deliveries: u64,
    /// To whom.
    pub consumer: ConsumerKey,
}

/// A consumer of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last tried to read or claim, in milliseconds since the Unix epoch.
    pub seen_at_ms: u64,
    /// When it last got an entry, in milliseconds since the Unix epoch; `None` if never.
    pub active_at_ms: Option<u64>,
    pending: Measured<BTreeSet<StreamId>>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// How many entries are pending for it.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The identifiers pending for it within a range, ascending.
    pub fn pending(&self, range: RangeInclusive<StreamId>) -> impl DoubleEndedIterator<Item = StreamId> + '_ {
        let range = (range.start() <= range.end()).then_some(range);
        range.into_iter().flat_map(|range| self.pending.range(range)).copied()
    }
}

/// A consumer that was removed from its group, with its pending entries.
pub(super) struct RemovedConsumer {
    place: u32,
    consumer: Consumer,
    pending: Vec<(StreamId, Pending)>,
}

impl RemovedConsumer {
    pub(super) fn pending_len(&self) -> usize {
        self.pending.len()
    }
}

/// A consumer group.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// How far it has read.
    pub position: GroupPosition,
    pending: Measured<BTreeMap<StreamId, Pending>>,
    consumers: Vec<Option<Consumer>>,
    /// The consumers' places, by their names.
    by_name: Vec<u32>,
}

/// Two groups are equal if their positions, consumers and pending entries are.
impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        let pending = |group: &Self| -> Vec<(StreamId, u64, u64)> {
            group.pending.iter().map(|(id, p)| (*id, p.delivered_at_ms, p.deliveries)).collect()
        };
        self.position == other.position
            && self.consumers().eq(other.consumers())
            && pending(self) == pending(other)
    }
}

impl Group {
    /// A group that has read up to a position.
    pub fn new(position: GroupPosition) -> Self {
        Self { position, ..Self::default() }
    }

    /// The consumers by name.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.keyed_consumers().map(|(_, consumer)| consumer)
    }

    /// The consumers by name, with their keys.
    pub fn keyed_consumers(&self) -> impl Iterator<Item = (ConsumerKey, &Consumer)> {
        let by_key = |at: &u32| Some((ConsumerKey(*at), self.consumers.get(*at as usize)?.as_ref()?));
        self.by_name.iter().filter_map(by_key)
    }

    /// How many consumers there are.
    pub fn consumers_len(&self) -> usize {
        self.by_name.len()
    }

    fn search(&self, name: &[u8]) -> Result<usize, usize> {
        self.by_name.binary_search_by(|at| match self.consumers.get(*at as usize) {
            Some(Some(consumer)) => (*consumer.name).cmp(name),
            _ => std::cmp::Ordering::Less,
        })
    }

    /// The consumer of a name.
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerKey> {
        self.search(name).ok().and_then(|at| self.by_name.get(at)).map(|at| ConsumerKey(*at))
    }

    /// A consumer.
    pub fn consumer(&self, key: ConsumerKey) -> Option<&Consumer> {
        self.consumers.get(key.0 as usize)?.as_ref()
    }

    /// A consumer, to set its times.
    pub fn consumer_mut(&mut self, key: ConsumerKey) -> Option<&mut Consumer> {
        self.consumers.get_mut(key.0 as usize)?.as_mut()
    }

    /// Adds a consumer that is seen now, or finds the existing one. Returns its key and whether it is new. O(number of
    /// consumers).
    pub fn add_consumer(&mut self, name: &[u8], now_ms: u64) -> (ConsumerKey, bool) {
        let rank = match self.search(name) {
            Ok(rank) => return (ConsumerKey(self.by_name.get(rank).copied().unwrap_or(0)), false),
            Err(rank) => rank,
        };
        let consumer = Consumer {
            name: name.into(),
            seen_at_ms: now_ms,
            active_at_ms: None,
            pending: Measured::default(),
        };
        let free = if self.by_name.len() < self.consumers.len() {
            self.consumers.iter().position(Option::is_none)
        } else {
            None
        };
        let place = free.unwrap_or(self.consumers.len());
        match self.consumers.get_mut(place) {
            Some(slot) => *slot = Some(consumer),
            None => self.consumers.push(Some(consumer)),
        }
        self.by_name.insert(rank, place as u32);
        (ConsumerKey(place as u32), true)
    }

    /// Removes a consumer and its pending entries. Returns the number of those entries; `None` if there is no such
    /// consumer.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        self.take_consumer(name).map(|removed| removed.pending_len())
    }

    /// Takes a consumer out, with its pending entries.
    pub(super) fn take_consumer(&mut self, name: &[u8]) -> Option<RemovedConsumer> {
        let rank = self.search(name).ok()?;
        let place = self.by_name.remove(rank);
        let consumer = self.consumers.get_mut(place as usize)?.take()?;
        let mut pending = Vec::with_capacity(consumer.pending.len());
        self.pending.change(|all| {
            pending.extend(consumer.pending.iter().filter_map(|id| Some((*id, all.remove(id)?))));
        });
        while let Some(None) = self.consumers.last() {
            self.consumers.pop();
        }
        Some(RemovedConsumer { place, consumer, pending })
    }

    /// Puts a consumer that was taken out back under its old key. The key and the name must be free.
    pub(super) fn put_consumer_back(&mut self, removed: RemovedConsumer) {
        let RemovedConsumer { place, consumer, pending } = removed;
        let Err(rank) = self.search(&consumer.name) else { return };
        self.by_name.insert(rank, place);
        let at = place as usize;
        self.consumers.resize_with(self.consumers.len().max(at + 1), || None);
        if let Some(slot) = self.consumers.get_mut(at) {
            *slot = Some(consumer);
        }
        self.pending.change(|all| all.extend(pending.iter().copied()));
    }

    /// How many entries are pending.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The pending entry of an identifier.
    pub fn pending_entry(&self, id: StreamId) -> Option<Pending> {
        self.pending.get(&id).copied()
    }

    /// The pending entries within a range, ascending.
    pub fn pending(
        &self,
        range: RangeInclusive<StreamId>,
    ) -> impl DoubleEndedIterator<Item = (StreamId, Pending)> + '_ {
        let range = (range.start() <= range.end()).then_some(range);
        range.into_iter().flat_map(|range| self.pending.range(range)).map(|(id, pending)| (*id, *pending))
    }

    /// The pending entries between two bounds, ascending. The lower one must not be above the upper one.
    pub fn pending_in(
        &self,
        bounds: (Bound<StreamId>, Bound<StreamId>),
    ) -> impl Iterator<Item = (StreamId, Pending)> + '_ {
        self.pending.range(bounds).map(|(id, pending)| (*id, *pending))
    }

    /// Notes an entry as delivered to a consumer; it is no longer pending for another one. Returns whether the consumer
    /// exists. O(log pending).
    pub fn assign(&mut self, id: StreamId, pending: Pending) -> bool {
        if self.consumer(pending.consumer).is_none() {
            return false;
        }
        let before = self.pending.change(|all| all.insert(id, pending)).map(|before| before.consumer);
        if before != Some(pending.consumer) {
            if let Some(other) = before.and_then(|before| self.consumer_mut(before)) {
                other.pending.change(|own| own.remove(&id));
            }
            if let Some(consumer) = self.consumer_mut(pending.consumer) {
                consumer.pending.change(|own| own.insert(id));
            }
        }
        true
    }

    /// Forgets a pending entry; whether it was there. O(log pending).
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.change(|all| all.remove(&id)) else { return false };
        if let Some(consumer) = self.consumer_mut(pending.consumer) {
            consumer.pending.change(|own| own.remove(&id));
        }
        true
    }

    /// The bytes it takes on the heap, apart from itself. O(number of consumers).
    pub fn memory(&self) -> usize {
        let each = |consumer: &Consumer| heap::block(consumer.name.len()) + consumer.pending.memory();
        self.pending.memory()
            + heap::block(self.consumers.capacity() * size_of::<Option<Consumer>>())
            + heap::block(self.by_name.capacity() * size_of::<u32>())
            + self.consumers().map(each).sum::<usize>()
    }
}

/// The consumer groups of a stream, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Groups {
    groups: Vec<(Box<[u8]>, Box<Group>)>,
}

impl Groups {
    fn search(&self, name: &[u8]) -> Result<usize, usize> {
        self.groups.binary_search_by(|(known, _)| (**known).cmp(name))
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The groups in the order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        self.groups.iter().map(|(name, group)| (&**name, &**group))
    }

    /// The group of a name.
    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.search(name).ok().and_then(|at| self.groups.get(at)).map(|(_, group)| &**group)
    }

    /// The group of a name, to be changed.
    pub fn get_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.search(name).ok().and_then(|at| self.groups.get_mut(at)).map(|(_, group)| &mut **group)
    }

    /// Adds a group, if the name is free. Returns whether it was.
    pub fn insert(&mut self, name: &[u8], group: Group) -> bool {
        match self.search(name) {
            Ok(_) => false,
            Err(at) => {
                self.groups.insert(at, (name.into(), Box::new(group)));
                true
            }
        }
    }

    /// Removes a group; whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        self.take(name).is_some()
    }

    /// Takes a group out, if it is there.
    pub(super) fn take(&mut self, name: &[u8]) -> Option<Box<Group>> {
        self.search(name).ok().map(|at| self.groups.remove(at).1)
    }

    /// Puts a group that was taken out back. Its name must be free.
    pub(super) fn put_back(&mut self, name: &[u8], group: Box<Group>) {
        if let Err(at) = self.search(name) {
            self.groups.insert(at, (name.into(), group));
        }
    }

    /// The bytes they take on the heap. O(number of consumers).
    pub fn memory(&self) -> usize {
        let each = |(name, group): &(Box<[u8]>, Box<Group>)| {
            heap::block(name.len()) + heap::block(size_of::<Group>()) + group.memory()
        };
        heap::block(self.groups.capacity() * size_of::<(Box<[u8]>, Box<Group>)>())
            + self.groups.iter().map(each).sum::<usize>()
    }
}
