//! Writes elements of listpacks into replies.

use crate::resp::Reply;
use crate::value::listpack::Entry;

/// Writes an element of a listpack as a bulk string.
#[inline]
pub(super) fn element(out: &mut Reply, element: Entry<'_>) {
    match element {
        Entry::Int(number) => out.bulk_int(number),
        Entry::Str(bytes) => out.bulk(bytes),
    }
}
