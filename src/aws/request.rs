//! The parts that requests share: table, keys, items and expressions.

use super::body::{Body, bare_name};
use super::error::AwsError;
use crate::engine::{Table, Tables};
use crate::expr::{
    Binder, BoundCondition, BoundProjection, BoundUpdate, ExprCache, ExprError, ExprKind, ExprLimits,
    ParseOptions,
};
use crate::item::{Item, ItemKeys, ItemLimits, map_from_typed_json};
use serde_json::Value;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

/// The limits on items.
pub(super) const LIMITS: &ItemLimits = &ItemLimits::DYNAMODB;

/// Parsed expressions by their text.
static CACHE: LazyLock<ExprCache> = LazyLock::new(|| ExprCache::new(ParseOptions::STRICT, 4096));

/// A table and the name or ARN by which a request names it. The reply uses the same one.
pub(super) struct Asked {
    table: Arc<Table>,
    /// The name or ARN in the request.
    pub(super) by: Arc<str>,
}

impl Deref for Asked {
    type Target = Table;

    fn deref(&self) -> &Table {
        &self.table
    }
}

/// The table that a request names.
pub(super) fn table(tables: &Tables, body: Body<'_>) -> Result<Asked, AwsError> {
    table_of(tables, body.text("TableName").unwrap_or_default())
}

/// The table of a name or an ARN.
pub(super) fn table_of(tables: &Tables, by: &str) -> Result<Asked, AwsError> {
    let table = tables.get(bare_name(by).as_bytes()).ok_or_else(AwsError::not_found)?;
    Ok(Asked { table, by: by.into() })
}

/// An item in a request.
pub(super) fn item(json: &Value) -> Result<Item, AwsError> {
    Ok(Item::from_map(&map_from_typed_json(json, LIMITS.max_depth)?)?)
}

/// The keys that a request's key denotes.
pub(super) fn keys(table: &Table, key: &Item) -> Result<ItemKeys, AwsError> {
    Ok(table.schema.key_map_keys(&key.view(), LIMITS)?)
}

/// The expressions of a request with its placeholders.
pub(super) struct Expressions<'j> {
    body: Body<'j>,
    binder: Binder,
}

impl<'j> Expressions<'j> {
    /// Reads the placeholders. `with_names` and `with_values` are the expressions that may use names and values.
    pub(super) fn new(body: Body<'j>, with_names: &[&str], with_values: &[&str]) -> Result<Self, AwsError> {
        Self::check_users(body, with_names, with_values)?;
        let (names, values) = (body.get("ExpressionAttributeNames"), body.get("ExpressionAttributeValues"));
        let binder = Binder::from_json(names, values, LIMITS.max_depth, ExprLimits::DYNAMODB)?;
        Ok(Self { body, binder })
    }

    /// As [`Expressions::new`] for a part of a transaction, where placeholders are ignored if there is no expression to
    /// use them.
    pub(super) fn if_used(body: Body<'j>, users: &[&str]) -> Result<Self, AwsError> {
        if users.iter().any(|name| body.get(name).is_some()) {
            return Self::new(body, users, users);
        }
        Ok(Self { body, binder: Binder::empty(ExprLimits::DYNAMODB) })
    }

    /// Checks that placeholders are given only together with an expression that may use them.
    pub(super) fn check_users(
        body: Body<'_>,
        with_names: &[&str],
        with_values: &[&str],
    ) -> Result<(), AwsError> {
        let any = |names: &[&str]| names.iter().any(|name| body.get(name).is_some());
        let (names, values) = (body.get("ExpressionAttributeNames"), body.get("ExpressionAttributeValues"));
        if names.is_some() && !any(with_names) {
            return Err(AwsError::validation(
                "ExpressionAttributeNames can only be specified when using expressions",
            ));
        }
        if values.is_some() && !any(with_values) {
            let verb = if with_values.len() == 1 { "is" } else { "are" };
            return Err(AwsError::validation(format!(
                "ExpressionAttributeValues can only be specified when using expressions: {} {verb} null",
                with_values.join(" and ")
            )));
        }
        Ok(())
    }

    /// A condition, filter or key condition.
    pub(super) fn condition(&mut self, kind: ExprKind) -> Result<Option<BoundCondition>, AwsError> {
        let Some(text) = self.body.text(kind.name()) else { return Ok(None) };
        let parsed = CACHE.condition(text).map_err(|reason| ExprError::Invalid { kind, reason })?;
        Ok(Some(self.binder.condition(kind, &parsed)?))
    }

    pub(super) fn update(&mut self) -> Result<Option<BoundUpdate>, AwsError> {
        let kind = ExprKind::Update;
        let Some(text) = self.body.text(kind.name()) else { return Ok(None) };
        let parsed = CACHE.update(text).map_err(|reason| ExprError::Invalid { kind, reason })?;
        Ok(Some(self.binder.update(&parsed)?))
    }

    pub(super) fn projection(&mut self) -> Result<Option<BoundProjection>, AwsError> {
        let kind = ExprKind::Projection;
        let Some(text) = self.body.text(kind.name()) else { return Ok(None) };
        let parsed = CACHE.projection(text).map_err(|reason| ExprError::Invalid { kind, reason })?;
        Ok(Some(self.binder.projection(&parsed)?))
    }

    /// Checks that every placeholder was used.
    pub(super) fn finish(self) -> Result<(), AwsError> {
        Ok(self.binder.finish()?)
    }
}
