//! Makes keys views of a table's items: checks templates, and turns hashes into items at once. (`engine/lift.rs` does
//! that one by one while commands run.) The caller holds every shard exclusively.

use super::OpError;
use crate::engine::{Engine, LiftError, Table, Tx, VIEW_DB};
use crate::item::{ItemLimits, TableSchema};

/// Hashes that will become items. It was checked that each of them can.
#[derive(Default)]
pub struct Lifting {
    names: Vec<Box<[u8]>>,
    bytes: usize,
}

impl Lifting {
    /// An upper bound of the bytes that lifting adds to the log's record.
    pub fn record_bytes(&self) -> usize {
        self.bytes
    }
}

/// An upper bound of the bytes of an effect without its names and values.
const EFFECT_BYTES: usize = 64;

/// Finds the keys that fit the template of a table's new schema; `table` is the existing table, if there is one.
/// Changes nothing. O(keys of the database).
///
/// # Errors
/// When the schema contradicts itself, or a key that fits the template cannot become an item: it is no hash, its fields
/// have deadlines, it does not fit the schema, or there is an item with its keys.
pub fn prepare_views(
    tx: &Tx<'_>,
    table: Option<&Table>,
    schema: &TableSchema,
    limits: &ItemLimits,
) -> Result<Lifting, OpError> {
    schema.validate()?;
    let mut lifting = Lifting::default();
    let Some(template) = schema.template()?.filter(|_| changes_views(table, schema)) else {
        return Ok(lifting);
    };
    let store = &tx.engine().store;
    store.for_each(tx.locked(), store.space(VIEW_DB), &mut |entry| {
        if template.claims(entry.key()) {
            lifting.names.push(Box::from(entry.key()));
        }
    });
    for name in &lifting.names {
        let failed = |reason| LiftError::key(name, reason);
        let keys = Engine::keys_of(schema, &template, name, limits).map_err(failed)?;
        let item = tx.liftable(table, schema, (name, &keys), limits).map_err(failed)?;
        let size = item.map_or(0, |item| item.as_bytes().len());
        lifting.bytes += 2 * (name.len() + EFFECT_BYTES) + (1 + schema.indexes.len()) * (size + EFFECT_BYTES);
    }
    Ok(lifting)
}

/// Makes items of the hashes that [`prepare_views`] found, once the table has its schema. O(size of the hashes).
pub fn lift(tx: &mut Tx<'_>, table: &Table, lifting: &Lifting, limits: &ItemLimits) {
    let Some(template) = &table.template else { return };
    for name in &lifting.names {
        if let Ok(keys) = Engine::keys_of(&table.schema, template, name, limits) {
            // This cannot fail: `prepare_views` has checked it under the same locks.
            let _ = tx.lift(table, (name, &keys), limits);
        }
    }
}

/// Whether the schema changes the table's views.
fn changes_views(table: Option<&Table>, schema: &TableSchema) -> bool {
    schema.template.as_ref() != table.and_then(|table| table.schema.template.as_ref())
}

/// The error for a schema whose template shares a name with another table's.
pub fn templates_overlap(schema: &TableSchema, other: &Table) -> OpError {
    let template = |schema: &TableSchema| schema.template.clone().unwrap_or_default();
    let (new, old, table) = (template(schema), template(&other.schema), other.name.clone());
    OpError::TemplatesOverlap { new, old, table }
}

/// Checks that no other table's template shares a name with the schema's template. If views change, it marks all
/// watched keys as changed, and tells it of all keys, because a key may then mean something else.
pub(super) fn claim_names(tx: &Tx<'_>, table: Option<&Table>, schema: &TableSchema) -> Result<(), OpError> {
    if !changes_views(table, schema) {
        return Ok(());
    }
    if let Some(template) = schema.template()?
        && let Some(other) = tx.engine().tables.overlapping(&template, table.map(|table| table.id))
    {
        return Err(templates_overlap(schema, &other));
    }
    tx.engine().store.raise_all();
    tx.tell_all_changed();
    Ok(())
}
