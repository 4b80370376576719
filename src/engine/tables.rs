//! The tables that exist: names, ids, schemas.

use crate::effect::{Effect, EffectError};
use crate::item::{ItemRef, TableSchema};
use crate::store::collection::packed_items;
use crate::store::{Entry, Object, ValueRef};
use ahash::AHashMap;
use parking_lot::RwLock;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One table.
pub struct Table {
    /// The id, which is also the space its partitions live in.
    pub id: u32,
    /// The name.
    pub name: String,
    /// When it was created, in ms since the epoch.
    pub created: u64,
    /// The schema.
    pub schema: TableSchema,
    /// What it holds.
    pub counts: Arc<TableCounts>,
}

/// What a table holds; survives changes of its schema.
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

#[derive(Default)]
struct Inner {
    by_name: AHashMap<String, Arc<Table>>,
    by_id: AHashMap<u32, Arc<Table>>,
}

/// All tables. They change only while every shard is locked, so what a transaction looked up stays true under its locks.
#[derive(Default)]
pub struct Tables(RwLock<Inner>);

impl Tables {
    /// The table of a name.
    pub fn get(&self, name: &str) -> Option<Arc<Table>> {
        self.0.read().by_name.get(name).cloned()
    }

    /// The table of an id.
    pub fn by_id(&self, id: u32) -> Option<Arc<Table>> {
        self.0.read().by_id.get(&id).cloned()
    }

    /// All tables in the order of their names.
    pub fn list(&self) -> Vec<Arc<Table>> {
        let mut all: Vec<_> = self.0.read().by_name.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Applies the creation, change or removal of a table; other effects do nothing here.
    pub(super) fn apply(&self, effect: &Effect<'_>) -> Result<(), EffectError> {
        match *effect {
            Effect::TablePut { table, created, name, schema } => {
                let schema = TableSchema::from_bytes(schema).map_err(|_| EffectError::Malformed)?;
                let name = String::from_utf8(name.to_vec()).map_err(|_| EffectError::Malformed)?;
                let mut inner = self.0.write();
                let counts = inner.by_id.get(&table).map(|old| Arc::clone(&old.counts)).unwrap_or_default();
                let table = Arc::new(Table { id: table, name, created, schema, counts });
                inner.by_name.insert(table.name.clone(), Arc::clone(&table));
                inner.by_id.insert(table.id, table);
            }
            Effect::TableDrop { table } => {
                let mut inner = self.0.write();
                if let Some(table) = inner.by_id.remove(&table) {
                    inner.by_name.remove(&table.name);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The effects that make these tables, for a checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for table in self.list() {
            let schema = table.schema.to_bytes();
            let (name, created) = (table.name.as_bytes(), table.created);
            Effect::TablePut { table: table.id, created, name, schema: &schema }.encode(out);
        }
    }
}

/// The number of items in a partition and their size in bytes, by DynamoDB's rules.
pub(super) fn measure(entry: &Entry) -> (i64, i64) {
    let size = |item: &[u8]| ItemRef::from_bytes_unchecked(item).size() as i64;
    match entry.value() {
        ValueRef::Items(packed) => {
            packed_items(packed).fold((0, 0), |(n, bytes), e| (n + 1, bytes + size(e.item)))
        }
        ValueRef::Boxed(Object::Items(items)) => items
            .range(Bound::Unbounded, Bound::Unbounded)
            .fold((0, 0), |(n, bytes), (_, item)| (n + 1, bytes + size(item))),
        _ => (0, 0),
    }
}
