//! Keys whose names contain elements.

use crate::engine::Tx;
use crate::store::{Entry, ValueRef};

/// The pattern that means the element itself.
pub(super) const ITSELF: &[u8] = b"#";

/// What a pattern means for an element: `#` is the element itself; else the first `*` stands for the element in the
/// name of a string, or before `->` in that of a hash, of which the field behind it is meant. Nothing if there is none.
pub(super) fn look_up<'t>(tx: &'t Tx<'_>, pattern: &[u8], element: &'t [u8]) -> Option<&'t [u8]> {
    if pattern == ITSELF {
        return Some(element);
    }
    at_key(tx, pattern, element)
}

/// The value of a pattern other than `#` for an element.
pub(super) fn at_key<'t>(tx: &'t Tx<'_>, pattern: &[u8], element: &[u8]) -> Option<&'t [u8]> {
    let place = memchr::memchr(b'*', pattern)?;
    let (before, behind) = (&pattern[..place], &pattern[place + 1..]);
    let arrow = memchr::memmem::find(behind, b"->").filter(|at| at + 2 < behind.len());
    let (behind, field) = arrow.map_or((behind, None), |at| (&behind[..at], Some(&behind[at + 2..])));
    let value = tx.entry(&[before, element, behind].concat()).map(Entry::value)?;
    match (value, field) {
        (ValueRef::Str(bytes), None) => Some(bytes),
        (value, Some(field)) => value.hash()?.get(field, tx.now()).map(|field| field.value),
        (_, None) => None,
    }
}
