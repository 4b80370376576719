//! TagResource, UntagResource and ListTagsOfResource.

use super::super::AwsCall;
use super::super::arn::ARN;
use super::super::body::{Body, Violations};
use super::super::error::{AwsError, ErrorKind};
use super::super::json::ObjectWriter;
use super::calls::{alter, find, said};
use crate::engine::{Table, Tables};
use crate::item::TableSchema;
use serde_json::Value;
use std::sync::Arc;

/// The prefix of the settings that hold tags.
const TAG: &str = "tag:";
/// Most tags of a table.
const MAX_TAGS: usize = 50;

/// The ARN in a request.
fn resource_arn(body: Body<'_>) -> Result<&str, AwsError> {
    body.text("ResourceArn").ok_or_else(|| AwsError::validation("Invalid TableArn"))
}

/// The name of the table of an ARN: `arn:partition:dynamodb:region:account:table/name`.
fn table_name(arn: &str) -> Result<&str, AwsError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let name = match parts[..] {
        ["arn", _, "dynamodb", _, _, resource] => resource.strip_prefix("table/"),
        _ => None,
    };
    let fits = |name: &&str| crate::item::check_resource_name("TableName", name).is_ok();
    name.filter(fits).ok_or_else(|| {
        AwsError::validation(format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}"))
    })
}

/// The table that a request names by its ARN.
fn resource(arn: &str, tables: &Tables) -> Result<Arc<Table>, AwsError> {
    let name = table_name(arn)?;
    find(tables, name).map_err(|_| {
        AwsError::new(
            ErrorKind::ResourceNotFound,
            format!("Requested resource not found: ResourcArn: {ARN}{name} not found"),
        )
    })
}

/// Constraints on tags.
pub(super) fn constrain(body: Body<'_>, violations: &mut Violations) {
    for (at, tag) in body.list("Tags").unwrap_or_default().iter().enumerate() {
        for (member, name, least, most) in [("Value", "value", 0, 256), ("Key", "key", 1, 128)] {
            let path = format!("tags.{}.member.{name}", at + 1);
            match tag.get(member).and_then(Value::as_str) {
                Some(text) => violations.characters(text, &path, least, most),
                None => violations.required(false, &path),
            }
        }
    }
}

/// Puts tags into the schema, after checking that there are not too many and that none is reserved for AWS.
pub(super) fn put(tags: &[Value], schema: &mut TableSchema) -> Result<(), AwsError> {
    for tag in tags {
        let text = |name: &str| tag.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("Key").starts_with("aws:") {
            return Err(AwsError::validation(
                "One or more parameter values were invalid: Tag keys that begin with aws: are reserved",
            ));
        }
        schema.settings.insert(format!("{TAG}{}", text("Key")), text("Value").to_owned());
    }
    if schema.settings.keys().filter(|name| name.starts_with(TAG)).count() > MAX_TAGS {
        return Err(AwsError::validation(
            "One or more parameter values were invalid: Too many tags: at most 50",
        ));
    }
    Ok(())
}

/// TagResource.
pub(super) fn tag(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
    let arn = resource_arn(body)?;
    let mut violations = Violations::default();
    violations.required(body.get("Tags").is_some(), "tags");
    constrain(body, &mut violations);
    violations.finish()?;
    table_name(arn)?;
    let given = body.list("Tags").unwrap_or_default();
    if given.is_empty() {
        return Err(AwsError::validation("Atleast one Tag needs to be provided as Input."));
    }
    let table = resource(arn, tables)?;
    let mut schema = table.schema.clone();
    put(given, &mut schema)?;
    Ok(alter(table, schema, |_, _| {}))
}

/// UntagResource.
pub(super) fn untag(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
    let arn = resource_arn(body)?;
    let mut violations = Violations::default();
    violations.required(body.get("TagKeys").is_some(), "tagKeys");
    let names = body.list("TagKeys").unwrap_or_default();
    for (at, name) in names.iter().enumerate() {
        let path = format!("tagKeys.{}.member", at + 1);
        violations.characters(name.as_str().unwrap_or_default(), &path, 1, 128);
    }
    violations.finish()?;
    table_name(arn)?;
    if names.is_empty() {
        return Err(AwsError::validation("Atleast one Tag Key needs to be provided as Input."));
    }
    let table = resource(arn, tables).map_err(|error| match error.kind {
        ErrorKind::ResourceNotFound => AwsError::not_found(),
        _ => error,
    })?;
    let mut schema = table.schema.clone();
    for name in names.iter().filter_map(Value::as_str) {
        schema.settings.remove(&format!("{TAG}{name}"));
    }
    Ok(alter(table, schema, |_, _| {}))
}

/// ListTagsOfResource.
pub(super) fn list(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
    let table = resource(resource_arn(body)?, tables)?;
    let tags =
        table.schema.settings.iter().filter_map(|(name, value)| Some((name.strip_prefix(TAG)?, value)));
    Ok(said(|reply| {
        reply.array("Tags", tags, |(name, value), out| {
            let mut object = ObjectWriter::begin(out);
            object.text("Key", name);
            object.text("Value", value);
            object.end();
        });
    }))
}
