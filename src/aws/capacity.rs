//! ConsumedCapacity by AWS's rules.

use super::body::Body;
use super::json::Object;
use std::collections::BTreeMap;

/// What is to be said of the capacity that a request consumed, and how much it was, table by table.
pub(super) struct Capacity {
    detail: Detail,
    transaction: Option<Units>,
    tables: BTreeMap<String, f64>,
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

/// Units that a write of so many bytes costs: one for each begun KB, at least one.
pub(super) fn write_units(bytes: usize) -> f64 {
    bytes.div_ceil(1024).max(1) as f64
}

/// Units that a read of so many bytes costs: one for each begun 4 KB, at least one, half if it need not be consistent.
pub(super) fn read_units(bytes: usize, consistent: bool) -> f64 {
    bytes.div_ceil(4096).max(1) as f64 * if consistent { 1.0 } else { 0.5 }
}

impl Capacity {
    /// What a request asks for.
    pub(super) fn asked(body: Body<'_>) -> Self {
        let detail = match body.text("ReturnConsumedCapacity") {
            Some("TOTAL") => Detail::Total,
            Some("INDEXES") => Detail::Indexes,
            _ => Detail::None,
        };
        Self { detail, transaction: None, tables: BTreeMap::new() }
    }

    /// In a transaction everything costs double and is told by its kind.
    pub(super) fn in_transaction(mut self, units: Units) -> Self {
        self.transaction = Some(units);
        self
    }

    pub(super) fn add(&mut self, table: &str, units: f64) {
        if self.detail == Detail::None {
            return;
        }
        let units = if self.transaction.is_some() { units * 2.0 } else { units };
        match self.tables.get_mut(table) {
            Some(sum) => *sum += units,
            None => drop(self.tables.insert(table.to_owned(), units)),
        }
    }

    fn one(&self, table: &str, units: f64, out: &mut Vec<u8>) {
        let kind = self.transaction.map(|units| match units {
            Units::Read => "ReadCapacityUnits",
            Units::Write => "WriteCapacityUnits",
        });
        let mut object = Object::begin(out);
        object.text("TableName", table);
        object.double("CapacityUnits", units);
        if let Some(kind) = kind {
            object.double(kind, units);
        }
        if self.detail == Detail::Indexes {
            object.object("Table", |table| {
                table.double("CapacityUnits", units);
                if let Some(kind) = kind {
                    table.double(kind, units);
                }
            });
        }
        object.end();
    }

    /// The member of a reply about one table.
    pub(super) fn write(&self, object: &mut Object<'_>) {
        if let Some((table, units)) = self.tables.iter().next() {
            self.one(table, *units, object.key("ConsumedCapacity"));
        }
    }

    /// The member of a reply about several tables.
    pub(super) fn write_all(&self, object: &mut Object<'_>) {
        if self.detail != Detail::None {
            object
                .array("ConsumedCapacity", &self.tables, |(table, units), out| self.one(table, *units, out));
        }
    }
}
