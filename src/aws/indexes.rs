//! What a Query or Scan reads: a table, or one of its indexes.

use super::body::Body;
use super::error::AwsError;
use super::request::{Asked, LIMITS, table};
use crate::engine::{ReadSource, Tables};
use crate::expr::{BoundCondition, BoundProjection, KeyTarget};
use crate::item::{Item, ItemError, ItemKeys, KeyAttr, Projection, read_key_part};
use crate::ops;
use std::collections::{BTreeMap, BTreeSet};

/// A table, or one of its indexes.
pub(super) struct Target {
    pub(super) table: Asked,
    /// The index's place in the table.
    index: Option<usize>,
}

/// Whether a key has exactly these attributes. Types are not compared.
fn names<'a>(key: &Item, attrs: impl Iterator<Item = &'a KeyAttr>) -> bool {
    let wanted: BTreeSet<&str> = attrs.map(|attr| attr.name.as_str()).collect();
    key.view().len() == wanted.len() && wanted.iter().all(|name| key.view().get(name).is_some())
}

impl Target {
    /// Reads the table or index of a request, and checks that the index allows what the request asks for.
    pub(super) fn read(body: Body<'_>, tables: &Tables) -> Result<Self, AwsError> {
        let table = table(tables, body)?;
        let Some(name) = body.text("IndexName") else { return Ok(Self { table, index: None }) };
        let Some(at) = table.indexes.iter().position(|index| index.schema.name == name) else {
            return Err(AwsError::validation(format!("The table does not have the specified index: {name}")));
        };
        let schema = &table.indexes[at].schema;
        if !schema.local && body.bool("ConsistentRead") {
            return Err(AwsError::validation(
                "Consistent reads are not supported on global secondary indexes",
            ));
        }
        let all = body.text("Select") == Some("ALL_ATTRIBUTES");
        if all && !schema.local && schema.projection != Projection::All {
            return Err(AwsError::validation(format!(
                "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index {name} because its projection type is not ALL"
            )));
        }
        ops::readable_index(&table, name.as_bytes())?;
        Ok(Self { table, index: Some(at) })
    }

    pub(super) fn source(&self) -> ReadSource<'_> {
        ReadSource { table: &self.table, index: self.index.and_then(|at| self.table.indexes.get(at)) }
    }

    /// The keys that a query is about.
    pub(super) fn keys(&self) -> KeyTarget<'_> {
        match self.source().index {
            None => KeyTarget::table(&self.table.schema.keys),
            Some(index) => KeyTarget::index(&index.schema),
        }
    }

    /// The keys of a start key. AWS's error for a key that does not fit the table differs between a query and a scan.
    pub(super) fn start_keys(&self, key: &Item, of_query: bool) -> Result<ItemKeys, AwsError> {
        let invalid = |error: AwsError| AwsError {
            message: format!("The provided starting key is invalid: {}", error.message),
            ..error
        };
        let bare = || AwsError::validation("The provided starting key is invalid");
        let schema = &self.table.schema;
        let Some(index) = self.source().index else {
            let keys = schema.key_map_keys(&key.view(), LIMITS);
            return keys.map_err(|error| match error {
                ItemError::KeyMismatch if of_query && !names(key, schema.keys.attrs()) => bare(),
                error if of_query => error.into(),
                error => invalid(error.into()),
            });
        };
        let fits = |attr: &KeyAttr| {
            let value = key.view().get(&attr.name);
            value.is_some_and(|value| value.attr_type() == attr.key_type.attr_type())
        };
        index.schema.key_map_keys(schema, &key.view(), LIMITS).map_err(|error| match error {
            ItemError::KeyMismatch if !names(key, schema.keys.attrs().chain(index.schema.attrs())) => bare(),
            ItemError::KeyMismatch if !index.schema.attrs().all(fits) => error.into(),
            error => invalid(error.into()),
        })
    }

    /// The key attributes of table and index that encoded keys stand for.
    pub(super) fn last_key(&self, last: &ItemKeys) -> Result<Item, AwsError> {
        let schema = &self.table.schema;
        let Some(index) = self.source().index.map(|index| &index.schema) else {
            return Ok(Item::from_map(&schema.keys_to_map(last)?)?);
        };
        let own = index.item_keys(&schema.keys, last).ok_or(ItemError::KeyMismatch)?;
        let mut map: BTreeMap<_, _> = schema.keys_to_map(&own)?;
        let global = if index.local { &[][..] } else { index.pk.as_slice() };
        for (attrs, bytes) in [(global, &last.pk), (index.sk.as_slice(), &last.sk)] {
            let mut rest = bytes.as_slice();
            for attr in attrs {
                map.insert(attr.name.clone(), read_key_part(attr.key_type, &mut rest)?);
            }
        }
        Ok(Item::from_map(&map)?)
    }

    /// Whether whole items must be read, because the request needs an attribute that a local index does not hold. For a
    /// global index, a projection or a query's filter that needs such an attribute is refused; a scan's filter sees it
    /// as missing.
    pub(super) fn reads_whole(
        &self,
        select: Option<&str>,
        projection: Option<&BoundProjection>,
        filter: Option<&BoundCondition>,
        of_query: bool,
    ) -> Result<bool, AwsError> {
        let Some(index) = self.source().index.map(|index| &index.schema) else { return Ok(false) };
        let held = |name: &str| index.projects(&self.table.schema.keys, name.as_bytes());
        let filtered: Vec<String> =
            filter.into_iter().flat_map(BoundCondition::roots).filter(|name| !held(name)).collect();
        let missing: Vec<&str> =
            projection.into_iter().flat_map(BoundProjection::roots).filter(|name| !held(name)).collect();
        if index.local {
            let all = select == Some("ALL_ATTRIBUTES") && index.projection != Projection::All;
            return Ok(all || !missing.is_empty() || !filtered.is_empty());
        }
        if of_query && !filtered.is_empty() {
            return Err(AwsError::validation(format!(
                "One or more parameter values were invalid: Secondary index {} does not project one or more filter attributes: [{}]",
                index.name,
                filtered.join(", ")
            )));
        }
        if missing.is_empty() {
            return Ok(false);
        }
        Err(AwsError::validation(format!(
            "One or more parameter values were invalid: Global secondary index {} does not project [{}]",
            index.name,
            missing.join(", ")
        )))
    }
}
