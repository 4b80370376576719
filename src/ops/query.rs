//! Reading a range of one partition's items. The caller holds the shard of the partition key.

use crate::engine::{Table, Tx};
use crate::expr::BoundCondition;
use crate::item::{ItemRef, KeyBytes, SortRange};
use std::ops::Bound::{self, Excluded, Included, Unbounded};

/// Reads a range of one partition's items in the order of their sort keys.
pub struct Query<'r> {
    /// The table.
    pub table: &'r Table,
    /// The encoded partition key.
    pub partition: &'r [u8],
    /// Which sort keys.
    pub range: &'r SortRange,
    /// Whether the order is descending.
    pub descending: bool,
    /// The encoded sort key behind which to go on, if this is not the first page.
    pub start: Option<&'r [u8]>,
    /// Most items looked at.
    pub limit: usize,
    /// A page ends with the item that fills this many bytes, by DynamoDB's rules of size.
    pub max_bytes: usize,
    /// What an item must satisfy to be shown.
    pub filter: Option<&'r BoundCondition>,
}

/// What a query read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Items shown.
    pub count: usize,
    /// Items looked at.
    pub scanned: usize,
    /// Their size in bytes by DynamoDB's rules; 0 if no page size asked for it to be counted.
    pub bytes: usize,
    /// The sort key of the last item looked at, where the page ended before the range did.
    pub last: Option<KeyBytes>,
    /// Whether the range has items behind the page. A page that ended just at the range's end has `last` all the same,
    /// as DynamoDB has it.
    pub more: bool,
}

/// Runs a query: `show` is called with each item in turn. Cost: O(log n) to find the first item, then linear in the items
/// looked at.
pub fn query(tx: &Tx<'_>, query: &Query<'_>, show: &mut dyn FnMut(ItemRef<'_>)) -> Page {
    let mut page = Page::default();
    let Some(items) = tx.items(query.table, query.partition) else { return page };
    let (low, high) = bounds(query);
    let now = tx.now();
    for (sort, bytes) in items.range(low, high, query.descending) {
        let item = ItemRef::from_bytes_unchecked(bytes);
        if query.table.expired(&item, now) {
            continue;
        }
        if page.last.is_some() {
            page.more = true;
            break;
        }
        page.scanned += 1;
        if query.max_bytes < usize::MAX {
            page.bytes += item.size();
        }
        if query.filter.is_none_or(|filter| filter.holds(Some(item))) {
            page.count += 1;
            show(item);
        }
        if page.scanned >= query.limit || page.bytes >= query.max_bytes {
            page.last = Some(KeyBytes::from_slice(sort));
        }
    }
    page
}

/// The range behind the start key.
fn bounds<'r>(query: &Query<'r>) -> (Bound<&'r [u8]>, Bound<&'r [u8]>) {
    let low = query.range.lower.as_ref().map(KeyBytes::as_slice);
    let high = query.range.upper.as_ref().map(KeyBytes::as_slice);
    let Some(start) = query.start else { return (low, high) };
    if query.descending {
        let nearer = match high {
            Included(high) | Excluded(high) => start < high,
            Unbounded => true,
        };
        (low, if nearer || high == Included(start) { Excluded(start) } else { high })
    } else {
        let nearer = match low {
            Included(low) | Excluded(low) => start > low,
            Unbounded => true,
        };
        (if nearer || low == Included(start) { Excluded(start) } else { low }, high)
    }
}
