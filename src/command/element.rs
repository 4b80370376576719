//! Elements of packed sequences as replies.

use crate::resp::Reply;
use crate::value::listpack::Entry;

/// An element of a listpack, as the bytes that it stands for.
#[inline]
pub(super) fn element(out: &mut Reply, element: Entry<'_>) {
    match element {
        Entry::Int(number) => out.bulk_int(number),
        Entry::Str(bytes) => out.bulk(bytes),
    }
}
