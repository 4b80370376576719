//! `KeyConditions`: what a query reads.

use super::super::body::Body;
use super::super::error::AwsError;
use super::conditions::{Operator, Test, tests};
use crate::expr::{BoundCondition, Comparator, Condition, ExprError, KeyTarget};

/// The most conditions: one on the partition key, one on the sort key.
const MAX_CONDITIONS: usize = 2;

/// The key condition of `KeyConditions`.
///
/// # Errors
/// AWS's, for values that do not fit their operator and operators that key conditions do not have.
pub(in crate::aws) fn key_conditions(body: Body<'_>) -> Result<Option<BoundCondition>, AwsError> {
    if body.get("KeyConditions").is_none() {
        return Ok(None);
    }
    let tests = tests(body, "KeyConditions")?;
    let by_key = |test: &Test<'_>| match test.operator {
        Operator::Compare(comparator) => comparator != Comparator::Ne,
        operator => matches!(operator, Operator::Between | Operator::BeginsWith),
    };
    if tests.is_empty() || tests.len() > MAX_CONDITIONS {
        return Err(AwsError::validation("Conditions can be of length 1 or 2 only"));
    }
    if !tests.iter().all(by_key) {
        return Err(AwsError::validation("Attempted conditional constraint is not an indexable operation"));
    }
    let all = tests.into_iter().map(Test::condition).collect();
    Ok(Some(BoundCondition::literal(Condition::All(all))))
}

/// Checks that there are not more conditions than key attributes.
pub(in crate::aws) fn check_key_count(body: Body<'_>, target: &KeyTarget<'_>) -> Result<(), AwsError> {
    let given = body.map("KeyConditions").map_or(0, |map| map.0.len());
    if given > target.names().count() {
        return Err(ExprError::KeyNotSupported.into());
    }
    Ok(())
}
