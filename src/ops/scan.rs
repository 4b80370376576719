//! Reading a whole table, or a segment of it, page by page.

use super::query::{Page, Reader, whole_item};
use crate::engine::{ReadSource, Tx};
use crate::expr::BoundCondition;
use crate::item::{ItemKeys, ItemRef, KeyBytes};
use crate::store::walk_order;
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::ControlFlow::{Break, Continue};

/// One of several equal parts of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number, from 0.
    pub number: u32,
    /// How many there are; at least 1.
    pub total: u32,
}

impl Segment {
    /// The whole table.
    pub const WHOLE: Self = Self { number: 0, total: 1 };

    /// Whether a place in the order of partitions lies in it.
    pub fn contains(self, order: u64) -> bool {
        let (from, to) = self.bounds();
        (from..=to).contains(&order)
    }

    /// The range of the partitions' order that it covers.
    fn bounds(self) -> (u64, u64) {
        let edge = |number: u32| (u128::from(number) << 64) / u128::from(self.total.max(1));
        (edge(self.number) as u64, (edge(self.number + 1) - 1) as u64)
    }
}

/// Reads a table's items, partition by partition in an order of the store's own.
pub struct Scan<'r> {
    /// The table or index.
    pub from: ReadSource<'r>,
    /// Which part of it.
    pub segment: Segment,
    /// The page begins behind these keys; `None` for the first page.
    pub start: Option<&'r ItemKeys>,
    /// Most items looked at.
    pub limit: usize,
    /// A page ends with the item that fills this many bytes, by DynamoDB's rules of size.
    pub max_bytes: usize,
    /// What an item must satisfy to be shown.
    pub filter: Option<&'r BoundCondition>,
    /// Whether whole items are read through a local index.
    pub whole: bool,
}

/// Runs a scan: `show` is called with each item in turn. Consecutive pages show an item that exists during the whole
/// scan exactly once. Shards are locked one at a time, unless the transaction holds them all. Linear in the items
/// looked at.
pub fn scan(tx: &Tx<'_>, scan: &Scan<'_>, show: &mut dyn FnMut(ItemRef<'_>)) -> Page {
    let mut page = Page::default();
    let store = &tx.engine().store;
    let reader = Reader { limit: scan.limit, max_bytes: scan.max_bytes, filter: scan.filter };
    let (mut from, to) = scan.segment.bounds();
    if let Some(start) = scan.start {
        from = from.max(walk_order(store.hash(&start.pk)));
        if from > to {
            return page;
        }
    }
    let now = tx.now();
    store.walk(tx.locked(), scan.from.space(), (from, to), &mut |locked, entry| {
        let Some(items) = entry.value().items() else { return Continue(()) };
        let low = match scan.start {
            Some(start) if start.pk.as_slice() == entry.key() => Excluded(start.sk.as_slice()),
            _ => Unbounded,
        };
        for (sort, bytes) in items.range(low, Unbounded, false) {
            let Some(item) = scan.from.live(bytes, now) else { continue };
            if page.last.is_some() {
                page.more = true;
                return Break(());
            }
            let whole = scan.whole.then(|| whole_item(locked, &scan.from, entry.key(), sort)).flatten();
            if page.look_at(item, whole, &reader, show) {
                let pk = KeyBytes::from_slice(entry.key());
                page.last = Some(ItemKeys { pk, sk: KeyBytes::from_slice(sort) });
            }
        }
        Continue(())
    });
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cover_the_order_without_gap_or_overlap() {
        for total in [1, 2, 3, 7, 1000, 1_000_000] {
            let mut next = 0_u64;
            for number in (0..total).take(50) {
                let (from, to) = Segment { number, total }.bounds();
                assert_eq!(from, next, "{number} of {total}");
                assert!(to >= from);
                next = to.wrapping_add(1);
            }
            assert_eq!(Segment { number: total - 1, total }.bounds().1, u64::MAX);
        }
    }
}
