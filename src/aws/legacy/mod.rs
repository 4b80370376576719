//! Parameters from before expressions: `Expected`, `QueryFilter`, `ScanFilter`, `KeyConditions`, `AttributeUpdates`,
//! `AttributesToGet` and `ConditionalOperator`. Each is checked by its own rules, with its own error texts, and becomes
//! the tree of an equivalent expression.

mod conditions;
mod keys;
mod style;
mod updates;

pub(super) use conditions::{constrain_conditions, expected, filter};
pub(super) use keys::{check_key_count, key_conditions};
pub(super) use style::{Style, constrain_operator};
pub(super) use updates::{attribute_updates, constrain_updates};

use super::error::AwsError;
use super::request::LIMITS;
use crate::item::{AttributeValue, typed_value};
use serde_json::Value;

fn invalid(message: &str) -> AwsError {
    AwsError::validation(format!("One or more parameter values were invalid: {message}"))
}

fn value(json: &Value) -> Result<AttributeValue, AwsError> {
    Ok(typed_value(json, LIMITS.max_depth)?)
}
