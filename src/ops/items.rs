//! Operations on one item. The caller holds the shard of its partition key; exclusively, if the operation writes.

use super::OpError;
use crate::engine::{Growth, IndexWrite, Table, Tx};
use crate::expr::{BoundCondition, BoundUpdate, ExprError};
use crate::item::{Item, ItemError, ItemKeys, ItemLimits, ItemRef};
use std::borrow::Cow;

/// Which item, on what condition, and whether the old item is returned.
#[derive(Clone, Copy)]
pub struct At<'r> {
    /// The table.
    pub table: &'r Table,
    /// The item's keys.
    pub keys: &'r ItemKeys,
    /// What the present item (or none) must satisfy.
    pub condition: Option<&'r BoundCondition>,
    /// Whether the present item is returned by success.
    pub return_old: bool,
    /// Whether the present item is returned with the failed condition.
    pub return_on_failure: bool,
}

impl<'r> At<'r> {
    /// An item without condition and without a copy of it.
    pub fn new(table: &'r Table, keys: &'r ItemKeys) -> Self {
        Self { table, keys, condition: None, return_old: false, return_on_failure: false }
    }
}

/// A write on one item.
pub enum Write<'r> {
    /// Puts an item in place of the one with its keys. The caller has checked that the item is valid, has an allowed
    /// size and has these keys.
    Put(At<'r>, &'r Item),
    /// Changes attributes of an item. An item that does not exist is created, unless the changes only remove. The
    /// caller has checked that the changes do not change the keys; the operation checks the updated item against the
    /// limits.
    Update(At<'r>, Option<&'r BoundUpdate>, &'r ItemLimits),
    /// Removes an item.
    Delete(At<'r>),
    /// Only checks the condition.
    Check(At<'r>),
}

/// What a write did.
#[derive(Debug, Default)]
pub struct Written {
    /// Whether there was an item before.
    pub existed: bool,
    /// The item as it was, if it was asked for and there was one.
    pub old: Option<Item>,
    /// The item as an update left it.
    pub new: Option<Item>,
    /// The larger of the item's sizes before and after, in bytes by DynamoDB's rules, where it was measured; it decides
    /// what a write costs.
    pub bytes: usize,
    /// What it did to indexes, where it was measured.
    pub indexes: Vec<IndexWrite>,
}

/// A write whose condition holds and whose outcome is computed, but which has changed nothing yet.
struct Plan<'r> {
    at: At<'r>,
    change: Change<'r>,
    /// By how much the change changes the table's counts; nothing for those that remove.
    growth: Growth,
    written: Written,
}

enum Change<'r> {
    Put(Cow<'r, Item>),
    Delete,
    Nothing,
}

impl<'r> Write<'r> {
    fn at(&self) -> &At<'r> {
        match self {
            Self::Put(at, _) | Self::Update(at, ..) | Self::Delete(at) | Self::Check(at) => at,
        }
    }

    fn plan(&self, tx: &Tx<'_>, measure: bool) -> Result<Plan<'r>, OpError> {
        let at = *self.at();
        let stored = tx.stored_item(at.table, at.keys);
        let current = stored.filter(|item| !at.table.expired(item, tx.now()));
        if at.condition.is_some_and(|condition| !condition.holds(current)) {
            let item = current.filter(|_| at.return_on_failure);
            return Err(OpError::ConditionFailed(item.as_ref().map(ItemRef::to_item)));
        }
        let mut written = Written {
            existed: current.is_some(),
            old: current.filter(|_| at.return_old).as_ref().map(ItemRef::to_item),
            new: None,
            bytes: current.filter(|_| measure).map_or(0, |item| item.size()),
            indexes: Vec::new(),
        };
        let mut growth = Growth::default();
        let change = match *self {
            Self::Put(_, item) => {
                growth = Growth::by_put(stored, item);
                Change::Put(Cow::Borrowed(item))
            }
            Self::Update(_, changes, limits) => {
                let (new, bytes) = updated(&at, current, changes, limits)?;
                // Changes that only remove do not create an item.
                if current.is_none() && changes.is_some_and(BoundUpdate::only_takes_away) {
                    Change::Nothing
                } else {
                    growth = match current {
                        Some(_) => Growth { items: 0, bytes: bytes as i64 },
                        None => Growth::by_put(stored, &new),
                    };
                    Change::Put(Cow::Owned(new))
                }
            }
            // An expired item is removed too, because it would become visible again if the table's TTL attribute were
            // removed.
            Self::Delete(_) => Change::Delete,
            Self::Check(_) => Change::Nothing,
        };
        if let (Change::Put(item), true) = (&change, measure) {
            written.bytes = written.bytes.max(item.view().size());
        }
        Ok(Plan { at, change, growth, written })
    }
}

/// The updated item, and by how many bytes it is larger than the present one, or than one of its keys alone.
fn updated(
    at: &At<'_>,
    current: Option<ItemRef<'_>>,
    changes: Option<&BoundUpdate>,
    limits: &ItemLimits,
) -> Result<(Item, isize), OpError> {
    let schema = &at.table.schema;
    let blank;
    let base = if let Some(item) = current {
        item
    } else {
        blank = Item::from_map(&schema.keys_to_map(at.keys)?)?;
        blank.view()
    };
    let (new, growth) = match changes {
        Some(changes) => changes.apply_measured(base, limits).map_err(|error| match error {
            ExprError::Item(ItemError::ItemTooLarge) => OpError::UpdateTooLarge,
            error => error.into(),
        })?,
        None => (base.to_item(), 0),
    };
    schema
        .check_index_keys(current.unwrap_or(ItemRef::EMPTY), &new.view(), limits)
        .map_err(OpError::UpdatesIndexKey)?;
    schema.check_size(&new.view(), limits).map_err(|_| OpError::UpdateTooLarge)?;
    Ok((new, growth))
}

impl Plan<'_> {
    fn carry_out_measured(self, tx: &mut Tx<'_>) -> Written {
        drop(tx.take_index_writes());
        let written = self.carry_out(tx);
        Written { indexes: tx.take_index_writes(), ..written }
    }

    fn carry_out(self, tx: &mut Tx<'_>) -> Written {
        let mut written = self.written;
        match self.change {
            Change::Put(item) => {
                tx.put_item_over(self.at.table, self.at.keys, &item, self.growth);
                if let Cow::Owned(item) = item {
                    written.new = Some(item);
                }
            }
            Change::Delete => tx.delete_item(self.at.table, self.at.keys),
            Change::Nothing => {}
        }
        written
    }
}

/// Carries out a write.
///
/// # Errors
/// [`OpError::ConditionFailed`]; of updates also [`OpError::Expr`] where the changes do not fit the item,
/// [`OpError::UpdateTooLarge`], and [`OpError::UpdatesIndexKey`].
pub fn write(tx: &mut Tx<'_>, write: &Write<'_>) -> Result<Written, OpError> {
    tx.with_hash_of(&write.at().keys.pk, |tx| {
        // A put without a condition and without a returned item does not read the old item.
        if let Write::Put(At { condition: None, return_old: false, table, keys, .. }, item) = write {
            tx.put_item(table, keys, item);
            return Ok(Written::default());
        }
        Ok(write.plan(tx, false)?.carry_out(tx))
    })
}

/// Carries out a write and measures it, which takes an extra look at the item.
///
/// # Errors
/// As [`write()`].
pub fn write_measured(tx: &mut Tx<'_>, write: &Write<'_>) -> Result<Written, OpError> {
    Ok(write.plan(tx, true)?.carry_out_measured(tx))
}

/// Why a transaction was refused as a whole.
#[derive(Debug)]
pub enum TransactError {
    /// Why each of the writes was refused, in their order, `None` for those that were not.
    Refused(Vec<Option<OpError>>),
    /// The items before and after are larger than the limit together.
    TooLarge,
}

/// Carries out all writes, or none. Each write is about a different item, and sees the items as they were before the
/// transaction. Their sizes may add up to `max_bytes`.
///
/// # Errors
/// When a write is refused, or they are too large together.
pub fn transact(
    tx: &mut Tx<'_>,
    writes: &[Write<'_>],
    max_bytes: usize,
) -> Result<Vec<Written>, TransactError> {
    let plans: Vec<Result<Plan<'_>, OpError>> = writes.iter().map(|write| write.plan(tx, true)).collect();
    if plans.iter().any(Result::is_err) {
        return Err(TransactError::Refused(plans.into_iter().map(Result::err).collect()));
    }
    if plans.iter().flatten().map(|plan| plan.written.bytes).sum::<usize>() > max_bytes {
        return Err(TransactError::TooLarge);
    }
    Ok(plans.into_iter().flatten().map(|plan| plan.carry_out_measured(tx)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Harness;
    use crate::engine::Over;
    use crate::expr::{Binder, ExprKind, ExprLimits, ParseOptions, parse_condition};
    use crate::item::ItemBuilder;
    use crate::store::Holder;
    use std::sync::Arc;

    fn condition(text: &str) -> BoundCondition {
        let parsed = Arc::new(parse_condition(text, &ParseOptions::HUMAN).unwrap());
        Binder::empty(ExprLimits::HUMAN).condition(ExprKind::Condition, &parsed).unwrap()
    }

    #[test]
    fn transactions_carry_out_all_or_nothing_and_say_why() {
        let mut h = Harness::new();
        h.run("TABLE.CREATE t PK id S");
        h.run("ITEM.PUT t a SET 1 n:n 1");
        let engine = Arc::clone(&h.server.engine);
        let table = engine.tables.get(b"t").unwrap();
        let limits = ItemLimits::DYNAMODB;
        let keys = |id: &str| table.schema.text_keys(id.as_bytes(), None, &limits).unwrap();
        let (a, b, c) = (keys("a"), keys("b"), keys("c"));
        let mut item = ItemBuilder::new();
        item.put_owned("id", &"b".into()).unwrap();
        let item = item.finish();
        let (is_one, is_two) = (condition("n = 1"), condition("n = 2"));
        let guarded =
            |condition| At { condition: Some(condition), return_on_failure: true, ..At::new(&table, &a) };
        let mut record = Vec::new();
        let run = |tx: &mut Tx<'_>| {
            let refused = transact(
                tx,
                &[
                    Write::Put(At::new(&table, &b), &item),
                    Write::Check(guarded(&is_two)),
                    Write::Delete(At::new(&table, &c)),
                ],
                usize::MAX,
            );
            let Err(TransactError::Refused(reasons)) = refused else { panic!("it was not refused") };
            assert!(matches!(&reasons[..], [None, Some(OpError::ConditionFailed(Some(_))), None]));
            assert_eq!(tx.effects(), 0);
            let large = transact(tx, &[Write::Put(At::new(&table, &b), &item)], 2);
            assert!(matches!(large, Err(TransactError::TooLarge)));
            assert_eq!(tx.effects(), 0);
            let done = transact(
                tx,
                &[
                    Write::Put(At::new(&table, &b), &item),
                    Write::Delete(guarded(&is_one)),
                    Write::Delete(At::new(&table, &c)),
                ],
                usize::MAX,
            );
            let done: Vec<(bool, usize)> = done.unwrap().iter().map(|w| (w.existed, w.bytes)).collect();
            assert_eq!(done, [(false, 3), (true, 6), (false, 0)]);
            assert_eq!(tx.effects(), 2);
            assert!(tx.item(&table, &a).is_none() && tx.item(&table, &b).is_some());
        };
        engine.transact_over(Holder::Tables, Over::Everything, 0, &mut record, run).unwrap();
    }
}
