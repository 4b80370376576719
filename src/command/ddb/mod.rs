//! DDB: AWS's DynamoDB API over RESP, `DDB Operation json`. The reply is AWS's reply as one string; a refusal is the
//! error `DDB {json}` with AWS's error.

#[cfg(test)]
mod tests;

use super::prepared::turn;
use super::spec::*;
use super::{Cx, Fail, Outcome, Preparation, Reading};
use crate::aws::{self, AwsCall, AwsError, Memory, Operation};
use crate::engine::Tables;
use crate::store::holds::outside;
use std::any::Any;

const READ: u64 = flag::READONLY | flag::HEAVY;
const WRITE: u64 = flag::WRITE | flag::DENYOOM | flag::WEIGHS | flag::HEAVY;
const TABLE: u64 = flag::WRITE | flag::ALL_SHARDS;

const fn operation(name: &'static str, flags: u64, summary: &'static str) -> Spec {
    of_group("item", name, flags, summary)
}

const fn about_tables(name: &'static str, flags: u64, summary: &'static str) -> Spec {
    of_group("table", name, flags, summary)
}

const fn of_group(group: &'static str, name: &'static str, flags: u64, summary: &'static str) -> Spec {
    spec(name, 3, flags, run).item_keys(keys).prepare(AHEAD).keys(&[]).doc(
        group,
        "0.1.0",
        "As of the commands that do the same.",
        summary,
        "json",
    )
}

static OPERATIONS: &[Spec] = &[
    operation("batchgetitem", READ, "Returns up to 100 items of several tables."),
    operation("batchwriteitem", WRITE, "Puts and deletes up to 25 items of several tables."),
    about_tables("createtable", TABLE | flag::DENYOOM | flag::WEIGHS, "Creates a table."),
    operation("deleteitem", flag::WRITE | flag::HEAVY, "Deletes an item."),
    about_tables("deletetable", TABLE, "Drops a table with all its items."),
    about_tables("describeendpoints", READ, "Returns AWS's endpoints."),
    about_tables("describelimits", READ, "Returns AWS's limits on throughput."),
    operation("describestream", READ, "Returns what a change stream is and which shard it has."),
    about_tables("describetable", READ | flag::ALL_SHARDS, "Returns a table's definition and size."),
    about_tables("describetimetolive", READ, "Returns a table's TTL attribute."),
    operation("getitem", READ, "Returns an item."),
    operation("getrecords", READ, "Returns records of a change stream from an iterator on."),
    operation("getsharditerator", READ, "Returns an iterator over a change stream."),
    operation("liststreams", READ, "Returns the change streams of all tables or one."),
    about_tables("listtables", READ, "Returns the tables' names."),
    about_tables("listtagsofresource", READ, "Returns a table's tags."),
    operation("putitem", WRITE, "Puts an item in place of the one with its keys."),
    operation("query", READ, "Returns items of one partition key."),
    operation("scan", READ | flag::WHOLE | flag::LONG, "Returns the items of a table, page by page."),
    about_tables("tagresource", TABLE, "Adds tags to a table."),
    operation("transactgetitems", READ, "Returns up to 100 items as of one moment."),
    operation("transactwriteitems", WRITE, "Changes up to 100 items, all or none."),
    about_tables("untagresource", TABLE, "Removes tags of a table."),
    operation("updateitem", WRITE, "Changes attributes of an item."),
    about_tables("updatetable", TABLE | flag::DENYOOM | flag::WEIGHS, "Changes a table's settings."),
    about_tables("updatetimetolive", TABLE, "Sets or removes a table's TTL attribute."),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec("ddb", -2, flag::READONLY, run).subs(OPERATIONS).doc(
    "item",
    "0.1.0",
    "Depends on the operation.",
    "AWS's DynamoDB API, an operation and its JSON at a time.",
    "",
)];

/// A request that was read, or the reason why it is refused.
type Read = Result<AwsCall, AwsError>;

/// The keys stand in the body, so every request is read before the shards are locked, however short it is.
const AHEAD: Preparation = Preparation { read: read_ahead, keys: Some(keys_of) };

fn read_ahead(with: &Reading<'_>, args: &[&[u8]]) -> Option<Box<dyn Any>> {
    let [_, name, body] = args else { return None };
    let operation = Operation::of(name)?;
    Some(Box::new(outside(|| read(operation, body, with.tables))))
}

/// Reads a request. The caller holds no shard, because a long request waits until no other is being read.
fn read(operation: Operation, body: &[u8], tables: &Tables) -> Read {
    let _turn = turn(body.len());
    aws::read(operation, body, tables)
}

fn keys_of(request: &dyn Any, visit: &mut dyn FnMut(ItemKey<'_>)) {
    if let Some(Ok(call)) = request.downcast_ref::<Read>() {
        call.keys().iter().for_each(|(table, key)| visit(ItemKey { arg: 0, table: *table, key }));
    }
}

/// Finds the partition keys of a request that was not read ahead, as they are stored.
fn keys(tables: &Tables, args: &[&[u8]], visit: &mut dyn FnMut(ItemKey<'_>)) {
    let [_, name, body] = args else { return };
    let Some(operation) = Operation::of(name) else { return };
    keys_of(&read(operation, body, tables), visit);
}

fn run(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    // The container itself runs for an unknown operation, with any arguments.
    let [_, name, rest @ ..] = args else { return Err(Fail::arity("ddb")) };
    let Some(operation) = Operation::of(name) else { return Err(failed(&AwsError::unknown_operation())) };
    let [body] = rest else { return Err(Fail::arity("ddb")) };
    let memory = if cx.client.memory_is_short { Memory::Short } else { Memory::Free };
    let read: Read = match cx.take_prepared() {
        Some(read) => read,
        None => aws::read(operation, body, &cx.tx.engine().tables),
    };
    let reply = read.and_then(|call| call.run(cx.tx, memory));
    match reply {
        Ok(reply) => cx.out.bulk(&reply),
        Err(error) => return Err(failed(&error)),
    }
    Ok(())
}

fn failed(error: &AwsError) -> Fail {
    Fail::text(format!("DDB {}", String::from_utf8_lossy(&error.to_json())))
}
