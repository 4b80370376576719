//! The tables that exist: names, ids, schemas.

use super::table::{Index, Table, TableCounts};
use crate::effect::{Effect, EffectError, Structural};
use crate::item::{IndexStatus, ItemRef, TableSchema, entry_item, key_text, read_key_part, text_of_key};
use crate::store::Entry;
use crate::store::collection::ItemsRef;
use ahash::AHashMap;
use parking_lot::{Mutex, RwLock};
use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*};

/// The suffix that makes the name of a table's change stream.
pub const STREAM_SUFFIX: &str = "@stream";

#[derive(Default)]
struct Inner {
    by_name: AHashMap<String, Arc<Table>>,
    by_id: AHashMap<u32, Arc<Table>>,
    /// Dropped tables whose change streams can still be read, by name. Another table may have the name by now. They are
    /// also among the tables by id.
    dropped: AHashMap<String, Arc<Table>>,
    /// The counts of each index's space.
    indexes: AHashMap<u32, Arc<TableCounts>>,
}

impl Inner {
    fn add(&mut self, table: Arc<Table>) {
        for index in &table.indexes {
            self.indexes.insert(index.schema.space, Arc::clone(&index.counts));
        }
        let names = if table.schema.is_dropped() { &mut self.dropped } else { &mut self.by_name };
        names.insert(table.name.clone(), Arc::clone(&table));
        self.by_id.insert(table.id, table);
    }

    /// Forgets the indexes of a table except those for which `keeps` is true; returns the spaces of the forgotten ones.
    fn forget_indexes(&mut self, table: &Table, keeps: impl Fn(u32) -> bool) -> Vec<u32> {
        let spaces = table.indexes.iter().map(|index| index.schema.space);
        let gone: Vec<u32> = spaces.filter(|space| !keeps(*space)).collect();
        gone.iter().for_each(|space| drop(self.indexes.remove(space)));
        gone
    }
}

/// A table as one thread holds it. Its second pointer makes a copy change only a counter of this thread.
#[allow(clippy::redundant_allocation)]
#[derive(Clone)]
pub struct LocalTable(pub(super) Rc<Arc<Table>>);

impl Deref for LocalTable {
    type Target = Table;

    #[inline]
    fn deref(&self) -> &Table {
        &self.0
    }
}

/// The tables that a thread has looked up last.
struct Recent {
    /// The [`Tables::version`] for which they were looked up.
    of: (u64, u64),
    tables: Vec<LocalTable>,
    next: usize,
}

/// How many tables a thread remembers.
const RECENT: usize = 8;

thread_local! {
    static LAST: RefCell<Recent> = const { RefCell::new(Recent { of: (0, 0), tables: Vec::new(), next: 0 }) };
}

/// The next number for a [`Tables`]. Numbers keep a thread that serves several engines from mixing up their tables.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// All tables. They change only while every shard is locked, so what a transaction has looked up stays true while it
/// holds a shard.
pub struct Tables {
    pub(super) id: u64,
    inner: RwLock<Inner>,
    generation: AtomicU64,
    /// Whether any table has a template of key names. It changes before the generation does.
    pub(super) views: AtomicBool,
    /// Whether any table is lifting. It changes before the generation does.
    lifting: AtomicBool,
    /// Tables whose items' deadlines must be computed again.
    retime: Mutex<Vec<u32>>,
    /// The number of global indexes, plus the number of tables whose changes are recorded.
    afar: AtomicUsize,
    /// How many tables have a change stream, enabled or disabled.
    streams: AtomicUsize,
    /// The bits of the tables whose changes are recorded. It changes before the generation does.
    recorded: AtomicU64,
}

/// One of 64 bits. Several tables may have the same bit.
#[inline]
fn table_bit(table: u32) -> u64 {
    1 << (table % 64)
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            inner: RwLock::default(),
            generation: AtomicU64::new(0),
            views: AtomicBool::new(false),
            lifting: AtomicBool::new(false),
            retime: Mutex::default(),
            afar: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            recorded: AtomicU64::new(0),
        }
    }
}

impl Tables {
    /// The table of a name; from this thread's memory, if the thread has looked it up lately.
    #[inline]
    pub fn local(&self, name: &[u8]) -> Option<LocalTable> {
        LAST.with_borrow_mut(|last| {
            let of = self.version();
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

    /// The table of a name, if it is ready.
    pub fn get(&self, name: &[u8]) -> Option<Arc<Table>> {
        self.get_any(name).filter(|table| !table.schema.lifting)
    }

    /// Whether any table is lifting hashes.
    #[inline]
    pub fn any_lifting(&self) -> bool {
        self.lifting.load(Relaxed)
    }

    /// The table of a name, even while it is lifting hashes.
    pub fn get_any(&self, name: &[u8]) -> Option<Arc<Table>> {
        self.inner.read().by_name.get(std::str::from_utf8(name).ok()?).cloned()
    }

    /// A value that is equal only for the same [`Tables`] with no change in between.
    #[inline]
    pub fn version(&self) -> (u64, u64) {
        (self.id, self.generation())
    }

    /// A number that grows with every change of the tables. What was worked out from a schema before a shard was locked
    /// holds under the lock if the generation is still the same.
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

    /// A dropped table whose change stream can still be read, by its name.
    pub fn dropped(&self, name: &str) -> Option<Arc<Table>> {
        self.inner.read().dropped.get(name).cloned()
    }

    /// All tables and the dropped ones that are not forgotten, in the order of their names.
    pub fn list_with_dropped(&self) -> Vec<Arc<Table>> {
        let mut all: Vec<_> = self.inner.read().by_id.values().cloned().collect();
        all.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        all
    }

    /// Whether changes of a table's items may be recorded. True for every table whose changes are recorded, and perhaps
    /// for others.
    #[inline]
    pub fn may_record(&self, table: u32) -> bool {
        self.recorded.load(Relaxed) & table_bit(table) != 0
    }

    /// Whether any table has a global index or a change stream, so that changes of items may reach beyond the shards of
    /// their keys.
    #[inline]
    pub fn any_reaches_afar(&self) -> bool {
        self.afar.load(Relaxed) != 0
    }

    /// Whether any table has a change stream, enabled or disabled.
    #[inline]
    pub fn any_stream(&self) -> bool {
        self.streams.load(Relaxed) != 0
    }

    /// The name of the change stream that records changes of a table's items; `None` if none does.
    pub fn stream_key(&self, table: u32) -> Option<Box<[u8]>> {
        let inner = self.inner.read();
        let table = inner.by_id.get(&table).filter(|table| table.schema.stream().is_some())?;
        Some(table.stream_key.clone())
    }

    /// A partition key as the text that commands have for it. Of an index whose partition key has several attributes,
    /// the first one, which stands where a table's partition key would. `None` for a space that is none of a table's.
    pub fn partition_text(&self, space: u32, stored: &[u8]) -> Option<Vec<u8>> {
        let inner = self.inner.read();
        if let Some(table) = inner.by_id.get(&space) {
            return key_text(table.schema.keys.pk.key_type, stored);
        }
        if !inner.indexes.contains_key(&space) {
            return None;
        }
        let mut indexes = inner.by_id.values().flat_map(|table| &table.indexes);
        let index = &indexes.find(|index| index.schema.space == space)?.schema;
        let first = index.pk.first()?.key_type;
        if index.local {
            return key_text(first, stored);
        }
        let mut rest = stored;
        Some(text_of_key(&read_key_part(first, &mut rest).ok()?))
    }

    /// The spaces of tables and indexes.
    pub(super) fn spaces(&self) -> Vec<u32> {
        let inner = self.inner.read();
        inner.by_id.keys().chain(inner.indexes.keys()).copied().collect()
    }

    /// Tables with indexes that are not complete.
    pub(super) fn unfinished(&self) -> Vec<Arc<Table>> {
        let unfinished = |table: &&Arc<Table>| {
            table.indexes.iter().any(|index| index.schema.status != IndexStatus::Active)
        };
        self.inner.read().by_id.values().filter(unfinished).cloned().collect()
    }

    /// Applies the creation, change or removal of a table; ignores other changes. Returns the spaces of the indexes
    /// that this removed.
    pub(super) fn apply(&self, change: &Structural<'_>) -> Result<Vec<u32>, EffectError> {
        let mut inner = self.inner.write();
        let gone = match *change {
            Structural::TablePut { table, created, name, schema } => {
                let schema = TableSchema::from_bytes(schema).map_err(|_| EffectError::Malformed)?;
                let name = String::from_utf8(name.to_vec()).map_err(|_| EffectError::Malformed)?;
                let old = inner.by_id.get(&table).cloned();
                let counts = old.as_ref().map(|old| Arc::clone(&old.counts)).unwrap_or_default();
                let same_ttl = old.as_ref().is_none_or(|old| old.schema.ttl == schema.ttl);
                if !same_ttl {
                    self.retime.lock().push(table);
                }
                let index = |index| Index::new(index, old.as_deref(), same_ttl);
                let indexes = schema.indexes.iter().map(index).collect();
                let kept = |space| schema.indexes.iter().any(|index| index.space == space);
                let gone = old.map(|old| inner.forget_indexes(&old, kept)).unwrap_or_default();
                let template = schema.template().map_err(|_| EffectError::Malformed)?;
                let stream_key = [name.as_bytes(), STREAM_SUFFIX.as_bytes()].concat().into();
                inner.add(Arc::new(Table {
                    id: table,
                    name,
                    created,
                    schema,
                    template,
                    counts,
                    indexes,
                    stream_key,
                }));
                gone
            }
            Structural::TableDrop { table } => match inner.by_id.remove(&table) {
                Some(table) => {
                    let dropped = table.schema.is_dropped();
                    let names = if dropped { &mut inner.dropped } else { &mut inner.by_name };
                    names.remove(&table.name);
                    inner.forget_indexes(&table, |_| false)
                }
                None => Vec::new(),
            },
            Structural::FlushDb { .. }
            | Structural::SwapDb { .. }
            | Structural::LibraryPut { .. }
            | Structural::LibraryDrop { .. }
            | Structural::Gap => return Ok(Vec::new()),
        };
        let schemas = || inner.by_id.values().map(|table| &table.schema);
        let globals = schemas().flat_map(|schema| &schema.indexes).filter(|index| !index.local).count();
        let recorded = schemas().filter(|schema| schema.stream().is_some()).count();
        self.afar.store(globals + recorded, Relaxed);
        let records = |table: &&Arc<Table>| table.schema.stream().is_some();
        let bits = inner.by_id.values().filter(records).fold(0, |bits, table| bits | table_bit(table.id));
        self.recorded.store(bits, Relaxed);
        self.streams.store(schemas().filter(|schema| !schema.streams.is_empty()).count(), Relaxed);
        let views = inner.by_id.values().any(|table| table.template.is_some());
        self.views.store(views, Relaxed);
        self.lifting.store(inner.by_id.values().any(|table| table.schema.lifting), Relaxed);
        drop(inner);
        self.generation.fetch_add(1, AcqRel);
        Ok(gone)
    }

    /// Forgets all tables, before they are read again.
    pub(super) fn clear(&self) {
        *self.inner.write() = Inner::default();
        self.afar.store(0, Relaxed);
        self.streams.store(0, Relaxed);
        self.recorded.store(0, Relaxed);
        self.views.store(false, Relaxed);
        self.lifting.store(false, Relaxed);
        self.generation.fetch_add(1, AcqRel);
    }

    /// Takes the tables whose TTL attribute has changed.
    pub(super) fn take_retimed(&self) -> Vec<Arc<Table>> {
        // The list's lock is released first: a change of a table takes it while it holds the lock of the tables.
        let ids = std::mem::take(&mut *self.retime.lock());
        ids.into_iter().filter_map(|id| self.by_id(id)).collect()
    }

    /// Has a table that was taken be taken again.
    pub(super) fn retime_later(&self, table: u32) {
        self.retime.lock().push(table);
    }

    /// The effects that make these tables, for a checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for table in self.list_with_dropped() {
            let schema = table.schema.to_bytes();
            let (name, created) = (table.name.as_bytes(), table.created);
            Effect::from(Structural::TablePut { table: table.id, created, name, schema: &schema })
                .encode(out);
        }
    }
}

impl Tables {
    /// Adds differences to the counts of a table or an index.
    pub(super) fn add_to(&self, space: u32, items: i64, bytes: i64) {
        let inner = self.inner.read();
        let counts = inner.by_id.get(&space).map(|table| &table.counts).or_else(|| inner.indexes.get(&space));
        if let Some(counts) = counts {
            counts.add(items, bytes);
        }
    }

    /// Counts a partition of a table or an index, if the entry is one.
    pub(super) fn count(&self, entry: &Entry) {
        let inner = self.inner.read();
        let items = entry.value().items().into_iter().flat_map(ItemsRef::iter);
        let (counts, size): (_, fn(&[u8]) -> usize) = if let Some(table) = inner.by_id.get(&entry.space()) {
            (&table.counts, |item| ItemRef::from_bytes_unchecked(item).size())
        } else if let Some(counts) = inner.indexes.get(&entry.space()) {
            (counts, |entry| entry_item(entry).1.size())
        } else {
            return;
        };
        items.for_each(|(_, item)| counts.add(1, size(item) as i64));
    }

    /// Sets the counts of all tables and indexes to zero, before they are counted again.
    pub(super) fn clear_counts(&self) {
        let inner = self.inner.read();
        for counts in inner.by_id.values().map(|table| &table.counts).chain(inner.indexes.values()) {
            counts.items.store(0, Relaxed);
            counts.bytes.store(0, Relaxed);
        }
    }
}
