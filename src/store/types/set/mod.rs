//! Effects on sets. A compact set is changed in place. A set of integers becomes a packed set with the first member
//! that is no integer. Both become indexed when they exceed their thresholds. No set becomes compact again.

mod image;
#[cfg(test)]
mod tests;

pub(super) use image::put_kept;
pub(in crate::store) use image::{SetReading, set_effects};

use crate::effect::{List, SetChange};
use crate::store::Locked;
use crate::store::ValueRef;
use crate::store::entry::{Entry, Kind, Parts};
use crate::store::object::Object;
use crate::store::place::Place;
use crate::store::reader::ValueChange;
use crate::text::parse_i64_strict;
use crate::value::packed::{fill_part, part_len, put_part};
use crate::value::parted;
use crate::value::set::{
    BigSet, Ints, MemberName, SetRef, empty_ints, fill_int, packed_member, packed_members,
};
use std::sync::atomic::Ordering::Relaxed;

type Inverse = parted::PartInverse<MemberName>;

/// The thresholds of the compact forms.
#[derive(Clone, Copy)]
struct Limits {
    ints: usize,
    entries: usize,
    value: usize,
}

impl Locked<'_> {
    /// Applies a change of a set. Returns how many members were added or removed.
    pub(in crate::store) fn set(&mut self, place: Place<'_>, change: &SetChange<'_>) -> usize {
        self.keep_for_image(place, ValueChange::Set(change));
        match *change {
            SetChange::Add { members } => self.set_add(place, members),
            SetChange::Delete { members } => self.set_delete(place, members),
        }
    }

    fn set_limits(&self) -> Limits {
        let thresholds = &self.store.thresholds;
        Limits {
            ints: thresholds.set_ints.load(Relaxed),
            entries: thresholds.set_entries.load(Relaxed),
            value: thresholds.set_value.load(Relaxed),
        }
    }

    /// Adds members. Returns how many of them are new.
    fn set_add(&mut self, place: Place<'_>, members: List<'_>) -> usize {
        let limits = self.set_limits();
        let mut kept = self.records_within(place).then(Vec::new);
        let added = if let Some(entry) = self.find(place) {
            make_ready(entry, members.len(), limits);
            add_members(entry, members.iter(), limits, kept.as_mut())
        } else {
            let clock = self.store.fresh_clock(self.now);
            let Some((entry, added)) = new_set(place, members, limits, clock) else { return 0 };
            self.insert(place, entry);
            added
        };
        self.record_members(place, kept);
        self.changed(place);
        added
    }

    /// Removes members, and the set with its last member. Returns how many were removed.
    fn set_delete(&mut self, place: Place<'_>, members: List<'_>) -> usize {
        let mut kept = self.records_within(place).then(Vec::new);
        let Some(entry) = self.find(place) else { return 0 };
        let removed = if let Some(Object::Set(big)) = entry.object_mut() {
            let gone = members.iter().filter(|name| match &mut kept {
                Some(kept) => big.remove_kept(name, kept),
                None => big.remove(name),
            });
            gone.count()
        } else {
            members.iter().filter(|name| remove_compact(entry, name)).count()
        };
        let empty = entry.value().set().is_some_and(|set| set.is_empty());
        self.record_members(place, kept);
        if empty {
            self.delete(place);
        } else {
            self.changed(place);
        }
        removed
    }

    /// Records what undoes changes of members.
    fn record_members(&mut self, place: Place<'_>, inverses: Option<Vec<Inverse>>) {
        if let Some(inverses) = inverses.filter(|inverses| !inverses.is_empty()) {
            self.record_within(place, inverses);
        }
    }
}

pub(super) fn take_back(entry: &mut Entry, inverses: Vec<Inverse>) {
    if let Some(Object::Set(big)) = entry.object_mut() {
        inverses.into_iter().rev().for_each(|inverse| big.revert(inverse));
    }
}

/// A set of these members, and their number; `None` if there are no members. As in Redis the number of given members,
/// even if some are the same, is compared with the threshold of the form that the first member would have.
fn new_set(place: Place<'_>, members: List<'_>, limits: Limits, clock: u32) -> Option<(Entry, usize)> {
    let first = members.iter().next()?;
    let number = parse_i64_strict(first).filter(|_| members.len() <= limits.ints);
    let mut payload = Vec::new();
    let kind = if let Some(n) = number {
        payload = empty_ints(n);
        payload.extend_from_slice(&[0; 8][..usize::from(payload[0])]);
        fill_int(&mut payload[1..], n);
        Kind::IntSet
    } else if members.len() <= limits.entries && first.len() <= limits.value {
        put_part(&mut payload, first);
        Kind::Set
    } else {
        let mut big = BigSet::default();
        for member in members.iter() {
            big.add(member);
        }
        let count = big.len();
        return Some((Entry::boxed(place.space, place.key, None, Box::new(Object::Set(big)), clock), count));
    };
    let parts = Parts { space: place.space, key: place.key, expire: None, kind, payload: &payload };
    let mut entry = Entry::new(&parts, clock);
    let more = add_members(&mut entry, members.iter().skip(1), limits, None);
    Some((entry, more + 1))
}

/// Indexes a compact set if more members are added at once than its form holds, as Redis does.
fn make_ready(entry: &mut Entry, more: usize, limits: Limits) {
    let most = if entry.kind() == Kind::IntSet { limits.ints } else { limits.entries };
    if more > most {
        make_big(entry);
    }
}

fn add_members<'m>(
    entry: &mut Entry,
    mut members: impl Iterator<Item = &'m [u8]>,
    limits: Limits,
    mut kept: Option<&mut Vec<Inverse>>,
) -> usize {
    let mut added = 0;
    let mut rest = None;
    if entry.kind() != Kind::Boxed {
        for member in members.by_ref() {
            let Some(new) = add_compact(entry, member, limits) else {
                make_big(entry);
                rest = Some(member);
                break;
            };
            added += usize::from(new);
        }
    }
    let Some(Object::Set(big)) = entry.object_mut() else { return added };
    let new = rest.into_iter().chain(members).filter(|member| match &mut kept {
        Some(kept) => big.add_kept(member, kept),
        None => big.add(member),
    });
    added + new.count()
}

/// Adds a member to a compact set, and returns whether it is new. `None`, without a change, if the set exceeds the
/// limits of the compact forms.
fn add_compact(entry: &mut Entry, member: &[u8], limits: Limits) -> Option<bool> {
    match entry.value() {
        ValueRef::Set(payload, true) => {
            let ints = Ints::of(payload);
            let Some(n) = parse_i64_strict(member) else {
                if ints.len() >= limits.entries || member.len().max(ints.longest_text()) > limits.value {
                    return None;
                }
                pack_ints(entry);
                return add_compact(entry, member, limits);
            };
            let Err(rank) = ints.find(n) else { return Some(false) };
            if ints.len() >= limits.ints {
                return None;
            }
            if !ints.holds(n) {
                let wider = ints.widened(n);
                entry.replace(Kind::IntSet, entry.expire(), &wider);
            }
            let ValueRef::Set(payload, true) = entry.value() else { return Some(false) };
            let (at, width) = Ints::of(payload).place(rank);
            fill_int(entry.splice(at, 0, width), n);
            Some(true)
        }
        ValueRef::Set(packed, false) => {
            let mut count = 0;
            if packed_members(packed).inspect(|_| count += 1).any(|there| there.name == member) {
                return Some(false);
            }
            if count >= limits.entries || member.len() > limits.value {
                return None;
            }
            let end = packed.len();
            fill_part(entry.splice(end, 0, part_len(member)), member);
            Some(true)
        }
        ValueRef::Str(_)
        | ValueRef::Hash(..)
        | ValueRef::Items(_)
        | ValueRef::List(_)
        | ValueRef::Zset(_)
        | ValueRef::Boxed(_) => Some(false),
    }
}

/// Removes a member of a compact set. Returns whether it existed.
fn remove_compact(entry: &mut Entry, member: &[u8]) -> bool {
    let found = match entry.value().set() {
        Some(SetRef::Ints(ints)) => {
            let rank = parse_i64_strict(member).and_then(|n| ints.find(n).ok());
            rank.map(|rank| ints.place(rank))
        }
        Some(SetRef::Packed(packed)) => {
            packed_member(packed, member).map(|found| (found.start, found.end - found.start))
        }
        Some(SetRef::Big(_)) | None => None,
    };
    let Some((at, len)) = found else { return false };
    entry.splice(at, len, 0);
    true
}

/// Converts a set of integers to a packed set.
fn pack_ints(entry: &mut Entry) {
    let ValueRef::Set(payload, true) = entry.value() else { return };
    let mut packed = Vec::new();
    for n in Ints::of(payload).iter() {
        put_part(&mut packed, itoa::Buffer::new().format(n).as_bytes());
    }
    let expire = entry.expire();
    entry.replace(Kind::Set, expire, &packed);
}

fn make_big(entry: &mut Entry) {
    let mut big = BigSet::default();
    match entry.value().set() {
        None | Some(SetRef::Big(_)) => return,
        Some(set) => {
            for member in set.iter() {
                member.with(|name| big.add(name));
            }
        }
    }
    let object = Box::new(Object::Set(big));
    *entry = Entry::boxed(entry.space(), entry.key(), entry.expire(), object, entry.clock());
}
