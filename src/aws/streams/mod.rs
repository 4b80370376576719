//! DynamoDB Streams: the change streams of tables as AWS shows them, each with one shard that has all its records in
//! order.

mod iterator;
mod names;
mod records;
mod stream;

use super::body::{Body, Violations, bare_name};
use super::error::AwsError;
use super::json::ObjectWriter;
use super::{AwsCall, Operation, shape};
use crate::engine::{Table, Tables};
pub(super) use names::Names;
use serde_json::{Map, Value};
use std::sync::Arc;
use stream::{NamedStream, constrain_arn, constrain_shard};

/// Reads an operation on streams.
pub(super) fn read(
    operation: Operation,
    map: &Map<String, Value>,
    tables: &Tables,
) -> Result<AwsCall, AwsError> {
    shape::stream(map)?;
    let body = Body(map);
    match operation {
        Operation::DescribeStream => describe(body, tables),
        Operation::GetShardIterator => iterator::get(body, tables),
        Operation::GetRecords => records::get(body, tables),
        _ => list(body, tables),
    }
}

/// ListStreams.
fn list(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
    let mut violations = Violations::default();
    violations.name(body, "TableName");
    violations.range(body, "Limit", 1, 100);
    if let Some(arn) = body.text("ExclusiveStartStreamArn") {
        violations.length(arn, "exclusiveStartStreamArn", 37, 1024);
    }
    violations.finish()?;
    let limit = body.int("Limit").map_or(100, |limit| limit as usize);
    let after = body.text("ExclusiveStartStreamArn").unwrap_or_default().to_owned();
    let only = body.text("TableName").map(|name| bare_name(name).to_owned());
    let tables: Vec<Arc<Table>> = tables
        .list_with_dropped()
        .into_iter()
        .filter(|table| only.as_ref().is_none_or(|name| table.name == *name))
        .collect();
    Ok(AwsCall::new(Vec::new(), move |tx| {
        let spans =
            tables.iter().flat_map(|table| table.schema.streams.iter().map(move |span| (table, span)));
        let known = spans.filter(|(_, span)| !tx.engine().is_stream_over(span, tx.now()));
        let mut all: Vec<Names> = known.map(|(table, span)| Names::of(table, span)).collect();
        all.sort_by(|a, b| a.arn.cmp(&b.arn));
        let from = all.partition_point(|names| names.arn <= after);
        let page = all.get(from..all.len().min(from + limit)).unwrap_or_default();
        let mut out = Vec::new();
        let mut reply = ObjectWriter::begin(&mut out);
        reply.array("Streams", page, |names, out| {
            let mut object = ObjectWriter::begin(out);
            object.text("StreamArn", &names.arn);
            object.text("TableName", &names.table);
            object.text("StreamLabel", &names.label);
            object.end();
        });
        if let Some(last) = page.last().filter(|_| from + page.len() < all.len()) {
            reply.text("LastEvaluatedStreamArn", &last.arn);
        }
        reply.end();
        Ok(out)
    }))
}

/// DescribeStream.
fn describe(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
    let mut violations = Violations::default();
    constrain_arn(body, &mut violations);
    violations.range(body, "Limit", 1, 100);
    constrain_shard(body.text("ExclusiveStartShardId"), "exclusiveStartShardId", &mut violations);
    if let Some(filter) = body.map("ShardFilter") {
        violations.one_of(filter, "Type", &["CHILD_SHARDS"]);
        constrain_shard(filter.text("ShardId"), "shardFilter.shardId", &mut violations);
    }
    violations.finish()?;
    let stream = NamedStream::find(tables, body.text("StreamArn").unwrap_or_default())?;
    let after = body.text("ExclusiveStartShardId").unwrap_or_default().to_owned();
    let children = body.map("ShardFilter").is_some();
    Ok(stream.call(move |stream, _, extent| {
        let (table, span) = (&stream.table, &stream.span);
        let names = Names::of(table, span);
        let mut out = Vec::new();
        let mut reply = ObjectWriter::begin(&mut out);
        reply.object("StreamDescription", |object| {
            object.text("StreamArn", &names.arn);
            object.text("StreamLabel", &names.label);
            object.text("StreamStatus", if span.end.is_some() { "DISABLED" } else { "ENABLED" });
            object.text("StreamViewType", span.view.name());
            object.double("CreationRequestDateTime", span.since_ms as f64 / 1000.0);
            object.text("TableName", &names.table);
            object.array(
                "KeySchema",
                table.schema.keys.attrs().zip(["HASH", "RANGE"]),
                |(attr, role), out| {
                    let mut object = ObjectWriter::begin(out);
                    object.text("AttributeName", &attr.name);
                    object.text("KeyType", role);
                    object.end();
                },
            );
            // The only shard has no parent and no children.
            let shown = (!children && names.shard > after).then_some(());
            object.array("Shards", shown, |(), out| {
                let mut object = ObjectWriter::begin(out);
                object.text("ShardId", &names.shard);
                object.object("SequenceNumberRange", |object| {
                    let start = names::start(span, &extent);
                    object.text("StartingSequenceNumber", &names::number(start));
                    if let Some(end) = span.end {
                        object.text("EndingSequenceNumber", &names::number(end.through.max(start)));
                    }
                });
                object.end();
            });
        });
        reply.end();
        Ok(out)
    }))
}
