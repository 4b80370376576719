//! Writes elements of listpacks into replies.

use crate::resp::Reply;
use crate::value::listpack::ListpackEntry;

/// Writes an element of a listpack as a bulk string.
#[inline]
pub(super) fn element(out: &mut Reply, element: ListpackEntry<'_>) {
    match element {
        ListpackEntry::Int(number) => out.bulk_int(number),
        ListpackEntry::Str(bytes) => out.bulk(bytes),
    }
}
