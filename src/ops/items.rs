//! Operations on one item. The caller holds the shard of its partition key, for changes exclusively.

use super::OpError;
use crate::engine::{Table, Tx};
use crate::expr::BoundCondition;
use crate::item::{Item, ItemKeys, ItemRef};

/// Puts an item in place of the one with its keys.
pub struct Put<'r> {
    /// The table.
    pub table: &'r Table,
    /// The item's keys.
    pub keys: &'r ItemKeys,
    /// The item. That it is valid, of allowed size and has these keys is the caller's to see to.
    pub item: &'r Item,
    /// What the present item (or none) must satisfy.
    pub condition: Option<&'r BoundCondition>,
    /// Whether the present item is returned: by success, or with the failed condition.
    pub return_old: bool,
}

/// Carries out a put; returns the item that was replaced, if it was asked for and there was one.
///
/// # Errors
/// [`OpError::ConditionFailed`].
pub fn put(tx: &mut Tx<'_>, put: &Put<'_>) -> Result<Option<Item>, OpError> {
    let old = check(tx, put.table, put.keys, put.condition, put.return_old)?;
    tx.put_item(put.table, put.keys, put.item);
    Ok(old.copy)
}

/// Removes an item.
pub struct Delete<'r> {
    /// The table.
    pub table: &'r Table,
    /// The item's keys.
    pub keys: &'r ItemKeys,
    /// What the present item (or none) must satisfy.
    pub condition: Option<&'r BoundCondition>,
    /// Whether the present item is returned: by success, or with the failed condition.
    pub return_old: bool,
}

/// Carries out a delete; returns whether there was an item, and the item if it was asked for.
///
/// # Errors
/// [`OpError::ConditionFailed`].
pub fn delete(tx: &mut Tx<'_>, delete: &Delete<'_>) -> Result<(bool, Option<Item>), OpError> {
    let old = check(tx, delete.table, delete.keys, delete.condition, delete.return_old)?;
    if old.there {
        tx.delete_item(delete.table, delete.keys);
    }
    Ok((old.there, old.copy))
}

/// The item as it was.
struct Old {
    there: bool,
    copy: Option<Item>,
}

fn check(
    tx: &Tx<'_>,
    table: &Table,
    keys: &ItemKeys,
    condition: Option<&BoundCondition>,
    copy: bool,
) -> Result<Old, OpError> {
    let current = tx.item(table, keys);
    let old = Old { there: current.is_some(), copy: current.filter(|_| copy).as_ref().map(ItemRef::to_item) };
    match condition {
        Some(condition) if !condition.holds(current) => Err(OpError::ConditionFailed(old.copy)),
        _ => Ok(old),
    }
}
