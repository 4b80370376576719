//! Billing modes and throughput of tables and indexes: checked, kept and reported; they have no effect.
//!
//! They are stored in the table's settings. The name of an index's setting ends in `:` and the index's name.

use super::super::body::{Body, Violations};
use super::super::error::AwsError;
use super::super::json::ObjectWriter;
use crate::engine::Table;
use crate::item::TableSchema;

/// Set to `PROVISIONED` if that is the table's billing mode.
const BILLING: &str = "billing";
/// When the table's billing mode became PAY_PER_REQUEST, at its creation or later, in ms.
const ON_DEMAND_SINCE: &str = "on-demand-since";
/// Provisioned units, and the members that they are given in.
const UNITS: [(&str, &str); 2] = [("read-units", "ReadCapacityUnits"), ("write-units", "WriteCapacityUnits")];
/// The most units of a table with billing mode PAY_PER_REQUEST.
const MOST: [(&str, &str); 2] =
    [("most-reads", "MaxReadRequestUnits"), ("most-writes", "MaxWriteRequestUnits")];
/// Warm throughput: units that are asked for in advance.
const WARM: [(&str, &str); 2] =
    [("warm-reads", "ReadUnitsPerSecond"), ("warm-writes", "WriteUnitsPerSecond")];
/// The warm throughput of every table with billing mode PAY_PER_REQUEST.
const WARM_ON_DEMAND: [u64; 2] = [12_000, 4_000];
/// When provisioned units were raised and lowered last, in ms.
const INCREASED: &str = "increased";
const DECREASED: &str = "decreased";
/// How often units were lowered on the day on which they were lowered last.
const DECREASES: &str = "decreases";
/// Most capacity units that can be asked for.
const MAX_UNITS: i64 = 1_000_000_000_000;
const DAY_MS: u64 = 86_400_000;

fn invalid(what: impl std::fmt::Display) -> AwsError {
    AwsError::validation(format!("One or more parameter values were invalid: {what}"))
}

/// The name of a setting of a table, or of one of its indexes.
fn key(setting: &str, index: Option<&str>) -> String {
    index.map_or_else(|| setting.to_owned(), |index| format!("{setting}:{index}"))
}

fn number(schema: &TableSchema, setting: &str, index: Option<&str>) -> Option<u64> {
    schema.settings.get(&key(setting, index))?.parse().ok()
}

/// Whether a table's throughput is provisioned.
pub(super) fn is_provisioned(schema: &TableSchema) -> bool {
    schema.settings.get(BILLING).is_some_and(|mode| mode == "PROVISIONED")
}

/// The units that are provisioned for a table or an index.
pub(super) fn units(schema: &TableSchema, index: Option<&str>) -> [u64; 2] {
    UNITS.map(|(setting, _)| number(schema, setting, index).unwrap_or(0))
}

/// Constraints on the throughput of a table or an index.
pub(super) fn constrain(body: Body<'_>, violations: &mut Violations) {
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

/// Whether the units in a request are within what can be asked for.
pub(super) fn out_of_bounds(body: Body<'_>) -> Option<(&'static str, i64)> {
    let units = body.map("ProvisionedThroughput")?;
    UNITS.iter().find_map(|(_, name)| Some((*name, units.int(name).filter(|n| *n > MAX_UNITS)?)))
}

fn check_bounds(body: Body<'_>) -> Result<(), AwsError> {
    match out_of_bounds(body) {
        None => Ok(()),
        Some((name, n)) => Err(AwsError::validation(format!("Given value {n} for {name} is out of bounds"))),
    }
}

/// The checks of CreateTable. A new table without a billing mode is provisioned.
pub(super) fn check_new(body: Body<'_>) -> Result<(), AwsError> {
    check_bounds(body)?;
    match (body.text("BillingMode"), body.get("ProvisionedThroughput").is_some()) {
        (Some("PAY_PER_REQUEST"), true) => Err(no_units()),
        (Some("PAY_PER_REQUEST"), false) | (_, true) => Ok(()),
        (_, false) => Err(invalid(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        )),
    }
}

/// The checks of UpdateTable that need no table.
pub(super) fn check_update(body: Body<'_>) -> Result<(), AwsError> {
    check_bounds(body)?;
    match (body.text("BillingMode"), body.get("ProvisionedThroughput").is_some()) {
        (Some("PROVISIONED"), false) => {
            Err(invalid("ProvisionedThroughput must be specified when BillingMode is PROVISIONED"))
        }
        _ => Ok(()),
    }
}

fn no_units() -> AwsError {
    invalid(
        "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
    )
}

/// Puts the throughput of a CreateTable into the schema, after [`check_new`].
pub(super) fn create(body: Body<'_>, schema: &mut TableSchema) {
    if body.text("BillingMode") != Some("PAY_PER_REQUEST") {
        schema.settings.insert(BILLING.to_owned(), "PROVISIONED".to_owned());
        put(body, "ProvisionedThroughput", UNITS, None, schema);
    }
    put_wishes(body, None, schema);
}

/// Puts the most units and the warm throughput of a table or an index into the schema.
pub(super) fn put_wishes(body: Body<'_>, index: Option<&str>, schema: &mut TableSchema) {
    put(body, "OnDemandThroughput", MOST, index, schema);
    put(body, "WarmThroughput", WARM, index, schema);
}

fn put(body: Body<'_>, member: &str, of: [(&str, &str); 2], index: Option<&str>, schema: &mut TableSchema) {
    let Some(given) = body.map(member) else { return };
    for (setting, name) in of {
        match given.int(name) {
            // -1 stands for no limit.
            Some(n) if n < 0 => drop(schema.settings.remove(&key(setting, index))),
            Some(n) => drop(schema.settings.insert(key(setting, index), n.to_string())),
            None => {}
        }
    }
}

/// Puts the table's own throughput of an UpdateTable into the schema, after [`check_update`].
pub(super) fn update(body: Body<'_>, table: &Table, schema: &mut TableSchema) -> Result<(), AwsError> {
    let was = is_provisioned(&table.schema);
    let mode = body.text("BillingMode");
    let is = mode.map_or(was, |mode| mode == "PROVISIONED");
    let given = body.get("ProvisionedThroughput").is_some();
    if given && !is {
        return Err(no_units());
    }
    check_warm(body, table)?;
    if was && !is {
        let units = |name: &String| UNITS.iter().any(|(unit, _)| name.starts_with(unit));
        schema.settings.retain(|name, _| name != BILLING && !units(name));
    }
    if is && !was {
        let since = number(schema, ON_DEMAND_SINCE, None).unwrap_or(table.created);
        schema.settings.insert(ON_DEMAND_SINCE.to_owned(), since.to_string());
        schema.settings.insert(BILLING.to_owned(), "PROVISIONED".to_owned());
    }
    if given {
        put(body, "ProvisionedThroughput", UNITS, None, schema);
        if was {
            check_change(&table.schema, schema, None)?;
        }
    }
    put_wishes(body, None, schema);
    Ok(())
}

/// Refuses a change that leaves the units as they are.
fn check_change(old: &TableSchema, new: &TableSchema, index: Option<&str>) -> Result<(), AwsError> {
    let ([reads, writes], [new_reads, new_writes]) = (units(old, index), units(new, index));
    if (reads, writes) != (new_reads, new_writes) {
        return Ok(());
    }
    let (kind, name) = index.map_or(("table", String::new()), |index| ("index", format!(" {index}")));
    Err(AwsError::validation(format!(
        "The provisioned throughput for the {kind}{name} will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for the {kind}: {reads}. Requested ReadCapacityUnits: {new_reads}. Current WriteCapacityUnits provisioned for the {kind}: {writes}. Requested WriteCapacityUnits: {new_writes}. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    )))
}

/// Refuses warm throughput below the present one.
fn check_warm(body: Body<'_>, table: &Table) -> Result<(), AwsError> {
    let Some(given) = body.map("WarmThroughput") else { return Ok(()) };
    for ((_, name), has) in WARM.iter().zip(warm(&table.schema, None)) {
        if given.int(name).is_some_and(|n| u64::try_from(n).unwrap_or(0) < has) {
            return Err(invalid(format!(
                "Requested {name} for WarmThroughput for table is lower than current WarmThroughput, decreasing WarmThroughput is not supported"
            )));
        }
    }
    Ok(())
}

/// Puts a global index's throughput into the schema. It must fit the table's billing mode.
pub(super) fn of_index(body: Body<'_>, name: &str, schema: &mut TableSchema) -> Result<(), AwsError> {
    match (body.get("ProvisionedThroughput").is_some(), is_provisioned(schema)) {
        (true, false) => Err(invalid(format!(
            "ProvisionedThroughput should not be specified for index: {name} when BillingMode is PAY_PER_REQUEST"
        ))),
        (false, true) => Err(invalid(format!("ProvisionedThroughput must be specified for index: {name}"))),
        _ => {
            check_bounds(body)?;
            put(body, "ProvisionedThroughput", UNITS, Some(name), schema);
            put_wishes(body, Some(name), schema);
            Ok(())
        }
    }
}

/// Puts the throughput of an existing index of an UpdateTable into the schema.
pub(super) fn update_index(
    body: Body<'_>,
    name: &str,
    table: &Table,
    schema: &mut TableSchema,
) -> Result<(), AwsError> {
    if body.get("ProvisionedThroughput").is_none() {
        put_wishes(body, Some(name), schema);
        return Ok(());
    }
    of_index(body, name, schema)?;
    if is_provisioned(&table.schema) { check_change(&table.schema, schema, Some(name)) } else { Ok(()) }
}

/// Checks that an update to billing mode PROVISIONED gives the units of every index, except for one that it drops.
pub(super) fn check_indexes(
    table: &Table,
    schema: &TableSchema,
    dropped: Option<&str>,
) -> Result<(), AwsError> {
    if is_provisioned(&table.schema) || !is_provisioned(schema) {
        return Ok(());
    }
    let kept = schema.indexes.iter().filter(|index| !index.local && Some(index.name.as_str()) != dropped);
    match kept.map(|index| index.name.as_str()).find(|name| number(schema, UNITS[0].0, Some(name)).is_none())
    {
        None => Ok(()),
        Some(name) => Err(invalid(format!("ProvisionedThroughput must be specified for index: {name}"))),
    }
}

/// Removes an index's settings.
pub(super) fn forget_index(name: &str, schema: &mut TableSchema) {
    let of_index = format!(":{name}");
    let wishes = UNITS.iter().chain(&MOST).chain(&WARM).map(|(setting, _)| *setting);
    for setting in wishes.chain([INCREASED, DECREASED, DECREASES]) {
        schema.settings.remove(&format!("{setting}{of_index}"));
    }
}

/// Notes when units were raised or lowered, or when the billing mode became PAY_PER_REQUEST.
pub(super) fn note_changes(old: &TableSchema, new: &mut TableSchema, now: u64) {
    match (is_provisioned(old), is_provisioned(new)) {
        (true, true) => {}
        (true, false) => drop(new.settings.insert(ON_DEMAND_SINCE.to_owned(), now.to_string())),
        (false, _) => return,
    }
    if !is_provisioned(new) {
        return;
    }
    let globals = new.indexes.iter().filter(|index| !index.local).map(|index| Some(index.name.clone()));
    for index in globals.chain([None]).collect::<Vec<_>>() {
        let index = index.as_deref();
        let (was, is) = (units(old, index), units(new, index));
        if was == is || was == [0, 0] {
            continue;
        }
        if is.iter().zip(&was).any(|(is, was)| is > was) {
            new.settings.insert(key(INCREASED, index), now.to_string());
        }
        if is.iter().zip(&was).any(|(is, was)| is < was) {
            let again = decreases(new, index, now) + 1;
            new.settings.insert(key(DECREASED, index), now.to_string());
            new.settings.insert(key(DECREASES, index), again.to_string());
        }
    }
}

/// How often units were lowered on the day (in UTC) of the time `now`.
fn decreases(schema: &TableSchema, index: Option<&str>, now: u64) -> u64 {
    let today = number(schema, DECREASED, index).filter(|at| at / DAY_MS == now / DAY_MS);
    today.and_then(|_| number(schema, DECREASES, index)).unwrap_or(0)
}

fn warm(schema: &TableSchema, index: Option<&str>) -> [u64; 2] {
    let least = if is_provisioned(schema) { units(schema, index) } else { WARM_ON_DEMAND };
    let asked = WARM.map(|(setting, _)| number(schema, setting, index).unwrap_or(0));
    [least[0].max(asked[0]), least[1].max(asked[1])]
}

/// The member `ProvisionedThroughput`. The units are those of `units_of`: while a change is in progress, the old ones.
pub(super) fn describe(
    schema: &TableSchema,
    units_of: &TableSchema,
    index: Option<&str>,
    now: u64,
    object: &mut ObjectWriter<'_>,
) {
    object.object("ProvisionedThroughput", |object| {
        for (setting, name) in [(INCREASED, "LastIncreaseDateTime"), (DECREASED, "LastDecreaseDateTime")] {
            if let Some(at) = number(schema, setting, index) {
                object.double(name, at as f64 / 1000.0);
            }
        }
        object.int("NumberOfDecreasesToday", decreases(units_of, index, now));
        for ((_, name), n) in UNITS.iter().zip(units(units_of, index)) {
            object.int(name, n);
        }
    });
}

/// The members for the most units and for warm throughput. The latter is shown for every active table, as at AWS.
pub(super) fn describe_wishes(
    schema: &TableSchema,
    index: Option<&str>,
    status: &str,
    object: &mut ObjectWriter<'_>,
) {
    let most = MOST.map(|(setting, name)| (name, number(schema, setting, index)));
    if most.iter().any(|(_, most)| most.is_some()) {
        object.object("OnDemandThroughput", |object| {
            for (name, most) in most {
                match most {
                    Some(most) => object.int(name, most),
                    None => object.key(name).extend_from_slice(b"-1"),
                }
            }
        });
    }
    let asked = WARM.iter().any(|(setting, _)| number(schema, setting, index).is_some());
    if asked || status == "ACTIVE" {
        object.object("WarmThroughput", |object| {
            for ((_, name), n) in WARM.iter().zip(warm(schema, index)) {
                object.int(name, n);
            }
            object.text("Status", if status == "ACTIVE" { "ACTIVE" } else { "UPDATING" });
        });
    }
}

/// The member `BillingModeSummary`, which only a table has whose billing mode is or was PAY_PER_REQUEST. `before` is
/// the table before the change in progress.
pub(super) fn describe_billing(
    table: &Table,
    before: &TableSchema,
    status: &str,
    object: &mut ObjectWriter<'_>,
) {
    let schema = &table.schema;
    let settled = status == "ACTIVE" || status == "DELETING";
    let since = number(if settled { schema } else { before }, ON_DEMAND_SINCE, None);
    let created = Some(table.created).filter(|_| status != "CREATING" && !is_provisioned(before));
    if is_provisioned(schema) && number(schema, ON_DEMAND_SINCE, None).is_none() {
        return;
    }
    object.object("BillingModeSummary", |object| {
        let mode = if is_provisioned(schema) { "PROVISIONED" } else { "PAY_PER_REQUEST" };
        object.text("BillingMode", mode);
        if let Some(since) = since.or(created) {
            object.double("LastUpdateToPayPerRequestDateTime", since as f64 / 1000.0);
        }
    });
}
