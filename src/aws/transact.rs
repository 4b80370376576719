//! TransactGetItems and TransactWriteItems.

use super::body::{Body, Violations};
use super::capacity::{Capacity, Units, blocks, read_blocks, read_units};
use super::collections::Collections;
use super::error::{AwsError, ErrorKind};
use super::items::{Get, PreparedWrite, WriteAction, constrain_get, constrain_write};
use super::json::ObjectWriter;
use super::{AwsCall, shape};
use crate::effect::{StringChange, TOKENS};
use crate::engine::{Tables, Tx};
use crate::item::{ItemKeys, ItemRef, KeyBytes};
use crate::ops::{self, OpError, TransactError};
use crate::store::ValueRef;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_128;

/// Most actions of a transaction.
const MAX_ACTIONS: usize = 100;
/// Most bytes of the items of a transaction.
const MAX_BYTES: usize = 4 << 20;
/// How long a token is remembered.
const REMEMBERED_MS: u64 = 10 * 60 * 1000;

/// The kinds of actions in a transaction.
const KINDS: [(&str, WriteAction); 4] = [
    ("ConditionCheck", WriteAction::Check),
    ("Put", WriteAction::Put),
    ("Update", WriteAction::Update),
    ("Delete", WriteAction::Delete),
];

fn constrain<'j>(
    body: Body<'j>,
    one: impl Fn(&'j Value, &mut Violations, &str),
) -> Result<&'j [Value], AwsError> {
    let mut violations = Violations::default();
    violations.capacity(body);
    violations.metrics(body);
    let items = body.list("TransactItems");
    violations.required(items.is_some(), "transactItems");
    if let Some(items) = items {
        let shown = || format!("'[{}]'", vec!["..."; items.len().min(3)].join(", "));
        if items.is_empty() {
            violations.add("'[]'", "transactItems", "Member must have length greater than or equal to 1");
        } else if items.len() > MAX_ACTIONS {
            violations.add(&shown(), "transactItems", "Member must have length less than or equal to 100");
        }
    }
    if let Some(token) = body.text("ClientRequestToken") {
        let path = "clientRequestToken";
        if token.is_empty() {
            violations.add("''", path, "Member must have length greater than or equal to 1");
        } else if token.len() > 36 {
            violations.add(&format!("'{token}'"), path, "Member must have length less than or equal to 36");
        }
    }
    for (at, action) in items.unwrap_or_default().iter().enumerate() {
        one(action, &mut violations, &format!("transactItems.{}.member.", at + 1));
    }
    violations.finish()?;
    Ok(items.unwrap_or_default())
}

/// Reads TransactGetItems.
pub(super) fn get(map: &Map<String, Value>, tables: &Tables) -> Result<AwsCall, AwsError> {
    shape::transact(map)?;
    let body = Body(map);
    let mut all = Vec::new();
    let actions = constrain(body, |action, violations, path| {
        violations.within(path.to_owned());
        let get = action.get("Get").and_then(Value::as_object);
        violations.required(get.is_some(), "get");
        if let Some(get) = get {
            violations.within(format!("{path}get."));
            constrain_get(Body(get), false, violations);
        }
    })?;
    for action in actions {
        let Some(Value::Object(get)) = action.get("Get") else { continue };
        all.push(Get::read_apart(Body(get), tables, false)?);
    }
    let all = fitting(all)?;
    check_distinct(all.iter().map(|get| (get.table.id, &get.keys)))?;
    let locks = all.iter().map(|get| (get.table.id, get.keys.pk.clone())).collect();
    let mut capacity = Capacity::asked(body).in_transaction(Units::Read);
    Ok(AwsCall::new(locks, move |tx| {
        let mut out = Vec::new();
        let mut object = ObjectWriter::begin(&mut out);
        let found: Vec<_> = all.iter().map(|get| tx.item(&get.table, &get.keys)).collect();
        if found.iter().flatten().map(ItemRef::size).sum::<usize>() > MAX_BYTES {
            return Err(too_large());
        }
        let mut failed = None;
        object.array("Responses", all.iter().zip(found), |(get, item), out| {
            let mut response = ObjectWriter::begin(out);
            match get.write(item, &mut response) {
                Ok(size) => capacity.add(&get.table, read_units(size, true)),
                Err(error) => failed = Some(error),
            }
            response.end();
        });
        if let Some(error) = failed {
            return Err(error);
        }
        capacity.write_all(&mut object);
        object.end();
        Ok(out)
    }))
}

/// Reads TransactWriteItems.
pub(super) fn write(map: &Map<String, Value>, tables: &Tables) -> Result<AwsCall, AwsError> {
    shape::transact(map)?;
    let body = Body(map);
    let mut all = Vec::new();
    let actions = constrain(body, |action, violations, path| {
        for (name, kind) in KINDS {
            let Some(inner) = action.get(name).and_then(Value::as_object) else { continue };
            violations.within(format!("{path}{}.", super::body::path(name)));
            constrain_write(kind, Body(inner), false, violations);
            match kind {
                WriteAction::Check => {
                    violations
                        .required(Body(inner).get("ConditionExpression").is_some(), "conditionExpression");
                }
                WriteAction::Update => {
                    violations.required(Body(inner).get("UpdateExpression").is_some(), "updateExpression");
                }
                WriteAction::Put | WriteAction::Delete => {}
            }
        }
    })?;
    for action in actions {
        let mut given = KINDS.iter().filter_map(|(name, kind)| Some((*kind, action.get(name)?.as_object()?)));
        let (Some((kind, inner)), None) = (given.next(), given.next()) else {
            return Err(AwsError::validation(
                "TransactItems can only contain one of Check, Put, Update or Delete",
            ));
        };
        all.push(PreparedWrite::read_apart(kind, Body(inner), tables, false)?);
    }
    let all = fitting(all)?;
    check_distinct(all.iter().map(|prepared| (prepared.table.id, &prepared.keys)))?;
    let token = body.text("ClientRequestToken").map(|token| Token::new(token, map));
    let mut locks: Vec<_> = all.iter().map(PreparedWrite::lock).collect();
    locks.extend(token.as_ref().map(|token| (TOKENS, token.key.clone())));
    let mut capacity = Capacity::asked(body).in_transaction(Units::Write);
    let mut collections = Collections::asked(body);
    Ok(AwsCall::weighing(locks, move |tx, memory| {
        let known = token.as_ref().map(|token| token.known(tx)).transpose()?.flatten();
        if let Some(known) = known {
            // A repeated transaction costs a read of its items, by their sizes when it was carried out.
            capacity = capacity.in_transaction(Units::Read);
            for (prepared, blocks) in all.iter().zip(known) {
                capacity.add(&prepared.table, read_blocks(blocks, true));
            }
        } else {
            if all.iter().any(PreparedWrite::needs_memory) {
                memory.take()?;
            }
            let writes: Vec<_> = all.iter().map(|prepared| prepared.write(false)).collect();
            let written = ops::transact(tx, &writes, MAX_BYTES).map_err(|error| match error {
                TransactError::Refused(reasons) => AwsError::cancelled(reasons),
                TransactError::TooLarge => too_large(),
            })?;
            for (prepared, written) in all.iter().zip(&written) {
                capacity.add_written(&prepared.table, written);
                collections.note(tx, &prepared.table, &prepared.keys);
            }
            if let Some(token) = &token {
                token.remember(tx, written.iter().map(|written| blocks(written.bytes)));
            }
        }
        let mut out = Vec::new();
        let mut object = ObjectWriter::begin(&mut out);
        collections.write_all(&mut object);
        capacity.write_all(&mut object);
        object.end();
        Ok(out)
    }))
}

fn too_large() -> AwsError {
    AwsError::validation("Transaction request cannot exceed the maximum transaction size of 4 MB")
}

/// Checks that no two actions of a transaction are on the same item.
fn check_distinct<'k>(mut items: impl Iterator<Item = (u32, &'k ItemKeys)>) -> Result<(), AwsError> {
    let mut seen = BTreeSet::new();
    if items.all(|item| seen.insert(item)) {
        return Ok(());
    }
    Err(AwsError::validation("Transaction request cannot include multiple operations on one item"))
}

/// Cancels the transaction if an action does not fit its table's schema.
fn fitting<T>(all: Vec<Result<T, OpError>>) -> Result<Vec<T>, AwsError> {
    if all.iter().any(Result::is_err) {
        return Err(AwsError::cancelled(all.into_iter().map(Result::err).collect()));
    }
    Ok(all.into_iter().flatten().collect())
}

/// Appends JSON in a canonical form, in which the order of members and of sets does not matter: a client may send the
/// same request in another order.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            out.push('{');
            for (name, member) in sorted {
                // The length makes the form unambiguous.
                out.push_str(&name.len().to_string());
                out.push(':');
                out.push_str(name);
                match member {
                    Value::Array(set) if matches!(name.as_str(), "SS" | "NS" | "BS") => {
                        let members: BTreeSet<String> = set.iter().map(Value::to_string).collect();
                        members.iter().for_each(|member| out.push_str(member));
                    }
                    member => write_canonical(member, out),
                }
            }
            out.push('}');
        }
        Value::Array(list) => {
            out.push('[');
            list.iter().for_each(|value| {
                write_canonical(value, out);
                out.push(',');
            });
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// A client request token. Its key holds the request's digest, which tells whether the token is used again with the
/// same request, and then two bytes for each item: its size in blocks, the larger of before and after.
struct Token {
    key: KeyBytes,
    digest: [u8; 16],
}

impl Token {
    fn new(token: &str, request: &Map<String, Value>) -> Self {
        let mut key = KeyBytes::from_slice(b"aws:");
        key.extend_from_slice(token.as_bytes());
        let mut actions = String::new();
        if let Some(items) = request.get("TransactItems") {
            write_canonical(items, &mut actions);
        }
        Self { key, digest: xxh3_128(actions.as_bytes()).to_le_bytes() }
    }

    /// If the same request was carried out before, how many blocks each of its items had then.
    fn known(&self, tx: &Tx<'_>) -> Result<Option<Vec<usize>>, AwsError> {
        let Some(entry) = tx.entry_in(TOKENS as usize, &self.key) else { return Ok(None) };
        let blocks = match entry.value() {
            ValueRef::Str(value) => value.strip_prefix(&self.digest),
            _ => None,
        };
        let Some(blocks) = blocks else {
            return Err(AwsError::new(
                ErrorKind::IdempotentParameterMismatch,
                "The request uses the same client token as a previous, but non-identical request",
            ));
        };
        let (pairs, _) = blocks.as_chunks::<2>();
        let mut blocks: Vec<usize> =
            pairs.iter().map(|pair| usize::from(u16::from_le_bytes(*pair))).collect();
        // Tokens stored by earlier versions hold no blocks.
        blocks.resize(MAX_ACTIONS, 1);
        Ok(Some(blocks))
    }

    fn remember(&self, tx: &mut Tx<'_>, blocks: impl Iterator<Item = usize>) {
        let mut value = self.digest.to_vec();
        blocks.for_each(|blocks| {
            value.extend_from_slice(&u16::try_from(blocks).unwrap_or(u16::MAX).to_le_bytes());
        });
        let expire = Some(tx.now() + REMEMBERED_MS);
        tx.apply(StringChange::Set { value: &value, expire }.on(TOKENS, &self.key));
    }
}
