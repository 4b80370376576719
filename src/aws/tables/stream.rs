//! StreamSpecification: the change stream in the definition of a table.

use super::super::body::{Body, Violations};
use super::super::error::AwsError;
use super::super::json::Object;
use super::super::streams::Names;
use crate::engine::{Table, Tx};
use crate::item::{StreamView, TableSchema};
use crate::ops;

const VIEWS: [&str; 4] = ["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"];

/// Constraints on the member.
pub(super) fn constrain(body: Body<'_>, violations: &mut Violations) {
    let Some(given) = body.map("StreamSpecification") else { return };
    violations.required(given.get("StreamEnabled").is_some(), "streamSpecification.streamEnabled");
    if let Some(view) = given.text("StreamViewType").filter(|view| !VIEWS.contains(view)) {
        let constraint = format!("Member must satisfy enum value set: [{}]", VIEWS.join(", "));
        violations.add(&format!("'{view}'"), "streamSpecification.streamViewType", &constraint);
    }
}

/// What a request asks for, if it says anything of streams: a view, or that there be none.
pub(super) fn wanted(body: Body<'_>) -> Result<Option<Option<StreamView>>, AwsError> {
    let Some(given) = body.map("StreamSpecification") else { return Ok(None) };
    let view = given.text("StreamViewType");
    let view = StreamView::ALL.into_iter().find(|one| Some(one.name()) == view);
    let invalid =
        |what: &str| Err(AwsError::validation(format!("One or more parameter values were invalid: {what}")));
    match (given.bool("StreamEnabled"), view) {
        (true, None) => invalid("StreamViewType is required when StreamEnabled is true"),
        (false, Some(_)) => invalid("StreamViewType must not be specified when StreamEnabled is false"),
        (_, view) => Ok(Some(view)),
    }
}

/// What an update asks for, after checking that it is a change.
pub(super) fn change(body: Body<'_>, table: &Table) -> Result<Option<Option<StreamView>>, AwsError> {
    let wanted = wanted(body)?;
    let refused = |what: &str| Err(AwsError::validation(format!("{what}: TableName: {}", table.name)));
    match (wanted, table.schema.stream()) {
        (Some(Some(_)), Some(_)) => refused("Table already has an enabled stream"),
        (Some(None), None) => refused("Table has no stream to disable"),
        _ => Ok(wanted),
    }
}

/// Makes the change in a table's new schema.
pub(super) fn apply(
    tx: &Tx<'_>,
    table: &Table,
    schema: &mut TableSchema,
    change: Option<Option<StreamView>>,
) {
    match change {
        Some(Some(view)) => ops::enable_stream(tx, table, schema, view),
        Some(None) => ops::disable_stream(tx, table, schema),
        None => {}
    }
}

/// The members of a table's description.
pub(super) fn describe(table: &Table, object: &mut Object<'_>) {
    if let Some(span) = table.schema.stream() {
        object.object("StreamSpecification", |object| {
            object.bool("StreamEnabled", true);
            object.text("StreamViewType", span.view.name());
        });
    }
    // The latest one is told of as long as it can be read, also when it is disabled.
    if let Some(span) = table.schema.streams.last() {
        let names = Names::of(table, span);
        object.text("LatestStreamLabel", &names.label);
        object.text("LatestStreamArn", &names.arn);
    }
}
