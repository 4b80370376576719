//! Query and Scan.

use super::body::{Body, Violations};
use super::capacity::{Capacity, read_blocks, read_units};
use super::error::AwsError;
use super::indexes::Target;
use super::items::attributes_to_get;
use super::json::ObjectWriter;
use super::legacy::{self, Style};
use super::request::{Expressions, LIMITS, item};
use super::{AwsCall, shape};
use crate::engine::{Tables, Tx};
use crate::expr::{BoundCondition, BoundProjection, ExprError, ExprKind, KeyRanges};
use crate::item::{Item, ItemKeys, ItemRef, write_typed_json};
use crate::ops::{self, Page, Segment};
use crate::store::walk_order;
use serde_json::{Map, Value};

/// Bytes of a page.
const PAGE_BYTES: usize = 1 << 20;

/// What Query and Scan have in common.
struct Common {
    target: Target,
    filter: Option<BoundCondition>,
    projection: Option<BoundProjection>,
    start: Option<ItemKeys>,
    limit: usize,
    count_only: bool,
    /// Whether whole items are read through a local index.
    whole: bool,
    consistent: bool,
    capacity: Capacity,
}

fn constrain(body: Body<'_>, scan: bool) -> Result<(), AwsError> {
    let mut violations = Violations::default();
    let select = ["SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"];
    violations.one_of(body, "Select", &select);
    violations.name(body, "IndexName");
    if scan {
        violations.range(body, "TotalSegments", 1, 1_000_000);
    }
    violations.capacity(body);
    if !scan {
        legacy::constrain_conditions(body, "QueryFilter", &mut violations);
    }
    violations.table(body);
    legacy::constrain_operator(body, &mut violations);
    if scan {
        legacy::constrain_conditions(body, "ScanFilter", &mut violations);
        violations.range(body, "Segment", 0, 999_999);
        violations.range(body, "Limit", 1, i64::from(i32::MAX));
        violations.attributes_to_get(body, "attributesToGet");
    } else {
        violations.attributes_to_get(body, "attributesToGet");
        violations.range(body, "Limit", 1, i64::from(i32::MAX));
        legacy::constrain_conditions(body, "KeyConditions", &mut violations);
    }
    violations.finish()?;
    if scan { Style::SCAN } else { Style::QUERY }.check(body)?;
    let parts = ["ProjectionExpression", "AttributesToGet"].into_iter().find(|name| body.get(name).is_some());
    match (body.text("Select"), parts) {
        (Some("COUNT"), Some(part)) => Err(AwsError::validation(format!(
            "Cannot specify the {part} when choosing to get only the Count"
        ))),
        (Some(all @ ("ALL_ATTRIBUTES" | "ALL_PROJECTED_ATTRIBUTES")), Some(part)) => {
            Err(AwsError::validation(format!("Cannot specify the {part} when choosing to get {all}")))
        }
        (Some("SPECIFIC_ATTRIBUTES"), None) => Err(AwsError::validation(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        )),
        (Some("ALL_PROJECTED_ATTRIBUTES"), _) if body.get("IndexName").is_none() => {
            Err(AwsError::validation(
                "One or more parameter values were invalid: Select type ALL_PROJECTED_ATTRIBUTES is supported only when Querying an index",
            ))
        }
        _ => Ok(()),
    }
}

/// A start key that was read from JSON, before the table is known.
fn start_key(body: Body<'_>) -> Result<Option<Item>, AwsError> {
    // For invalid numbers and sets AWS gives only this message.
    let bare = |message: &str| {
        let parts =
            ["numeric value", "significant digits", "number with magnitude", "duplicates", "number set"];
        parts.iter().any(|part| message.contains(part))
    };
    let invalid = |error: AwsError| {
        if bare(&error.message) {
            return error;
        }
        AwsError { message: format!("The provided starting key is invalid: {}", error.message), ..error }
    };
    body.get("ExclusiveStartKey").map(|json| item(json).map_err(invalid)).transpose()
}

/// The projection of a request, given as an expression or as `AttributesToGet`.
fn projection(
    body: Body<'_>,
    expressions: &mut Expressions<'_>,
) -> Result<Option<BoundProjection>, AwsError> {
    let old = || body.list("AttributesToGet").map(attributes_to_get);
    Ok(expressions.projection()?.or_else(old))
}

/// Reads Query.
pub(super) fn query(map: &Map<String, Value>, tables: &Tables) -> Result<AwsCall, AwsError> {
    shape::read(map)?;
    let body = Body(map);
    constrain(body, false)?;
    let users = ["FilterExpression", "KeyConditionExpression"];
    let with_names = [users[0], users[1], "ProjectionExpression"];
    Expressions::check_users(body, &with_names, &users)?;
    let start = start_key(body)?;
    if body.get("KeyConditionExpression").is_none() && body.get("KeyConditions").is_none() {
        return Err(AwsError::validation(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
        ));
    }
    let mut expressions = Expressions::new(body, &with_names, &users)?;
    let filter = match expressions.condition(ExprKind::Filter)? {
        None => legacy::filter(body, "QueryFilter")?,
        filter => filter,
    };
    let key_condition = match expressions.condition(ExprKind::KeyCondition)? {
        None => legacy::key_conditions(body)?,
        condition => condition,
    };
    let projection = projection(body, &mut expressions)?;
    expressions.finish()?;
    let target = Target::read(body, tables)?;
    let table = &target.table;
    let keys = target.keys();
    legacy::check_key_count(body, &keys)?;
    let ranges = match &key_condition {
        Some(condition) => condition.key_ranges(&keys, LIMITS)?,
        None => return Err(AwsError::validation("Invalid KeyConditionExpression")),
    };
    if let Some(filter) = &filter {
        filter.check_key_paths(&table.schema)?;
        filter.check_filter(&keys).map_err(|error| match error {
            ExprError::FilterOnKey(name) if body.get("QueryFilter").is_some() => {
                AwsError::validation(format!(
                    "QueryFilter can only contain non-primary key attributes: Primary key attribute: {name}"
                ))
            }
            error => error.into(),
        })?;
    }
    let start = start.map(|key| target.start_keys(&key, true)).transpose()?;
    check_start(&ranges, start.as_ref())?;
    let descending = body.get("ScanIndexForward").is_some() && !body.bool("ScanIndexForward");
    let common = Common::read(body, target, start, filter, projection, true)?;
    Ok(AwsCall::new(vec![(common.target.source().space(), ranges.pk.clone())], move |tx| {
        common.reply(tx, |common, tx, show| {
            let query = ops::Query {
                from: common.target.source(),
                partition: &ranges.pk,
                range: &ranges.sk,
                descending,
                start: common.start.as_ref().map(|start| start.sk.as_slice()),
                limit: common.limit,
                max_bytes: PAGE_BYTES,
                filter: common.filter.as_ref(),
                whole: common.whole,
            };
            ops::query(tx, &query, show)
        })
    }))
}

fn check_start(ranges: &KeyRanges, start: Option<&ItemKeys>) -> Result<(), AwsError> {
    match start {
        Some(start) if start.pk != ranges.pk => Err(AwsError::validation(
            "The provided starting key is outside query boundaries based on provided conditions",
        )),
        Some(start) if !ranges.sk.contains(&start.sk) => {
            Err(AwsError::validation("The provided starting key does not match the range key predicate"))
        }
        _ => Ok(()),
    }
}

/// Reads Scan.
pub(super) fn scan(map: &Map<String, Value>, tables: &Tables) -> Result<AwsCall, AwsError> {
    shape::read(map)?;
    let body = Body(map);
    constrain(body, true)?;
    let segment = segment(body)?;
    let start = start_key(body)?;
    let users = ["FilterExpression"];
    let mut expressions = Expressions::new(body, &[users[0], "ProjectionExpression"], &users)?;
    let filter = match expressions.condition(ExprKind::Filter)? {
        None => legacy::filter(body, "ScanFilter")?,
        filter => filter,
    };
    let projection = projection(body, &mut expressions)?;
    expressions.finish()?;
    let target = Target::read(body, tables)?;
    if let Some(filter) = &filter {
        filter.check_key_paths(&target.table.schema)?;
    }
    let start = start.map(|key| target.start_keys(&key, false)).transpose()?;
    let common = Common::read(body, target, start, filter, projection, false)?;
    Ok(AwsCall::new(Vec::new(), move |tx| {
        if let Some(start) = &common.start {
            let order = walk_order(tx.engine().store.hash(&start.pk));
            if !segment.contains(order) {
                return Err(AwsError::validation(format!(
                    "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments: {} Segment: {}",
                    segment.total, segment.number
                )));
            }
        }
        common.reply(tx, |common, tx, show| {
            let scan = ops::Scan {
                from: common.target.source(),
                segment,
                start: common.start.as_ref(),
                limit: common.limit,
                max_bytes: PAGE_BYTES,
                filter: common.filter.as_ref(),
                whole: common.whole,
            };
            ops::scan(tx, &scan, show)
        })
    }))
}

fn segment(body: Body<'_>) -> Result<Segment, AwsError> {
    match (body.int("Segment"), body.int("TotalSegments")) {
        (None, None) => Ok(Segment::WHOLE),
        (Some(_), None) => Err(AwsError::validation(
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
        )),
        (None, Some(_)) => Err(AwsError::validation(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
        )),
        (Some(number), Some(total)) if number >= total => Err(AwsError::validation(format!(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {number} is not less than TotalSegments: {total}"
        ))),
        (Some(number), Some(total)) => Ok(Segment { number: number as u32, total: total as u32 }),
    }
}

impl Common {
    fn read(
        body: Body<'_>,
        target: Target,
        start: Option<ItemKeys>,
        filter: Option<BoundCondition>,
        projection: Option<BoundProjection>,
        of_query: bool,
    ) -> Result<Self, AwsError> {
        let select = body.text("Select");
        Ok(Self {
            whole: target.reads_whole(select, projection.as_ref(), filter.as_ref(), of_query)?,
            filter,
            projection,
            start,
            limit: body.int("Limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX),
            count_only: select == Some("COUNT"),
            consistent: body.bool("ConsistentRead"),
            capacity: Capacity::asked(body),
            target,
        })
    }

    /// Runs and replies.
    fn reply(
        mut self,
        tx: &Tx<'_>,
        read: impl FnOnce(&Self, &Tx<'_>, &mut dyn FnMut(ItemRef<'_>)) -> Page,
    ) -> Result<Vec<u8>, AwsError> {
        let (mut items, mut failed) = (Vec::new(), None);
        let page = read(&self, tx, &mut |item| {
            if self.count_only {
                return;
            }
            if !items.is_empty() {
                items.push(b',');
            }
            match &self.projection {
                None => write_typed_json(&item, &mut items),
                Some(projection) => match projection.apply(item) {
                    Ok(part) => write_typed_json(&part.view(), &mut items),
                    Err(error) => failed = Some(error),
                },
            }
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        let mut out = Vec::with_capacity(items.len() + 200);
        let mut object = ObjectWriter::begin(&mut out);
        if !self.count_only {
            let out = object.key("Items");
            out.push(b'[');
            out.extend_from_slice(&items);
            out.push(b']');
        }
        object.int("Count", page.count as u64);
        object.int("ScannedCount", page.scanned as u64);
        if let Some(last) = &page.last {
            object.item("LastEvaluatedKey", self.target.last_key(last)?.view());
        }
        let (table, units) = (&self.target.table, read_units(page.bytes, self.consistent));
        match self.target.source().index {
            None => self.capacity.add(table, units),
            Some(index) => {
                self.capacity.add(table, read_blocks(page.fetched, self.consistent));
                self.capacity.add_index(table, index, units);
            }
        }
        self.capacity.write(&mut object);
        object.end();
        Ok(out)
    }
}
