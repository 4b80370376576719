//! One table: its schema, its indexes, and when its items expire.

use super::build::Build;
use crate::item::{IndexSchema, ItemRef, Number, TableSchema, Template, entry_item};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One table.
pub struct Table {
    /// The id, which is also the space of the table's partitions.
    pub id: u32,
    /// The name.
    pub name: String,
    /// When it was created, in ms since the epoch.
    pub created: u64,
    /// The schema.
    pub schema: TableSchema,
    /// The schema's template of key names, parsed.
    pub template: Option<Template>,
    /// The counts of its items.
    pub counts: Arc<TableCounts>,
    /// Its secondary indexes.
    pub indexes: Vec<Index>,
    /// The name of its change stream, whether or not it has one.
    pub stream_key: Box<[u8]>,
}

/// A secondary index of a table.
pub struct Index {
    /// Its definition.
    pub schema: IndexSchema,
    /// The counts of its entries.
    pub counts: Arc<TableCounts>,
    /// How far the items that were there before the index have been entered.
    pub build: Arc<Build>,
}

impl Index {
    /// An index of a changed schema. It keeps its counts, and how far it is filled, unless its entries must be written
    /// again.
    pub(super) fn new(schema: &IndexSchema, old: Option<&Table>, same_entries: bool) -> Self {
        let old = old.and_then(|old| old.indexes.iter().find(|index| index.schema.space == schema.space));
        let counts = old.map(|old| Arc::clone(&old.counts)).unwrap_or_default();
        let build = old.filter(|_| same_entries).map(|old| Arc::clone(&old.build)).unwrap_or_default();
        Self { schema: schema.clone(), counts, build }
    }
}

/// As in DynamoDB, a number that lies more than so many seconds in the past is no expiry time.
const OLDEST_EXPIRY: u64 = 5 * 365 * 24 * 60 * 60;

impl Table {
    /// When an item expires, in ms since the epoch, if its TTL attribute holds a time.
    #[inline]
    pub fn deadline(&self, item: &ItemRef<'_>, now: u64) -> Option<u64> {
        self.expiry(item).filter(|at| is_time(*at, now))
    }

    /// The number in an item's TTL attribute as ms since the epoch, even if it is not a time at which items expire.
    pub(super) fn expiry(&self, item: &ItemRef<'_>) -> Option<u64> {
        seconds_to_millis(item.get(self.schema.ttl.as_ref()?)?.as_number()?)
    }

    /// Whether a change of an item can reach beyond the shard of its key.
    pub fn reaches_afar(&self) -> bool {
        self.schema.stream().is_some() || self.indexes.iter().any(|index| !index.schema.local)
    }

    /// The index of a name.
    pub fn index(&self, name: &[u8]) -> Option<&Index> {
        self.indexes.iter().find(|index| index.schema.name.as_bytes() == name)
    }

    /// Whether an item has expired.
    #[inline]
    pub fn expired(&self, item: &ItemRef<'_>, now: u64) -> bool {
        self.schema.ttl.is_some() && self.deadline(item, now).is_some_and(|at| at <= now)
    }
}

/// Whether a number is a time at which items expire.
fn is_time(at: u64, now: u64) -> bool {
    at > now.saturating_sub(OLDEST_EXPIRY * 1000)
}

/// What a read reads: a table, or one of its indexes.
#[derive(Clone, Copy)]
pub struct ReadSource<'t> {
    /// The table.
    pub table: &'t Table,
    /// The index.
    pub index: Option<&'t Index>,
}

impl<'t> ReadSource<'t> {
    /// A table itself.
    pub fn table(table: &'t Table) -> Self {
        Self { table, index: None }
    }

    /// A table, or its index with a number that [`ReadSource::index_number`] gave.
    pub fn numbered(table: &'t Table, index: Option<usize>) -> Self {
        Self { table, index: index.and_then(|number| table.indexes.get(number)) }
    }

    /// The index's number among the table's.
    pub fn index_number(&self) -> Option<usize> {
        let index = self.index?;
        self.table.indexes.iter().position(|other| std::ptr::eq(other, index))
    }

    /// The space of the table's or index's entries.
    pub fn space(&self) -> u32 {
        self.index.map_or(self.table.id, |index| index.schema.space)
    }

    /// The item in an entry's bytes, if it has not expired.
    #[inline]
    pub fn live<'b>(&self, bytes: &'b [u8], now: u64) -> Option<ItemRef<'b>> {
        if self.index.is_none() {
            let item = ItemRef::from_bytes_unchecked(bytes);
            return (!self.table.expired(&item, now)).then_some(item);
        }
        let (expiry, item) = entry_item(bytes);
        let expired = self.table.schema.ttl.is_some() && expiry != 0 && expiry <= now && is_time(expiry, now);
        (!expired).then_some(item)
    }
}

fn seconds_to_millis(seconds: Number) -> Option<u64> {
    match seconds.as_i64() {
        Some(seconds) => u64::try_from(seconds).ok().map(|seconds| seconds.saturating_mul(1000)),
        None if seconds.is_negative() => None,
        None => {
            let (_, coefficient, exponent) = seconds.parts();
            let scale = 10_u128.checked_pow((exponent + 3).unsigned_abs());
            let millis = match scale {
                Some(scale) if exponent <= -3 => coefficient.div_ceil(scale),
                Some(scale) => coefficient.saturating_mul(scale),
                // More digits than a number has: the value is below 1, or far too large.
                None => {
                    if exponent < 0 {
                        1
                    } else {
                        u128::MAX
                    }
                }
            };
            Some(u64::try_from(millis).unwrap_or(u64::MAX))
        }
    }
}

/// The counts of a table or an index, which survive changes of the schema.
#[derive(Default)]
pub struct TableCounts {
    /// The number of items.
    pub items: AtomicU64,
    /// The size of all items in bytes, by DynamoDB's rules.
    pub bytes: AtomicU64,
}

impl TableCounts {
    /// Adds differences, which may be negative.
    pub fn add(&self, items: i64, bytes: i64) {
        self.items.fetch_add(items as u64, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }
}
