//! The large form: members in parts, which are split one after the other as the set grows.

use super::members::{Members, Name};
use crate::value::parted::{Inverse, Parted};

/// A set above the compact thresholds. About 22 bytes a member beside its name, of which some are not used yet.
pub type BigSet = Parted<Members>;

impl BigSet {
    /// Whether a member is there. O(1).
    #[inline]
    pub fn contains(&self, name: &[u8]) -> bool {
        self.get(name).is_some()
    }

    /// Adds a member; whether it was not there. O(1) amortised (at most one part is split or grows, some 0.2 ms).
    pub fn add(&mut self, name: &[u8]) -> bool {
        let new = self.change(self.part_of(name), |part| part.add(name));
        if new {
            self.split_if_full();
        }
        new
    }

    /// Removes a member; whether it was there. O(1) amortised.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        self.take(name).is_some()
    }

    /// As [`BigSet::add`], and adds what takes it back.
    pub fn add_kept(&mut self, name: &[u8], kept: &mut Vec<Inverse<Name>>) -> bool {
        let part = self.part_of(name);
        let new = self.change(part, |part| part.add(name));
        if new {
            self.added_kept(part, kept);
        }
        new
    }

    /// As [`BigSet::remove`], and adds what takes it back.
    pub fn remove_kept(&mut self, name: &[u8], kept: &mut Vec<Inverse<Name>>) -> bool {
        self.take_kept(name, kept)
    }
}
