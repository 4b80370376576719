//! The reader of large hashes and sets, whose elements have names.
//!
//! Elements move within the value when others are added or removed, so a change cannot find out whether an element was
//! read already. The image then has such an element twice, in the same state.

use super::reading::{BYTES, PIECE, is_large};
use crate::effect::List;
use crate::value::parted::{Part, Parted};
use ahash::AHashSet;

/// The number of elements that one step looks at.
const FEW: usize = 4;

/// The most elements of a large value in one effect.
pub(super) const IN_EFFECT: usize = 512;

/// The elements of a large value as the reader uses them.
pub(super) trait Walked: Part {
    /// An element's name.
    fn name<'e>(element: &'e Self::Ref<'_>) -> &'e [u8];

    /// The bytes of an element.
    fn size(element: &Self::Ref<'_>) -> usize;

    /// Appends an element to the elements that are kept.
    fn pack(element: &Self::Ref<'_>, kept: &mut Vec<u8>);

    /// Appends the effects that put elements at a key.
    fn put<'a>(db: u32, key: &[u8], elements: impl Iterator<Item = Self::Ref<'a>>, out: &mut Vec<u8>)
    where
        Self: 'a;
}

/// How far a value was read.
#[derive(Default)]
pub(in crate::store) struct Walk {
    /// The cursor of the value's own walk.
    cursor: u64,
    /// The names of elements that have changed since the hold. What the value has at these names is not part of the
    /// image.
    changed: AHashSet<Box<[u8]>>,
    /// The former state of the elements among them that existed, until the reader takes it.
    before: Vec<u8>,
}

impl Walk {
    /// `None` if the value is small.
    pub(super) fn of<P: Walked>(value: &Parted<P>) -> Option<Self> {
        is_large(value.iter().map(|element| P::size(&element))).then(Self::default)
    }

    /// Keeps elements that are about to change.
    pub(super) fn keep<'n, P: Walked>(&mut self, value: &Parted<P>, names: impl Iterator<Item = &'n [u8]>) {
        for name in names {
            if self.changed.contains(name) {
                continue;
            }
            self.changed.insert(name.into());
            if let Some(element) = value.get(name) {
                P::pack(&element, &mut self.before);
            }
        }
    }

    /// Reads the next piece. Returns whether it was the last.
    pub(super) fn read<P: Walked>(
        &mut self,
        value: &Parted<P>,
        db: u32,
        key: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let (mut unchanged, mut count, mut bytes) = (Vec::new(), 0, 0);
        while count < PIECE && bytes < BYTES {
            let step = value.step(self.cursor, FEW);
            for element in value.in_step(step) {
                (count, bytes) = (count + 1, bytes + P::size(&element));
                if !self.changed.contains(P::name(&element)) {
                    unchanged.push(element);
                }
            }
            self.cursor = step.next();
            if self.cursor == 0 {
                break;
            }
        }
        P::put(db, key, unchanged.into_iter(), out);
        self.cursor == 0
    }

    pub(super) fn take_kept(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.before)
    }
}

/// Calls `then` with lists of at most `most` names each.
pub(super) fn in_lists<'a>(
    names: impl Iterator<Item = &'a [u8]>,
    most: usize,
    mut then: impl FnMut(List<'_>),
) {
    let mut names = names.peekable();
    while names.peek().is_some() {
        let list: Vec<&[u8]> = names.by_ref().take(most).collect();
        then(List::Slices(&list));
    }
}
