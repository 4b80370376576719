//! Operations on tables (definition, settings, time to live, tags), DescribeLimits and DescribeEndpoints.

mod calls;
mod create;
mod describe;
mod indexes;
mod keys;
mod settings;
mod stream;
mod tags;
mod throughput;
mod ttl;
mod update;

use super::body::{Body, Violations};
use super::error::AwsError;
use super::json::ObjectWriter;
use super::{AwsCall, Operation, shape};
use crate::engine::Tables;
use crate::ops;
use calls::{find, missing, said};
use describe::{Telling, describe_table};
use serde_json::{Map, Value};

/// Reads an operation on tables.
pub(super) fn read(
    operation: Operation,
    map: &Map<String, Value>,
    tables: &Tables,
) -> Result<AwsCall, AwsError> {
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

fn describe(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
    let table = find(tables, body.only_table_name()?)?;
    Ok(AwsCall::new(Vec::new(), move |tx| {
        let mut out = Vec::new();
        let mut reply = ObjectWriter::begin(&mut out);
        let telling = Telling::of(&table, "ACTIVE", tx.now());
        reply.object("Table", |object| describe_table(&table, telling, object));
        reply.end();
        Ok(out)
    }))
}

fn delete(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
    let name = body.only_table_name()?;
    let table = find(tables, name)?;
    if settings::is_protected(&table.schema) {
        return Err(AwsError::validation(
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
        ));
    }
    let name = name.to_owned();
    Ok(AwsCall::new(Vec::new(), move |tx| {
        let table = ops::drop_table(tx, name.as_bytes()).map_err(|_| missing(&name))?;
        let mut out = Vec::new();
        let mut reply = ObjectWriter::begin(&mut out);
        let telling = Telling::of(&table, "DELETING", tx.now());
        reply.object("TableDescription", |object| describe_table(&table, telling, object));
        reply.end();
        Ok(out)
    }))
}

fn list(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
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

fn limits(reply: &mut ObjectWriter<'_>) {
    for (name, units) in [
        ("AccountMaxReadCapacityUnits", 80_000),
        ("AccountMaxWriteCapacityUnits", 80_000),
        ("TableMaxReadCapacityUnits", 40_000),
        ("TableMaxWriteCapacityUnits", 40_000),
    ] {
        reply.int(name, units);
    }
}

fn endpoints(reply: &mut ObjectWriter<'_>) {
    reply.array("Endpoints", ["dynamodb.us-east-1.amazonaws.com"], |address, out| {
        let mut object = ObjectWriter::begin(out);
        object.text("Address", address);
        object.int("CachePeriodInMinutes", 1440);
        object.end();
    });
}
