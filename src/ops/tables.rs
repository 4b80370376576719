//! Creating, changing and dropping tables. The caller holds every shard exclusively.

use super::OpError;
use crate::effect::Effect;
use crate::engine::{Table, Tx};
use crate::item::TableSchema;
use std::sync::Arc;

/// Creates a table.
///
/// # Errors
/// When there is one of this name, or the schema contradicts itself.
pub fn create_table(tx: &mut Tx<'_>, name: &str, schema: &TableSchema) -> Result<(), OpError> {
    if tx.engine().tables.get(name.as_bytes()).is_some() {
        return Err(OpError::TableExists(name.to_owned()));
    }
    schema.validate()?;
    let table = tx.engine().store.fresh_space(1);
    let schema = schema.to_bytes();
    tx.apply(Effect::TablePut { table, created: tx.now(), name: name.as_bytes(), schema: &schema });
    Ok(())
}

/// Gives a table another schema with the same keys.
///
/// # Errors
/// When the schema contradicts itself.
pub fn alter_table(tx: &mut Tx<'_>, table: &Table, schema: &TableSchema) -> Result<(), OpError> {
    schema.validate()?;
    let schema = schema.to_bytes();
    let (created, name) = (table.created, table.name.as_bytes());
    tx.apply(Effect::TablePut { table: table.id, created, name, schema: &schema });
    Ok(())
}

/// Drops a table with all its items, and returns it as it was. The items' memory is given back bit by bit afterwards.
///
/// # Errors
/// When there is no table of this name.
pub fn drop_table(tx: &mut Tx<'_>, name: &[u8]) -> Result<Arc<Table>, OpError> {
    let table = tx.engine().tables.get(name);
    let table = table.ok_or_else(|| OpError::NoTable(String::from_utf8_lossy(name).into_owned()))?;
    tx.apply(Effect::TableDrop { table: table.id });
    Ok(table)
}
