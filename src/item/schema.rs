//! The definition of a table: its key attributes, indexes, streams and settings.

use std::collections::BTreeMap;

use super::index::IndexSchema;
use super::key_schema::{ItemKeys, KeyAttr, KeySchema};
use super::keys::{KeyBytes, put_key};
use super::stream::StreamSpan;
use super::{AttrType, AttributeValue, AttributeValueRef, ItemError, ItemLimits, ItemRef, KeyType, Template};

/// The setting that marks the remains of a dropped table.
const DROPPED: &str = "dropped";

/// The definition of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// Keys.
    pub keys: KeySchema,
    /// Attribute whose number is the time, in seconds since 1970, at which an item expires.
    pub ttl: Option<String>,
    /// The spans of time in which changes are recorded, ascending. A span that has ended stays until its records are
    /// gone.
    pub streams: Vec<StreamSpan>,
    /// Declared types of attributes that are not keys, ascending by name.
    pub attrs: BTreeMap<String, AttrType>,
    /// Secondary indexes.
    pub indexes: Vec<IndexSchema>,
    /// Settings that are kept and reported.
    pub settings: BTreeMap<String, String>,
    /// The template of the keys that are views of items.
    pub template: Option<String>,
    /// Whether hashes that fit the template may not all be items yet. The table is not ready while this is true.
    pub lifting: bool,
}

impl TableSchema {
    /// A table with these keys and nothing else.
    pub fn new(pk: KeyAttr, sk: Option<KeyAttr>) -> Self {
        Self {
            keys: KeySchema { pk, sk },
            ttl: None,
            streams: Vec::new(),
            attrs: BTreeMap::new(),
            indexes: Vec::new(),
            settings: BTreeMap::new(),
            template: None,
            lifting: false,
        }
    }

    /// The template of the keys that are views of items.
    ///
    /// # Errors
    /// [`ItemError::BadTemplate`].
    pub fn template(&self) -> Result<Option<Template>, ItemError> {
        self.template.as_deref().map(|text| Template::parse(text, &self.keys)).transpose()
    }

    /// The change stream, if changes are recorded.
    #[inline]
    pub fn stream(&self) -> Option<&StreamSpan> {
        self.streams.last().filter(|span| span.end.is_none())
    }

    /// What remains of the table after it is dropped: its keys, and the spans in which its changes were recorded.
    pub fn dropped(&self) -> Self {
        let mut left = Self::new(self.keys.pk.clone(), self.keys.sk.clone());
        left.streams.clone_from(&self.streams);
        left.settings.insert(DROPPED.to_owned(), String::new());
        left
    }

    /// Whether this is what remains of a dropped table.
    pub fn is_dropped(&self) -> bool {
        self.settings.contains_key(DROPPED)
    }

    /// The type of an attribute that is a key, of the table or an index, or declared.
    pub fn declared_type(&self, name: &str) -> Option<AttrType> {
        let index_keys = self.indexes.iter().flat_map(|index| index.pk.iter().chain(&index.sk));
        let mut keys = self.keys.attrs().chain(index_keys);
        keys.find(|attr| attr.name == name)
            .map(|attr| attr.key_type.attr_type())
            .or_else(|| self.attrs.get(name).copied())
    }

    /// Checks the definition: names, at most four attributes on each side of an index key, no key attribute twice
    /// or with two types, no index twice, a template that fits the keys.
    ///
    /// # Errors
    /// [`ItemError::BadSchema`], [`ItemError::BadTemplate`], [`ItemError::NameLength`] or [`ItemError::NamePattern`].
    pub fn validate(&self) -> Result<(), ItemError> {
        self.template()?;
        if self.keys.sk.as_ref().is_some_and(|sk| sk.name == self.keys.pk.name) {
            return Err(ItemError::BadSchema("partition key and sort key are the same attribute"));
        }
        let mut types: BTreeMap<&str, KeyType> = BTreeMap::new();
        let mut names: Vec<&str> = Vec::new();
        let index_keys = self.indexes.iter().flat_map(|index| index.pk.iter().chain(&index.sk));
        for attr in self.keys.attrs().chain(index_keys) {
            if attr.name.is_empty() || attr.name.len() > 255 {
                return Err(ItemError::BadSchema("a key attribute's name must have 1 to 255 bytes"));
            }
            if types.insert(&attr.name, attr.key_type).is_some_and(|other| other != attr.key_type) {
                return Err(ItemError::BadSchema("a key attribute has two types"));
            }
        }
        if self
            .attrs
            .iter()
            .any(|(name, t)| types.get(name.as_str()).is_some_and(|key_type| key_type.attr_type() != *t))
        {
            return Err(ItemError::BadSchema("a key attribute has two types"));
        }
        for index in &self.indexes {
            if index.name.is_empty() || index.name.len() > 255 || !index.name.bytes().all(of_resource_name) {
                return Err(ItemError::BadSchema(
                    "an index's name is 1 to 255 of the characters a-z A-Z 0-9 _ . -",
                ));
            }
            if names.contains(&index.name.as_str()) {
                return Err(ItemError::BadSchema("two indexes have one name"));
            }
            names.push(&index.name);
            index.validate()?;
            if index.local && (index.pk.len() != 1 || index.pk.first() != Some(&self.keys.pk)) {
                return Err(ItemError::BadSchema("a local index has the table's partition key"));
            }
            if index.local && (index.sk.is_empty() || self.keys.sk.is_none()) {
                return Err(ItemError::BadSchema("a local index needs a sort key, and so does its table"));
            }
        }
        Ok(())
    }

    /// The item's keys. Checks first that all key attributes exist, have the right types, are not empty and not too
    /// long, and the same for those index key attributes that the item has.
    ///
    /// # Errors
    /// The ones `PutItem` answers.
    pub fn item_keys(&self, item: &ItemRef<'_>, limits: &ItemLimits) -> Result<ItemKeys, ItemError> {
        let pk = checked_key(&self.keys.pk, item)?;
        let sk = match &self.keys.sk {
            Some(attr) => Some(checked_key(attr, item)?),
            None => None,
        };
        self.check_index_keys(ItemRef::EMPTY, item, limits)?;
        encode_keys(&pk, sk.as_ref(), limits)
    }

    /// Checks the key attributes of indexes in an item as [`TableSchema::item_keys`] does. Attributes that have not
    /// changed since the item `old` are skipped, so that an item that an index cannot hold can still be updated
    /// elsewhere.
    ///
    /// # Errors
    /// The ones `PutItem` answers.
    pub fn check_index_keys(
        &self,
        old: ItemRef<'_>,
        item: &ItemRef<'_>,
        limits: &ItemLimits,
    ) -> Result<(), ItemError> {
        self.indexes.iter().try_for_each(|index| index.check_item(old, item, limits))
    }

    /// Checks an item against the limit on its size. Its entries in local indexes count with it.
    ///
    /// # Errors
    /// [`ItemError::ItemTooLarge`].
    pub fn check_size(&self, item: &ItemRef<'_>, limits: &ItemLimits) -> Result<(), ItemError> {
        let locals = || self.indexes.iter().filter(|index| index.local);
        // No value counts more than three times its stored bytes (a small number in a list counts that much), so a
        // small item need not be measured. An entry counts at most as much as its item.
        if item.as_bytes().len() * 4 * (1 + locals().count()) < limits.max_item_bytes {
            return Ok(());
        }
        let entries = locals().filter_map(|index| index.entry_size(&self.keys, item)).sum::<usize>();
        if item.size() + entries > limits.max_item_bytes { Err(ItemError::ItemTooLarge) } else { Ok(()) }
    }

    /// The keys that a map of exactly the key attributes denotes, as `GetItem` takes it.
    ///
    /// # Errors
    /// [`ItemError::KeyMismatch`] unless names and types are the schema's, else as [`TableSchema::item_keys`].
    pub fn key_map_keys(&self, key: &ItemRef<'_>, limits: &ItemLimits) -> Result<ItemKeys, ItemError> {
        if key.len() != self.keys.attrs().count() {
            return Err(ItemError::KeyMismatch);
        }
        for attr in self.keys.attrs() {
            let value = key.get(&attr.name).ok_or(ItemError::KeyMismatch)?;
            if value.attr_type() != attr.key_type.attr_type() {
                return Err(ItemError::KeyMismatch);
            }
        }
        let pk = checked_key(&self.keys.pk, key)?;
        let sk = self.keys.sk.as_ref().map(|attr| checked_key(attr, key)).transpose()?;
        encode_keys(&pk, sk.as_ref(), limits)
    }

    /// The keys that texts denote, as a command line gives them; `sk` exactly when the table has a sort key.
    ///
    /// # Errors
    /// [`ItemError::KeyMismatch`] when a sort key is missing or too many, else as [`TableSchema::item_keys`].
    pub fn text_keys(
        &self,
        pk: &[u8],
        sk: Option<&[u8]>,
        limits: &ItemLimits,
    ) -> Result<ItemKeys, ItemError> {
        let pk = not_empty(&self.keys.pk, self.keys.pk.value_of_text(pk)?)?;
        let sk = match (&self.keys.sk, sk) {
            (Some(attr), Some(text)) => Some(not_empty(attr, attr.value_of_text(text)?)?),
            (None, None) => None,
            _ => return Err(ItemError::KeyMismatch),
        };
        encode_keys(&pk, sk.as_ref(), limits)
    }

    /// The key attributes, with their names, that encoded keys stand for.
    ///
    /// # Errors
    /// When the bytes are not keys of this schema.
    pub fn keys_to_map(&self, keys: &ItemKeys) -> Result<BTreeMap<String, AttributeValue>, ItemError> {
        let mut map = BTreeMap::new();
        let pk = super::keys::read_key(self.keys.pk.key_type, &keys.pk)?;
        map.insert(self.keys.pk.name.clone(), pk);
        if let Some(attr) = &self.keys.sk {
            map.insert(attr.name.clone(), super::keys::read_key(attr.key_type, &keys.sk)?);
        }
        Ok(map)
    }
}

impl IndexSchema {
    /// The keys of an entry, as a map of exactly the key attributes of index and table denotes them, the form in which
    /// `LastEvaluatedKey` is given out.
    ///
    /// # Errors
    /// [`ItemError::KeyMismatch`] unless names and types are those.
    pub fn key_map_keys(
        &self,
        schema: &TableSchema,
        map: &ItemRef<'_>,
        limits: &ItemLimits,
    ) -> Result<ItemKeys, ItemError> {
        let own = self.attrs().filter(|attr| !schema.keys.is_key(attr.name.as_bytes())).count();
        if map.len() != own + schema.keys.attrs().count() {
            return Err(ItemError::KeyMismatch);
        }
        let fits = |attr: &KeyAttr| {
            let value: Option<AttributeValueRef<'_>> = map.get(&attr.name);
            value.is_some_and(|value| value.attr_type() == attr.key_type.attr_type())
        };
        if !self.attrs().chain(schema.keys.attrs()).all(fits) {
            return Err(ItemError::KeyMismatch);
        }
        let keys = schema.item_keys(map, limits)?;
        self.entry_keys(&schema.keys, &keys, map).ok_or(ItemError::KeyMismatch)
    }
}

fn checked_key<'a>(attr: &KeyAttr, item: &ItemRef<'a>) -> Result<AttributeValueRef<'a>, ItemError> {
    let value = item.get(&attr.name).ok_or_else(|| ItemError::MissingKey(attr.name.clone()))?;
    if value.attr_type() != attr.key_type.attr_type() {
        return Err(ItemError::KeyTypeMismatch {
            name: attr.name.clone(),
            expected: attr.key_type,
            actual: value.attr_type(),
        });
    }
    not_empty(attr, value)
}

fn not_empty<'a>(attr: &KeyAttr, value: AttributeValueRef<'a>) -> Result<AttributeValueRef<'a>, ItemError> {
    if value.as_bytes().is_some_and(<[u8]>::is_empty) {
        return Err(ItemError::EmptyKey { name: attr.name.clone(), key_type: attr.key_type });
    }
    Ok(value)
}

fn encode_keys(
    pk: &AttributeValueRef<'_>,
    sk: Option<&AttributeValueRef<'_>>,
    limits: &ItemLimits,
) -> Result<ItemKeys, ItemError> {
    if pk.size() > limits.max_partition_key_bytes {
        return Err(ItemError::PartitionKeyTooLong(limits.max_partition_key_bytes));
    }
    let mut keys = ItemKeys { pk: KeyBytes::new(), sk: KeyBytes::new() };
    put_key(&mut keys.pk, pk);
    if let Some(sk) = sk {
        if sk.size() > limits.max_sort_key_bytes {
            return Err(ItemError::SortKeyTooLong(limits.max_sort_key_bytes));
        }
        put_key(&mut keys.sk, sk);
    }
    Ok(keys)
}

fn of_resource_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Checks the name of a table or index: 3 to 255 of `a-z A-Z 0-9 _ . -`.
///
/// # Errors
/// [`ItemError::NameLength`] or [`ItemError::NamePattern`], with `field` naming what it is, as `TableName`.
pub fn check_resource_name(field: &'static str, name: &str) -> Result<(), ItemError> {
    if !name.bytes().all(of_resource_name) {
        return Err(ItemError::NamePattern { field, name: name.to_owned() });
    }
    if !(3..=255).contains(&name.len()) {
        return Err(ItemError::NameLength { field });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{IndexStatus, Item, ItemBuilder, Projection};

    fn schema() -> TableSchema {
        let mut schema =
            TableSchema::new(KeyAttr::new("id", KeyType::S), Some(KeyAttr::new("at", KeyType::N)));
        schema.indexes.push(IndexSchema {
            name: "by-mail".into(),
            local: false,
            pk: vec![KeyAttr::new("mail", KeyType::S)],
            sk: vec![KeyAttr::new("at", KeyType::N)],
            projection: Projection::All,
            space: 0,
            status: IndexStatus::Active,
        });
        schema
    }

    fn item(entries: &[(&str, AttributeValue)]) -> Item {
        let mut builder = ItemBuilder::new();
        for (name, value) in entries {
            builder.put_owned(name, value).unwrap();
        }
        builder.finish()
    }

    #[test]
    fn keys_come_from_items_maps_and_texts_alike() {
        let (schema, limits) = (schema(), ItemLimits::DYNAMODB);
        let full = item(&[("id", "a".into()), ("at", 5.into()), ("x", true.into())]);
        let keys = schema.item_keys(&full.view(), &limits).unwrap();
        let map = item(&[("id", "a".into()), ("at", 5.into())]);
        assert_eq!(schema.key_map_keys(&map.view(), &limits).unwrap(), keys);
        assert_eq!(schema.text_keys(b"a", Some(b"5.0"), &limits).unwrap(), keys);
        assert_eq!(schema.keys_to_map(&keys).unwrap(), map.view().to_map());
        assert_eq!(schema.key_map_keys(&full.view(), &limits), Err(ItemError::KeyMismatch));
        assert_eq!(schema.text_keys(b"a", None, &limits), Err(ItemError::KeyMismatch));
        assert_eq!(schema.declared_type("mail"), Some(AttrType::S));
    }

    #[test]
    fn refusals_carry_the_documented_texts() {
        let (schema, limits) = (schema(), ItemLimits::DYNAMODB);
        let refused = |entries: &[(&str, AttributeValue)]| {
            schema.item_keys(&item(entries).view(), &limits).unwrap_err().to_string()
        };
        assert_eq!(
            refused(&[("id", "a".into())]),
            "One or more parameter values were invalid: Missing the key at in the item"
        );
        assert_eq!(
            refused(&[("id", "a".into()), ("at", "x".into())]),
            "One or more parameter values were invalid: Type mismatch for key at expected: N actual: S"
        );
        assert_eq!(
            refused(&[("id", "".into()), ("at", 1.into())]),
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: id"
        );
        assert_eq!(
            refused(&[("id", "x".repeat(2049).as_str().into()), ("at", 1.into())]),
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
        );
        assert_eq!(
            refused(&[("id", "a".into()), ("at", 1.into()), ("mail", 1.into())]),
            "One or more parameter values were invalid: Type mismatch for Index Key mail Expected: S Actual: N IndexName: by-mail"
        );
    }

    #[test]
    fn indexes_are_sparse() {
        let schema = schema();
        let index = &schema.indexes[0];
        let without = item(&[("id", "a".into()), ("at", 5.into())]);
        let keys = schema.item_keys(&without.view(), &ItemLimits::DYNAMODB).unwrap();
        assert_eq!(index.entry_keys(&schema.keys, &keys, &without.view()), None);
        let with = item(&[("id", "a".into()), ("at", 5.into()), ("mail", "m".into())]);
        let entry = index.entry_keys(&schema.keys, &keys, &with.view()).unwrap();
        assert_eq!(entry.pk.as_slice(), b"m\0\0");
        assert_eq!(index.item_keys(&schema.keys, &entry), Some(keys));
    }

    #[test]
    fn definitions_are_checked() {
        assert_eq!(schema().validate(), Ok(()));
        let mut twice = schema();
        twice.indexes.push(twice.indexes[0].clone());
        assert!(twice.validate().is_err());
        let mut other_type = schema();
        other_type.indexes[0].sk[0].key_type = KeyType::S;
        assert!(other_type.validate().is_err());
        let mut local = schema();
        local.indexes[0].local = true;
        assert!(local.validate().is_err());
        assert_eq!(
            check_resource_name("TableName", "ab").unwrap_err().to_string(),
            "TableName must be at least 3 characters long and at most 255 characters long"
        );
        assert_eq!(
            check_resource_name("TableName", "a b").unwrap_err().to_string(),
            "1 validation error detected: Value 'a b' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        );
        assert!(check_resource_name("TableName", "a.b-C_9").is_ok());
    }
}
