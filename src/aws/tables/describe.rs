//! Describes a table and its indexes in replies.

use super::super::arn::ARN;
use super::super::json::{ObjectWriter, write_text};
use super::{settings, stream, throughput};
use crate::engine::{Index, Table};
use crate::item::{IndexSchema, IndexStatus, Projection, TableSchema};
use std::sync::atomic::Ordering::Relaxed;

/// What a description shows beside the table itself.
#[derive(Clone, Copy)]
pub(super) struct Telling<'t> {
    /// The table's status.
    pub(super) status: &'t str,
    /// The status of an index, by its name, if it is not the table's own.
    pub(super) index: &'t dyn Fn(&str) -> Option<&'static str>,
    /// The table before the change in progress.
    pub(super) before: &'t TableSchema,
    /// The schema whose provisioned units are shown.
    pub(super) units_of: &'t TableSchema,
    /// The index that is being created.
    pub(super) created: Option<&'t str>,
    /// The time, in ms.
    pub(super) now: u64,
}

impl<'t> Telling<'t> {
    /// For a table that is not being changed.
    pub(super) fn of(table: &'t Table, status: &'t str, now: u64) -> Self {
        let schema = &table.schema;
        Self { status, index: &|_| None, before: schema, units_of: schema, created: None, now }
    }
}

/// Writes a table's description. For a table that is being deleted it has no keys and indexes.
pub(super) fn describe_table(table: &Table, telling: Telling<'_>, object: &mut ObjectWriter<'_>) {
    let (schema, status) = (&table.schema, telling.status);
    let deleting = status == "DELETING";
    if !deleting {
        describe_attributes(schema, object);
    }
    object.text("TableName", &table.name);
    if !deleting {
        object.array("KeySchema", schema.keys.attrs().zip(["HASH", "RANGE"]), |(attr, role), out| {
            let mut object = ObjectWriter::begin(out);
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
        describe_indexes(table, telling, object);
    }
    object.text("TableArn", &format!("{ARN}{}", table.name));
    object.text("TableId", &format!("00000000-0000-4000-8000-{:012x}", table.id));
    throughput::describe_billing(table, telling.before, status, object);
    settings::describe(schema, object);
    stream::describe(table, object);
    object.bool("DeletionProtectionEnabled", settings::is_protected(schema));
    throughput::describe_wishes(schema, None, status, object);
}

/// The definitions of all key attributes.
fn describe_attributes(schema: &TableSchema, object: &mut ObjectWriter<'_>) {
    let mut used = used(schema);
    // AWS lists them by their names.
    used.sort_unstable();
    object.array("AttributeDefinitions", used, |name, out| {
        let mut object = ObjectWriter::begin(out);
        object.text("AttributeName", name);
        object.text("AttributeType", schema.declared_type(name).map_or("S", |declared| declared.tag()));
        object.end();
    });
}

/// The names of all attributes that are keys of a table or its indexes, each once.
pub(super) fn used(schema: &TableSchema) -> Vec<&str> {
    let mut used = Vec::new();
    let indexes = schema.indexes.iter().flat_map(IndexSchema::attrs);
    for attr in schema.keys.attrs().chain(indexes) {
        if !used.contains(&attr.name.as_str()) {
            used.push(attr.name.as_str());
        }
    }
    used
}

/// The indexes of a table.
fn describe_indexes(table: &Table, telling: Telling<'_>, object: &mut ObjectWriter<'_>) {
    for (member, local) in [("LocalSecondaryIndexes", true), ("GlobalSecondaryIndexes", false)] {
        let indexes: Vec<&Index> = table.indexes.iter().filter(|index| index.schema.local == local).collect();
        if !indexes.is_empty() {
            object.array(member, indexes, |index, out| describe_one(table, index, telling, out));
        }
    }
}

fn describe_one(table: &Table, index: &Index, telling: Telling<'_>, out: &mut Vec<u8>) {
    let schema = &index.schema;
    let mut object = ObjectWriter::begin(out);
    object.text("IndexName", &schema.name);
    let roles = schema.pk.iter().map(|attr| (attr, "HASH"));
    object.array(
        "KeySchema",
        roles.chain(schema.sk.iter().map(|attr| (attr, "RANGE"))),
        |(attr, role), out| {
            let mut object = ObjectWriter::begin(out);
            object.text("AttributeName", &attr.name);
            object.text("KeyType", role);
            object.end();
        },
    );
    object.object("Projection", |object| {
        object.text("ProjectionType", schema.projection.name());
        if let Projection::Include(names) = &schema.projection {
            object.array("NonKeyAttributes", names, |name, out| write_text(out, name));
        }
    });
    if !schema.local {
        let name = Some(schema.name.as_str());
        let (creating, created) = (schema.status == IndexStatus::Creating, telling.created == name);
        let status = if creating { "CREATING" } else { "ACTIVE" };
        let status = (telling.index)(&schema.name).unwrap_or(status);
        object.text("IndexStatus", status);
        if creating || created {
            // For an index that this request creates it is false, because backfilling begins after the reply.
            object.bool("Backfilling", !created);
        }
        let units_of = if created { &table.schema } else { telling.units_of };
        throughput::describe(&table.schema, units_of, name, telling.now, &mut object);
        let status = if telling.status == "ACTIVE" { status } else { "UPDATING" };
        throughput::describe_wishes(&table.schema, name, status, &mut object);
    }
    object.int("IndexSizeBytes", index.counts.bytes.load(Relaxed));
    object.int("ItemCount", index.counts.items.load(Relaxed));
    object.text("IndexArn", &format!("{ARN}{}/index/{}", table.name, schema.name));
    object.end();
}
