//! Gives tables their schemas, and makes items of the hashes that fit a template. If every shard is locked, as in a
//! transaction, all hashes are converted at once, else one by one while other clients are served.

use crate::command::fail::LOADING;
use crate::command::items::{limits, missing};
use crate::command::{Cx, Fail, Outcome};
use crate::engine::{LiftError, Table, Tx};
use crate::item::{StreamView, TableSchema};
use crate::ops::{self, OpError};
use crate::store::Holder;
use std::sync::Arc;

/// Creates a table.
pub(super) fn create(cx: &mut Cx<'_, '_>, name: &str, schema: &TableSchema) -> Outcome {
    if cx.tx.locked().holds_all() {
        return at_once(cx, None, schema, |tx| ops::create_table(tx, name, schema), name);
    }
    schema.validate()?;
    if cx.server.engine.tables.get_any(name.as_bytes()).is_some() {
        return Err(OpError::TableExists(name.to_owned()).into());
    }
    let lifting = schema.template.is_some();
    check(cx, None, schema, lifting)?;
    let schema = TableSchema { lifting, ..schema.clone() };
    cx.alone(Holder::Tables, |tx| Ok(ops::create_table(tx, name, &schema)?))?;
    lift(cx, name, lifting)
}

/// Replaces a table's schema by the result of `change`.
pub(super) fn alter(
    cx: &mut Cx<'_, '_>,
    name: &[u8],
    change: impl Fn(&TableSchema) -> Result<(TableSchema, StreamSetting), Fail>,
) -> Outcome {
    let table = find(cx, name)?;
    let shown = table.name.clone();
    if cx.tx.locked().holds_all() {
        let (mut schema, stream) = change(&table.schema)?;
        stream.carry_out(cx.tx, &table, &mut schema);
        return at_once(cx, Some(&table), &schema, |tx| ops::alter_table(tx, &table, &schema), &shown);
    }
    loop {
        let table = find(cx, name)?;
        let (schema, stream) = change(&table.schema)?;
        schema.validate()?;
        let lifting = schema.template.is_some() && schema.template != table.schema.template;
        check(cx, Some(&table), &schema, lifting)?;
        let mut schema = TableSchema { lifting, ..schema };
        let done = cx.alone(Holder::Tables, |tx| match tx.engine().tables.get(name) {
            Some(now) if Arc::ptr_eq(&now, &table) => {
                stream.carry_out(tx, &now, &mut schema);
                ops::alter_table(tx, &now, &schema)?;
                Ok(true)
            }
            // The table was changed in between, so the change is made again from its new schema.
            _ => Ok(false),
        })?;
        if done {
            return lift(cx, &shown, lifting);
        }
    }
}

fn at_once(
    cx: &mut Cx<'_, '_>,
    table: Option<&Table>,
    schema: &TableSchema,
    put: impl FnOnce(&mut Tx<'_>) -> Result<(), OpError>,
    name: &str,
) -> Outcome {
    let limits = limits(cx.settings);
    let lifting = ops::prepare_views(cx.tx, table, schema, &limits)?;
    cx.tx.ask(lifting.record_bytes())?;
    put(cx.tx)?;
    let table = find(cx, name.as_bytes())?;
    ops::lift(cx.tx, &table, &lifting, &limits);
    Ok(())
}

/// Checks, before anything is changed, that all hashes that fit a template can become items.
fn check(cx: &mut Cx<'_, '_>, table: Option<&Table>, schema: &TableSchema, lifting: bool) -> Outcome {
    if !lifting {
        return Ok(());
    }
    if let Some(template) = schema.template()?
        && let Some(other) = cx.tx.engine().tables.overlapping(&template, table.map(|table| table.id))
    {
        return Err(ops::templates_overlap(schema, &other).into());
    }
    match cx.tx.engine().check_liftable(table, schema, &limits(cx.settings)) {
        // The data is being read again from disk.
        Err(LiftError::Later) => Err(LOADING),
        Err(LiftError::Lent(lent)) => Err(cx.hold_up(&lent.into())),
        checked => Ok(checked.map_err(OpError::from)?),
    }
}

fn lift(cx: &Cx<'_, '_>, name: &str, lifting: bool) -> Outcome {
    let engine = cx.tx.engine();
    let Some(table) = engine.tables.get_any(name.as_bytes()).filter(|_| lifting) else { return Ok(()) };
    match engine.lift_table(table.id, &limits(cx.settings)) {
        Ok(()) => Ok(()),
        Err(error @ LiftError::Key { .. }) => Err(Fail::text(format!(
            "ERR table '{name}' has its KEYSPACE, and is ready once this is no more: {error}"
        ))),
        Err(LiftError::Later) => Err(Fail::text(format!(
            "ERR table '{name}' has its KEYSPACE, and is ready when the hashes have become items, which goes on once the \
             log can be written"
        ))),
        Err(LiftError::Lent(_)) => Err(Fail::text(format!(
            "ERR table '{name}' has its KEYSPACE, and is ready when the hashes have become items, which goes on once no \
             script holds them"
        ))),
    }
}

/// What TABLE.ALTER does to a table's change stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamSetting {
    Unsaid,
    On(StreamView),
    Off,
}

impl StreamSetting {
    /// Whether the table has to record changes that it does not record yet.
    pub(super) fn adds_to(self, schema: &TableSchema) -> bool {
        matches!(self, Self::On(view) if schema.stream().is_none_or(|span| span.view != view))
    }

    /// Makes the change in the new schema of a table. The caller holds every shard.
    fn carry_out(self, tx: &Tx<'_>, table: &Table, schema: &mut TableSchema) {
        match self {
            Self::On(view) if self.adds_to(&table.schema) => ops::enable_stream(tx, table, schema, view),
            Self::Off => ops::disable_stream(tx, table, schema),
            Self::On(_) | Self::Unsaid => {}
        }
    }
}

/// The table with this name.
///
/// # Errors
/// There is none, or it is not ready.
pub(super) fn find(cx: &Cx<'_, '_>, name: &[u8]) -> Result<Arc<Table>, Fail> {
    cx.tx.engine().tables.get(name).ok_or_else(|| missing(&cx.tx.engine().tables, name))
}
