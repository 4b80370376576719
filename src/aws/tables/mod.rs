//! Tables: their definition, settings, time to live and tags; and what there is to say of limits and endpoints.

mod create;
mod indexes;
mod settings;
mod stream;

use super::body::{Body, Violations};
use super::error::{AwsError, Kind};
use super::json::Object;
use super::{Call, Operation, shape};
use crate::engine::{Table, Tables};
use crate::ops;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What table names are behind in ARNs.
pub(super) const ARN: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/";

fn missing(name: &str) -> AwsError {
    AwsError::new(Kind::ResourceNotFound, format!("Requested resource not found: Table: {name} not found"))
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
        Operation::UpdateTable => settings::update(body, tables),
        Operation::DeleteTable => delete(body, tables),
        Operation::ListTables => list(body, tables),
        Operation::UpdateTimeToLive => settings::update_ttl(body, tables),
        Operation::DescribeTimeToLive => settings::describe_ttl(body, tables),
        Operation::TagResource => settings::tag(body, tables),
        Operation::UntagResource => settings::untag(body, tables),
        Operation::ListTagsOfResource => settings::list_tags(body, tables),
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

fn describe(body: Body<'_>, tables: &Tables) -> Result<Call, AwsError> {
    let table = find(tables, body.table_name()?)?;
    Ok(said(|reply| reply.object("Table", |object| describe_table(&table, ACTIVE, object))))
}

fn delete(body: Body<'_>, tables: &Tables) -> Result<Call, AwsError> {
    let name = body.table_name()?;
    let table = find(tables, name)?;
    if table.schema.settings.contains_key(settings::PROTECTED) {
        return Err(AwsError::validation(
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
        ));
    }
    let name = name.to_owned();
    Ok(Call::new(Vec::new(), move |tx| {
        let table = ops::drop_table(tx, name.as_bytes()).map_err(|_| missing(&name))?;
        let mut out = Vec::new();
        let mut reply = Object::begin(&mut out);
        let telling = Telling { status: "DELETING", index: Some(("", "DELETING")) };
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

/// What a description tells of a table's status, and perhaps of that of an index that is changing (all of them if it has no name).
#[derive(Clone, Copy)]
struct Telling<'t> {
    status: &'t str,
    index: Option<(&'t str, &'t str)>,
}

const ACTIVE: Telling<'static> = Telling { status: "ACTIVE", index: None };

/// A table's description.
fn describe_table(table: &Table, telling: Telling<'_>, object: &mut Object<'_>) {
    let schema = &table.schema;
    let setting = |name: &str| schema.settings.get(name).map(String::as_str);
    let units = |name: &str| setting(name).and_then(|n| n.parse().ok()).unwrap_or(0);
    indexes::describe_attributes(schema, object);
    object.text("TableName", &table.name);
    object.array("KeySchema", schema.keys.attrs().zip(["HASH", "RANGE"]), |(attr, role), out| {
        let mut object = Object::begin(out);
        object.text("AttributeName", &attr.name);
        object.text("KeyType", role);
        object.end();
    });
    object.text("TableStatus", telling.status);
    object.double("CreationDateTime", table.created as f64 / 1000.0);
    object.object("ProvisionedThroughput", |object| {
        object.int("NumberOfDecreasesToday", 0);
        object.int("ReadCapacityUnits", units(settings::READ_UNITS));
        object.int("WriteCapacityUnits", units(settings::WRITE_UNITS));
    });
    object.int("TableSizeBytes", table.counts.bytes.load(Relaxed));
    object.int("ItemCount", table.counts.items.load(Relaxed));
    indexes::describe(table, telling.index, object);
    object.text("TableArn", &format!("{ARN}{}", table.name));
    object.text("TableId", &format!("00000000-0000-4000-8000-{:012x}", table.id));
    if setting(settings::BILLING) != Some("PROVISIONED") {
        object.object("BillingModeSummary", |object| {
            object.text("BillingMode", "PAY_PER_REQUEST");
            object.double("LastUpdateToPayPerRequestDateTime", table.created as f64 / 1000.0);
        });
    }
    if let Some(class) = setting(settings::CLASS) {
        object.object("TableClassSummary", |object| object.text("TableClass", class));
    }
    stream::describe(table, object);
    object.bool("DeletionProtectionEnabled", setting(settings::PROTECTED).is_some());
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
