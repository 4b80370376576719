//! Reading a large value for an image, whatever its type.

use super::ValueRef;
use crate::effect::{HashChange, ItemChange, SetChange, StreamChange, StringChange};
use crate::value::stream::StreamInverse;

/// A change that is about to happen within a value.
#[derive(Clone, Copy)]
pub(super) enum ValueChange<'c, 'a> {
    String(&'c StringChange<'a>),
    Hash(&'c HashChange<'a>),
    Set(&'c SetChange<'a>),
    Item(&'c ItemChange<'a>),
    Stream(&'c StreamChange<'a>),
}

/// Reads a large value in pieces, each under a hold of its own, as the value was when the reading began.
pub(super) trait PieceReader: Send {
    /// Keeps the parts that a change is about to change, unless they were read or kept before.
    fn keep(&mut self, value: ValueRef<'_>, change: ValueChange<'_, '_>);

    /// Appends the effects of the next piece, for a key of a database or a partition of a table. Returns whether it was
    /// the last.
    fn read(&mut self, value: ValueRef<'_>, number: u32, key: &[u8], out: &mut Vec<u8>) -> bool;

    /// Takes what was kept and has no place in the order of pieces.
    fn take_kept(&mut self) -> Kept {
        Kept::default()
    }

    /// Takes over what a change has removed from the value as a whole, once the change can no longer be undone. Only a
    /// stream loses parts of any size at once.
    fn take_over(&mut self, _left: StreamInverse) {}

    /// Learns that a change is undone, and that all later ones are too.
    fn is_taken_back(&mut self, _change: &StreamInverse) {}
}

/// What was kept for a reader, to be written without a hold.
#[derive(Default)]
pub(super) enum Kept {
    #[default]
    Nothing,
    /// Fields of a hash, packed with deadlines.
    Fields(Vec<u8>),
    /// Members of a set, packed.
    Members(Vec<u8>),
}
