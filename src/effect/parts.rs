//! Lists of byte strings in effects, and their bytes.

use crate::value::packed::{put_part, put_varint_to, read_part, varint_len};

/// A list of byte strings, borrowed either from a command's arguments or from a record.
#[derive(Clone, Copy, Debug)]
pub enum List<'a> {
    /// Borrowed arguments.
    Slices(&'a [&'a [u8]]),
    /// `count` parts of `(varint length, bytes)`.
    Packed {
        /// The bytes of all parts.
        bytes: &'a [u8],
        /// The number of parts.
        count: usize,
    },
}

impl<'a> List<'a> {
    /// The number of byte strings.
    pub fn len(&self) -> usize {
        match self {
            Self::Slices(s) => s.len(),
            Self::Packed { count, .. } => *count,
        }
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Walks the byte strings.
    pub fn iter(&self) -> ListIter<'a> {
        ListIter { list: *self, at: 0 }
    }

    /// Appends their number and their bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint_to(out, self.len());
        match self {
            Self::Packed { bytes, .. } => put_part(out, bytes),
            Self::Slices(slices) => {
                put_varint_to(out, slices.iter().map(|s| s.len() + varint_len(s.len())).sum());
                slices.iter().for_each(|s| put_part(out, s));
            }
        }
    }
}

impl PartialEq for List<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// Walks a [`List`].
#[derive(Clone)]
pub struct ListIter<'a> {
    list: List<'a>,
    at: usize,
}

impl<'a> Iterator for ListIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        match self.list {
            List::Slices(s) => {
                let item = s.get(self.at)?;
                self.at += 1;
                Some(item)
            }
            List::Packed { bytes, .. } => {
                if self.at >= bytes.len() {
                    return None;
                }
                let (part, next) = read_part(bytes, self.at);
                self.at = next;
                Some(part)
            }
        }
    }
}
