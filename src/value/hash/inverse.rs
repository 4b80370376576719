//! Changes of a large hash that can be taken back, so exactly that walks go on as if nothing had happened: fields,
//! their order and their distribution over parts are afterwards what they were.

use super::BigHash;
use super::part::Field;

/// What takes one change back. Changes are taken back from the last to the first.
pub struct Inverse(Step);

enum Step {
    /// A field had this block in a part.
    Set(usize, Field),
    /// A field was added behind the others of a part.
    Added(usize),
    /// A field was taken out of a part, where the last one has its place now.
    Removed { part: usize, index: usize, field: Field },
    /// A part was added; which fields of the one before moved to it.
    Split(Vec<bool>),
}

impl BigHash {
    /// As [`BigHash::set`], and adds what takes it back.
    pub fn set_kept(
        &mut self,
        name: &[u8],
        value: &[u8],
        expire: u64,
        kept: &mut Vec<Inverse>,
    ) -> Option<u64> {
        let part = self.part_of(name);
        if let Some(old) = self.change(part, |part| part.exchange(Field::new(name, value, expire))) {
            let before = old.expire();
            kept.push(Inverse(Step::Set(part, old)));
            return Some(before);
        }
        self.change(part, |part| part.set(name, value, expire));
        kept.push(Inverse(Step::Added(part)));
        if let Some(moved) = self.split_if_full() {
            kept.push(Inverse(Step::Split(moved)));
        }
        None
    }

    /// As [`BigHash::set_expire`], and adds what takes it back.
    pub fn set_expire_kept(&mut self, name: &[u8], expire: u64, kept: &mut Vec<Inverse>) -> bool {
        let part = self.part_of(name);
        let Some(field) = self.get(name).map(|f| Field::new(f.name, f.value, expire)) else { return false };
        let old = self.change(part, |part| part.exchange(field));
        kept.extend(old.map(|old| Inverse(Step::Set(part, old))));
        true
    }

    /// As [`BigHash::remove`], and adds what takes it back.
    pub fn remove_kept(&mut self, name: &[u8], kept: &mut Vec<Inverse>) -> Option<u64> {
        let part = self.part_of(name);
        let (index, field) = self.change(part, |part| part.take(name))?;
        let before = field.expire();
        kept.push(Inverse(Step::Removed { part, index, field }));
        Some(before)
    }

    /// Takes a change back, all later ones having been taken back.
    pub fn revert(&mut self, inverse: Inverse) {
        match inverse.0 {
            Step::Set(part, old) => drop(self.change(part, |part| part.exchange(old))),
            Step::Added(part) => self.change(part, |part| part.drop_last()),
            Step::Removed { part, index, field } => {
                self.change(part, |part| part.put_back(index, field));
            }
            Step::Split(moved) => self.unsplit(&moved),
        }
    }
}
