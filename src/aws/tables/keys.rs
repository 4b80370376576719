//! Key schemas and the definitions of their attributes, as requests give them for tables and indexes.

use super::super::body::{Body, Violations};
use super::super::error::AwsError;
use crate::item::{AttrType, KeyAttr, KeyType};
use serde_json::Value;

/// The attributes that a request defines, with their types.
pub(super) struct Defined(Vec<(String, String)>);

impl Defined {
    pub(super) fn read(body: Body<'_>) -> Self {
        let list = body.list("AttributeDefinitions").unwrap_or_default();
        Self(list.iter().map(|of| (text(of, "AttributeName"), text(of, "AttributeType"))).collect())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Key attributes by their names.
    pub(super) fn attrs(&self, names: &[String]) -> Vec<KeyAttr> {
        let of = |name: &String| {
            let tag = self.0.iter().find(|(other, _)| other == name).map_or("S", |(_, tag)| tag);
            let key_type = AttrType::from_tag(tag).and_then(KeyType::from_attr_type).unwrap_or(KeyType::S);
            KeyAttr::new(name, key_type)
        };
        names.iter().map(of).collect()
    }
}

/// The elements of a key schema: names, and how many of them are of the partition key.
pub(super) struct Keys {
    names: Vec<String>,
    roles: Vec<String>,
}

impl Keys {
    pub(super) fn read(body: Body<'_>) -> Self {
        let list = body.list("KeySchema").unwrap_or_default();
        Self {
            names: list.iter().map(|of| text(of, "AttributeName")).collect(),
            roles: list.iter().map(|of| text(of, "KeyType")).collect(),
        }
    }

    /// Checks which elements are of the partition key and which of the sort key. A global index may have up to four of
    /// each.
    pub(super) fn check_roles(&self, global: bool) -> Result<(), AwsError> {
        let refused = |message: &str| Err(AwsError::validation(message));
        let most = if global { 4 } else { 1 };
        if self.roles.first().is_some_and(|role| role != "HASH") {
            return refused("Invalid KeySchema: The first KeySchemaElement is not a HASH key type");
        }
        let (hash, range) = (self.partition().len(), self.sort().len());
        if !global && hash > 1 {
            return refused("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type");
        }
        if self.roles.iter().skip(hash).any(|role| role != "RANGE") {
            return refused("Invalid KeySchema: All HASH key elements must come before RANGE key elements");
        }
        if hash > most || range > most {
            return refused(
                "Invalid KeySchema: At most 4 HASH and 4 RANGE key elements can be specified for an index",
            );
        }
        let twice = |(at, name): (usize, &String)| self.names.iter().take(at).any(|other| other == name);
        if self.names.iter().enumerate().any(twice) {
            return refused(
                "Both the Hash Key and the Range Key element in the KeySchema have the same name",
            );
        }
        Ok(())
    }

    /// Checks that there are as many definitions as elements.
    pub(super) fn check_count(&self, defined: &Defined) -> Result<(), AwsError> {
        if self.names.len() > defined.0.len() {
            return Err(AwsError::validation(
                "Invalid KeySchema: Some index key attribute have no definition",
            ));
        }
        Ok(())
    }

    /// Checks that every element is defined.
    pub(super) fn check_definitions(&self, defined: &Defined) -> Result<(), AwsError> {
        if self.names.iter().all(|name| defined.names().any(|other| other == name)) {
            return Ok(());
        }
        Err(AwsError::validation(format!(
            "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
            self.names.join(", "),
            defined.names().collect::<Vec<_>>().join(", ")
        )))
    }

    /// The names of all elements, in their order.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn partition(&self) -> &[String] {
        let hash = self.roles.iter().take_while(|role| *role == "HASH").count();
        self.names.get(..hash).unwrap_or_default()
    }

    pub(super) fn sort(&self) -> &[String] {
        self.names.get(self.partition().len()..).unwrap_or_default()
    }
}

/// Constraints on a key schema, of a table or an index.
pub(super) fn constrain_keys(body: Body<'_>, most: usize, violations: &mut Violations) {
    violations.required(body.get("KeySchema").is_some(), "keySchema");
    let Some(keys) = body.list("KeySchema") else { return };
    if keys.is_empty() {
        violations.add("'[]'", "keySchema", "Member must have length greater than or equal to 1");
    } else if keys.len() > most {
        let shown = |key: &Value| {
            let part = |name| text(key, name);
            format!("KeySchemaElement(attributeName={}, keyType={})", part("AttributeName"), part("KeyType"))
        };
        let shown = keys.iter().map(shown).collect::<Vec<_>>().join(", ");
        let constraint = format!("Member must have length less than or equal to {most}");
        violations.add(&format!("'[{shown}]'"), "keySchema", &constraint);
    }
    for (at, key) in keys.iter().enumerate() {
        let path = |name: &str| format!("keySchema.{}.member.{name}", at + 1);
        member(violations, key, "AttributeName", &path("attributeName"), &[]);
        member(violations, key, "KeyType", &path("keyType"), &["HASH", "RANGE"]);
    }
}

/// Checks that a list's element has a member and, if `set` is given, that its value is one of the set.
pub(super) fn member(violations: &mut Violations, of: &Value, name: &str, path: &str, set: &[&str]) {
    match of.get(name).and_then(Value::as_str) {
        None => violations.required(false, path),
        Some(text) if set.is_empty() => violations.length(text, path, 1, 255),
        Some(text) if !set.is_empty() && !set.contains(&text) => {
            let constraint = format!("Member must satisfy enum value set: [{}]", set.join(", "));
            violations.add(&format!("'{text}'"), path, &constraint);
        }
        Some(_) => {}
    }
}

fn text(of: &Value, name: &str) -> String {
    of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
