//! Keys whose names contain elements.

use crate::engine::Tx;
use crate::store::{Entry, ValueRef};

/// The value of a pattern for an element. `#` is the element. In other patterns the element replaces the first `*`; the
/// result is the key of a string, or, before `->`, the key of a hash whose field follows. `None` if there is no such
/// value.
pub(super) fn look_up<'t>(tx: &'t Tx<'_>, pattern: &[u8], element: &'t [u8]) -> Option<&'t [u8]> {
    if pattern == b"#" {
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
