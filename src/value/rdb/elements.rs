//! The elements of a list that was read.

use crate::value::listpack::{ListpackEntry, push_bytes, split_first};
use std::fmt;

/// The elements of a list, as entries of a listpack one behind the other: so a small element takes little more than its
/// bytes.
#[derive(Clone, PartialEq, Default)]
pub struct Elements(Vec<u8>);

impl Elements {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The elements, from the head on.
    pub fn iter(&self) -> impl Iterator<Item = ListpackEntry<'_>> + Clone {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (entry, size) = split_first(rest)?;
            rest = rest.get(size..)?;
            Some(entry)
        })
    }

    /// The entries.
    #[must_use]
    pub fn into_entries(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn push(&mut self, element: &[u8]) {
        push_bytes(&mut self.0, element);
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Elements {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut all = Self::default();
        elements.into_iter().for_each(|element| all.push(element.as_ref()));
        all
    }
}

impl fmt::Debug for Elements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|entry| entry.into_vec().escape_ascii().to_string())).finish()
    }
}
