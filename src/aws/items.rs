//! PutItem, UpdateItem, DeleteItem, GetItem.

use super::body::{Body, Violations};
use super::capacity::{Capacity, read_units};
use super::collections::Collections;
use super::error::AwsError;
use super::json::ObjectWriter;
use super::legacy::{self, Style};
use super::request::{Asked, Expressions, LIMITS, item, table};
use super::{AwsCall, Operation, shape};
use crate::engine::Tables;
use crate::expr::{BoundCondition, BoundProjection, BoundUpdate, ExprError, ExprKind};
use crate::item::{Item, ItemError, ItemKeys, ItemRef, KeyBytes};
use crate::ops::{self, At, OpError, Write, Written};
use serde_json::{Map, Value};

/// What a write does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteAction {
    Put,
    Update,
    Delete,
    Check,
}

/// A write that was read, alone or in a transaction.
pub(super) struct PreparedWrite {
    pub(super) table: Asked,
    pub(super) keys: ItemKeys,
    action: WriteAction,
    item: Option<Item>,
    changes: Option<BoundUpdate>,
    condition: Option<BoundCondition>,
    return_on_failure: bool,
    /// Whether the changes are given as legacy parameters, whose errors have other texts.
    from_before: bool,
}

impl PreparedWrite {
    /// Reads a write.
    pub(super) fn read(action: WriteAction, body: Body<'_>, tables: &Tables) -> Result<Self, AwsError> {
        Ok(Self::read_apart(action, body, tables, true)??)
    }

    /// Reads a write, alone or in a transaction. The inner result is the error of a write that does not fit its table's
    /// schema: in a transaction that is a cancellation reason. All other errors are in the outer result.
    pub(super) fn read_apart(
        action: WriteAction,
        body: Body<'_>,
        tables: &Tables,
        alone: bool,
    ) -> Result<Result<Self, OpError>, AwsError> {
        // The item or key is checked before the expressions, as AWS does.
        let json = body.get(if action == WriteAction::Put { "Item" } else { "Key" });
        let given = item(json.unwrap_or(&Value::Null))?;
        if action == WriteAction::Put {
            given.view().check_size(LIMITS)?;
        }
        let from_before = alone && body.get("AttributeUpdates").is_some();
        let (changes, condition) = what_and_when(action, body, alone)?;
        let table = table(tables, body)?;
        let return_on_failure = body.text("ReturnValuesOnConditionCheckFailure") == Some("ALL_OLD");
        let fitting = || -> Result<ItemKeys, OpError> {
            if let Some(condition) = &condition {
                condition.check_key_paths(&table.schema)?;
            }
            if let Some(changes) = &changes {
                changes.check_keys(&table.schema)?;
            }
            if action != WriteAction::Put {
                return Ok(table.schema.key_map_keys(&given.view(), LIMITS)?);
            }
            let keys = table.schema.item_keys(&given.view(), LIMITS)?;
            table.schema.check_size(&given.view(), LIMITS)?;
            Ok(keys)
        };
        let keys = match fitting() {
            Ok(keys) => keys,
            Err(error) => return refused_apart(error),
        };
        let item = (action == WriteAction::Put).then_some(given);
        Ok(Ok(Self { table, keys, action, item, changes, condition, return_on_failure, from_before }))
    }

    /// A put or delete without condition and options, as in a batch.
    pub(super) fn plain(table: Asked, keys: ItemKeys, item: Option<Item>) -> Self {
        let action = if item.is_some() { WriteAction::Put } else { WriteAction::Delete };
        Self {
            table,
            keys,
            action,
            item,
            changes: None,
            condition: None,
            return_on_failure: false,
            from_before: false,
        }
    }

    /// The key to lock.
    pub(super) fn lock(&self) -> (u32, KeyBytes) {
        (self.table.id, self.keys.pk.clone())
    }

    /// Whether the write may take memory.
    pub(super) fn needs_memory(&self) -> bool {
        match self.action {
            WriteAction::Put => true,
            WriteAction::Update => !self.changes.as_ref().is_some_and(BoundUpdate::only_takes_away),
            WriteAction::Delete | WriteAction::Check => false,
        }
    }

    pub(super) fn write(&self, return_old: bool) -> Write<'_> {
        let at = At {
            table: &self.table,
            keys: &self.keys,
            condition: self.condition.as_ref(),
            return_old,
            return_on_failure: self.return_on_failure,
        };
        match (self.action, &self.item) {
            (WriteAction::Put, Some(item)) => Write::Put(at, item),
            (WriteAction::Update, _) => Write::Update(at, self.changes.as_ref(), LIMITS),
            (WriteAction::Delete, _) => Write::Delete(at),
            _ => Write::Check(at),
        }
    }

    /// Why the write was refused, in AWS's words.
    fn refusal(&self, error: OpError) -> AwsError {
        match error {
            OpError::Expr(ExprError::UpdateOperandType) if self.from_before => {
                AwsError::validation("Type mismatch for attribute to update")
            }
            OpError::UpdatesIndexKey(
                error @ (ItemError::IndexKeyTypeMismatch { .. } | ItemError::IndexKeyTooLong { .. }),
            ) if self.from_before => error.into(),
            error => error.into(),
        }
    }
}

/// Reads the changes that a write makes, and its condition.
fn what_and_when(
    action: WriteAction,
    body: Body<'_>,
    alone: bool,
) -> Result<(Option<BoundUpdate>, Option<BoundCondition>), AwsError> {
    let users: &[&str] = match action {
        WriteAction::Update => &["UpdateExpression", "ConditionExpression"],
        _ => &["ConditionExpression"],
    };
    let mut expressions =
        if alone { Expressions::new(body, users, users)? } else { Expressions::if_used(body, users)? };
    let changes = if action == WriteAction::Update { expressions.update()? } else { None };
    let condition = expressions.condition(ExprKind::Condition)?;
    expressions.finish()?;
    // Expressions and legacy parameters may not be combined.
    if !alone || changes.is_some() || condition.is_some() {
        return Ok((changes, condition));
    }
    let condition = legacy::expected(body)?;
    let changes = if action == WriteAction::Update { legacy::attribute_updates(body)? } else { None };
    Ok((changes, condition))
}

/// An empty or too long key, of the table or an index, is an outer error; every other mismatch with the table's schema
/// is an inner one.
fn refused_apart<T>(error: OpError) -> Result<Result<T, OpError>, AwsError> {
    match error {
        OpError::Item(
            ItemError::EmptyKey { .. }
            | ItemError::EmptyIndexKey { .. }
            | ItemError::IndexKeyTooLong { .. }
            | ItemError::PartitionKeyTooLong(_)
            | ItemError::SortKeyTooLong(_),
        ) => Err(error.into()),
        error => Ok(Err(error)),
    }
}

/// Checks the constraints on the parameters of a write outside a transaction.
fn constrain(action: WriteAction, body: Body<'_>) -> Result<(), AwsError> {
    let mut violations = Violations::default();
    constrain_write(action, body, true, &mut violations);
    violations.finish()?;
    if action == WriteAction::Update { Style::UPDATE } else { Style::PUT_DELETE }.check(body)
}

/// Checks the constraints on a write's parameters. In a transaction there are fewer than `alone`.
pub(super) fn constrain_write(action: WriteAction, body: Body<'_>, alone: bool, violations: &mut Violations) {
    if alone {
        violations.capacity(body);
    }
    violations.table(body);
    if action == WriteAction::Put {
        violations.required(body.get("Item").is_some(), "item");
        if alone {
            constrain_expected(body, violations);
        }
    }
    if alone {
        // AWS reports violations in the order of a hash map.
        let all = ["ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"];
        if action == WriteAction::Update {
            violations.metrics(body);
            violations.one_of(body, "ReturnValues", &all);
        } else {
            violations.one_of(body, "ReturnValues", &all);
            violations.metrics(body);
        }
    }
    if action != WriteAction::Put {
        violations.required(body.get("Key").is_some(), "key");
        if alone {
            constrain_expected(body, violations);
            legacy::constrain_updates(body, violations);
        }
    }
    violations.one_of(body, "ReturnValuesOnConditionCheckFailure", &["ALL_OLD", "NONE"]);
}

fn constrain_expected(body: Body<'_>, violations: &mut Violations) {
    legacy::constrain_operator(body, violations);
    legacy::constrain_conditions(body, "Expected", violations);
}

/// Reads PutItem, UpdateItem or DeleteItem.
pub(super) fn write(
    operation: Operation,
    map: &Map<String, Value>,
    tables: &Tables,
) -> Result<AwsCall, AwsError> {
    shape::write(map)?;
    let body = Body(map);
    let action = match operation {
        Operation::PutItem => WriteAction::Put,
        Operation::UpdateItem => WriteAction::Update,
        _ => WriteAction::Delete,
    };
    constrain(action, body)?;
    let returns = body.text("ReturnValues").unwrap_or("NONE").to_owned();
    if action != WriteAction::Update && !matches!(returns.as_str(), "NONE" | "ALL_OLD") {
        return Err(AwsError::validation("ReturnValues can only be ALL_OLD or NONE"));
    }
    let prepared = PreparedWrite::read(action, body, tables)?;
    let (mut capacity, mut collections) = (Capacity::asked(body), Collections::asked(body));
    let needs_memory = prepared.needs_memory();
    let call = AwsCall::new(vec![prepared.lock()], move |tx| {
        let return_old = matches!(returns.as_str(), "ALL_OLD" | "UPDATED_OLD");
        let written =
            ops::write_measured(tx, &prepared.write(return_old)).map_err(|error| prepared.refusal(error))?;
        capacity.add_written(&prepared.table, &written);
        collections.note(tx, &prepared.table, &prepared.keys);
        let mut out = Vec::new();
        let mut object = ObjectWriter::begin(&mut out);
        if let Some(attributes) = attributes(&returns, &prepared, &written)? {
            object.item("Attributes", attributes.view());
        }
        capacity.write(&mut object);
        collections.write(&mut object);
        object.end();
        Ok(out)
    });
    Ok(call.needing_memory(needs_memory))
}

/// The attributes that `ReturnValues` asks for.
fn attributes(returns: &str, prepared: &PreparedWrite, written: &Written) -> Result<Option<Item>, AwsError> {
    let touched = |item: Option<&Item>| -> Result<Option<Item>, AwsError> {
        let (Some(item), Some(changes)) = (item, &prepared.changes) else { return Ok(None) };
        let touched = changes.touched().apply(item.view())?;
        Ok((!touched.view().is_empty()).then_some(touched))
    };
    match returns {
        "ALL_OLD" => Ok(written.old.clone()),
        "UPDATED_OLD" => touched(written.old.as_ref()),
        "ALL_NEW" => Ok(written.new.clone()),
        "UPDATED_NEW" => touched(written.new.as_ref()),
        _ => Ok(None),
    }
}

/// A read of one item, alone or in a transaction.
pub(super) struct Get {
    pub(super) table: Asked,
    pub(super) keys: ItemKeys,
    projection: Option<BoundProjection>,
    /// Whether the reply shows an item that has none of the projected attributes.
    shows_empty: bool,
}

impl Get {
    pub(super) fn read(body: Body<'_>, tables: &Tables) -> Result<Self, AwsError> {
        Ok(Self::read_apart(body, tables, true)??)
    }

    /// As [`PreparedWrite::read_apart`].
    pub(super) fn read_apart(
        body: Body<'_>,
        tables: &Tables,
        alone: bool,
    ) -> Result<Result<Self, OpError>, AwsError> {
        let key = item(body.get("Key").unwrap_or(&Value::Null))?;
        let users = &["ProjectionExpression"];
        let mut expressions =
            if alone { Expressions::new(body, users, &[])? } else { Expressions::if_used(body, users)? };
        let projection = match expressions.projection()? {
            None if alone => body.list("AttributesToGet").map(attributes_to_get),
            projection => projection,
        };
        expressions.finish()?;
        let table = table(tables, body)?;
        match table.schema.key_map_keys(&key.view(), LIMITS) {
            Ok(keys) => Ok(Ok(Self { table, keys, projection, shows_empty: alone })),
            Err(error) => refused_apart(error.into()),
        }
    }

    /// Writes the item, if there is one, as the member `Item`; returns its size.
    pub(super) fn write(
        &self,
        item: Option<ItemRef<'_>>,
        object: &mut ObjectWriter<'_>,
    ) -> Result<usize, AwsError> {
        let Some(item) = item else { return Ok(0) };
        let shown = self.projection.as_ref().map(|projection| projection.apply(item)).transpose()?;
        let shown = shown.as_ref().map_or(item, Item::view);
        if self.shows_empty || !shown.is_empty() {
            object.item("Item", shown);
        }
        Ok(item.size())
    }
}

/// The projection of the legacy parameter `AttributesToGet`.
pub(super) fn attributes_to_get(names: &[Value]) -> BoundProjection {
    BoundProjection::attributes(names.iter().filter_map(Value::as_str))
}

/// Constraints on a read's parameters.
pub(super) fn constrain_get(body: Body<'_>, alone: bool, violations: &mut Violations) {
    if alone {
        violations.capacity(body);
        violations.attributes_to_get(body, "attributesToGet");
    }
    violations.table(body);
    violations.required(body.get("Key").is_some(), "key");
}

/// Reads GetItem.
pub(super) fn get(map: &Map<String, Value>, tables: &Tables) -> Result<AwsCall, AwsError> {
    shape::read(map)?;
    let body = Body(map);
    let mut violations = Violations::default();
    constrain_get(body, true, &mut violations);
    violations.finish()?;
    Style::GET.check(body)?;
    let get = Get::read(body, tables)?;
    let consistent = body.bool("ConsistentRead");
    let mut capacity = Capacity::asked(body);
    Ok(AwsCall::new(vec![(get.table.id, get.keys.pk.clone())], move |tx| {
        let mut out = Vec::new();
        let mut object = ObjectWriter::begin(&mut out);
        let size = get.write(tx.item(&get.table, &get.keys), &mut object)?;
        capacity.add(&get.table, read_units(size, consistent));
        capacity.write(&mut object);
        object.end();
        Ok(out)
    }))
}
