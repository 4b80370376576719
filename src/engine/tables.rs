//! The tables that exist: names, ids, schemas.

use crate::effect::{Effect, EffectError};
use crate::item::{ItemRef, Number, TableSchema};
use crate::store::Entry;
use crate::store::collection::ItemsRef;
use ahash::AHashMap;
use parking_lot::{Mutex, RwLock};
use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

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

/// A number below the present by more than this many seconds is no expiry time but some other number, as in DynamoDB.
const OLDEST_EXPIRY: u64 = 5 * 365 * 24 * 60 * 60;

impl Table {
    /// When an item expires, in ms since the epoch, if its TTL attribute holds a time.
    #[inline]
    pub fn deadline(&self, item: &ItemRef<'_>, now: u64) -> Option<u64> {
        let at = seconds_to_millis(item.get(self.schema.ttl.as_ref()?)?.as_number()?)?;
        (at > now.saturating_sub(OLDEST_EXPIRY * 1000)).then_some(at)
    }

    /// Whether an item's time has come.
    #[inline]
    pub fn expired(&self, item: &ItemRef<'_>, now: u64) -> bool {
        self.schema.ttl.is_some() && self.deadline(item, now).is_some_and(|at| at <= now)
    }
}

fn seconds_to_millis(seconds: Number) -> Option<u64> {
    match seconds.as_i64() {
        Some(seconds) => u64::try_from(seconds).ok().map(|seconds| seconds.saturating_mul(1000)),
        None if seconds.is_negative() => None,
        // Fractions of milliseconds do not matter, and a conversion that saturates is late enough.
        None => seconds.to_string().parse::<f64>().ok().map(|seconds| (seconds * 1000.0).ceil() as u64),
    }
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

/// A table as one thread holds it: copies cost nothing that threads would share, which is what the second pointer is for.
#[allow(clippy::redundant_allocation)]
#[derive(Clone)]
pub struct LocalTable(Rc<Arc<Table>>);

impl Deref for LocalTable {
    type Target = Table;

    #[inline]
    fn deref(&self) -> &Table {
        &self.0
    }
}

/// Tables that a thread looked up last.
struct Recent {
    /// Whose tables they are, and at which generation.
    of: (u64, u64),
    tables: Vec<LocalTable>,
    next: usize,
}

/// How many tables a thread remembers.
const RECENT: usize = 8;

thread_local! {
    static LAST: RefCell<Recent> = const { RefCell::new(Recent { of: (0, 0), tables: Vec::new(), next: 0 }) };
}

/// Numbers for sets of tables, so that a thread that serves several engines does not mix them up.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// All tables. They change only while every shard is locked, so what a transaction looked up stays true under its locks.
pub struct Tables {
    id: u64,
    inner: RwLock<Inner>,
    generation: AtomicU64,
    /// Tables whose items' deadlines are to be worked out afresh.
    retime: Mutex<Vec<u32>>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            inner: RwLock::default(),
            generation: AtomicU64::new(0),
            retime: Mutex::default(),
        }
    }
}

impl Tables {
    /// The table of a name, from this thread's memory if it was looked up lately.
    #[inline]
    pub fn local(&self, name: &[u8]) -> Option<LocalTable> {
        LAST.with_borrow_mut(|last| {
            let of = (self.id, self.generation());
            if last.of != of {
                last.tables.clear();
                last.of = of;
            }
            if let Some(known) = last.tables.iter().find(|table| table.name.as_bytes() == name) {
                return Some(known.clone());
            }
            let found = LocalTable(Rc::new(self.get(name)?));
            if last.tables.len() < RECENT {
                last.tables.push(found.clone());
            } else {
                last.next = (last.next + 1) % RECENT;
                last.tables[last.next] = found.clone();
            }
            Some(found)
        })
    }

    /// The table of a name.
    pub fn get(&self, name: &[u8]) -> Option<Arc<Table>> {
        self.inner.read().by_name.get(std::str::from_utf8(name).ok()?).cloned()
    }

    /// Changes with every change of the tables. What was worked out from a schema before a shard was locked holds under the
    /// lock if this is still the same.
    pub fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// The table of an id.
    pub fn by_id(&self, id: u32) -> Option<Arc<Table>> {
        self.inner.read().by_id.get(&id).cloned()
    }

    /// All tables in the order of their names.
    pub fn list(&self) -> Vec<Arc<Table>> {
        let mut all: Vec<_> = self.inner.read().by_name.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Applies the creation, change or removal of a table; other effects do nothing here.
    pub(super) fn apply(&self, effect: &Effect<'_>) -> Result<(), EffectError> {
        match *effect {
            Effect::TablePut { table, created, name, schema } => {
                let schema = TableSchema::from_bytes(schema).map_err(|_| EffectError::Malformed)?;
                let name = String::from_utf8(name.to_vec()).map_err(|_| EffectError::Malformed)?;
                let mut inner = self.inner.write();
                let old = inner.by_id.get(&table);
                let counts = old.map(|old| Arc::clone(&old.counts)).unwrap_or_default();
                if old.is_some_and(|old| old.schema.ttl != schema.ttl) {
                    self.retime.lock().push(table);
                }
                let table = Arc::new(Table { id: table, name, created, schema, counts });
                inner.by_name.insert(table.name.clone(), Arc::clone(&table));
                inner.by_id.insert(table.id, table);
            }
            Effect::TableDrop { table } => {
                let mut inner = self.inner.write();
                if let Some(table) = inner.by_id.remove(&table) {
                    inner.by_name.remove(&table.name);
                }
            }
            _ => return Ok(()),
        }
        self.generation.fetch_add(1, AcqRel);
        Ok(())
    }

    /// Forgets all tables, before they are read again.
    pub(super) fn clear(&self) {
        *self.inner.write() = Inner::default();
        self.generation.fetch_add(1, AcqRel);
    }

    /// Takes the tables whose TTL attribute has changed.
    pub(super) fn take_retimed(&self) -> Vec<Arc<Table>> {
        // The list's lock is given back first: who changes a table takes it while holding the tables' own.
        let ids = std::mem::take(&mut *self.retime.lock());
        ids.into_iter().filter_map(|id| self.by_id(id)).collect()
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
    let items = entry.value().items().into_iter().flat_map(ItemsRef::iter);
    items.fold((0, 0), |(n, bytes), (_, item)| {
        (n + 1, bytes + ItemRef::from_bytes_unchecked(item).size() as i64)
    })
}
