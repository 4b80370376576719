//! CreateTable.

use super::super::AwsCall;
use super::super::body::{Body, Violations};
use super::super::error::AwsError;
use super::super::json::ObjectWriter;
use super::describe::{Telling, describe_table};
use super::keys::{Defined, Keys, constrain_keys, member};
use super::stream::{self, Wanted};
use super::{indexes, settings, tags, throughput};
use crate::item::{StreamSpan, TableSchema};
use crate::ops;

pub(super) fn create(body: Body<'_>) -> Result<AwsCall, AwsError> {
    let mut violations = Violations::default();
    let name = body.table_name(&mut violations)?.to_owned();
    constrain(body, violations)?;
    let mut schema = table(body)?;
    throughput::check_new(body)?;
    throughput::create(body, &mut schema);
    settings::put(body, &mut schema);
    indexes::create(body, &Defined::read(body), &mut schema)?;
    if let Wanted::On(view) = stream::wanted(body)? {
        schema.streams.push(StreamSpan::new(view));
    }
    tags::put(body.list("Tags").unwrap_or_default(), &mut schema)?;
    let call = AwsCall::new(Vec::new(), move |tx| {
        ops::create_table(tx, &name, &schema)?;
        let mut out = Vec::new();
        let mut reply = ObjectWriter::begin(&mut out);
        if let Some(table) = tx.engine().tables.get(name.as_bytes()) {
            let creating = |_: &str| Some("CREATING");
            let telling = Telling { index: &creating, ..Telling::of(&table, "CREATING", tx.now()) };
            reply.object("TableDescription", |object| describe_table(&table, telling, object));
        }
        reply.end();
        Ok(out)
    });
    Ok(call.needing_memory(true))
}

fn constrain(body: Body<'_>, mut violations: Violations) -> Result<(), AwsError> {
    violations.required(body.get("AttributeDefinitions").is_some(), "attributeDefinitions");
    for (at, attribute) in body.list("AttributeDefinitions").unwrap_or_default().iter().enumerate() {
        let path = |name: &str| format!("attributeDefinitions.{}.member.{name}", at + 1);
        member(&mut violations, attribute, "AttributeName", &path("attributeName"), &[]);
        member(&mut violations, attribute, "AttributeType", &path("attributeType"), &["B", "N", "S"]);
    }
    constrain_keys(body, 2, &mut violations);
    settings::constrain(body, &mut violations);
    indexes::constrain(body, &mut violations);
    stream::constrain(body, &mut violations);
    tags::constrain(body, &mut violations);
    violations.finish()
}

/// The table's keys, after the checks that need no table.
fn table(body: Body<'_>) -> Result<TableSchema, AwsError> {
    let (defined, keys) = (Defined::read(body), Keys::read(body));
    let refused = |message: &str| Err(AwsError::validation(message));
    let twice = |(at, name): (usize, &str)| defined.names().take(at).any(|other| other == name);
    if defined.names().enumerate().any(twice) {
        return refused("Cannot have two attributes with the same name");
    }
    keys.check_count(&defined)?;
    keys.check_roles(false)?;
    keys.check_definitions(&defined)?;
    let indexed = ["LocalSecondaryIndexes", "GlobalSecondaryIndexes"];
    let indexed = indexed.iter().any(|member| body.get(member).is_some());
    if !indexed && defined.names().count() != keys.names().len() {
        return refused(
            "One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
        );
    }
    let mut attrs = defined.attrs(keys.names()).into_iter();
    match attrs.next() {
        Some(pk) => Ok(TableSchema::new(pk, attrs.next())),
        None => refused("Invalid KeySchema: Some index key attribute have no definition"),
    }
}
