//! Secondary indexes in CreateTable and UpdateTable.

use super::super::body::{Body, Violations};
use super::super::error::{AwsError, ErrorKind};
use super::describe::used;
use super::keys::{Defined, Keys, constrain_keys};
use super::throughput;
use crate::engine::Table;
use crate::item::{IndexSchema, IndexStatus, Projection, TableSchema};
use serde_json::Value;

/// The most global indexes of a table, by AWS's quota.
const MAX_GLOBALS: usize = 20;
/// The most local indexes of a table.
const MAX_LOCALS: usize = 5;
/// The most key attributes of an index.
const MAX_KEYS: usize = 8;
/// The most attributes that a table's indexes hold beside keys, all together.
const MAX_PROJECTED: usize = 100;
/// The most attributes that one index holds beside keys.
const MAX_PROJECTED_EACH: usize = 20;

/// An index as a request gives it.
struct Given<'j> {
    body: Body<'j>,
    name: &'j str,
    local: bool,
}

fn given<'j>(body: Body<'j>, member: &str, local: bool) -> Vec<Given<'j>> {
    let list = body.list(member).unwrap_or_default().iter().filter_map(Value::as_object).map(Body);
    list.map(|body| Given { body, name: body.text("IndexName").unwrap_or_default(), local }).collect()
}

fn invalid(what: impl std::fmt::Display) -> AwsError {
    AwsError::validation(format!("One or more parameter values were invalid: {what}"))
}

/// Constraints on the indexes of CreateTable.
pub(super) fn constrain(body: Body<'_>, violations: &mut Violations) {
    for (name, local) in [("LocalSecondaryIndexes", true), ("GlobalSecondaryIndexes", false)] {
        for (at, index) in given(body, name, local).iter().enumerate() {
            violations.within(format!("{}.{}.member.", super::super::body::path(name), at + 1));
            constrain_one(index.body, violations);
        }
    }
    violations.within(String::new());
}

fn constrain_one(index: Body<'_>, violations: &mut Violations) {
    constrain_name(index, violations);
    constrain_keys(index, MAX_KEYS, violations);
    violations.required(index.get("Projection").is_some(), "projection");
    if let Some(projection) = index.map("Projection") {
        let kinds = ["ALL", "INCLUDE", "KEYS_ONLY"];
        if let Some(kind) = projection.text("ProjectionType").filter(|kind| !kinds.contains(kind)) {
            let constraint = format!("Member must satisfy enum value set: [{}]", kinds.join(", "));
            violations.add(&format!("'{kind}'"), "projection.projectionType", &constraint);
        }
        if let Some(names) = projection.list("NonKeyAttributes") {
            let path = "projection.nonKeyAttributes";
            let shown: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            let shown = format!("'[{}]'", shown.join(", "));
            if names.is_empty() {
                violations.add(&shown, path, "Member must have length greater than or equal to 1");
            } else if names.len() > MAX_PROJECTED_EACH {
                violations.add(&shown, path, "Member must have length less than or equal to 20");
            }
        }
    }
    throughput::constrain(index, violations);
}

fn constrain_name(index: Body<'_>, violations: &mut Violations) {
    violations.required(index.get("IndexName").is_some(), "indexName");
    violations.name(index, "IndexName");
}

/// Adds the indexes of CreateTable to its schema, after AWS's checks of them.
pub(super) fn create(body: Body<'_>, defined: &Defined, schema: &mut TableSchema) -> Result<(), AwsError> {
    let locals = given(body, "LocalSecondaryIndexes", true);
    let globals = given(body, "GlobalSecondaryIndexes", false);
    if body.get("LocalSecondaryIndexes").is_some() {
        if locals.is_empty() {
            return Err(invalid("List of LocalSecondaryIndexes is empty"));
        }
        if schema.keys.sk.is_none() {
            return Err(invalid(
                "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
            ));
        }
    }
    for index in &locals {
        add(index, defined, schema)?;
    }
    if locals.len() > MAX_LOCALS {
        return Err(invalid("Number of LocalSecondaryIndexes exceeds per-table limit of 5"));
    }
    if body.get("GlobalSecondaryIndexes").is_some() && globals.is_empty() {
        return Err(invalid("List of GlobalSecondaryIndexes is empty"));
    }
    for index in &globals {
        add(index, defined, schema)?;
    }
    check_globals(schema)?;
    let used: Vec<&str> = used(schema);
    if defined.names().any(|name| !used.contains(&name)) {
        return Err(invalid(format!(
            "Some AttributeDefinitions are not used. AttributeDefinitions: [{}], keys used: [{}]",
            defined.names().collect::<Vec<_>>().join(", "),
            used.join(", ")
        )));
    }
    globals.iter().try_for_each(|index| throughput::of_index(index.body, index.name, schema))
}

fn check_globals(schema: &TableSchema) -> Result<(), AwsError> {
    if schema.indexes.iter().filter(|index| !index.local).count() > MAX_GLOBALS {
        return Err(invalid("GlobalSecondaryIndex count exceeds the per-table limit of 20"));
    }
    let projected: usize = schema
        .indexes
        .iter()
        .map(|index| match &index.projection {
            Projection::Include(names) => names.len(),
            _ => 0,
        })
        .sum();
    if projected > MAX_PROJECTED {
        return Err(invalid(format!(
            "Number of projected attributes across all indexes exceeds per-table limit of {MAX_PROJECTED}"
        )));
    }
    Ok(())
}

/// Adds one index to a schema, after AWS's checks of it.
fn add(index: &Given<'_>, defined: &Defined, schema: &mut TableSchema) -> Result<(), AwsError> {
    let name = index.name;
    let keys = Keys::read(index.body);
    keys.check_definitions(defined)?;
    keys.check_roles(!index.local)?;
    if index.local {
        if keys.sort().is_empty() {
            return Err(invalid(format!("Index KeySchema does not have a range key for index: {name}")));
        }
        let table = &schema.keys.pk.name;
        if keys.partition()[0] != *table {
            return Err(invalid(format!(
                "Index KeySchema does not have the same leading hash key as table KeySchema for index: {name}. index hash key: {}, table hash key: {table}",
                keys.partition()[0]
            )));
        }
    }
    let projection = projection(index.body)?;
    if schema.indexes.iter().any(|other| other.name == name) {
        return Err(invalid(format!("Duplicate index name: {name}")));
    }
    schema.indexes.push(IndexSchema {
        name: name.to_owned(),
        local: index.local,
        pk: defined.attrs(keys.partition()),
        sk: defined.attrs(keys.sort()),
        projection,
        space: 0,
        status: IndexStatus::Active,
    });
    Ok(())
}

fn projection(index: Body<'_>) -> Result<Projection, AwsError> {
    let given = index.map("Projection");
    let kind = given.and_then(|projection| projection.text("ProjectionType"));
    let names = given.and_then(|projection| projection.list("NonKeyAttributes"));
    match (kind, names) {
        (None, _) => Err(invalid("Unknown ProjectionType: null")),
        (Some("INCLUDE"), Some(names)) => {
            Ok(Projection::Include(names.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
        }
        (Some("INCLUDE"), None) => {
            Err(invalid("ProjectionType is INCLUDE, but NonKeyAttributes is not specified"))
        }
        (Some(kind), Some(_)) => {
            Err(invalid(format!("ProjectionType is {kind}, but NonKeyAttributes is specified")))
        }
        (Some("KEYS_ONLY"), None) => Ok(Projection::KeysOnly),
        (Some(_), None) => Ok(Projection::All),
    }
}

/// The changes of indexes in an UpdateTable.
#[derive(Default)]
pub(super) struct Updates {
    /// The index that is added.
    pub(super) create: Option<IndexSchema>,
    /// The one that is dropped.
    pub(super) delete: Option<String>,
    /// The indexes whose throughput changes.
    pub(super) changed: Vec<String>,
}

/// Constraints on the updates of UpdateTable.
pub(super) fn constrain_updates(body: Body<'_>, violations: &mut Violations) {
    let updates = body.list("GlobalSecondaryIndexUpdates").unwrap_or_default();
    for (at, update) in updates.iter().filter_map(Value::as_object).map(Body).enumerate() {
        let path = |kind: &str| format!("globalSecondaryIndexUpdates.{}.member.{kind}.", at + 1);
        if let Some(create) = update.map("Create") {
            violations.within(path("create"));
            constrain_one(create, violations);
        }
        if let Some(change) = update.map("Update") {
            violations.within(path("update"));
            constrain_name(change, violations);
            let wishes = ["OnDemandThroughput", "WarmThroughput"];
            let wishes = wishes.iter().any(|member| change.get(member).is_some());
            let there = wishes || change.get("ProvisionedThroughput").is_some();
            violations.required(there, "provisionedThroughput");
            throughput::constrain(change, violations);
        }
        if let Some(delete) = update.map("Delete") {
            violations.within(path("delete"));
            constrain_name(delete, violations);
        }
    }
    violations.within(String::new());
}

/// The updates of a request: the kind of each, and its index as given.
fn given_updates(body: Body<'_>) -> impl Iterator<Item = Option<(&'static str, Given<'_>)>> {
    let updates = body.list("GlobalSecondaryIndexUpdates").unwrap_or_default();
    updates.iter().filter_map(Value::as_object).map(|update| {
        let kinds = ["Create", "Update", "Delete"].into_iter();
        let mut given = kinds.filter_map(|kind| Some((kind, Body(update).map(kind)?)));
        let (Some((kind, body)), None) = (given.next(), given.next()) else { return None };
        Some((kind, Given { body, name: body.text("IndexName").unwrap_or_default(), local: false }))
    })
}

/// The checks of the updates that need no table.
pub(super) fn check_updates(body: Body<'_>) -> Result<(), AwsError> {
    let mut seen: Vec<&str> = Vec::new();
    for update in given_updates(body) {
        let Some((kind, index)) = update else {
            return Err(invalid(
                "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, GlobalSecondaryIndexUpdate.Delete must not be null",
            ));
        };
        if seen.contains(&index.name) {
            return Err(invalid(format!(
                "Only one global secondary index update per index is allowed simultaneously. Index: {}",
                index.name
            )));
        }
        seen.push(index.name);
        if kind == "Update" && throughput::out_of_bounds(index.body).is_some() {
            return Err(AwsError::validation(
                "This operation cannot be performed with given input values. Please contact DynamoDB service team for more info: Action Blocked: IndexUpdate",
            ));
        }
    }
    Ok(())
}

/// Reads the updates of UpdateTable, and puts the values to keep into the schema's settings.
pub(super) fn update(body: Body<'_>, table: &Table, schema: &mut TableSchema) -> Result<Updates, AwsError> {
    let mut updates = Updates::default();
    for (kind, index) in given_updates(body).flatten() {
        let exists = table.schema.indexes.iter().any(|other| !other.local && other.name == index.name);
        if kind != "Update" && (updates.create.is_some() || updates.delete.is_some()) {
            return Err(only_one());
        }
        match kind {
            "Create" => {
                if table.index(index.name.as_bytes()).is_some() {
                    return Err(AwsError::validation("Attempting to create an index which already exists"));
                }
                if table.schema.indexes.iter().any(|index| index.status == IndexStatus::Creating) {
                    return Err(only_one());
                }
                if body.get("AttributeDefinitions").is_none() {
                    return Err(AwsError::validation("No Attribute Schema Defined"));
                }
                let (mut with, defined) = (table.schema.clone(), Defined::read(body));
                Keys::read(index.body).check_count(&defined)?;
                add(&index, &defined, &mut with)?;
                check_globals(&with)?;
                throughput::of_index(index.body, index.name, schema)?;
                updates.create = with.indexes.pop();
            }
            _ if !exists => return Err(AwsError::not_found()),
            "Delete" => updates.delete = Some(index.name.to_owned()),
            _ => {
                throughput::update_index(index.body, index.name, table, schema)?;
                updates.changed.push(index.name.to_owned());
            }
        }
    }
    throughput::check_indexes(table, schema, updates.delete.as_deref())?;
    Ok(updates)
}

fn only_one() -> AwsError {
    AwsError::new(
        ErrorKind::LimitExceeded,
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
    )
}
