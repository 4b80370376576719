//! The indexed form: fields are kept in parts. As the hash grows, parts are split, one at a time.

use super::part::{Field, HashPart};
use super::{FieldRef, packed_fields, passed};
use crate::value::parted::{PartInverse, Parted, WalkStep};
use std::sync::Arc;

/// A hash above the compact thresholds. About 50 bytes a field beside its name and value, 43 more with a deadline.
pub type BigHash = Parted<HashPart>;

impl BigHash {
    /// Makes it from a packed hash.
    pub fn from_packed(packed: &[u8], ttl: bool) -> Self {
        let mut hash = Self::default();
        for f in packed_fields(packed, ttl) {
            hash.set(f.name, f.value, f.expire);
        }
        hash
    }

    /// The number of fields that have a deadline.
    pub fn with_deadline(&self) -> usize {
        self.whole().fields()
    }

    /// The earliest deadline. O(log n).
    pub fn deadline(&self) -> Option<u64> {
        self.whole().first()
    }

    /// Whether any field is live. O(log n); O(parts) if all fields have a deadline and many have expired.
    pub fn any_live(&self, now: u64) -> bool {
        self.with_deadline() < self.len()
            || self.parts().iter().any(|part| part.last().is_some_and(|at| at > now))
    }

    /// The number of fields that have not expired. O(log n + expired fields).
    pub fn live_len(&self, now: u64) -> usize {
        self.len() - self.due_parts(now).map(|part| part.expired_places(now).count()).sum::<usize>()
    }

    fn due_parts(&self, now: u64) -> impl Iterator<Item = &HashPart> {
        self.whole().parts_due(now).filter_map(|part| self.parts().get(part)).map(Arc::as_ref)
    }

    /// The expired fields, earliest first within a part. O(log n + what is taken).
    pub fn expired(&self, now: u64) -> impl Iterator<Item = FieldRef<'_>> {
        self.due_parts(now).flat_map(move |part| part.expired_fields(now))
    }

    /// Sets a field and its deadline (0 for none). Returns the field's old deadline, or `None` if the field is new.
    /// O(1) amortised (at most one part is split or grows, some 0.5 ms), O(log n) with deadlines.
    pub fn set(&mut self, name: &[u8], value: &[u8], expire: u64) -> Option<u64> {
        let before = self.change(self.part_of(name), |part| part.set(name, value, expire));
        if before.is_none() {
            self.split_if_full();
        }
        before
    }

    /// Sets only the deadline of a field (0 for none); returns whether the field exists. O(log n).
    pub fn set_expire(&mut self, name: &[u8], expire: u64) -> bool {
        self.change(self.part_of(name), |part| part.set_expire(name, expire))
    }

    /// Removes a field. Returns the field's deadline, or `None` if there was no such field. O(1), O(log n) with
    /// deadlines.
    pub fn remove(&mut self, name: &[u8]) -> Option<u64> {
        self.take(name).map(|field| field.expire())
    }

    /// The live fields of a step.
    pub fn live_in(&self, step: WalkStep, now: u64) -> impl Iterator<Item = FieldRef<'_>> {
        self.in_step(step).filter(move |f| !passed(f.expire, now))
    }
}

/// Changes that can be taken back.
impl BigHash {
    /// As [`BigHash::set`]; pushes the inverse change to `kept`.
    pub fn set_kept(
        &mut self,
        name: &[u8],
        value: &[u8],
        expire: u64,
        kept: &mut Vec<PartInverse<Field>>,
    ) -> Option<u64> {
        let part = self.part_of(name);
        let before = self.get(name).map(|f| f.expire);
        if before.is_some() {
            self.exchange_kept(part, Field::new(name, value, expire), kept);
        } else {
            self.change(part, |part| part.set(name, value, expire));
            self.added_kept(part, kept);
        }
        before
    }

    /// As [`BigHash::set_expire`]; pushes the inverse change to `kept`.
    pub fn set_expire_kept(&mut self, name: &[u8], expire: u64, kept: &mut Vec<PartInverse<Field>>) -> bool {
        let part = self.part_of(name);
        let Some(field) = self.get(name).map(|f| Field::new(f.name, f.value, expire)) else { return false };
        self.exchange_kept(part, field, kept)
    }

    /// As [`BigHash::remove`]; pushes the inverse change to `kept`.
    pub fn remove_kept(&mut self, name: &[u8], kept: &mut Vec<PartInverse<Field>>) -> Option<u64> {
        let before = self.get(name).map(|f| f.expire);
        self.take_kept(name, kept);
        before
    }
}
