//! Joins parsed expressions with one request's `#names` and `:values`.

use std::sync::Arc;

use serde_json::Value as Json;
use smallvec::SmallVec;

use super::ast::{Parsed, ParsedCondition, ParsedProjection, ParsedUpdate};
use super::bound::{BoundCondition, BoundUpdate, SharedUpdate};
use super::error::{ExprError, ExprKind, Reason};
use super::options::ExprLimits;
use super::project::BoundProjection;
use super::scope::{Definitions, Scope, UNDEFINED};
use super::types;
use crate::item::{AttributeValue, EncodedValue, typed_value};

const NAMES: &str = "ExpressionAttributeNames";
const VALUES: &str = "ExpressionAttributeValues";
/// The placeholders of one request, and which of them its expressions use.
#[derive(Debug)]
pub struct Binder {
    table: Option<Arc<Definitions>>,
    used_names: Vec<bool>,
    used_values: Vec<bool>,
    limits: ExprLimits,
}

impl Binder {
    /// No placeholders.
    pub fn empty(limits: ExprLimits) -> Self {
        Self { table: None, used_names: Vec::new(), used_values: Vec::new(), limits }
    }

    /// Placeholders with what they stand for.
    ///
    /// # Errors
    /// For malformed placeholders, empty names and invalid values.
    pub fn new(
        names: impl IntoIterator<Item = (String, String)>,
        values: impl IntoIterator<Item = (String, AttributeValue)>,
        limits: ExprLimits,
    ) -> Result<Self, ExprError> {
        let mut table = Definitions::default();
        for (key, name) in names {
            check_key(NAMES, b'#', &key)?;
            if name.is_empty() {
                return Err(ExprError::EmptyName(key));
            }
            table.names.push((key.into(), name.into()));
        }
        for (key, value) in values {
            check_key(VALUES, b':', &key)?;
            match EncodedValue::new(&value) {
                Ok(encoded) => table.values.push((key.into(), encoded)),
                Err(error) => return Err(ExprError::BadValue { key, error }),
            }
        }
        table.names.sort_by(|a, b| a.0.cmp(&b.0));
        table.names.dedup_by(|later, first| later.0 == first.0);
        table.values.sort_by(|a, b| a.0.cmp(&b.0));
        table.values.dedup_by(|later, first| later.0 == first.0);
        let (names, values) = (table.names.len(), table.values.len());
        Ok(Self {
            table: Some(Arc::new(table)),
            used_names: vec![false; names],
            used_values: vec![false; values],
            limits,
        })
    }

    /// Placeholders as a request of AWS's gives them: `names` a map of strings, `values` a map of typed values nested
    /// at most `max_depth` levels, both absent or not empty.
    ///
    /// # Errors
    /// As [`Binder::new`], for empty maps, and [`crate::item::ItemError::Serialization`] for JSON of another form.
    pub fn from_json(
        names: Option<&Json>,
        values: Option<&Json>,
        max_depth: usize,
        limits: ExprLimits,
    ) -> Result<Self, ExprError> {
        let members = |map: &'static str, json: Option<&Json>| match json {
            None | Some(Json::Null) => Ok(Vec::new()),
            Some(Json::Object(object)) if object.is_empty() => Err(ExprError::EmptyMap(map)),
            Some(Json::Object(object)) => {
                Ok(object.iter().map(|(key, json)| (key.clone(), json.clone())).collect())
            }
            Some(_) => Err(wrong_form()),
        };
        let names: Vec<(String, Json)> = members(NAMES, names)?;
        let values: Vec<(String, Json)> = members(VALUES, values)?;
        let names: Result<Vec<_>, _> = names
            .into_iter()
            .map(|(key, json)| match json {
                Json::String(name) => Ok((key, name)),
                _ => Err(wrong_form()),
            })
            .collect();
        for (key, _) in &values {
            check_key(VALUES, b':', key)?;
        }
        let values: Result<Vec<_>, _> = values
            .into_iter()
            .map(|(key, json)| match typed_value(&json, max_depth) {
                Ok(value) => Ok((key, value)),
                Err(error) if error.is_serialization() => Err(ExprError::Item(error)),
                Err(error) => Err(ExprError::BadValue { key, error }),
            })
            .collect();
        Self::new(names?, values?, limits)
    }

    fn scope<T>(&mut self, parsed: &Parsed<T>) -> Scope {
        if parsed.names.is_empty() && parsed.values.is_empty() {
            // A bound expression may live longer than its request, so it keeps only definitions that it uses.
            return Scope::default();
        }
        let table = self.table.as_deref();
        let mut names = SmallVec::new();
        for key in &parsed.names {
            let found = table.and_then(|t| t.names.binary_search_by(|(known, _)| known.cmp(key)).ok());
            names.push(mark(&mut self.used_names, found));
        }
        let mut values = SmallVec::new();
        for key in &parsed.values {
            let found = table.and_then(|t| t.values.binary_search_by(|(known, _)| known.cmp(key)).ok());
            values.push(mark(&mut self.used_values, found));
        }
        Scope { table: self.table.clone(), names, values }
    }

    /// Binds a condition, filter or key condition, as `kind` says.
    ///
    /// # Errors
    /// For placeholders that are not defined and operands that do not fit.
    pub fn condition(
        &mut self,
        kind: ExprKind,
        parsed: &Arc<ParsedCondition>,
    ) -> Result<BoundCondition, ExprError> {
        let scope = self.scope(parsed);
        let invalid = |reason: Reason| ExprError::Invalid { kind, reason };
        types::Checker::new(&scope, &self.limits, &parsed.names, &parsed.values)
            .condition(&parsed.root)
            .map_err(invalid)?;
        Ok(BoundCondition { parsed: Arc::clone(parsed), scope })
    }

    /// Binds an update.
    ///
    /// # Errors
    /// As [`Binder::condition`], and for paths that overlap.
    pub fn update(&mut self, parsed: &Arc<ParsedUpdate>) -> Result<BoundUpdate, ExprError> {
        self.bind_update(SharedUpdate::Shared(Arc::clone(parsed)))
    }

    /// As [`Binder::update`], for a parsed update that is not shared.
    ///
    /// # Errors
    /// As [`Binder::update`].
    pub fn own_update(&mut self, parsed: ParsedUpdate) -> Result<BoundUpdate, ExprError> {
        self.bind_update(SharedUpdate::Own(parsed))
    }

    fn bind_update(&mut self, parsed: SharedUpdate) -> Result<BoundUpdate, ExprError> {
        let scope = self.scope(&parsed);
        let invalid = |reason: Reason| ExprError::Invalid { kind: ExprKind::Update, reason };
        types::Checker::new(&scope, &self.limits, &parsed.names, &parsed.values)
            .update(&parsed.root)
            .map_err(invalid)?;
        Ok(BoundUpdate { parsed, scope })
    }

    /// Binds a projection.
    ///
    /// # Errors
    /// As [`Binder::update`].
    pub fn projection(&mut self, parsed: &ParsedProjection) -> Result<BoundProjection, ExprError> {
        let scope = self.scope(parsed);
        let invalid = |reason: Reason| ExprError::Invalid { kind: ExprKind::Projection, reason };
        types::Checker::new(&scope, &self.limits, &parsed.names, &parsed.values)
            .projection(&parsed.root)
            .map_err(invalid)?;
        Ok(BoundProjection::new(&parsed.root, &scope))
    }

    /// Checks that every placeholder was used by an expression bound before.
    ///
    /// # Errors
    /// [`ExprError::UnusedNames`] or [`ExprError::UnusedValues`].
    pub fn finish(&self) -> Result<(), ExprError> {
        let unused = |keys: &mut dyn Iterator<Item = &str>, used: &[bool]| {
            let keys: Vec<&str> = keys.zip(used).filter(|(_, used)| !**used).map(|(key, _)| key).collect();
            (!keys.is_empty()).then(|| hash_set_order(keys, used.len()).join(", "))
        };
        let Some(table) = &self.table else { return Ok(()) };
        let names = &mut table.names.iter().map(|(key, _)| key.as_ref());
        if let Some(keys) = unused(names, &self.used_names) {
            return Err(ExprError::UnusedNames(keys));
        }
        let values = &mut table.values.iter().map(|(key, _)| key.as_ref());
        match unused(values, &self.used_values) {
            Some(keys) => Err(ExprError::UnusedValues(keys)),
            None => Ok(()),
        }
    }
}

fn mark(used: &mut [bool], found: Option<usize>) -> u16 {
    let Some(found) = found else { return UNDEFINED };
    if let Some(used) = used.get_mut(found) {
        *used = true;
    }
    u16::try_from(found).unwrap_or(UNDEFINED)
}

fn wrong_form() -> ExprError {
    ExprError::Item(crate::item::ItemError::Serialization("Unexpected field type".to_owned()))
}

fn check_key(map: &'static str, sign: u8, key: &str) -> Result<(), ExprError> {
    if key.len() > 255 {
        return Err(ExprError::LongKey { map, size: key.len() });
    }
    match key.as_bytes() {
        [first, rest @ ..]
            if *first == sign
                && !rest.is_empty()
                && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') =>
        {
            Ok(())
        }
        _ => Err(ExprError::BadKey { map, key: key.to_owned() }),
    }
}

/// Orders `keys` as Java's hash set does, and therefore AWS's message. The set was made from `total` keys.
fn hash_set_order(mut keys: Vec<&str>, total: usize) -> Vec<&str> {
    let capacity = (total * 4 / 3 + 1).max(16).next_power_of_two() as u32;
    let slot = |key: &&str| {
        let hash =
            key.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
        (hash ^ (hash >> 16)) & (capacity - 1)
    };
    keys.sort_by_key(slot);
    keys
}
