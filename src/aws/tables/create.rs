//! CreateTable.

use super::super::Call;
use super::super::body::{Body, Violations};
use super::super::error::AwsError;
use super::super::json::Object;
use super::{describe_table, settings};
use crate::item::{AttrType, KeyAttr, KeyType, TableSchema};
use crate::ops;
use serde_json::Value;

pub(super) fn create(body: Body<'_>) -> Result<Call, AwsError> {
    constrain(body)?;
    let name = body.table_name()?.to_owned();
    for index in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes", "StreamSpecification"] {
        if body.get(index).is_some() {
            return Err(AwsError::validation(format!("{index} is not supported yet")));
        }
    }
    let mut schema = keys(body)?;
    settings::throughput(body, &mut schema, true)?;
    settings::tags(body.list("Tags").unwrap_or_default(), &mut schema);
    Ok(Call::new(Vec::new(), move |tx| {
        ops::create_table(tx, &name, &schema)?;
        let mut out = Vec::new();
        let mut reply = Object::begin(&mut out);
        if let Some(table) = tx.engine().tables.get(name.as_bytes()) {
            reply.object("TableDescription", |object| describe_table(&table, "CREATING", object));
        }
        reply.end();
        Ok(out)
    }))
}

fn constrain(body: Body<'_>) -> Result<(), AwsError> {
    let mut violations = Violations::default();
    violations.required(body.get("AttributeDefinitions").is_some(), "attributeDefinitions");
    violations.required(body.get("KeySchema").is_some(), "keySchema");
    for (at, attribute) in body.list("AttributeDefinitions").unwrap_or_default().iter().enumerate() {
        let path = |name: &str| format!("attributeDefinitions.{}.member.{name}", at + 1);
        member(&mut violations, attribute, "AttributeName", &path("attributeName"), &[]);
        member(&mut violations, attribute, "AttributeType", &path("attributeType"), &["B", "N", "S"]);
    }
    let keys = body.list("KeySchema");
    for (at, key) in keys.unwrap_or_default().iter().enumerate() {
        let path = |name: &str| format!("keySchema.{}.member.{name}", at + 1);
        member(&mut violations, key, "AttributeName", &path("attributeName"), &[]);
        member(&mut violations, key, "KeyType", &path("keyType"), &["HASH", "RANGE"]);
    }
    match keys.map(<[Value]>::len) {
        Some(0) => {
            violations.add("'[]'", "keySchema", "Member must have length greater than or equal to 1");
        }
        Some(3..) => {
            violations.add("'[...]'", "keySchema", "Member must have length less than or equal to 2");
        }
        _ => {}
    }
    settings::constrain(body, &mut violations);
    violations.finish()
}

/// A member of a list that must be there, perhaps one of a set.
fn member(violations: &mut Violations, of: &Value, name: &str, path: &str, set: &[&str]) {
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

/// The keys, after the checks that need no table.
fn keys(body: Body<'_>) -> Result<TableSchema, AwsError> {
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let defined: Vec<(String, String)> = body
        .list("AttributeDefinitions")
        .unwrap_or_default()
        .iter()
        .map(|of| (text(of, "AttributeName"), text(of, "AttributeType")))
        .collect();
    let keys: Vec<(String, String)> = body
        .list("KeySchema")
        .unwrap_or_default()
        .iter()
        .map(|of| (text(of, "AttributeName"), text(of, "KeyType")))
        .collect();
    let refused = |message: &str| Err(AwsError::validation(message));
    if defined
        .iter()
        .enumerate()
        .any(|(at, (name, _))| defined.iter().take(at).any(|(other, _)| other == name))
    {
        return refused("Cannot have two attributes with the same name");
    }
    if keys.first().is_some_and(|(_, role)| role != "HASH") {
        return refused("Invalid KeySchema: The first KeySchemaElement is not a HASH key type");
    }
    if keys.get(1).is_some_and(|(_, role)| role != "RANGE") {
        return refused("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type");
    }
    if keys.len() == 2 && keys.first().map(|key| &key.0) == keys.get(1).map(|key| &key.0) {
        return refused("Both the Hash Key and the Range Key element in the KeySchema have the same name");
    }
    let names =
        |list: &[(String, String)]| list.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    if keys.len() > defined.len() {
        return refused("Invalid KeySchema: Some index key attribute have no definition");
    }
    let mut attrs = Vec::new();
    for (name, _) in &keys {
        let Some((_, tag)) = defined.iter().find(|(other, _)| other == name) else {
            return Err(AwsError::validation(format!(
                "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], AttributeDefinitions: [{}]",
                names(&keys),
                names(&defined)
            )));
        };
        let key_type = AttrType::from_tag(tag).and_then(KeyType::from_attr_type).unwrap_or(KeyType::S);
        attrs.push(KeyAttr::new(name, key_type));
    }
    if defined.len() != keys.len() {
        return refused(
            "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
        );
    }
    let mut attrs = attrs.into_iter();
    match attrs.next() {
        Some(pk) => Ok(TableSchema::new(pk, attrs.next())),
        None => refused("Invalid KeySchema: Some index key attribute have no definition"),
    }
}
