//! A request's members, and the constraints on them that AWS reports together.

use super::error::AwsError;
use serde_json::{Map, Value};

/// Violations that are reported together, at most ten.
#[derive(Default)]
pub(super) struct Violations {
    found: Vec<String>,
    within: String,
}

impl Violations {
    /// Sets the path of the members that are checked from now on: it ends in a point, or is empty.
    pub(super) fn within(&mut self, path: String) {
        self.within = path;
    }

    pub(super) fn add(&mut self, value: &str, path: &str, constraint: &str) {
        let within = &self.within;
        self.found
            .push(format!("Value {value} at '{within}{path}' failed to satisfy constraint: {constraint}"));
    }

    pub(super) fn required(&mut self, there: bool, path: &str) {
        if !there {
            self.add("null", path, "Member must not be null");
        }
    }

    /// Checks that a text, if given, is one of a set. The set is in AWS's order.
    pub(super) fn one_of(&mut self, body: Body<'_>, name: &str, set: &[&str]) {
        if let Some(text) = body.text(name) {
            self.one_of_at(text, &path(name), set);
        }
    }

    /// As [`Violations::one_of`], for a text at a path.
    pub(super) fn one_of_at(&mut self, text: &str, path: &str, set: &[&str]) {
        if !set.contains(&text) {
            let constraint = format!("Member must satisfy enum value set: [{}]", set.join(", "));
            self.add(&format!("'{text}'"), path, &constraint);
        }
    }

    pub(super) fn capacity(&mut self, body: Body<'_>) {
        self.one_of(body, "ReturnConsumedCapacity", &["INDEXES", "TOTAL", "NONE"]);
    }

    pub(super) fn metrics(&mut self, body: Body<'_>) {
        self.one_of(body, "ReturnItemCollectionMetrics", &["SIZE", "NONE"]);
    }

    /// Checks the table's name of a request on items: a name or an ARN.
    pub(super) fn table(&mut self, body: Body<'_>) {
        let path = "tableName";
        let name = body.text("TableName");
        self.required(name.is_some(), path);
        let Some(name) = name else { return };
        let bare = bare_name(name);
        if bare == name && !name.is_empty() {
            self.pattern(name, path);
        }
        self.length(name, path, 1, 1024);
    }

    /// Checks the name of an index or table, if given.
    pub(super) fn name(&mut self, body: Body<'_>, member: &str) {
        let Some(name) = body.text(member) else { return };
        let path = path(member);
        self.pattern(name, &path);
        self.length(name, &path, 3, 255);
    }

    /// Checks the characters of a name.
    fn pattern(&mut self, name: &str, path: &str) {
        if name.is_empty() || !name.bytes().all(is_name_byte) {
            let constraint = format!("Member must satisfy regular expression pattern: {NAME_PATTERN}");
            self.add(&format!("'{name}'"), path, &constraint);
        }
    }

    /// Checks a text's length in characters.
    pub(super) fn characters(&mut self, text: &str, path: &str, least: usize, most: usize) {
        let length = text.chars().count();
        if length < least {
            let constraint = format!("Member must have length greater than or equal to {least}");
            self.add(&format!("'{text}'"), path, &constraint);
        } else if length > most {
            let constraint = format!("Member must have length less than or equal to {most}");
            self.add(&format!("'{text}'"), path, &constraint);
        }
    }

    /// Checks a text's length in bytes.
    pub(super) fn length(&mut self, text: &str, path: &str, least: usize, most: usize) {
        if text.len() < least {
            let constraint = format!("Member must have length greater than or equal to {least}");
            self.add(&format!("'{text}'"), path, &constraint);
        } else if text.len() > most {
            let constraint = format!("Member must have length less than or equal to {most}");
            self.add(&format!("'{text}'"), path, &constraint);
        }
    }

    /// Checks that `AttributesToGet`, if given, is not empty.
    pub(super) fn attributes_to_get(&mut self, body: Body<'_>, path: &str) {
        if body.list("AttributesToGet").is_some_and(<[Value]>::is_empty) {
            self.add("'[]'", path, "Member must have length greater than or equal to 1");
        }
    }

    /// Checks that a number, if given, lies within bounds.
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
        self.found.truncate(10);
        let all = self.found.join("; ");
        match self.found.len() {
            0 => Ok(()),
            1 => Err(AwsError::validation(format!("1 validation error detected: {all}"))),
            n => Err(AwsError::validation(format!("{n} validation errors detected: {all}"))),
        }
    }
}

const NAME_PATTERN: &str = "[a-zA-Z0-9_.-]+";

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// The table's name from a name or an ARN.
pub(super) fn bare_name(name: &str) -> &str {
    match name.strip_prefix("arn:").and_then(|arn| arn.split_once(":table/")) {
        Some((_, bare)) => bare,
        None => name,
    }
}

/// A member's name as AWS prints it in constraints: with a lower-case first letter.
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
        match self.get(name) {
            Some(Value::Bool(value)) => *value,
            Some(Value::String(text)) => super::shape::bool_of(text).unwrap_or(false),
            _ => false,
        }
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

    /// The table's name, which an operation on tables needs. Its presence and its length are checked before everything
    /// else.
    pub(super) fn table_name(self, violations: &mut Violations) -> Result<&'j str, AwsError> {
        let missing = "The parameter 'TableName' is required but was not present in the request";
        let name = bare_name(self.text("TableName").ok_or_else(|| AwsError::validation(missing))?);
        if !(3..=255).contains(&name.len()) {
            return Err(crate::item::ItemError::NameLength { field: "TableName" }.into());
        }
        violations.pattern(name, "tableName");
        Ok(name)
    }

    /// The same for a request that has no other members.
    pub(super) fn only_table_name(self) -> Result<&'j str, AwsError> {
        let mut violations = Violations::default();
        let name = self.table_name(&mut violations)?;
        violations.finish()?;
        Ok(name)
    }
}
