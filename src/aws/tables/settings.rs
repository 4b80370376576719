//! What of a table can be changed: billing, throughput, class, protection, time to live, tags. Billing and throughput are kept
//! and reported; they have no effect.

use super::super::Call;
use super::super::body::{Body, Violations};
use super::super::error::{AwsError, Kind};
use super::super::json::Object;
use super::indexes::{self, Update};
use super::stream;
use super::{ACTIVE, ARN, Telling, describe_table, find, said};
use crate::engine::{Table, Tables, Tx};
use crate::item::TableSchema;
use crate::ops;
use serde_json::Value;
use std::sync::Arc;

/// `PROVISIONED`, if the table's billing mode is that.
pub(super) const BILLING: &str = "billing";
/// Read capacity units.
pub(super) const READ_UNITS: &str = "read-units";
/// Write capacity units.
pub(super) const WRITE_UNITS: &str = "write-units";
/// The table's class, if it was ever given.
pub(super) const CLASS: &str = "class";
/// There if the table is protected against deletion.
pub(super) const PROTECTED: &str = "protected";
/// Most capacity units that can be asked for.
const MAX_UNITS: i64 = 1_000_000_000_000;
/// What tags' names are behind.
const TAG: &str = "tag:";
/// Most tags of a table.
const MAX_TAGS: usize = 50;

/// Constraints on the members that CreateTable and UpdateTable share.
pub(super) fn constrain(body: Body<'_>, violations: &mut Violations) {
    violations.one_of(body, "BillingMode", &["PROVISIONED", "PAY_PER_REQUEST"]);
    violations.one_of(body, "TableClass", &["STANDARD", "STANDARD_INFREQUENT_ACCESS"]);
    constrain_units(body, violations);
}

/// Constraints on the throughput of a table or an index.
pub(super) fn constrain_units(body: Body<'_>, violations: &mut Violations) {
    let Some(units) = body.map("ProvisionedThroughput") else { return };
    for name in ["WriteCapacityUnits", "ReadCapacityUnits"] {
        let path = format!("provisionedThroughput.{}", super::super::body::path(name));
        match units.int(name) {
            None => violations.required(false, &path),
            Some(n) if n < 1 => {
                let constraint = "Member must have value greater than or equal to 1";
                violations.add(&format!("'{n}'"), &path, constraint);
            }
            Some(_) => {}
        }
    }
}

/// Takes over billing, throughput, class and protection. A new table without a billing mode is provisioned.
pub(super) fn throughput(body: Body<'_>, schema: &mut TableSchema, new: bool) -> Result<(), AwsError> {
    let units = body.map("ProvisionedThroughput");
    let was = schema.settings.get(BILLING).map_or("PAY_PER_REQUEST", String::as_str);
    let mode = body.text("BillingMode").unwrap_or(if new { "PROVISIONED" } else { was }).to_owned();
    let invalid =
        |what: &str| Err(AwsError::validation(format!("One or more parameter values were invalid: {what}")));
    match (mode.as_str(), units) {
        ("PAY_PER_REQUEST", Some(_)) => {
            return invalid(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
            );
        }
        ("PAY_PER_REQUEST", None) => {
            for name in [BILLING, READ_UNITS, WRITE_UNITS] {
                schema.settings.remove(name);
            }
        }
        (_, None) if new || was == "PAY_PER_REQUEST" => {
            return invalid(
                "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
            );
        }
        (_, units) => {
            for name in ["ReadCapacityUnits", "WriteCapacityUnits"] {
                if let Some(n) = units.and_then(|units| units.int(name)).filter(|n| *n > MAX_UNITS) {
                    return Err(AwsError::validation(format!("Given value {n} for {name} is out of bounds")));
                }
            }
            schema.settings.insert(BILLING.to_owned(), "PROVISIONED".to_owned());
            for (setting, name) in [(READ_UNITS, "ReadCapacityUnits"), (WRITE_UNITS, "WriteCapacityUnits")] {
                if let Some(n) = units.and_then(|units| units.int(name)) {
                    schema.settings.insert(setting.to_owned(), n.to_string());
                }
            }
        }
    }
    if let Some(class) = body.text("TableClass") {
        schema.settings.insert(CLASS.to_owned(), class.to_owned());
    }
    if body.bool("DeletionProtectionEnabled") {
        schema.settings.insert(PROTECTED.to_owned(), String::new());
    } else if body.get("DeletionProtectionEnabled").is_some() {
        schema.settings.remove(PROTECTED);
    }
    Ok(())
}

/// A call that gives a table another schema.
fn alter(
    table: Arc<Table>,
    schema: TableSchema,
    reply: impl FnOnce(&Table, &mut Object<'_>) + 'static,
) -> Call {
    Call::new(Vec::new(), move |tx| {
        ops::alter_table(tx, &table, &schema)?;
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        if let Some(table) = tx.engine().tables.by_id(table.id) {
            reply(&table, &mut object);
        }
        object.end();
        Ok(out)
    })
}

/// UpdateTable.
pub(super) fn update(body: Body<'_>, tables: &Tables) -> Result<Call, AwsError> {
    let mut violations = Violations::default();
    constrain(body, &mut violations);
    indexes::constrain_updates(body, &mut violations);
    stream::constrain(body, &mut violations);
    violations.finish()?;
    let name = body.table_name()?;
    let members = [
        "BillingMode",
        "ProvisionedThroughput",
        "TableClass",
        "DeletionProtectionEnabled",
        "StreamSpecification",
    ];
    let updates = body.list("GlobalSecondaryIndexUpdates").is_some_and(|updates| !updates.is_empty());
    if !updates && !members.iter().any(|member| body.get(member).is_some()) {
        return Err(AwsError::validation(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required",
        ));
    }
    let table = find(tables, name)?;
    let mut schema = table.schema.clone();
    throughput(body, &mut schema, false)?;
    let update = indexes::update(body, &table, &mut schema)?;
    let change = stream::change(body, &table)?;
    Ok(Call::new(Vec::new(), move |tx| {
        let id = table.id;
        stream::apply(tx, &table, &mut schema, &change);
        ops::alter_table(tx, &table, &schema)?;
        let now = |tx: &Tx<'_>| tx.engine().tables.by_id(id).ok_or_else(AwsError::not_found);
        let (mut shown, mut telling) = (now(tx)?, ACTIVE);
        match &update {
            Update::Nothing => {}
            Update::Create(index) => {
                telling = Telling { status: "UPDATING", index: Some((&index.name, "CREATING")) };
                ops::add_index(tx, &shown, index.clone())?;
                shown = now(tx)?;
            }
            Update::Delete(name) => {
                telling = Telling { status: "UPDATING", index: Some((name, "DELETING")) };
                ops::drop_index(tx, &shown, name)?;
            }
        }
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.object("TableDescription", |object| describe_table(&shown, telling, object));
        object.end();
        Ok(out)
    }))
}

/// UpdateTimeToLive.
pub(super) fn update_ttl(body: Body<'_>, tables: &Tables) -> Result<Call, AwsError> {
    let mut violations = Violations::default();
    let given = body.map("TimeToLiveSpecification");
    violations.required(given.is_some(), "timeToLiveSpecification");
    let name = given.and_then(|ttl| ttl.text("AttributeName"));
    if let Some(ttl) = given {
        violations.required(name.is_some(), "timeToLiveSpecification.attributeName");
        violations.required(ttl.get("Enabled").is_some(), "timeToLiveSpecification.enabled");
        if name == Some("") {
            let constraint = "Member must have length greater than or equal to 1";
            violations.add("''", "timeToLiveSpecification.attributeName", constraint);
        }
    }
    violations.finish()?;
    let enabled = given.is_some_and(|ttl| ttl.bool("Enabled"));
    let name = name.unwrap_or_default().to_owned();
    let table = find(tables, body.table_name()?)?;
    match &table.schema.ttl {
        Some(current) if *current != name => {
            return Err(AwsError::validation(format!(
                "TimeToLive is active on a different AttributeName: current AttributeName is {current}"
            )));
        }
        Some(_) if enabled => return Err(AwsError::validation("TimeToLive is already enabled")),
        None if !enabled => return Err(AwsError::validation("TimeToLive is already disabled")),
        _ => {}
    }
    let mut schema = table.schema.clone();
    schema.ttl = enabled.then(|| name.clone());
    Ok(alter(table, schema, move |_, reply| {
        reply.object("TimeToLiveSpecification", |object| {
            object.bool("Enabled", enabled);
            object.text("AttributeName", &name);
        });
    }))
}

/// DescribeTimeToLive.
pub(super) fn describe_ttl(body: Body<'_>, tables: &Tables) -> Result<Call, AwsError> {
    let table = find(tables, body.table_name()?)?;
    Ok(said(|reply| {
        reply.object("TimeToLiveDescription", |object| match &table.schema.ttl {
            Some(name) => {
                object.text("TimeToLiveStatus", "ENABLED");
                object.text("AttributeName", name);
            }
            None => object.text("TimeToLiveStatus", "DISABLED"),
        });
    }))
}

/// The name of the table in the ARN of a request.
fn resource_name(body: Body<'_>) -> Result<&str, AwsError> {
    let Some(arn) = body.text("ResourceArn") else {
        return Err(AwsError::validation("Invalid TableArn"));
    };
    match arn.split_once(":table/") {
        Some((_, name)) if arn.starts_with("arn:") => Ok(name),
        _ => Err(AwsError::validation(format!(
            "Invalid TableArn: Invalid ResourceArn provided as input {arn}"
        ))),
    }
}

/// The list that a request about tags needs.
fn needed<'j>(body: Body<'j>, name: &str, empty: &str) -> Result<&'j [Value], AwsError> {
    let mut violations = Violations::default();
    violations.required(body.list(name).is_some(), &super::super::body::path(name));
    violations.finish()?;
    match body.list(name).unwrap_or_default() {
        [] => Err(AwsError::validation(empty)),
        given => Ok(given),
    }
}

/// The table that a request names by its ARN.
fn resource(body: Body<'_>, tables: &Tables) -> Result<Arc<Table>, AwsError> {
    let name = resource_name(body)?;
    tables.get(name.as_bytes()).ok_or_else(|| {
        AwsError::new(
            Kind::ResourceNotFound,
            format!("Requested resource not found: ResourcArn: {ARN}{name} not found"),
        )
    })
}

/// Takes over tags.
pub(super) fn tags(tags: &[Value], schema: &mut TableSchema) {
    for tag in tags {
        let text = |name: &str| tag.get(name).and_then(Value::as_str).unwrap_or_default();
        schema.settings.insert(format!("{TAG}{}", text("Key")), text("Value").to_owned());
    }
}

/// TagResource.
pub(super) fn tag(body: Body<'_>, tables: &Tables) -> Result<Call, AwsError> {
    resource_name(body)?;
    let given = needed(body, "Tags", "Atleast one Tag needs to be provided as Input.")?;
    let table = resource(body, tables)?;
    let mut schema = table.schema.clone();
    self::tags(given, &mut schema);
    if schema.settings.keys().filter(|name| name.starts_with(TAG)).count() > MAX_TAGS {
        return Err(AwsError::validation(
            "One or more parameter values were invalid: Too many tags: at most 50",
        ));
    }
    Ok(alter(table, schema, |_, _| {}))
}

/// UntagResource.
pub(super) fn untag(body: Body<'_>, tables: &Tables) -> Result<Call, AwsError> {
    resource_name(body)?;
    let names = needed(body, "TagKeys", "Atleast one Tag Key needs to be provided as Input.")?;
    let table = resource(body, tables).map_err(|error| match error.kind {
        Kind::ResourceNotFound => AwsError::not_found(),
        _ => error,
    })?;
    let mut schema = table.schema.clone();
    for name in names.iter().filter_map(Value::as_str) {
        schema.settings.remove(&format!("{TAG}{name}"));
    }
    Ok(alter(table, schema, |_, _| {}))
}

/// ListTagsOfResource.
pub(super) fn list_tags(body: Body<'_>, tables: &Tables) -> Result<Call, AwsError> {
    let table = resource(body, tables)?;
    let tags =
        table.schema.settings.iter().filter_map(|(name, value)| Some((name.strip_prefix(TAG)?, value)));
    Ok(said(|reply| {
        reply.array("Tags", tags, |(name, value), out| {
            let mut object = Object::begin(out);
            object.text("Key", name);
            object.text("Value", value);
            object.end();
        });
    }))
}
