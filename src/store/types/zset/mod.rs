//! Effects on sorted sets. A packed sorted set is changed in place. It becomes a large one when it exceeds the
//! thresholds, and never a packed one again.

mod image;
#[cfg(test)]
mod tests;

pub(in crate::store) use image::{ZsetReading, zset_pairs};

use crate::effect::{List, ZsetChange};
use crate::store::entry::{Entry, Kind, Parts};
use crate::store::object::Object;
use crate::store::place::Place;
use crate::store::{Locked, ValueRef};
use crate::value::zset::{
    BigZset, ZsetInverse, compare, pack_member, packed_find, packed_fits, packed_members,
};
use std::sync::atomic::Ordering::Relaxed;

/// The thresholds of the packed form.
#[derive(Clone, Copy)]
struct Limits {
    entries: usize,
    value: usize,
}

impl Locked<'_> {
    /// Applies a change of a sorted set. Returns how many members are added or removed.
    pub(in crate::store) fn zset(&mut self, place: Place<'_>, change: &ZsetChange<'_>) -> usize {
        match *change {
            ZsetChange::Put { payload, expire } => {
                self.zset_put(place, expire, payload);
                0
            }
            ZsetChange::Set { pairs } => self.zset_set(place, pairs),
            ZsetChange::Delete { members } => {
                self.zset_shrink(place, &|entry, kept| delete(entry, members, kept))
            }
            ZsetChange::DeleteRange { at, count } => {
                let end = at.saturating_add(count);
                self.zset_shrink(place, &|entry, kept| delete_range(entry, at, end, kept))
            }
        }
    }

    fn zset_limits(&self) -> Limits {
        Limits {
            entries: self.store.thresholds.zset_entries.load(Relaxed),
            value: self.store.thresholds.zset_value.load(Relaxed),
        }
    }

    /// Stores a whole sorted set. If the packed payload exceeds the thresholds, the set is indexed.
    fn zset_put(&mut self, place: Place<'_>, expire: Option<u64>, payload: &[u8]) {
        let limits = self.zset_limits();
        if packed_fits(payload, limits.entries, limits.value) {
            return self.put(place, Kind::SortedSet, expire, payload);
        }
        let big = Box::new(Object::Zset(BigZset::from_packed(payload)));
        let clock = self.clock_over(place);
        self.put_entry(place, Entry::boxed(place.space, place.key, expire, big, clock));
    }

    /// Sets scores. Returns how many members are new.
    fn zset_set(&mut self, place: Place<'_>, pairs: List<'_>) -> usize {
        let limits = self.zset_limits();
        let mut kept = self.records_within(place).then(Vec::new);
        let created = if let Some(entry) = self.find(place) {
            set_scores(entry, pairs, limits, kept.as_mut())
        } else {
            let clock = self.store.fresh_clock(self.now);
            let (entry, created) = new_zset(place, pairs, limits, clock);
            self.insert(place, entry);
            created
        };
        self.record_scores(place, kept.unwrap_or_default());
        self.changed(place);
        created
    }

    /// Removes members, and the sorted set with its last member. Returns how many were removed.
    fn zset_shrink(
        &mut self,
        place: Place<'_>,
        shrink: &dyn Fn(&mut Entry, Option<&mut Vec<ZsetInverse>>) -> usize,
    ) -> usize {
        let mut kept = self.records_within(place).then(Vec::new);
        let Some(entry) = self.find(place) else { return 0 };
        let removed = shrink(entry, kept.as_mut());
        let empty = entry.value().zset().is_some_and(|set| set.is_empty());
        self.record_scores(place, kept.unwrap_or_default());
        if empty {
            self.delete(place);
        } else if removed > 0 {
            self.changed(place);
        }
        removed
    }

    /// Records what undoes changes of members.
    fn record_scores(&mut self, place: Place<'_>, inverses: Vec<ZsetInverse>) {
        if !inverses.is_empty() {
            self.record_within(place, inverses);
        }
    }
}

pub(super) fn take_back(entry: &mut Entry, inverses: &[ZsetInverse]) {
    if let Some(Object::Zset(big)) = entry.object_mut() {
        inverses.iter().rev().for_each(|inverse| big.revert(inverse));
    }
}

/// A sorted set of these members, and their number. Of a member that is given twice the last score counts.
fn new_zset(place: Place<'_>, pairs: List<'_>, limits: Limits, clock: u32) -> (Entry, usize) {
    let count = pairs.len() / 2;
    let small = count <= limits.entries
        && ZsetChange::pairs_of(pairs).all(|(member, _)| member.len() <= limits.value);
    if !small {
        let mut big = BigZset::default();
        for (member, score) in ZsetChange::pairs_of(pairs) {
            big.set(member, score);
        }
        let count = big.len();
        return (Entry::boxed(place.space, place.key, None, Box::new(Object::Zset(big)), clock), count);
    }
    let mut payload = Vec::with_capacity(pairs.iter().map(|part| part.len() + 2).sum());
    if count == 1 {
        ZsetChange::pairs_of(pairs).for_each(|(member, score)| pack_member(&mut payload, member, score));
    } else {
        let mut members: Vec<(&[u8], f64)> = Vec::with_capacity(count);
        for (member, score) in ZsetChange::pairs_of(pairs) {
            match members.iter_mut().find(|(other, _)| *other == member) {
                Some(found) => found.1 = score,
                None => members.push((member, score)),
            }
        }
        members.sort_unstable_by(|a, b| compare((a.1, a.0), (b.1, b.0)));
        members.iter().for_each(|(member, score)| pack_member(&mut payload, member, *score));
    }
    let count = packed_members(&payload).count();
    let (space, key, kind) = (place.space, place.key, Kind::SortedSet);
    (Entry::new(&Parts { space, key, expire: None, kind, payload: &payload }, clock), count)
}

fn set_scores(
    entry: &mut Entry,
    pairs: List<'_>,
    limits: Limits,
    mut kept: Option<&mut Vec<ZsetInverse>>,
) -> usize {
    let mut created = 0;
    for (member, score) in ZsetChange::pairs_of(pairs) {
        if entry.kind() == Kind::SortedSet {
            if let Some(new) = set_packed(entry, member, score, limits) {
                created += usize::from(new);
                continue;
            }
            make_big(entry);
        }
        let Some(Object::Zset(big)) = entry.object_mut() else { return created };
        let before = match &mut kept {
            Some(kept) => big.set_kept(member, score, kept),
            None => big.set(member, score),
        };
        created += usize::from(before.is_none());
    }
    created
}

/// Sets one score in a packed sorted set, and returns whether the member is new. `None`, without a change, if the set
/// exceeds the limits of the packed form.
fn set_packed(entry: &mut Entry, member: &[u8], score: f64, limits: Limits) -> Option<bool> {
    let ValueRef::Zset(packed) = entry.value() else { return Some(false) };
    let mut count = 0;
    // The present position of the member, and its new position.
    let (mut old, mut target) = (None, None);
    for m in packed_members(packed) {
        count += 1;
        if m.member == member {
            old = Some(m.start..m.end);
        } else if target.is_none() && compare((score, member), (m.score, m.member)).is_lt() {
            target = Some(m.start);
        }
    }
    let is_new = old.is_none();
    // As in Redis, a new score of an existing member never converts the set, even if a limit was lowered.
    if is_new && (member.len() > limits.value || count >= limits.entries) {
        return None;
    }
    let mut target = target.unwrap_or(packed.len());
    let mut bytes = Vec::with_capacity(member.len() + 12);
    pack_member(&mut bytes, member, score);
    if let Some(old) = old {
        if old.start == target || old.end == target {
            // The member stays at its place.
            entry.splice(old.start, old.len(), bytes.len()).copy_from_slice(&bytes);
            return Some(false);
        }
        entry.splice(old.start, old.len(), 0);
        target -= if old.start < target { old.len() } else { 0 };
    }
    entry.splice(target, 0, bytes.len()).copy_from_slice(&bytes);
    Some(is_new)
}

fn delete(entry: &mut Entry, members: List<'_>, mut kept: Option<&mut Vec<ZsetInverse>>) -> usize {
    let mut removed = 0;
    for member in members.iter() {
        if let Some(Object::Zset(big)) = entry.object_mut() {
            let before = match &mut kept {
                Some(kept) => big.remove_kept(member, kept),
                None => big.remove(member),
            };
            removed += usize::from(before.is_some());
        } else if let ValueRef::Zset(packed) = entry.value()
            && let Some(m) = packed_find(packed, member)
        {
            let (start, len) = (m.start, m.end - m.start);
            entry.splice(start, len, 0);
            removed += 1;
        }
    }
    removed
}

fn delete_range(entry: &mut Entry, from: usize, to: usize, kept: Option<&mut Vec<ZsetInverse>>) -> usize {
    if let Some(Object::Zset(big)) = entry.object_mut() {
        let before = big.len();
        match kept {
            Some(kept) => big.remove_range_kept(from, to, kept),
            None => big.remove_range(from, to, &mut |_, _| {}),
        }
        return before - big.len();
    }
    let ValueRef::Zset(packed) = entry.value() else { return 0 };
    let mut gone = packed_members(packed).skip(from).take(to - from);
    let Some(first) = gone.next() else { return 0 };
    let (start, mut end, mut removed) = (first.start, first.end, 1);
    for m in gone {
        (end, removed) = (m.end, removed + 1);
    }
    entry.splice(start, end - start, 0);
    removed
}

fn make_big(entry: &mut Entry) {
    let ValueRef::Zset(packed) = entry.value() else { return };
    let big = Box::new(Object::Zset(BigZset::from_packed(packed)));
    *entry = Entry::boxed(entry.space(), entry.key(), entry.expire(), big, entry.clock());
}
