//! Checks that a request does not combine expressions with legacy parameters.

use super::super::body::{Body, Violations};
use super::super::error::AwsError;
use serde_json::Value;

/// An operation's expression parameters and its legacy parameters, both in AWS's order.
pub(in crate::aws) struct Style {
    pub(in crate::aws) expressions: &'static [&'static str],
    pub(in crate::aws) before: &'static [&'static str],
    /// The parameter whose conditions `ConditionalOperator` joins, if there is one.
    pub(in crate::aws) conditions: Option<&'static str>,
}

impl Style {
    pub(in crate::aws) const PUT_DELETE: Self = Self {
        expressions: &["ConditionExpression"],
        before: &["Expected", "ConditionalOperator"],
        conditions: Some("Expected"),
    };
    pub(in crate::aws) const UPDATE: Self = Self {
        expressions: &["UpdateExpression", "ConditionExpression"],
        before: &["AttributeUpdates", "Expected", "ConditionalOperator"],
        conditions: Some("Expected"),
    };
    pub(in crate::aws) const GET: Self =
        Self { expressions: &["ProjectionExpression"], before: &["AttributesToGet"], conditions: None };
    pub(in crate::aws) const QUERY: Self = Self {
        expressions: &["ProjectionExpression", "FilterExpression", "KeyConditionExpression"],
        before: &["AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions"],
        conditions: Some("QueryFilter"),
    };
    pub(in crate::aws) const SCAN: Self = Self {
        expressions: &["ProjectionExpression", "FilterExpression"],
        before: &["AttributesToGet", "ScanFilter", "ConditionalOperator"],
        conditions: Some("ScanFilter"),
    };

    /// Checks that a request uses one style, and checks `ConditionalOperator` and `AttributesToGet`.
    pub(in crate::aws) fn check(&self, body: Body<'_>) -> Result<(), AwsError> {
        self.check_all(std::iter::once(body))?;
        self.check_operator(body)?;
        let names = body.list("AttributesToGet").unwrap_or_default();
        match names.iter().enumerate().find(|(at, name)| names.iter().take(*at).any(|other| other == *name)) {
            None => Ok(()),
            Some((_, name)) => Err(super::invalid(&format!(
                "Duplicate value in attribute name: {}",
                name.as_str().unwrap_or_default()
            ))),
        }
    }

    /// Checks that all parts of a request use the same style.
    pub(in crate::aws) fn check_all<'j>(
        &self,
        parts: impl Iterator<Item = Body<'j>> + Clone,
    ) -> Result<(), AwsError> {
        let given = |names: &[&'static str]| -> Vec<&'static str> {
            let there = |name: &&str| parts.clone().any(|part| part.get(name).is_some());
            names.iter().copied().filter(|name| there(name)).collect()
        };
        let new = given(self.expressions);
        let mut old = given(self.before);
        // `KeyConditions` may be combined with every expression but `KeyConditionExpression`.
        old.retain(|name| *name != "KeyConditions" || new.contains(&"KeyConditionExpression"));
        if new.is_empty() || old.is_empty() {
            return Ok(());
        }
        Err(AwsError::validation(format!(
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {{{}}} Expression parameters: {{{}}}",
            old.join(", "),
            new.join(", ")
        )))
    }

    fn check_operator(&self, body: Body<'_>) -> Result<(), AwsError> {
        if body.get("ConditionalOperator").is_none() {
            return Ok(());
        }
        let conditions = self.conditions.and_then(|name| body.map(name)).map_or(0, |map| map.0.len());
        match conditions {
            0 => Err(AwsError::validation("ConditionalOperator cannot be used without Filter or Expected")),
            1 => Err(AwsError::validation(
                "ConditionalOperator can only be used when Filter or Expected has two or more elements",
            )),
            _ => Ok(()),
        }
    }
}

/// Checks that `ConditionalOperator`, if given, is one of its two values.
pub(in crate::aws) fn constrain_operator(body: Body<'_>, violations: &mut Violations) {
    violations.one_of(body, "ConditionalOperator", &["OR", "AND"]);
}

/// Whether `ConditionalOperator` is OR.
pub(super) fn any_is_enough(body: Body<'_>) -> bool {
    body.get("ConditionalOperator").and_then(Value::as_str) == Some("OR")
}
