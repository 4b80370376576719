//! Joins parsed expressions with one request's `#names` and `:values`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as Json;
use smallvec::SmallVec;

use super::ast::{Condition, Name, Parsed, ParsedCondition, ParsedProjection, ParsedUpdate, Path, Value};
use super::error::{ExprError, ExprKind, Reason};
use super::key_condition::KeyTarget;
use super::options::ExprLimits;
use super::project::BoundProjection;
use super::{path, types};
use crate::item::{AttributeValue, EncodedValue, TableSchema, ValueRef, typed_value};

const NAMES: &str = "ExpressionAttributeNames";
const VALUES: &str = "ExpressionAttributeValues";
/// Slot of a placeholder that is not defined.
const UNDEFINED: u16 = u16::MAX;

/// Definitions of placeholders, ascending.
#[derive(Debug, Default)]
struct Table {
    names: Vec<(Box<str>, Box<str>)>,
    values: Vec<(Box<str>, EncodedValue)>,
}

/// Where the placeholders of one expression are defined.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    table: Arc<Table>,
    names: SmallVec<[u16; 8]>,
    values: SmallVec<[u16; 8]>,
}

impl Scope {
    /// The attribute's name; empty for a placeholder that is not defined, which binding refuses.
    pub(super) fn name<'a>(&'a self, name: &'a Name) -> &'a str {
        match name {
            Name::Plain(name) => name,
            Name::Placeholder(number) => {
                let slot = self.names.get(usize::from(*number)).copied().unwrap_or(UNDEFINED);
                self.table.names.get(usize::from(slot)).map_or("", |(_, name)| name)
            }
        }
    }

    /// The value; null for a placeholder that is not defined, which binding refuses.
    pub(super) fn value<'a>(&'a self, value: &'a Value) -> ValueRef<'a> {
        match value {
            Value::Literal(value) => value.view(),
            Value::Placeholder(number) => {
                let slot = self.values.get(usize::from(*number)).copied().unwrap_or(UNDEFINED);
                self.table.values.get(usize::from(slot)).map_or(ValueRef::Null, |(_, value)| value.view())
            }
        }
    }

    pub(super) fn defines_name(&self, name: &Name) -> bool {
        match name {
            Name::Plain(_) => true,
            Name::Placeholder(number) => {
                self.names.get(usize::from(*number)).is_some_and(|slot| *slot != UNDEFINED)
            }
        }
    }

    pub(super) fn defines_value(&self, value: &Value) -> bool {
        match value {
            Value::Literal(_) => true,
            Value::Placeholder(number) => {
                self.values.get(usize::from(*number)).is_some_and(|slot| *slot != UNDEFINED)
            }
        }
    }
}

/// The placeholders of one request, and which of them its expressions use.
#[derive(Debug)]
pub struct Binder {
    table: Arc<Table>,
    used_names: Vec<bool>,
    used_values: Vec<bool>,
    limits: ExprLimits,
}

impl Binder {
    /// No placeholders.
    pub fn empty(limits: ExprLimits) -> Self {
        Self { table: Arc::default(), used_names: Vec::new(), used_values: Vec::new(), limits }
    }

    /// Placeholders with what they stand for.
    ///
    /// # Errors
    /// For placeholders that are none, empty names and invalid values.
    pub fn new(
        names: impl IntoIterator<Item = (String, String)>,
        values: impl IntoIterator<Item = (String, AttributeValue)>,
        limits: ExprLimits,
    ) -> Result<Self, ExprError> {
        let mut table = Table::default();
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
            table: Arc::new(table),
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
        let mut names = SmallVec::new();
        for key in &parsed.names {
            let found = self.table.names.binary_search_by(|(known, _)| known.cmp(key)).ok();
            names.push(mark(&mut self.used_names, found));
        }
        let mut values = SmallVec::new();
        for key in &parsed.values {
            let found = self.table.values.binary_search_by(|(known, _)| known.cmp(key)).ok();
            values.push(mark(&mut self.used_values, found));
        }
        Scope { table: Arc::clone(&self.table), names, values }
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
        let scope = self.scope(parsed);
        let invalid = |reason: Reason| ExprError::Invalid { kind: ExprKind::Update, reason };
        types::Checker::new(&scope, &self.limits, &parsed.names, &parsed.values)
            .update(&parsed.root)
            .map_err(invalid)?;
        Ok(BoundUpdate { parsed: Arc::clone(parsed), scope })
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
        let names = &mut self.table.names.iter().map(|(key, _)| key.as_ref());
        if let Some(keys) = unused(names, &self.used_names) {
            return Err(ExprError::UnusedNames(keys));
        }
        let values = &mut self.table.values.iter().map(|(key, _)| key.as_ref());
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

/// The order in which Java's hash set, and so AWS's message, lists keys of a set that was made from `total` of them.
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

/// A condition, filter or key condition with its values.
#[derive(Clone, Debug)]
pub struct BoundCondition {
    pub(super) parsed: Arc<ParsedCondition>,
    pub(super) scope: Scope,
}

impl BoundCondition {
    /// A condition without placeholders, made from another form than an expression, whose checks it has passed.
    pub fn literal(condition: Condition) -> Self {
        Self { parsed: Arc::new(Parsed::literal(condition)), scope: Scope::default() }
    }

    /// Checks that no path looks into a key attribute of the table or its indexes.
    ///
    /// # Errors
    /// [`ExprError::NestedKey`] or [`ExprError::NestedIndexKey`].
    pub fn check_key_paths(&self, schema: &TableSchema) -> Result<(), ExprError> {
        self.each_path(&mut |path| check_nested(path, &self.scope, schema))
    }

    /// Checks that a query's filter leaves the key attributes alone.
    ///
    /// # Errors
    /// [`ExprError::FilterOnKey`].
    pub fn check_filter(&self, keys: &KeyTarget<'_>) -> Result<(), ExprError> {
        self.each_path(&mut |path| {
            let name = self.scope.name(&path.root);
            if keys.names().any(|key| key == name) {
                return Err(ExprError::FilterOnKey(name.to_owned()));
            }
            Ok(())
        })
    }

    /// The names of the attributes it looks at, ascending.
    pub fn roots(&self) -> BTreeSet<String> {
        let mut roots = BTreeSet::new();
        // The visitor refuses nothing.
        let _ = self.each_path(&mut |path| {
            roots.insert(self.scope.name(&path.root).to_owned());
            Ok(())
        });
        roots
    }

    fn each_path(&self, visit: &mut dyn FnMut(&Path) -> Result<(), ExprError>) -> Result<(), ExprError> {
        condition_paths(&self.parsed.root, visit)
    }
}

fn condition_paths(
    condition: &Condition,
    visit: &mut dyn FnMut(&Path) -> Result<(), ExprError>,
) -> Result<(), ExprError> {
    match condition {
        Condition::Compare(_, left, right) => {
            types::operand_paths(left, visit)?;
            types::operand_paths(right, visit)
        }
        Condition::Between(value, low, high) => {
            types::operand_paths(value, visit)?;
            types::operand_paths(low, visit)?;
            types::operand_paths(high, visit)
        }
        Condition::In(value, list) => {
            types::operand_paths(value, visit)?;
            list.iter().try_for_each(|operand| types::operand_paths(operand, visit))
        }
        Condition::Call(call) => {
            call.args.iter().try_for_each(|operand| types::operand_paths(operand, visit))
        }
        Condition::All(all) | Condition::Any(all) => all.iter().try_for_each(|c| condition_paths(c, visit)),
        Condition::Not(inner) => condition_paths(inner, visit),
    }
}

fn check_nested(path: &Path, scope: &Scope, schema: &TableSchema) -> Result<(), ExprError> {
    if path.steps.is_empty() {
        return Ok(());
    }
    let name = scope.name(&path.root);
    if schema.keys.is_key(name.as_bytes()) {
        return Err(ExprError::NestedKey(name.to_owned()));
    }
    let mut index_keys = schema.indexes.iter().flat_map(|index| index.pk.iter().chain(&index.sk));
    if index_keys.any(|attr| attr.name == name) {
        return Err(ExprError::NestedIndexKey(name.to_owned()));
    }
    Ok(())
}

/// An update with its values.
#[derive(Clone, Debug)]
pub struct BoundUpdate {
    pub(super) parsed: Arc<ParsedUpdate>,
    pub(super) scope: Scope,
}

impl BoundUpdate {
    /// An update without placeholders, made from another form than an expression, whose checks it has passed.
    pub fn literal(actions: Vec<super::ast::Action>) -> Self {
        Self { parsed: Arc::new(Parsed::literal(actions)), scope: Scope::default() }
    }

    /// Whether it does nothing but take attributes or members of sets away. What is not there is not made by it.
    pub fn only_takes_away(&self) -> bool {
        use super::ast::Action::{Delete, Remove};
        !self.parsed.root.is_empty()
            && self.parsed.root.iter().all(|action| matches!(action, Remove(_) | Delete(..)))
    }

    /// Checks that the update changes no key attribute, and that no path looks into one of the table or its indexes.
    ///
    /// # Errors
    /// [`ExprError::UpdatesKey`], [`ExprError::NestedKey`] or [`ExprError::NestedIndexKey`].
    pub fn check_keys(&self, schema: &TableSchema) -> Result<(), ExprError> {
        for action in &self.parsed.root {
            let name = self.scope.name(&action.path().root);
            if schema.keys.is_key(name.as_bytes()) {
                return Err(ExprError::UpdatesKey(name.to_owned()));
            }
        }
        for action in &self.parsed.root {
            check_nested(action.path(), &self.scope, schema)?;
            types::action_operands(action)
                .try_for_each(|o| types::operand_paths(o, &mut |p| check_nested(p, &self.scope, schema)))?;
        }
        Ok(())
    }

    /// What an item has at the places the update changes, as `UPDATED_OLD` and `UPDATED_NEW` answer it.
    pub fn touched(&self) -> BoundProjection {
        let paths = self.parsed.root.iter().map(super::ast::Action::path);
        BoundProjection::from_paths(paths, &self.scope)
    }

    /// The places the update changes, printed.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.parsed.root.iter().map(|action| path::print(action.path(), &self.scope))
    }
}
