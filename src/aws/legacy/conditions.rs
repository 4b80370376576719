//! `Expected`, `QueryFilter` and `ScanFilter`: conditions on attributes, each an operator with a list of values.

use super::super::body::{Body, Violations, path};
use super::super::error::AwsError;
use super::style::any_is_enough;
use super::{invalid, value};
use crate::expr::{BoundCondition, Comparator, Condition, Function, FunctionCall, Operand, Path, order};
use crate::item::{AttrType, AttributeValue, EncodedValue};
use serde_json::Value;

/// What an attribute is tested for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Compare(Comparator),
    In,
    Between,
    NotNull,
    Null,
    Contains,
    NotContains,
    BeginsWith,
}

/// The operators by their names, in the order in which AWS lists them.
const OPERATORS: [(&str, Operator); 13] = [
    ("IN", Operator::In),
    ("NULL", Operator::Null),
    ("BETWEEN", Operator::Between),
    ("LT", Operator::Compare(Comparator::Lt)),
    ("NOT_CONTAINS", Operator::NotContains),
    ("EQ", Operator::Compare(Comparator::Eq)),
    ("GT", Operator::Compare(Comparator::Gt)),
    ("NOT_NULL", Operator::NotNull),
    ("NE", Operator::Compare(Comparator::Ne)),
    ("LE", Operator::Compare(Comparator::Le)),
    ("BEGINS_WITH", Operator::BeginsWith),
    ("GE", Operator::Compare(Comparator::Ge)),
    ("CONTAINS", Operator::Contains),
];

impl Operator {
    fn of(name: &str) -> Result<Self, AwsError> {
        let known = OPERATORS.iter().find(|(known, _)| *known == name);
        // This does not happen: the constraints have checked the names.
        known.map(|(_, operator)| *operator).ok_or_else(|| invalid(&format!("Unknown operator {name}")))
    }

    fn takes(self, count: usize) -> bool {
        match self {
            Self::Null | Self::NotNull => count == 0,
            Self::Between => count == 2,
            Self::In => count > 0,
            _ => count == 1,
        }
    }

    fn allows(self, attr_type: AttrType) -> bool {
        match self {
            Self::Compare(Comparator::Eq | Comparator::Ne) => true,
            Self::BeginsWith => matches!(attr_type, AttrType::S | AttrType::B),
            _ => matches!(attr_type, AttrType::S | AttrType::N | AttrType::B),
        }
    }
}

fn is_above(low: &EncodedValue, high: &EncodedValue) -> bool {
    order(&low.view(), &high.view()).is_some_and(std::cmp::Ordering::is_gt)
}

/// A test of one attribute.
pub(super) struct Test<'j> {
    pub(super) name: &'j str,
    pub(super) operator: Operator,
    pub(super) values: Vec<EncodedValue>,
}

impl<'j> Test<'j> {
    /// Reads an operator with its values.
    pub(super) fn read(name: &'j str, operator: &str, values: &[Value]) -> Result<Self, AwsError> {
        let (shown, operator) = (operator, Operator::of(operator)?);
        let values: Vec<AttributeValue> = values.iter().map(value).collect::<Result<_, _>>()?;
        if !operator.takes(values.len()) {
            return Err(invalid(&format!(
                "Invalid number of argument(s) for the {shown} ComparisonOperator"
            )));
        }
        let first = values.first().map(AttributeValue::attr_type);
        if values.iter().any(|value| Some(value.attr_type()) != first) {
            return Err(invalid("AttributeValues inside AttributeValueList must be of same type"));
        }
        if let Some(attr_type) = first.filter(|attr_type| !operator.allows(*attr_type)) {
            return Err(invalid(&format!(
                "ComparisonOperator {shown} is not valid for {attr_type} AttributeValue type"
            )));
        }
        let encoded: Result<Vec<_>, _> = values.iter().map(EncodedValue::new).collect();
        let test = Self { name, operator, values: encoded? };
        match test.values.as_slice() {
            [low, high] if operator == Operator::Between && is_above(low, high) => Err(AwsError::validation(
                "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
            )),
            _ => Ok(test),
        }
    }

    fn there(name: &'j str, there: bool) -> Self {
        Self { name, operator: if there { Operator::NotNull } else { Operator::Null }, values: Vec::new() }
    }

    /// The test as a condition.
    pub(super) fn condition(self) -> Condition {
        let operand = || Operand::Path(Path::attribute(self.name));
        let call = |function: Function, value: Option<Operand>| {
            Condition::Call(FunctionCall {
                function,
                args: std::iter::once(operand()).chain(value).collect(),
            })
        };
        let mut values =
            self.values.into_iter().map(|value| Operand::Value(crate::expr::ValueTerm::Literal(value)));
        match (self.operator, values.next()) {
            (Operator::Compare(comparator), Some(value)) => Condition::Compare(comparator, operand(), value),
            (Operator::In, Some(first)) => {
                Condition::In(operand(), std::iter::once(first).chain(values).collect())
            }
            (Operator::Between, Some(low)) => {
                let high = values.next().unwrap_or_else(|| low.clone());
                Condition::Between(operand(), low, high)
            }
            (Operator::Contains, value) => call(Function::Contains, value),
            (Operator::BeginsWith, value) => call(Function::BeginsWith, value),
            // A missing attribute does not pass NOT_CONTAINS, so the condition requires that the attribute exists.
            (Operator::NotContains, value) => Condition::All(vec![
                call(Function::AttributeExists, None),
                Condition::Not(Box::new(call(Function::Contains, value))),
            ]),
            (Operator::Null, _) => call(Function::AttributeNotExists, None),
            _ => call(Function::AttributeExists, None),
        }
    }
}

/// Checks that all operators in a map of conditions exist.
pub(in crate::aws) fn constrain_conditions(body: Body<'_>, member: &str, violations: &mut Violations) {
    let required = member != "Expected";
    for (name, condition) in body.map(member).into_iter().flat_map(|map| map.0) {
        let path = format!("{}.{name}.member.comparisonOperator", path(member));
        match condition.get("ComparisonOperator").and_then(Value::as_str) {
            None => violations.required(!required, &path),
            Some(given) => violations.one_of_at(given, &path, &OPERATORS.map(|(known, _)| known)),
        }
    }
}

fn joined(body: Body<'_>, all: Vec<Condition>) -> Option<BoundCondition> {
    let join = if any_is_enough(body) { Condition::Any } else { Condition::All };
    (!all.is_empty()).then(|| BoundCondition::literal(join(all)))
}

/// The condition of `Expected`.
///
/// # Errors
/// AWS's, for members that may not be combined and values that do not fit their operator.
pub(in crate::aws) fn expected(body: Body<'_>) -> Result<Option<BoundCondition>, AwsError> {
    let mut all = Vec::new();
    for (name, one) in body.map("Expected").into_iter().flat_map(|map| map.0) {
        if let Value::Object(one) = one {
            all.push(expected_one(name, Body(one))?.condition());
        }
    }
    Ok(joined(body, all))
}

fn expected_one<'j>(name: &'j str, one: Body<'j>) -> Result<Test<'j>, AwsError> {
    let refused = |message: &str| Err(invalid(&format!("{message} for Attribute: {name}")));
    let (given, list) = (one.get("Value"), one.list("AttributeValueList"));
    if given.is_some() && list.is_some() {
        return refused("Value and AttributeValueList cannot be used together");
    }
    let exists = one.get("Exists").map(|_| one.bool("Exists"));
    if let Some(operator) = one.text("ComparisonOperator") {
        if exists.is_some() {
            return refused("Exists and ComparisonOperator cannot be used together");
        }
        if given.is_none() && list.is_none() && !matches!(operator, "NULL" | "NOT_NULL") {
            return refused(&format!(
                "Value or AttributeValueList must be used with ComparisonOperator: {operator}"
            ));
        }
        let values = given.map(std::slice::from_ref).or(list).unwrap_or_default();
        return Test::read(name, operator, values);
    }
    if list.is_some() {
        return refused("AttributeValueList can only be used with a ComparisonOperator");
    }
    match (exists, given) {
        (Some(false), Some(_)) => refused("Value cannot be used when Exists is false"),
        (Some(false), None) => Ok(Test::there(name, false)),
        (_, Some(given)) => Test::read(name, "EQ", std::slice::from_ref(given)),
        (exists, None) => {
            let shown = exists.map_or("null".to_owned(), |exists| exists.to_string());
            refused(&format!("Value must be provided when Exists is {shown}"))
        }
    }
}

/// The tests of a map of conditions.
pub(super) fn tests<'j>(body: Body<'j>, member: &str) -> Result<Vec<Test<'j>>, AwsError> {
    let mut all = Vec::new();
    for (name, one) in body.map(member).into_iter().flat_map(|map| map.0) {
        if let Value::Object(one) = one {
            let one = Body(one);
            let operator = one.text("ComparisonOperator").unwrap_or_default();
            all.push(Test::read(name, operator, one.list("AttributeValueList").unwrap_or_default())?);
        }
    }
    Ok(all)
}

/// The condition of `QueryFilter` or `ScanFilter`.
///
/// # Errors
/// AWS's, for values that do not fit their operator.
pub(in crate::aws) fn filter(body: Body<'_>, member: &str) -> Result<Option<BoundCondition>, AwsError> {
    Ok(joined(body, tests(body, member)?.into_iter().map(Test::condition).collect()))
}
