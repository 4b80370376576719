//! What the types share for reading a value for an image.

use crate::effect::Effect;

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

/// Appends the effect that sets a key's deadline, if there is one.
pub(in crate::store) fn put_deadline(db: u32, key: &[u8], expire: Option<u64>, out: &mut Vec<u8>) {
    if expire.is_some() {
        Effect::Expire { db, key, at: expire }.encode(out);
    }
}
