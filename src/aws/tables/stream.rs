//! StreamSpecification: the change stream in the definition of a table.

use super::super::body::{Body, Violations};
use super::super::error::AwsError;
use super::super::json::ObjectWriter;
use super::super::streams::Names;
use crate::engine::{Table, Tx};
use crate::item::{StreamView, TableSchema};
use crate::ops;

const VIEWS: [&str; 4] = ["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"];

/// What a request asks for.
pub(super) enum Wanted {
    /// Nothing about streams.
    Unsaid,
    /// That changes are recorded.
    On(StreamView),
    /// That changes are not recorded.
    Off,
}

/// Constraints on the member.
pub(super) fn constrain(body: Body<'_>, violations: &mut Violations) {
    let Some(given) = body.map("StreamSpecification") else { return };
    violations.required(given.get("StreamEnabled").is_some(), "streamSpecification.streamEnabled");
    if let Some(view) = given.text("StreamViewType").filter(|view| !VIEWS.contains(view)) {
        let constraint = format!("Member must satisfy enum value set: [{}]", VIEWS.join(", "));
        violations.add(&format!("'{view}'"), "streamSpecification.streamViewType", &constraint);
    }
}

/// What a request asks for.
pub(super) fn wanted(body: Body<'_>) -> Result<Wanted, AwsError> {
    let Some(given) = body.map("StreamSpecification") else { return Ok(Wanted::Unsaid) };
    let view = given.text("StreamViewType");
    let view = StreamView::ALL.into_iter().find(|one| Some(one.name()) == view);
    let invalid =
        |what: &str| Err(AwsError::validation(format!("One or more parameter values were invalid: {what}")));
    match (given.bool("StreamEnabled"), view) {
        (true, None) => invalid("StreamViewType is required when StreamEnabled is true"),
        (false, Some(_)) => {
            invalid("Table is being created with a stream disabled, UpdateViewType should not be specified")
        }
        (true, Some(view)) => Ok(Wanted::On(view)),
        (false, None) => Ok(Wanted::Off),
    }
}

/// What an update asks for, after checking that it is a change.
pub(super) fn change(body: Body<'_>, table: &Table) -> Result<Wanted, AwsError> {
    let wanted = wanted(body)?;
    let refused = |what: &str| Err(AwsError::validation(format!("{what}: TableName: {}", table.name)));
    match (&wanted, table.schema.stream()) {
        (Wanted::On(_), Some(_)) => refused("Table already has an enabled stream"),
        (Wanted::Off, None) => refused("Table has no stream to disable"),
        _ => Ok(wanted),
    }
}

/// Makes the change in a table's new schema.
pub(super) fn apply(tx: &Tx<'_>, table: &Table, schema: &mut TableSchema, change: &Wanted) {
    match change {
        Wanted::On(view) => ops::enable_stream(tx, table, schema, *view),
        Wanted::Off => ops::disable_stream(tx, table, schema),
        Wanted::Unsaid => {}
    }
}

/// The members of a table's description.
pub(super) fn describe(table: &Table, object: &mut ObjectWriter<'_>) {
    if let Some(span) = table.schema.stream() {
        object.object("StreamSpecification", |object| {
            object.bool("StreamEnabled", true);
            object.text("StreamViewType", span.view.name());
        });
    }
    // The latest stream is shown as long as it can be read, even if it is disabled.
    if let Some(span) = table.schema.streams.last() {
        let names = Names::of(table, span);
        object.text("LatestStreamLabel", &names.label);
        object.text("LatestStreamArn", &names.arn);
    }
}
