//! BatchGetItem and BatchWriteItem.

use super::body::{Body, Violations};
use super::capacity::{Capacity, read_units};
use super::collections::Collections;
use super::error::AwsError;
use super::items::{PreparedWrite, attributes_to_get};
use super::json::ObjectWriter;
use super::legacy::Style;
use super::request::{Asked, Expressions, LIMITS, item, keys, table_of};
use super::{AwsCall, shape};
use crate::engine::Tables;
use crate::expr::BoundProjection;
use crate::item::{ItemError, ItemKeys, write_typed_json};
use crate::ops;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Most keys of a BatchGetItem.
const MAX_GETS: usize = 100;
/// Most requests of a BatchWriteItem.
const MAX_WRITES: usize = 25;
/// Most bytes of items in a reply; the remaining keys are left unprocessed.
const MAX_BYTES: usize = 16 << 20;

/// Checks how many keys or requests there are. AWS does so before all other constraints.
fn limit(body: Body<'_>, writes: bool) -> Result<(), AwsError> {
    let Some(requests) = body.map("RequestItems") else { return Ok(()) };
    let violated = |path: &str, constraint: &str| {
        Err(AwsError::validation(format!(
            "1 validation error detected: Value at '{path}' failed to satisfy constraint: {constraint}"
        )))
    };
    if writes {
        if requests.0.is_empty() {
            return Err(AwsError::validation("The requestItems parameter is required for BatchWriteItem"));
        }
        return Ok(());
    }
    if requests.0.is_empty() {
        return violated("RequestItems", "Member must have length greater than or equal to 1");
    }
    let keys = |request: &Value| request.get("Keys").and_then(Value::as_array).map_or(0, Vec::len);
    match requests.0.iter().find(|(_, request)| keys(request) > MAX_GETS) {
        Some((name, _)) => violated(
            &format!("RequestItems.{name}.member.Keys"),
            "Member must have length less than or equal to 100",
        ),
        None => Ok(()),
    }
}

/// The name of a table is a key of the requests' map; AWS shows the map as Java prints it.
fn constrain(body: Body<'_>, writes: bool) -> Result<(), AwsError> {
    let mut violations = Violations::default();
    violations.capacity(body);
    if writes {
        violations.metrics(body);
    }
    let requests = body.map("RequestItems");
    violations.required(requests.is_some(), "requestItems");
    if let Some(requests) = requests {
        if requests.0.keys().any(|name| name.is_empty() || name.len() > 1024) {
            let constraint = "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1]";
            violations.add(&shown(requests, writes), "requestItems", constraint);
        }
        if writes {
            constrain_writes(requests, &mut violations);
        } else {
            for (name, request) in requests.0 {
                let path = |member: &str| format!("requestItems.{name}.member.{member}");
                let keys = request.get("Keys").and_then(Value::as_array);
                violations.required(keys.is_some(), &path("keys"));
                let count = keys.map_or(1, Vec::len);
                if count == 0 {
                    let constraint = "Member must have length greater than or equal to 1";
                    violations.add("'[]'", &path("keys"), constraint);
                }
                if let Some(request) = request.as_object() {
                    violations.attributes_to_get(Body(request), &path("attributesToGet"));
                }
            }
        }
    }
    violations.finish()
}

fn constrain_writes(requests: Body<'_>, violations: &mut Violations) {
    let lengths = requests.0.values().map(|list| list.as_array().map_or(0, Vec::len));
    if lengths.into_iter().any(|length| length == 0 || length > MAX_WRITES) {
        let constraint = "Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]";
        violations.add(&shown(requests, true), "requestItems", constraint);
    }
    for (name, list) in requests.0 {
        for (at, request) in list.as_array().into_iter().flatten().enumerate() {
            for (kind, member) in [("PutRequest", "Item"), ("DeleteRequest", "Key")] {
                let Some(inner) = request.get(kind).and_then(Value::as_object) else { continue };
                let (kind, small) = (super::body::path(kind), super::body::path(member));
                let path = format!("requestItems.{name}.member.{}.member.{kind}.{small}", at + 1);
                violations.required(Body(inner).get(member).is_some(), &path);
            }
        }
    }
}

fn shown(requests: Body<'_>, writes: bool) -> String {
    let one = |(name, request): (&String, &Value)| match request.as_array() {
        Some(list) if writes => {
            let shape = "com.amazonaws.dynamodb.v20120810.WriteRequest";
            format!("{name}=[{}]", vec![shape; list.len()].join(", "))
        }
        _ if writes => format!("{name}=null"),
        _ => format!("{name}=com.amazonaws.dynamodb.v20120810.KeysAndAttributes"),
    };
    format!("'{{{}}}'", requests.0.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn duplicates() -> AwsError {
    AwsError::validation("Provided list of item keys contains duplicates")
}

/// The keys that a batch reads of one table.
struct Gets {
    table: Asked,
    keys: Vec<(ItemKeys, Value)>,
    projection: Option<BoundProjection>,
    consistent: bool,
    /// The request without its keys, for the unprocessed part of the reply.
    rest: Map<String, Value>,
}

/// Reads BatchGetItem.
pub(super) fn get(map: &Map<String, Value>, tables: &Tables) -> Result<AwsCall, AwsError> {
    shape::batch_get(map)?;
    let body = Body(map);
    limit(body, false)?;
    constrain(body, false)?;
    let requests = || body.map("RequestItems").into_iter().flat_map(|requests| requests.0);
    let parts = requests().filter_map(|(name, request)| Some((name, Body(request.as_object()?))));
    Style::GET.check_all(parts.clone().map(|(_, part)| part))?;
    let mut all = Vec::new();
    let mut total = 0;
    for (name, request) in parts {
        let gets = gets(name, request, tables)?;
        total += gets.keys.len();
        all.push(gets);
    }
    if total > MAX_GETS {
        return Err(AwsError::validation("Too many items requested for the BatchGetItem call"));
    }
    let locks = all
        .iter()
        .flat_map(|gets| gets.keys.iter().map(|(keys, _)| (gets.table.id, keys.pk.clone())))
        .collect();
    let mut capacity = Capacity::asked(body);
    Ok(AwsCall::new(locks, move |tx| {
        let mut out = Vec::new();
        let mut object = ObjectWriter::begin(&mut out);
        let (mut bytes, mut left) = (0, Vec::new());
        let mut failed = None;
        object.object("Responses", |responses| {
            for gets in &all {
                let items = responses.key(&gets.table.by);
                items.push(b'[');
                let mut first = true;
                for (keys, json) in &gets.keys {
                    let found = tx.item(&gets.table, keys);
                    let size = found.map_or(0, |item| item.size());
                    // From the first item that does not fit on, keys stay unprocessed.
                    if !left.is_empty() || bytes + size > MAX_BYTES {
                        left.push((gets, json));
                        continue;
                    }
                    capacity.add(&gets.table, read_units(size, gets.consistent));
                    let Some(item) = found else { continue };
                    bytes += size;
                    if !std::mem::take(&mut first) {
                        items.push(b',');
                    }
                    match gets.projection.as_ref().map(|projection| projection.apply(item)) {
                        None => write_typed_json(&item, items),
                        Some(Ok(part)) => write_typed_json(&part.view(), items),
                        Some(Err(error)) => failed = Some(error),
                    }
                }
                items.push(b']');
            }
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        write_unprocessed(&mut object, &all, &left);
        capacity.write_all(&mut object);
        object.end();
        Ok(out)
    }))
}

/// Writes the keys that are left, table by table, as the request that reads them.
fn write_unprocessed(object: &mut ObjectWriter<'_>, all: &[Gets], left: &[(&Gets, &Value)]) {
    object.object("UnprocessedKeys", |unprocessed| {
        for gets in all {
            let keys: Vec<&Value> =
                left.iter().filter(|(of, _)| std::ptr::eq(*of, gets)).map(|(_, json)| *json).collect();
            if !keys.is_empty() {
                unprocessed.object(&gets.table.by, |table| {
                    table.array("Keys", keys, |key, out| {
                        out.extend_from_slice(key.to_string().as_bytes());
                    });
                    for (name, value) in &gets.rest {
                        table.key(name).extend_from_slice(value.to_string().as_bytes());
                    }
                });
            }
        }
    });
}

fn gets(name: &str, request: Body<'_>, tables: &Tables) -> Result<Gets, AwsError> {
    Style::GET.check(request)?;
    let mut given = Vec::new();
    for json in request.list("Keys").unwrap_or_default() {
        given.push((item(json)?, json.clone()));
    }
    let mut expressions = Expressions::new(request, &["ProjectionExpression"], &[])?;
    let projection = match expressions.projection()? {
        None => request.list("AttributesToGet").map(attributes_to_get),
        projection => projection,
    };
    expressions.finish()?;
    // A key may be given only once for a table.
    let mut seen = BTreeSet::new();
    if !given.iter().all(|(key, _)| seen.insert(key.view().as_bytes())) {
        return Err(duplicates());
    }
    let table = table_of(tables, name)?;
    let mut all = Vec::with_capacity(given.len());
    for (key, json) in &given {
        all.push((keys(&table, key)?, json.clone()));
    }
    let mut rest = request.0.clone();
    rest.remove("Keys");
    Ok(Gets { table, keys: all, projection, consistent: request.bool("ConsistentRead"), rest })
}

/// Reads BatchWriteItem.
pub(super) fn write(map: &Map<String, Value>, tables: &Tables) -> Result<AwsCall, AwsError> {
    shape::batch_write(map)?;
    let body = Body(map);
    limit(body, true)?;
    constrain(body, true)?;
    let requests = body.map("RequestItems").into_iter().flat_map(|requests| requests.0);
    let mut given = Vec::new();
    for (name, list) in requests {
        for request in list.as_array().into_iter().flatten() {
            given.push((name, write_request(request)?));
        }
    }
    if given.len() > MAX_WRITES {
        return Err(AwsError::validation("Too many items requested for the BatchWriteItem call"));
    }
    let mut all = Vec::with_capacity(given.len());
    let mut seen = BTreeSet::new();
    for (name, (put, given)) in given {
        let table = table_of(tables, name)?;
        let keys = if put {
            table.schema.check_size(&given.view(), LIMITS)?;
            table.schema.item_keys(&given.view(), LIMITS).map_err(|error| match error {
                // A PutItem says what is wrong with the keys; a batch does not.
                ItemError::MissingKey(_) | ItemError::KeyTypeMismatch { .. } => ItemError::KeyMismatch,
                error => error,
            })?
        } else {
            keys(&table, &given)?
        };
        if !seen.insert((table.id, keys.clone())) {
            return Err(duplicates());
        }
        all.push(PreparedWrite::plain(table, keys, put.then_some(given)));
    }
    let locks = all.iter().map(PreparedWrite::lock).collect();
    let (mut capacity, mut collections) = (Capacity::asked(body), Collections::asked(body));
    let needs_memory = all.iter().any(PreparedWrite::needs_memory);
    let call = AwsCall::new(locks, move |tx| {
        for prepared in &all {
            let written = ops::write_measured(tx, &prepared.write(false))?;
            capacity.add_written(&prepared.table, &written);
        }
        all.iter().for_each(|prepared| collections.note(tx, &prepared.table, &prepared.keys));
        let mut out = Vec::new();
        let mut object = ObjectWriter::begin(&mut out);
        object.object("UnprocessedItems", |_| {});
        collections.write_all(&mut object);
        capacity.write_all(&mut object);
        object.end();
        Ok(out)
    });
    Ok(call.needing_memory(needs_memory))
}

/// Whether a request is a put, and its item or key.
fn write_request(request: &Value) -> Result<(bool, crate::item::Item), AwsError> {
    let inner = |kind: &str, member: &str| {
        request.get(kind).filter(|json| !json.is_null()).map(|json| json.get(member).unwrap_or(&Value::Null))
    };
    match (inner("PutRequest", "Item"), inner("DeleteRequest", "Key")) {
        (Some(json), None) => Ok((true, item(json)?)),
        (None, Some(json)) => Ok((false, item(json)?)),
        _ => Err(AwsError::validation(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
        )),
    }
}
