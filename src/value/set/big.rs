//! The large form: members in parts, which are split one after the other as the set grows.

use super::members::{MemberName, Members};
use crate::value::parted::{PartInverse, Parted};

/// A set above the thresholds of the compact forms. A member takes about 22 bytes beside its name, spare room included.
pub type BigSet = Parted<Members>;

impl BigSet {
    /// Whether a member exists. O(1).
    #[inline]
    pub fn contains(&self, name: &[u8]) -> bool {
        self.get(name).is_some()
    }

    /// Adds a member. Returns whether it is new. O(1) amortised; at most one part is split or grows, which takes some
    /// 0.2 ms.
    pub fn add(&mut self, name: &[u8]) -> bool {
        let new = self.change(self.part_of(name), |part| part.add(name));
        if new {
            self.split_if_full();
        }
        new
    }

    /// Removes a member. Returns whether it existed. O(1) amortised.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        self.take(name).is_some()
    }

    /// As [`BigSet::add`]; also adds to `kept` what undoes the change.
    pub fn add_kept(&mut self, name: &[u8], kept: &mut Vec<PartInverse<MemberName>>) -> bool {
        let part = self.part_of(name);
        let new = self.change(part, |part| part.add(name));
        if new {
            self.added_kept(part, kept);
        }
        new
    }

    /// As [`BigSet::remove`]; also adds to `kept` what undoes the change.
    pub fn remove_kept(&mut self, name: &[u8], kept: &mut Vec<PartInverse<MemberName>>) -> bool {
        self.take_kept(name, kept)
    }
}
