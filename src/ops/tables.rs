//! Creating, changing and dropping tables. The caller holds every shard exclusively.

use super::OpError;
use super::changes::disable_stream;
use super::templates::claim_names;
use crate::effect::Structural;
use crate::engine::{Index, Table, Tx};
use crate::item::{IndexSchema, IndexStatus, TableSchema};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Creates a table, with the indexes that its schema has.
///
/// # Errors
/// When there is one of this name, the schema contradicts itself, or its template shares a name with another table's.
pub fn create_table(tx: &mut Tx<'_>, name: &str, schema: &TableSchema) -> Result<(), OpError> {
    if tx.engine().tables.get_any(name.as_bytes()).is_some() {
        return Err(OpError::TableExists(name.to_owned()));
    }
    schema.validate()?;
    claim_names(tx, None, schema)?;
    let mut schema = schema.clone();
    let table = tx.engine().store.fresh_space(1 + schema.indexes.len() as u32);
    for (space, index) in (table + 1..).zip(&mut schema.indexes) {
        (index.space, index.status) = (space, IndexStatus::Active);
    }
    if let Some(span) = schema.streams.last_mut() {
        // The new stream must differ from that of a dropped table with this name, so it begins later.
        let gone = tx.engine().tables.dropped(name);
        let last = gone.and_then(|gone| gone.schema.streams.last().map(|span| span.since_ms));
        span.since_ms = last.map_or(tx.now(), |last| tx.now().max(last + 1));
        tx.forget_dropped(name);
    }
    let schema = schema.to_bytes();
    tx.apply(Structural::TablePut { table, created: tx.now(), name: name.as_bytes(), schema: &schema });
    settle_stream(tx, table);
    Ok(())
}

/// Gives a table another schema with the same keys and indexes.
///
/// # Errors
/// When the schema contradicts itself, or its template shares a name with another table's.
pub fn alter_table(tx: &mut Tx<'_>, table: &Table, schema: &TableSchema) -> Result<(), OpError> {
    schema.validate()?;
    claim_names(tx, Some(table), schema)?;
    let mut schema = schema.clone();
    if schema.ttl != table.schema.ttl {
        // Items that had expired may be there again, and others may be gone.
        tx.tell_all_changed();
    }
    if schema.ttl != table.schema.ttl && table.counts.items.load(Relaxed) > 0 {
        // Entries hold their items' expiry, so a new TTL attribute means that they are written again.
        let active = schema.indexes.iter_mut().filter(|index| index.status == IndexStatus::Active);
        active.for_each(|index| index.status = IndexStatus::Refreshing);
    }
    if table.schema.streams.is_empty() && !schema.streams.is_empty() {
        tx.forget_dropped(&table.name);
    }
    let schema = schema.to_bytes();
    let (created, name) = (table.created, table.name.as_bytes());
    tx.apply(Structural::TablePut { table: table.id, created, name, schema: &schema });
    settle_stream(tx, table.id);
    Ok(())
}

fn settle_stream(tx: &mut Tx<'_>, table: u32) {
    if let Some(table) = tx.engine().tables.by_id(table) {
        tx.settle_stream(&table);
    }
}

/// Adds an index to a table. A background thread enters the existing items. The index's status says when that is done;
/// until then the index cannot be read.
///
/// # Errors
/// When there is one of this name, or it contradicts the table's schema.
pub fn add_index(tx: &mut Tx<'_>, table: &Table, mut index: IndexSchema) -> Result<(), OpError> {
    if table.index(index.name.as_bytes()).is_some() {
        return Err(OpError::IndexExists(index.name));
    }
    let empty = table.counts.items.load(Relaxed) == 0;
    index.status = if empty { IndexStatus::Active } else { IndexStatus::Creating };
    let mut schema = table.schema.clone();
    schema.indexes.push(index);
    schema.validate()?;
    if let Some(index) = schema.indexes.last_mut() {
        index.space = tx.engine().store.fresh_space(1);
    }
    alter_table(tx, table, &schema)?;
    tx.engine().nudge();
    Ok(())
}

/// Drops an index. Its memory is freed gradually afterwards.
///
/// # Errors
/// When the table has none of this name.
pub fn drop_index(tx: &mut Tx<'_>, table: &Table, name: &str) -> Result<(), OpError> {
    let mut schema = table.schema.clone();
    schema.indexes.retain(|index| index.name != name);
    if schema.indexes.len() == table.schema.indexes.len() {
        return Err(OpError::NoIndex { table: table.name.clone(), index: name.to_owned() });
    }
    alter_table(tx, table, &schema)
}

/// The index of a name, to read it.
///
/// # Errors
/// When the table has none of this name, or it is still being created.
pub fn readable_index<'t>(table: &'t Table, name: &[u8]) -> Result<&'t Index, OpError> {
    let Some(index) = table.index(name) else {
        let index = String::from_utf8_lossy(name).into_owned();
        return Err(OpError::NoIndex { table: table.name.clone(), index });
    };
    if !index.schema.status.is_readable() {
        return Err(OpError::IndexCreating(index.schema.name.clone()));
    }
    Ok(index)
}

/// Drops a table with all its items, and returns it as it was. The items' memory is freed gradually afterwards. The
/// records of its changes can be read until they are too old, or until a new table of this name gets a change stream.
///
/// # Errors
/// When there is no table of this name.
pub fn drop_table(tx: &mut Tx<'_>, name: &[u8]) -> Result<Arc<Table>, OpError> {
    let table = tx.engine().tables.get_any(name);
    let table = table.ok_or_else(|| OpError::NoTable(String::from_utf8_lossy(name).into_owned()))?;
    let mut left = table.schema.dropped();
    disable_stream(tx, &table, &mut left);
    match (table.schema.streams.is_empty(), left.streams.is_empty()) {
        // The table has no stream. A stream under this name belongs to a dropped table.
        (true, _) => {}
        (false, true) => tx.drop_stream(&table),
        (false, false) => tx.retire_stream(&table),
    }
    tx.apply(Structural::TableDrop { table: table.id });
    if !left.streams.is_empty() {
        let (id, schema) = (tx.engine().store.fresh_space(1), left.to_bytes());
        tx.apply(Structural::TablePut { table: id, created: table.created, name, schema: &schema });
    }
    Ok(table)
}
