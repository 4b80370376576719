//! A request's members, and the constraints on them that AWS reports together.

use super::error::AwsError;
use serde_json::{Map, Value};

/// Violations that are reported together, at most ten.
#[derive(Default)]
pub(super) struct Violations(Vec<String>);

impl Violations {
    pub(super) fn add(&mut self, value: &str, path: &str, constraint: &str) {
        self.0.push(format!("Value {value} at '{path}' failed to satisfy constraint: {constraint}"));
    }

    pub(super) fn required(&mut self, there: bool, path: &str) {
        if !there {
            self.add("null", path, "Member must not be null");
        }
    }

    /// A text, if given, that must be one of a set, listed as AWS lists it.
    pub(super) fn one_of(&mut self, body: Body<'_>, name: &str, set: &[&str]) {
        if let Some(text) = body.text(name).filter(|text| !set.contains(text)) {
            let constraint = format!("Member must satisfy enum value set: [{}]", set.join(", "));
            self.add(&format!("'{text}'"), &path(name), &constraint);
        }
    }

    pub(super) fn capacity(&mut self, body: Body<'_>) {
        self.one_of(body, "ReturnConsumedCapacity", &["INDEXES", "TOTAL", "NONE"]);
    }

    pub(super) fn metrics(&mut self, body: Body<'_>) {
        self.one_of(body, "ReturnItemCollectionMetrics", &["SIZE", "NONE"]);
    }

    /// A number, if given, that must lie within bounds.
    pub(super) fn range(&mut self, body: Body<'_>, name: &str, low: i64, high: i64) {
        let Some(number) = body.int(name) else { return };
        if number < low {
            let constraint = format!("Member must have value greater than or equal to {low}");
            self.add(&format!("'{number}'"), &path(name), &constraint);
        } else if number > high {
            let constraint = format!("Member must have value less than or equal to {high}");
            self.add(&format!("'{number}'"), &path(name), &constraint);
        }
    }

    pub(super) fn finish(mut self) -> Result<(), AwsError> {
        self.0.truncate(10);
        match self.0.len() {
            0 => Ok(()),
            1 => Err(AwsError::validation(format!("1 validation error detected: {}", self.0.join("; ")))),
            n => Err(AwsError::validation(format!("{n} validation errors detected: {}", self.0.join("; ")))),
        }
    }
}

/// A member's name as AWS prints it in constraints: with a small first letter.
pub(super) fn path(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

/// A request or a part of it, whose form was checked.
#[derive(Clone, Copy)]
pub(super) struct Body<'j>(pub(super) &'j Map<String, Value>);

impl<'j> Body<'j> {
    pub(super) fn get(self, name: &str) -> Option<&'j Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(self, name: &str) -> Option<&'j str> {
        self.get(name)?.as_str()
    }

    pub(super) fn bool(self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn int(self, name: &str) -> Option<i64> {
        let number = self.get(name)?;
        number.as_i64().or_else(|| number.as_f64().map(|double| double as i64))
    }

    pub(super) fn list(self, name: &str) -> Option<&'j [Value]> {
        self.get(name)?.as_array().map(Vec::as_slice)
    }

    pub(super) fn map(self, name: &str) -> Option<Body<'j>> {
        self.get(name)?.as_object().map(Body)
    }

    /// The name of a table, which a request needs.
    pub(super) fn table_name(self) -> Result<&'j str, AwsError> {
        let missing = "The parameter 'TableName' is required but was not present in the request";
        let name = self.text("TableName").ok_or_else(|| AwsError::validation(missing))?;
        crate::item::check_resource_name("TableName", name)?;
        Ok(name)
    }

    /// Refuses parameters from before expressions.
    pub(super) fn refuse_legacy(self, names: &[&str]) -> Result<(), AwsError> {
        match names.iter().find(|name| self.get(name).is_some()) {
            None => Ok(()),
            Some(name) => Err(AwsError::validation(format!(
                "The legacy parameter {name} is not supported, use expressions instead"
            ))),
        }
    }
}
