//! Makes the calls of operations on tables.

use super::super::AwsCall;
use super::super::error::{AwsError, ErrorKind};
use super::super::json::ObjectWriter;
use crate::engine::{Table, Tables};
use crate::item::TableSchema;
use crate::ops;
use std::sync::Arc;

/// The error for a table that is not there.
pub(super) fn missing(name: &str) -> AwsError {
    AwsError::new(
        ErrorKind::ResourceNotFound,
        format!("Requested resource not found: Table: {name} not found"),
    )
}

/// The table of a name.
pub(super) fn find(tables: &Tables, name: &str) -> Result<Arc<Table>, AwsError> {
    tables.get(name.as_bytes()).ok_or_else(|| missing(name))
}

/// A call whose reply does not depend on the data.
pub(super) fn said(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> AwsCall {
    let mut out = Vec::new();
    let mut object = ObjectWriter::begin(&mut out);
    fill(&mut object);
    object.end();
    AwsCall::new(Vec::new(), move |_| Ok(out))
}

/// A call that gives a table another schema.
pub(super) fn alter(
    table: Arc<Table>,
    schema: TableSchema,
    reply: impl FnOnce(&Table, &mut ObjectWriter<'_>) + 'static,
) -> AwsCall {
    AwsCall::new(Vec::new(), move |tx| {
        ops::alter_table(tx, &table, &schema)?;
        let mut out = Vec::new();
        let mut object = ObjectWriter::begin(&mut out);
        if let Some(table) = tx.engine().tables.by_id(table.id) {
            reply(&table, &mut object);
        }
        object.end();
        Ok(out)
    })
}
