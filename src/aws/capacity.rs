//! ConsumedCapacity by AWS's rules.

use super::body::Body;
use super::json::ObjectWriter;
use super::request::Asked;
use crate::engine::Index;
use crate::ops::Written;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The capacity that a request consumed, table by table, and how much of it the reply shows.
pub(super) struct Capacity {
    detail: Detail,
    transaction: Option<Units>,
    /// By the table's name or ARN in the request.
    tables: BTreeMap<Arc<str>, Consumed>,
}

/// What a table and its indexes consumed.
#[derive(Default)]
struct Consumed {
    table: f64,
    globals: BTreeMap<String, f64>,
    locals: BTreeMap<String, f64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    None,
    Total,
    Indexes,
}

/// What a transaction consumes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Units {
    Read,
    Write,
}

impl Units {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "ReadCapacityUnits",
            Self::Write => "WriteCapacityUnits",
        }
    }
}

/// Units that a write of so many bytes costs: one for each begun KB, at least one.
pub(super) fn write_units(bytes: usize) -> f64 {
    bytes.div_ceil(1024).max(1) as f64
}

/// Blocks of 4 KB that a read of so many bytes takes, at least one.
pub(super) fn blocks(bytes: usize) -> usize {
    bytes.div_ceil(4096).max(1)
}

/// Units that a read of so many bytes costs: one for each block, half if it need not be consistent.
pub(super) fn read_units(bytes: usize, consistent: bool) -> f64 {
    read_blocks(blocks(bytes), consistent)
}

/// Units that reading so many blocks of 4 KB costs.
pub(super) fn read_blocks(blocks: usize, consistent: bool) -> f64 {
    blocks as f64 * if consistent { 1.0 } else { 0.5 }
}

impl Capacity {
    /// Reads `ReturnConsumedCapacity` from a request.
    pub(super) fn asked(body: Body<'_>) -> Self {
        let detail = match body.text("ReturnConsumedCapacity") {
            Some("TOTAL") => Detail::Total,
            Some("INDEXES") => Detail::Indexes,
            _ => Detail::None,
        };
        Self { detail, transaction: None, tables: BTreeMap::new() }
    }

    /// Counts as in a transaction: items cost double, entries of indexes do not, and the reply shows units by their
    /// kind.
    pub(super) fn in_transaction(mut self, units: Units) -> Self {
        self.transaction = Some(units);
        self
    }

    /// The sum of a table's units; `None` if the request does not ask for it.
    fn account(&mut self, table: &Asked) -> Option<&mut Consumed> {
        (self.detail != Detail::None).then(|| self.tables.entry(Arc::clone(&table.by)).or_default())
    }

    pub(super) fn add(&mut self, table: &Asked, units: f64) {
        let units = if self.transaction.is_some() { units * 2.0 } else { units };
        if let Some(consumed) = self.account(table) {
            consumed.table += units;
        }
    }

    pub(super) fn add_index(&mut self, table: &Asked, index: &Index, units: f64) {
        if let Some(consumed) = self.account(table) {
            let indexes = if index.schema.local { &mut consumed.locals } else { &mut consumed.globals };
            *indexes.entry(index.schema.name.clone()).or_default() += units;
        }
    }

    /// Adds a write on a table, with what it wrote to its indexes.
    pub(super) fn add_written(&mut self, table: &Asked, written: &Written) {
        self.add(table, write_units(written.bytes));
        for write in &written.indexes {
            let index = table.indexes.iter().find(|index| index.schema.space == write.space);
            if let Some(index) = index {
                self.add_index(table, index, write_units(write.bytes));
            }
        }
    }

    fn units(&self, object: &mut ObjectWriter<'_>, units: f64) {
        object.double("CapacityUnits", units);
        if let Some(kind) = self.transaction {
            object.double(kind.name(), units);
        }
    }

    fn one(&self, table: &str, consumed: &Consumed, out: &mut Vec<u8>) {
        let indexes =
            [("LocalSecondaryIndexes", &consumed.locals), ("GlobalSecondaryIndexes", &consumed.globals)];
        let of_indexes: f64 = indexes.iter().flat_map(|(_, units)| units.values()).sum();
        let mut object = ObjectWriter::begin(out);
        object.text("TableName", table);
        self.units(&mut object, consumed.table + of_indexes);
        if self.detail == Detail::Indexes {
            object.object("Table", |table| self.units(table, consumed.table));
            for (name, indexes) in indexes.into_iter().filter(|(_, indexes)| !indexes.is_empty()) {
                object.object(name, |object| {
                    for (index, units) in indexes {
                        object.object(index, |object| self.units(object, *units));
                    }
                });
            }
        }
        object.end();
    }

    /// The member of a reply about one table.
    pub(super) fn write(&self, object: &mut ObjectWriter<'_>) {
        if let Some((table, consumed)) = self.tables.iter().next() {
            self.one(table, consumed, object.key("ConsumedCapacity"));
        }
    }

    /// The member of a reply about several tables.
    pub(super) fn write_all(&self, object: &mut ObjectWriter<'_>) {
        if self.detail != Detail::None {
            object.array("ConsumedCapacity", &self.tables, |(table, consumed), out| {
                self.one(table, consumed, out);
            });
        }
    }
}
