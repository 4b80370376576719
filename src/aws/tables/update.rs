//! UpdateTable.

use super::super::AwsCall;
use super::super::body::{Body, Violations};
use super::super::error::AwsError;
use super::super::json::ObjectWriter;
use super::calls::find;
use super::describe::{Telling, describe_table};
use super::indexes::{self, Updates};
use super::stream::Wanted;
use super::{settings, stream, throughput};
use crate::engine::{Table, Tables, Tx};
use crate::item::TableSchema;
use crate::ops;
use std::sync::Arc;

/// The members whose change takes AWS some time.
const SLOW: [&str; 7] = [
    "BillingMode",
    "ProvisionedThroughput",
    "OnDemandThroughput",
    "WarmThroughput",
    "TableClass",
    "SSESpecification",
    "StreamSpecification",
];

/// UpdateTable.
pub(super) fn update(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
    let mut violations = Violations::default();
    let name = body.table_name(&mut violations)?;
    settings::constrain(body, &mut violations);
    indexes::constrain_updates(body, &mut violations);
    stream::constrain(body, &mut violations);
    violations.finish()?;
    indexes::check_updates(body)?;
    throughput::check_update(body)?;
    let given = |name: &&str| body.get(name).is_some();
    let updates = body.list("GlobalSecondaryIndexUpdates").is_some_and(|updates| !updates.is_empty());
    if !updates && !SLOW.iter().chain(&["DeletionProtectionEnabled"]).any(given) {
        return Err(AwsError::validation(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required",
        ));
    }
    let table = find(tables, name)?;
    let mut schema = table.schema.clone();
    settings::put(body, &mut schema);
    throughput::update(body, &table, &mut schema)?;
    let update = indexes::update(body, &table, &mut schema)?;
    let change = stream::change(body, &table)?;
    let slow = updates || SLOW.iter().any(given);
    let needs_memory = update.create.is_some() || matches!(change, Wanted::On(_));
    let call = AwsCall::new(Vec::new(), move |tx| {
        stream::apply(tx, &table, &mut schema, &change);
        throughput::note_changes(&table.schema, &mut schema, tx.now());
        settings::note_changes(&table.schema, &mut schema, tx.now());
        let shown = carry_out(tx, &table, &schema, &update)?;
        Ok(reply(tx, &table, &shown, &update, slow))
    });
    Ok(call.needing_memory(needs_memory))
}

/// Gives the table its new schema; returns the table that the reply shows.
fn carry_out(
    tx: &mut Tx<'_>,
    table: &Table,
    schema: &TableSchema,
    update: &Updates,
) -> Result<Arc<Table>, AwsError> {
    let now = |tx: &Tx<'_>| tx.engine().tables.by_id(table.id).ok_or_else(AwsError::not_found);
    ops::alter_table(tx, table, schema)?;
    let shown = now(tx)?;
    if let Some(index) = &update.create {
        ops::add_index(tx, &shown, index.clone())?;
        return now(tx);
    }
    if let Some(name) = &update.delete {
        // The reply shows the index with its old throughput.
        let mut without = shown.schema.clone();
        without.indexes.retain(|index| index.name != *name);
        throughput::forget_index(name, &mut without);
        ops::alter_table(tx, &shown, &without)?;
    }
    Ok(shown)
}

/// The reply. Units that are being changed have their old values, as at AWS until the change is done.
fn reply(tx: &Tx<'_>, before: &Table, shown: &Table, update: &Updates, slow: bool) -> Vec<u8> {
    let same_mode = throughput::is_provisioned(&before.schema) == throughput::is_provisioned(&shown.schema);
    let created = update.create.as_ref().map(|index| index.name.as_str());
    let index = |name: &str| match () {
        () if created == Some(name) => Some("CREATING"),
        () if update.delete.as_deref() == Some(name) => Some("DELETING"),
        () if !same_mode || update.changed.iter().any(|one| one == name) => Some("UPDATING"),
        () => None,
    };
    let telling = Telling {
        status: if slow { "UPDATING" } else { "ACTIVE" },
        index: &index,
        before: &before.schema,
        units_of: if same_mode { &before.schema } else { &shown.schema },
        created,
        now: tx.now(),
    };
    let mut out = Vec::new();
    let mut object = ObjectWriter::begin(&mut out);
    object.object("TableDescription", |object| describe_table(shown, telling, object));
    object.end();
    out
}
