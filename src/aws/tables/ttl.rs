//! UpdateTimeToLive and DescribeTimeToLive.

use super::super::AwsCall;
use super::super::body::{Body, Violations};
use super::super::error::AwsError;
use super::calls::{alter, find, said};
use crate::engine::Tables;

/// UpdateTimeToLive.
pub(super) fn update(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
    let mut violations = Violations::default();
    let table = body.table_name(&mut violations)?;
    let given = body.map("TimeToLiveSpecification");
    violations.required(given.is_some(), "timeToLiveSpecification");
    let name = given.and_then(|ttl| ttl.text("AttributeName"));
    if let Some(ttl) = given {
        violations.required(ttl.get("Enabled").is_some(), "timeToLiveSpecification.enabled");
        violations.required(name.is_some(), "timeToLiveSpecification.attributeName");
        if let Some(name) = name {
            violations.length(name, "timeToLiveSpecification.attributeName", 1, 255);
        }
    }
    violations.finish()?;
    let enabled = given.is_some_and(|ttl| ttl.bool("Enabled"));
    let name = name.unwrap_or_default().to_owned();
    let table = find(tables, table)?;
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
pub(super) fn describe(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
    let table = find(tables, body.only_table_name()?)?;
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
