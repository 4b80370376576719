//! Change streams of tables: what a change of an item adds to its table's stream, and how long records stay.
//!
//! The stream of table `t` is one Redis stream with the key `t@stream` in the server's own database. So clients find it
//! under that name in every database, FLUSHDB does not touch it, and the log, checkpoints and memory treat it as any
//! other stream. A record is appended in the transaction of the item's change, under the lock of the stream's shard.
//! That shard is locked before anything changes, as [`super::indexes`] locks the shards of entries. So the order of
//! records is the order of changes, over all items of the table.
//!
//! A record has the fields `event` (INSERT, MODIFY or REMOVE), `keys`, `new` and `old` as the stream's view says,
//! `size` (its size in bytes by DynamoDB's rules), and `by` = `ttl` if the item had expired. Keys and items are JSON
//! with DynamoDB's type tags.

use super::table::Table;
use super::tables::{STREAM_SUFFIX, Tables};
use super::{Engine, Over, Tx};
use crate::effect::{Effect, List, SYSTEM, StreamChange, Structural};
use crate::item::{
    ItemKeys, ItemRef, StreamPlace, StreamSpan, StreamView, write_typed_json, write_typed_value,
};
use crate::store::Holder;
use crate::value::stream::{NewId, Stream, StreamId, Trim, TrimBy, TrimPlan};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

/// Milliseconds between two rounds of removing old records.
const TRIM_MILLIS: u64 = 1000;
/// The most records that are removed while a shard is held once. Tests use a small number to get many holds.
const TRIM_HOLD: u64 = if cfg!(test) { 200 } else { 1000 };

impl Tables {
    /// Whether a key is the name of a table's change stream, which is the same in every database.
    #[inline]
    pub fn is_change_stream(&self, key: &[u8]) -> bool {
        self.any_stream() && key.ends_with(STREAM_SUFFIX.as_bytes()) && self.names_stream(key)
    }

    #[cold]
    fn names_stream(&self, key: &[u8]) -> bool {
        let name = key.strip_suffix(STREAM_SUFFIX.as_bytes());
        name.and_then(|name| self.local(name)).is_some_and(|table| !table.schema.streams.is_empty())
    }

    /// The database in which a key of database `db` is kept: `db` itself, except for change streams.
    #[inline]
    pub fn home(&self, db: usize, key: &[u8]) -> usize {
        if self.is_change_stream(key) { SYSTEM as usize } else { db }
    }
}

/// The records that a change of an item adds to its table's stream.
#[derive(Default)]
pub(super) struct ChangeRecords(SmallVec<[Record; 1]>);

struct Record {
    fields: SmallVec<[(&'static str, Range<usize>); 6]>,
    bytes: Vec<u8>,
}

impl Record {
    fn of(
        table: &Table,
        view: StreamView,
        old: Option<ItemRef<'_>>,
        new: Option<ItemRef<'_>>,
        ttl: bool,
    ) -> Self {
        let mut record = Self { fields: SmallVec::new(), bytes: Vec::with_capacity(256) };
        record.put("event", |out| {
            out.extend_from_slice(match (&old, &new) {
                (None, _) => b"INSERT",
                (Some(_), Some(_)) => b"MODIFY",
                (Some(_), None) => b"REMOVE",
            });
        });
        let mut size = 0;
        if let Some(item) = new.as_ref().or(old.as_ref()) {
            record.put("keys", |out| size += put_keys(table, item, out));
        }
        for (name, image) in
            [("new", new.filter(|_| view.has_new())), ("old", old.filter(|_| view.has_old()))]
        {
            if let Some(item) = image {
                size += item.size();
                record.put(name, |out| write_typed_json(&item, out));
            }
        }
        record.put("size", |out| out.extend_from_slice(itoa::Buffer::new().format(size).as_bytes()));
        if ttl {
            record.put("by", |out| out.extend_from_slice(b"ttl"));
        }
        record
    }

    fn put(&mut self, name: &'static str, fill: impl FnOnce(&mut Vec<u8>)) {
        let from = self.bytes.len();
        fill(&mut self.bytes);
        self.fields.push((name, from..self.bytes.len()));
    }

    fn pairs(&self) -> SmallVec<[&[u8]; 12]> {
        let value = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.fields.iter().flat_map(|(name, range)| [name.as_bytes(), value(range)]).collect()
    }
}

/// Appends an item's key attributes as JSON; returns their size.
fn put_keys(table: &Table, item: &ItemRef<'_>, out: &mut Vec<u8>) -> usize {
    let mut size = 0;
    out.push(b'{');
    for attr in table.schema.keys.attrs() {
        let Some(value) = item.get(&attr.name) else { continue };
        if size > 0 {
            out.push(b',');
        }
        size += attr.name.len() + value.size();
        // Writing a string into memory cannot fail.
        let _ = serde_json::to_writer(&mut *out, &attr.name);
        out.push(b':');
        write_typed_value(&value, out);
    }
    out.push(b'}');
    size
}

impl Tx<'_> {
    /// Works out what a change of an item adds to its table's stream, and locks the stream's shard; `None` if that
    /// shard cannot be had now. A change that changes nothing adds nothing. If the change replaces an expired item, the
    /// stream shows the expired item's removal first and then an insertion.
    pub(super) fn reach_stream(
        &mut self,
        table: &Table,
        keys: &ItemKeys,
        new: Option<&[u8]>,
    ) -> Option<ChangeRecords> {
        let Some(span) = table.schema.stream() else { return Some(ChangeRecords::default()) };
        let hash = self.engine.store.hash(&table.stream_key);
        if !self.extend(hash) {
            self.lacks(vec![hash]);
            return None;
        }
        let old = self.stored(table.id, keys).filter(|old| new != Some(old));
        let old_was_same = old.is_none() && new.is_some() && self.stored(table.id, keys).is_some();
        let mut records = ChangeRecords::default();
        if old_was_same {
            return Some(records);
        }
        let item = |bytes| ItemRef::from_bytes_unchecked(bytes);
        let (mut old, new) = (old.map(item), new.map(item));
        if let Some(gone) = old.filter(|old| table.expired(old, self.now())) {
            records.0.push(Record::of(table, span.view, Some(gone), None, true));
            old = None;
        }
        if old.is_some() || new.is_some() {
            records.0.push(Record::of(table, span.view, old, new, false));
        }
        Some(records)
    }

    /// Appends the records of a change that has happened.
    pub(super) fn append_records(&mut self, table: &Table, records: &ChangeRecords) {
        for record in &records.0 {
            let id = match self.change_stream_of(table) {
                // `resolve_id` fails only when the identifiers are used up, which takes longer than time lasts.
                Some(stream) => stream.resolve_id(NewId::Auto, self.now()).unwrap_or(StreamId::MAX),
                None => StreamId::new(self.now(), 0),
            };
            let pairs = List::Slices(&record.pairs());
            let key = &table.stream_key;
            self.apply(StreamChange::Add { id, pairs }.on(SYSTEM, key));
        }
        // A removal that must be undoable would copy what it removes; the background trims the stream then.
        if !records.0.is_empty() && self.undo.is_none() {
            self.trim_records(table, true);
        }
    }

    /// The change stream of a table. Its shard is locked.
    pub fn change_stream_of(&self, table: &Table) -> Option<&Stream> {
        let hash = self.engine.store.hash(&table.stream_key);
        self.locked.peek(SYSTEM, &table.stream_key, hash)?.value().stream()
    }

    /// Makes the change stream of a table if the table is to have one and lacks it. The caller holds every shard. Its
    /// places continue those of earlier streams of the table.
    pub fn settle_stream(&mut self, table: &Table) {
        if table.schema.streams.is_empty() {
            // The stream may belong to what is left of a dropped table of this name.
            if self.engine.tables.dropped(&table.name).is_none() {
                self.drop_stream(table);
            }
            return;
        }
        if self.change_stream_of(table).is_none() {
            let last = self.last_place(table);
            let change = StreamChange::Marks {
                last_id: StreamId::new(last.0, last.1),
                max_deleted_id: StreamId::MIN,
                entries_added: 0,
            };
            self.apply(change.on(SYSTEM, &table.stream_key));
        }
    }

    /// Removes the change stream of a table, if there is one. The caller holds every shard.
    pub fn drop_stream(&mut self, table: &Table) {
        if self.change_stream_of(table).is_some() {
            self.apply(Effect::Delete { db: SYSTEM, key: &table.stream_key });
        }
    }

    /// Removes the groups from the change stream of a table that is being dropped. No client finds the stream under its
    /// name any more, and waiting clients are told. The caller holds every shard.
    pub fn retire_stream(&mut self, table: &Table) {
        let stream = self.change_stream_of(table);
        let groups: Vec<Vec<u8>> = stream
            .into_iter()
            .flat_map(|stream| stream.groups().iter())
            .map(|(name, _)| name.to_vec())
            .collect();
        for group in &groups {
            let (key, change) = (&table.stream_key, StreamChange::GroupDelete { group });
            self.apply(change.on(SYSTEM, key));
        }
    }

    /// Removes what is left of a dropped table of this name, with its change stream. The caller holds every shard.
    pub fn forget_dropped(&mut self, name: &str) {
        if let Some(table) = self.engine.tables.dropped(name) {
            self.drop_stream(&table);
            self.apply(Structural::TableDrop { table: table.id });
        }
    }

    /// The last place that was given in a table's stream.
    pub fn last_place(&self, table: &Table) -> StreamPlace {
        let ends = table.schema.streams.iter().map(|span| span.end.map_or(span.after, |end| end.through));
        let last = self.change_stream_of(table).map(|stream| (stream.last_id().ms, stream.last_id().seq));
        last.into_iter().chain(ends).max().unwrap_or_default()
    }

    /// Removes records that are too old, in whole nodes only if `roughly`; returns whether there may be more. The
    /// stream keeps the place of the last removed record, so that a reader can be told that it missed some.
    fn trim_records(&mut self, table: &Table, roughly: bool) -> bool {
        let min_ms = self.now().saturating_sub(self.engine.stream_retention.load(Relaxed));
        let trim =
            Trim { by: TrimBy::MinId(StreamId::new(min_ms, 0)), approximate: roughly, limit: TRIM_HOLD };
        let Some(stream) = self.change_stream_of(table) else { return false };
        if stream.is_empty() || stream.first_id().ms >= min_ms {
            return false;
        }
        let Some(TrimPlan { through, removed }) = stream.plan_trim(trim) else { return false };
        let (last_id, entries_added) = (stream.last_id(), stream.entries_added());
        let key = &table.stream_key;
        for change in [
            StreamChange::Trim { through },
            StreamChange::Marks { last_id, max_deleted_id: through, entries_added },
        ] {
            self.apply(change.on(SYSTEM, key));
        }
        removed >= TRIM_HOLD / 2
    }
}

impl Engine {
    /// Removes old records of all change streams if the last round was long enough ago, and disabled streams whose last
    /// record is gone. The background calls it, and so do tests that own time.
    pub fn trim_streams(&self, record: &mut Vec<u8>) {
        let (now, instant) = (self.clock.now_ms(), self.clock.instant());
        if !self.tables.any_stream() || self.next_trim.load().is_some_and(|next| next > instant) {
            return;
        }
        self.next_trim.store(Some(instant.after_ms(TRIM_MILLIS)));
        let tables = self.tables.list_with_dropped();
        for table in tables.iter().filter(|table| !table.schema.streams.is_empty()) {
            let mut more = true;
            let hash = self.store.hash(&table.stream_key);
            while more && self.refusal(0).is_none() {
                let trimmed = self.transact_over(Holder::Trimming, Over::Hashes(&[hash]), 0, record, |tx| {
                    // The table may have been changed or dropped since the list was made.
                    let table = self.tables.by_id(table.id)?;
                    let more = tx.trim_records(&table, false);
                    let over = table.schema.stream().is_none();
                    if over && !more && tx.change_stream_of(&table).is_some_and(Stream::is_empty) {
                        tx.apply(Effect::Delete { db: SYSTEM, key: &table.stream_key });
                    }
                    Some(more)
                });
                match trimmed {
                    Ok(Some(left)) => more = left,
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
            let over = |span| self.is_stream_over(span, now);
            if table.schema.is_dropped() && table.schema.streams.iter().all(over) && !more {
                self.forget_dropped(table, record);
            }
        }
    }

    /// Forgets a dropped table whose records can all no longer be read. If no change may be made now, a later round
    /// does it.
    fn forget_dropped(&self, table: &Table, record: &mut Vec<u8>) {
        let _ = self.transact_over(Holder::Trimming, Over::Everything, 0, record, |tx| {
            // Another table of this name may have been dropped since.
            if self.tables.by_id(table.id).is_some() {
                tx.forget_dropped(&table.name);
            }
        });
    }

    /// Whether a span of recording ended so long ago that none of its records are left.
    pub fn is_stream_over(&self, span: &StreamSpan, now: u64) -> bool {
        let retention = self.stream_retention.load(Relaxed);
        span.end.is_some_and(|end| end.at_ms.saturating_add(retention) < now)
    }
}
