//! Tables: their definition, settings, time to live and tags; and what there is to say of limits and endpoints.

mod create;
mod indexes;
mod settings;
mod stream;
mod tags;
mod throughput;
mod ttl;
mod update;

use super::arn::ARN;
use super::body::{Body, Violations};
use super::error::{AwsError, ErrorKind};
use super::json::Object;
use super::{Call, Operation, shape};
use crate::engine::{Table, Tables};
use crate::item::TableSchema;
use crate::ops;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

fn missing(name: &str) -> AwsError {
    AwsError::new(
        ErrorKind::ResourceNotFound,
        format!("Requested resource not found: Table: {name} not found"),
    )
}

fn find(tables: &Tables, name: &str) -> Result<Arc<Table>, AwsError> {
    tables.get(name.as_bytes()).ok_or_else(|| missing(name))
}

/// Reads an operation on tables.
pub(super) fn read(
    operation: Operation,
    map: &Map<String, Value>,
    tables: &Tables,
) -> Result<Call, AwsError> {
    shape::table(map)?;
    let body = Body(map);
    match operation {
        Operation::CreateTable => create::create(body),
        Operation::UpdateTable => update::update(body, tables),
        Operation::DeleteTable => delete(body, tables),
        Operation::ListTables => list(body, tables),
        Operation::UpdateTimeToLive => ttl::update(body, tables),
        Operation::DescribeTimeToLive => ttl::describe(body, tables),
        Operation::TagResource => tags::tag(body, tables),
        Operation::UntagResource => tags::untag(body, tables),
        Operation::ListTagsOfResource => tags::list(body, tables),
        Operation::DescribeLimits => Ok(said(limits)),
        Operation::DescribeEndpoints => Ok(said(endpoints)),
        _ => describe(body, tables),
    }
}

/// A call whose reply is known already.
fn said(fill: impl FnOnce(&mut Object<'_>)) -> Call {
    let mut out = Vec::new();
    let mut object = Object::begin(&mut out);
    fill(&mut object);
    object.end();
    Call::new(Vec::new(), move |_| Ok(out))
}

/// A call that gives a table another schema.
fn alter(
    table: Arc<Table>,
    schema: TableSchema,
    reply: impl FnOnce(&Table, &mut Object<'_>) + 'static,
) -> Call {
    Call::new(Vec::new(), move |tx| {
        ops::alter_table(tx, &table, &schema)?;
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        if let Some(table) = tx.engine().tables.by_id(table.id) {
            reply(&table, &mut object);
        }
        object.end();
        Ok(out)
    })
}

fn describe(body: Body<'_>, tables: &Tables) -> Result<Call, AwsError> {
    let table = find(tables, body.only_table_name()?)?;
    Ok(Call::new(Vec::new(), move |tx| {
        let mut out = Vec::new();
        let mut reply = Object::begin(&mut out);
        let telling = Telling::of(&table, "ACTIVE", tx.now());
        reply.object("Table", |object| describe_table(&table, telling, object));
        reply.end();
        Ok(out)
    }))
}

fn delete(body: Body<'_>, tables: &Tables) -> Result<Call, AwsError> {
    let name = body.only_table_name()?;
    let table = find(tables, name)?;
    if settings::is_protected(&table.schema) {
        return Err(AwsError::validation(
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
        ));
    }
    let name = name.to_owned();
    Ok(Call::new(Vec::new(), move |tx| {
        let table = ops::drop_table(tx, name.as_bytes()).map_err(|_| missing(&name))?;
        let mut out = Vec::new();
        let mut reply = Object::begin(&mut out);
        let telling = Telling::of(&table, "DELETING", tx.now());
        reply.object("TableDescription", |object| describe_table(&table, telling, object));
        reply.end();
        Ok(out)
    }))
}

fn list(body: Body<'_>, tables: &Tables) -> Result<Call, AwsError> {
    let mut violations = Violations::default();
    violations.range(body, "Limit", 1, 100);
    violations.name(body, "ExclusiveStartTableName");
    violations.finish()?;
    let limit = body.int("Limit").map_or(100, |limit| limit as usize);
    let after = body.text("ExclusiveStartTableName").unwrap_or_default();
    let all = tables.list();
    let from = if after.is_empty() { 0 } else { all.partition_point(|table| table.name.as_str() <= after) };
    let page = all.get(from..all.len().min(from + limit)).unwrap_or_default();
    Ok(said(|reply| {
        reply.array("TableNames", page, |table, out| super::json::write_text(out, &table.name));
        if let Some(last) = page.last().filter(|_| from + page.len() < all.len()) {
            reply.text("LastEvaluatedTableName", &last.name);
        }
    }))
}

/// What a description tells that is not in the table.
#[derive(Clone, Copy)]
struct Telling<'t> {
    /// The table's status.
    status: &'t str,
    /// The status of an index, by its name, if it is not the table's own.
    index: &'t dyn Fn(&str) -> Option<&'static str>,
    /// The table before a change that is under way.
    before: &'t TableSchema,
    /// Whose provisioned units are told.
    units_of: &'t TableSchema,
    /// The index that is being created.
    created: Option<&'t str>,
    /// The time, in ms.
    now: u64,
}

impl<'t> Telling<'t> {
    /// Of a table that does not change.
    fn of(table: &'t Table, status: &'t str, now: u64) -> Self {
        let schema = &table.schema;
        Self { status, index: &|_| None, before: schema, units_of: schema, created: None, now }
    }
}

/// A table's description. That of one that is being deleted has no keys and indexes any more.
fn describe_table(table: &Table, telling: Telling<'_>, object: &mut Object<'_>) {
    let (schema, status) = (&table.schema, telling.status);
    let deleting = status == "DELETING";
    if !deleting {
        indexes::describe_attributes(schema, object);
    }
    object.text("TableName", &table.name);
    if !deleting {
        object.array("KeySchema", schema.keys.attrs().zip(["HASH", "RANGE"]), |(attr, role), out| {
            let mut object = Object::begin(out);
            object.text("AttributeName", &attr.name);
            object.text("KeyType", role);
            object.end();
        });
    }
    object.text("TableStatus", status);
    if !deleting {
        object.double("CreationDateTime", table.created as f64 / 1000.0);
    }
    throughput::describe(schema, telling.units_of, None, telling.now, object);
    object.int("TableSizeBytes", table.counts.bytes.load(Relaxed));
    object.int("ItemCount", table.counts.items.load(Relaxed));
    if !deleting {
        indexes::describe(table, telling, object);
    }
    object.text("TableArn", &format!("{ARN}{}", table.name));
    object.text("TableId", &format!("00000000-0000-4000-8000-{:012x}", table.id));
    throughput::describe_billing(table, telling.before, status, object);
    settings::describe(schema, object);
    stream::describe(table, object);
    object.bool("DeletionProtectionEnabled", settings::is_protected(schema));
    throughput::describe_wishes(schema, None, status, object);
}

fn limits(reply: &mut Object<'_>) {
    for (name, units) in [
        ("AccountMaxReadCapacityUnits", 80_000),
        ("AccountMaxWriteCapacityUnits", 80_000),
        ("TableMaxReadCapacityUnits", 40_000),
        ("TableMaxWriteCapacityUnits", 40_000),
    ] {
        reply.int(name, units);
    }
}

fn endpoints(reply: &mut Object<'_>) {
    reply.array("Endpoints", ["dynamodb.us-east-1.amazonaws.com"], |address, out| {
        let mut object = Object::begin(out);
        object.text("Address", address);
        object.int("CachePeriodInMinutes", 1440);
        object.end();
    });
}
