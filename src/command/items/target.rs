//! The table and the item that a command names: `NAME table pk [sk] ...`. The table's schema decides whether a sort key
//! follows.

use super::ArgWords;
use crate::command::{Fail, ItemKey, Reading};
use crate::config::Settings;
use crate::engine::{LocalTable, Table, Tables};
use crate::expr::BoundCondition;
use crate::item::{AttributeValueRef, Item, ItemKeys, ItemLimits, KeyBytes, put_key};
use crate::ops::At;
use crate::text::parse_i64_strict;

/// Finds the partition key in its stored form, whose shard is locked.
pub(super) fn partition_key(tables: &Tables, args: &[&[u8]], visit: &mut dyn FnMut(ItemKey<'_>)) {
    let [_, table, text, ..] = args else { return };
    let Some(table) = tables.local(table) else { return };
    stored(&table, text, &mut |key| visit(ItemKey { arg: 2, table: table.id, key }));
}

/// Finds the partition keys of `NAME table numkeys pk [sk] ...`.
pub(super) fn partition_keys(tables: &Tables, args: &[&[u8]], visit: &mut dyn FnMut(ItemKey<'_>)) {
    let [_, table, count, ..] = args else { return };
    let (Some(table), Some(count)) = (tables.local(table), parse_i64_strict(count)) else { return };
    let step = table.schema.keys.attrs().count();
    let count = usize::try_from(count).unwrap_or(0);
    for (at, text) in args.iter().enumerate().skip(3).step_by(step).take(count) {
        stored(&table, text, &mut |key| visit(ItemKey { arg: at, table: table.id, key }));
    }
}

/// Calls `visit` with a partition key in its stored form, unless the text is no key of the table.
fn stored(table: &Table, text: &[u8], visit: &mut dyn FnMut(&[u8])) {
    match table.schema.keys.pk.value_of_text(text) {
        Ok(AttributeValueRef::S(bytes) | AttributeValueRef::B(bytes)) => visit(bytes),
        Ok(value) => {
            let mut key = KeyBytes::new();
            put_key(&mut key, &value);
            visit(&key);
        }
        Err(_) => {}
    }
}

/// The table with this name.
pub(super) fn table(with: &Reading<'_>, name: &[u8]) -> Result<LocalTable, Fail> {
    with.tables.local(name).ok_or_else(|| missing(with.tables, name))
}

/// The error for a table that does not exist, or is not ready.
pub(in crate::command) fn missing(tables: &Tables, name: &[u8]) -> Fail {
    let why = match tables.get_any(name) {
        Some(_) => "' is not ready: hashes are becoming its items",
        None => "' does not exist",
    };
    Fail::about("NOTABLE table '", name, why)
}

/// The limits on items in the configuration.
pub(in crate::command) fn limits(settings: &Settings) -> ItemLimits {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    ItemLimits {
        max_item_bytes: size(settings.item_max_size),
        max_depth: settings.item_max_depth as usize,
        max_partition_key_bytes: size(settings.item_max_partition_key_size),
        max_sort_key_bytes: size(settings.item_max_sort_key_size),
    }
}

/// The item that a command names.
pub(super) struct Target {
    /// The tables' version from before the table was looked up, so the table is at least as new as the version.
    pub(super) version: (u64, u64),
    pub(super) table: LocalTable,
    pub(super) keys: ItemKeys,
    pub(super) limits: ItemLimits,
}

impl Target {
    /// Reads the table and the keys. `words` is after the command's name, and after the call it is after the keys.
    pub(super) fn read(with: &Reading<'_>, words: &mut ArgWords<'_, '_>) -> Result<Self, Fail> {
        let version = with.tables.version();
        let table = table(with, words.need()?)?;
        let limits = limits(with.settings);
        let pk = words.need()?;
        let sk = match &table.schema.keys.sk {
            None => None,
            Some(attr) => Some(words.next().ok_or_else(|| {
                let (table, attr) = (&table.name, &attr.name);
                Fail::text(format!(
                    "VALIDATION table '{table}' has the sort key '{attr}', whose value must follow the partition key"
                ))
            })?),
        };
        let keys = table.schema.text_keys(pk, sk, &limits)?;
        Ok(Self { version, table, keys, limits })
    }

    /// Checks the size of an item that is to be put, and if `keys` is set that its key attributes are these keys.
    pub(super) fn check(&self, item: &Item, keys: bool) -> Result<(), Fail> {
        let schema = &self.table.schema;
        if keys && schema.item_keys(&item.view(), &self.limits)? != self.keys {
            return Err(Fail::new(
                "VALIDATION the item's key attributes differ from the keys that were given",
            ));
        }
        Ok(schema.check_size(&item.view(), &self.limits)?)
    }

    /// The item as the target of an operation.
    pub(super) fn at<'t>(&'t self, condition: Option<&'t BoundCondition>, return_old: bool) -> At<'t> {
        At { condition, return_old, ..At::new(&self.table, &self.keys) }
    }
}
