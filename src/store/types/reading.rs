//! What the types share for reading a value for an image.

use crate::effect::{Effect, HashChange, ItemChange, SetChange, StreamChange, StringChange};
use crate::store::ValueRef;

/// The most elements that are read in one hold; few under test, so that there are always several pieces.
pub(in crate::store) const PIECE: usize = if cfg!(test) { 16 } else { 4096 };
/// A piece ends when it has so many bytes, so it has at most so many and one element.
pub(in crate::store) const BYTES: usize = if cfg!(test) { 2048 } else { 256 << 10 };

/// Whether elements of these sizes need more than one piece.
pub(super) fn is_large(sizes: impl Iterator<Item = usize>) -> bool {
    let mut bytes = 0;
    sizes.enumerate().any(|(at, size)| {
        bytes += size;
        at >= PIECE || bytes > BYTES
    })
}

/// A change that is about to happen within a value.
#[derive(Clone, Copy)]
pub(in crate::store) enum Change<'c, 'a> {
    String(&'c StringChange<'a>),
    Hash(&'c HashChange<'a>),
    Set(&'c SetChange<'a>),
    Item(&'c ItemChange<'a>),
    Stream(&'c StreamChange<'a>),
}

/// Reads a large value in pieces, each under a hold of its own, as the value was when the reading began.
pub(in crate::store) trait Reader {
    /// Keeps the parts that a change is about to change, unless they were read or kept before.
    fn keep(&mut self, value: ValueRef<'_>, change: Change<'_, '_>);

    /// Appends the effects of the next piece, for a key of a database or a partition of a table. Returns whether it was
    /// the last.
    fn read(&mut self, value: ValueRef<'_>, number: u32, key: &[u8], out: &mut Vec<u8>) -> bool;

    /// Takes what was kept and has no place in the order of pieces.
    fn take_kept(&mut self) -> Kept {
        Kept::default()
    }
}

/// What was kept for a reader, to be written without a hold.
#[derive(Default)]
pub(in crate::store) enum Kept {
    #[default]
    Nothing,
    /// Fields of a hash, packed with deadlines.
    Fields(Vec<u8>),
    /// Members of a set, packed.
    Members(Vec<u8>),
}

/// Appends the effect that sets a key's deadline, if there is one.
pub(in crate::store) fn put_deadline(db: u32, key: &[u8], expire: Option<u64>, out: &mut Vec<u8>) {
    if expire.is_some() {
        Effect::Expire { db, key, at: expire }.encode(out);
    }
}
