//! Operations on one item. The caller holds the shard of its partition key, for changes exclusively.

use super::OpError;
use crate::engine::{Table, Tx};
use crate::expr::{BoundCondition, BoundUpdate};
use crate::item::{Item, ItemKeys, ItemLimits, ItemRef};

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
    let old = examine(tx, put.table, put.keys, put.condition, put.return_old)?;
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
    let old = examine(tx, delete.table, delete.keys, delete.condition, delete.return_old)?;
    if old.there {
        tx.delete_item(delete.table, delete.keys);
    }
    Ok((old.there, old.copy))
}

/// Changes attributes of an item, which is made if it does not exist.
pub struct Update<'r> {
    /// The table.
    pub table: &'r Table,
    /// The item's keys.
    pub keys: &'r ItemKeys,
    /// The changes; that they leave the keys alone is checked already.
    pub changes: Option<&'r BoundUpdate>,
    /// What the present item (or none) must satisfy.
    pub condition: Option<&'r BoundCondition>,
    /// Whether the present item is returned: by success, or with the failed condition.
    pub return_old: bool,
    /// The limits that the updated item must keep.
    pub limits: &'r ItemLimits,
}

/// What an update did.
pub struct Updated {
    /// The item as it was, if it was asked for and there was one.
    pub old: Option<Item>,
    /// The item as it is.
    pub new: Item,
}

/// Carries out an update.
///
/// # Errors
/// [`OpError::ConditionFailed`], [`OpError::Expr`] where the changes do not fit the item, [`OpError::UpdateTooLarge`], and
/// [`OpError::Item`] for attributes that are keys of an index.
pub fn update(tx: &mut Tx<'_>, update: &Update<'_>) -> Result<Updated, OpError> {
    let Update { table, keys, limits, .. } = *update;
    let old = examine(tx, table, keys, update.condition, update.return_old)?;
    let blank;
    let current = match tx.item(table, keys) {
        Some(item) => item,
        None => {
            blank = Item::from_map(&table.schema.keys_to_map(keys)?)?;
            blank.view()
        }
    };
    let new = match update.changes {
        Some(changes) => changes.apply(current, limits.max_depth)?,
        None => current.to_item(),
    };
    table.schema.item_keys(&new.view(), limits)?;
    new.view().check_size(limits).map_err(|_| OpError::UpdateTooLarge)?;
    tx.put_item(table, keys, &new);
    Ok(Updated { old: old.copy, new })
}

/// Checks a condition on an item (or none).
///
/// # Errors
/// [`OpError::ConditionFailed`], with the item if `return_old` says so.
pub fn check(
    tx: &Tx<'_>,
    table: &Table,
    keys: &ItemKeys,
    condition: &BoundCondition,
    return_old: bool,
) -> Result<(), OpError> {
    examine(tx, table, keys, Some(condition), return_old).map(drop)
}

/// The item as it was.
struct Old {
    there: bool,
    copy: Option<Item>,
}

fn examine(
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
