//! Reading a range of one partition's items. The caller holds the shard of the partition key.

use crate::engine::{ReadSource, Tx};
use crate::expr::BoundCondition;
use crate::item::{ItemKeys, ItemRef, KeyBytes, SortRange};
use crate::store::Locked;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

/// Reads a range of one partition's items in the order of their sort keys.
pub struct Query<'r> {
    /// The table or index.
    pub from: ReadSource<'r>,
    /// The encoded partition key.
    pub partition: &'r [u8],
    /// Which sort keys.
    pub range: &'r SortRange,
    /// Whether the order is descending.
    pub descending: bool,
    /// The page begins behind this encoded sort key; `None` for the first page.
    pub start: Option<&'r [u8]>,
    /// Most items looked at.
    pub limit: usize,
    /// A page ends with the item that fills this many bytes, by DynamoDB's rules of size.
    pub max_bytes: usize,
    /// What an item must satisfy to be shown.
    pub filter: Option<&'r BoundCondition>,
    /// Whether whole items are read through a local index.
    pub whole: bool,
}

/// What a query or scan read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Items shown.
    pub count: usize,
    /// Items looked at.
    pub scanned: usize,
    /// Their size in bytes by DynamoDB's rules; 0 if no page size asked for it to be counted.
    pub bytes: usize,
    /// Blocks of 4 KB that were read in addition for whole items through a local index. Each item is rounded up by
    /// itself.
    pub fetched: usize,
    /// The keys of the last item looked at, if a limit ended the page.
    pub last: Option<ItemKeys>,
    /// Whether there are items behind the page. If a limit ended the page at the very last item, `last` is set although
    /// `more` is false, as in DynamoDB.
    pub more: bool,
}

/// How the items of a page are read.
pub(super) struct Reader<'r> {
    pub(super) limit: usize,
    pub(super) max_bytes: usize,
    pub(super) filter: Option<&'r BoundCondition>,
}

impl Page {
    /// Takes the next item or entry, and the whole item of an entry if that is asked for. Returns whether it ends the
    /// page.
    pub(super) fn look_at(
        &mut self,
        item: ItemRef<'_>,
        whole: Option<ItemRef<'_>>,
        reader: &Reader<'_>,
        show: &mut dyn FnMut(ItemRef<'_>),
    ) -> bool {
        self.scanned += 1;
        if reader.max_bytes < usize::MAX {
            self.bytes += item.size();
        }
        if let Some(whole) = whole {
            self.fetched += whole.size().div_ceil(4096);
        }
        let item = whole.unwrap_or(item);
        if reader.filter.is_none_or(|filter| filter.holds(Some(item))) {
            self.count += 1;
            show(item);
        }
        self.scanned >= reader.limit || self.bytes >= reader.max_bytes
    }
}

impl<'r> Query<'r> {
    fn reader(&self) -> Reader<'r> {
        Reader { limit: self.limit, max_bytes: self.max_bytes, filter: self.filter }
    }
}

/// Runs a query: `show` is called with each item in turn. Cost: O(log n) to find the first item, then linear in the
/// items looked at.
pub fn query(tx: &Tx<'_>, query: &Query<'_>, show: &mut dyn FnMut(ItemRef<'_>)) -> Page {
    let mut page = Page::default();
    let Some(items) = tx.collection(query.from.space(), query.partition) else { return page };
    let (low, high) = bounds(query);
    let now = tx.now();
    for (sort, bytes) in items.range(low, high, query.descending) {
        let Some(item) = query.from.live(bytes, now) else { continue };
        if page.last.is_some() {
            page.more = true;
            break;
        }
        let whole =
            query.whole.then(|| whole_item(tx.locked(), &query.from, query.partition, sort)).flatten();
        if page.look_at(item, whole, &query.reader(), show) {
            let pk = KeyBytes::from_slice(query.partition);
            page.last = Some(ItemKeys { pk, sk: KeyBytes::from_slice(sort) });
        }
    }
    page
}

/// The item of a local index's entry. Both are in the same shard.
pub(super) fn whole_item<'l>(
    locked: &'l Locked<'_>,
    from: &ReadSource<'_>,
    partition: &[u8],
    entry: &[u8],
) -> Option<ItemRef<'l>> {
    let index = from.index.filter(|index| index.schema.local)?;
    let sort = index.schema.table_sort_key(entry)?;
    let found = locked.peek(from.table.id, partition, locked.store().hash(partition))?;
    Some(ItemRef::from_bytes_unchecked(found.value().items()?.get(sort)?))
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
