//! Secondary indexes: their definition, the keys and bytes of their entries.
//!
//! An entry's keys order the index: `pk` is the index's partition key, its attributes self-delimiting (of a local index
//! the table's partition key as the table has it), and `sk` is
//!
//! ```text
//! index sort key attributes, each self-delimiting
//! table partition key, self-delimiting         of global indexes
//! table sort key                               as the table has it
//! ```
//! so that entries are unique and an entry contains its item's keys. An entry's bytes are
//!
//! ```text
//! expiry (varint)   when the item expires in ms since 1970, 0 for never
//! item              the keys and projected attributes, as an item
//! ```

use super::bytes::{Reader, put_block, put_varint};
use super::codec::ITEM_VERSION;
use super::key_schema::{ItemKeys, KeyAttr, KeySchema};
use super::keys::{KeyBytes, put_key_part, put_key_part_prefix, read_key_part, skip_key_part};
use super::{ItemError, ItemLimits, ItemRef, KeyType};

/// Which attributes an index holds beside the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Projection {
    /// All.
    All,
    /// None.
    KeysOnly,
    /// Those named.
    Include(Vec<String>),
}

impl Projection {
    /// AWS's name: `ALL`, `KEYS_ONLY` or `INCLUDE`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::KeysOnly => "KEYS_ONLY",
            Self::Include(_) => "INCLUDE",
        }
    }
}

/// The state of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexStatus {
    /// Every item that belongs in it is there.
    Active,
    /// Items from before it was added are still being entered.
    Creating,
    /// Complete, but entries are being written again because the table's TTL attribute has changed.
    Refreshing,
}

impl IndexStatus {
    /// Whether the index may be read.
    pub fn is_readable(self) -> bool {
        self != Self::Creating
    }
}

/// A secondary index: one to four partition key attributes and up to four sort key attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSchema {
    /// Name.
    pub name: String,
    /// Local indexes share the table's partition key.
    pub local: bool,
    /// Partition key attributes.
    pub pk: Vec<KeyAttr>,
    /// Sort key attributes.
    pub sk: Vec<KeyAttr>,
    /// What it holds.
    pub projection: Projection,
    /// The number of the space that its entries are kept in.
    pub space: u32,
    /// Its state.
    pub status: IndexStatus,
}

impl IndexSchema {
    /// Its key attributes, partition key first.
    pub fn attrs(&self) -> impl Iterator<Item = &KeyAttr> {
        self.pk.iter().chain(&self.sk)
    }

    pub(super) fn validate(&self) -> Result<(), ItemError> {
        if self.pk.is_empty() || self.pk.len() > 4 || self.sk.len() > 4 {
            return Err(ItemError::BadSchema(
                "an index has one to four partition and up to four sort attributes",
            ));
        }
        let all: Vec<&str> = self.attrs().map(|attr| attr.name.as_str()).collect();
        if all.iter().enumerate().any(|(at, name)| all.iter().skip(at + 1).any(|other| other == name)) {
            return Err(ItemError::BadSchema("an index has a key attribute twice"));
        }
        Ok(())
    }

    /// Finds a partition or sort key of the item that exceeds its limit. Returns the attribute at which it does, the
    /// key's size up to and with that attribute, and the limit. A key that has not changed since the item `old` is
    /// skipped.
    fn too_long(
        &self,
        old: ItemRef<'_>,
        item: &ItemRef<'_>,
        limits: &ItemLimits,
    ) -> Option<(&KeyAttr, usize, usize)> {
        let most = ItemLimits::DYNAMODB;
        let partition = limits.max_partition_key_bytes.min(most.max_partition_key_bytes);
        let keys = [
            // A local index has the table's partition key, which is checked elsewhere.
            (&self.pk, if self.local { usize::MAX } else { partition }),
            (&self.sk, limits.max_sort_key_bytes.min(most.max_sort_key_bytes)),
        ];
        let changed = |attr: &KeyAttr| old.get(&attr.name) != item.get(&attr.name);
        keys.into_iter().filter(|(attrs, _)| attrs.iter().any(changed)).find_map(|(attrs, limit)| {
            let mut size = 0;
            let passes = attrs.iter().find(|attr| {
                size += item.get(&attr.name).map_or(0, |value| value.size());
                size > limit
            })?;
            Some((passes, size, limit))
        })
    }

    /// Checks that the index's key attributes, as far as the item has them, have the right type, are not empty and not
    /// too long. Attributes that have not changed since the item `old` are skipped.
    ///
    /// # Errors
    /// The ones `PutItem` answers.
    pub(super) fn check_item(
        &self,
        old: ItemRef<'_>,
        item: &ItemRef<'_>,
        limits: &ItemLimits,
    ) -> Result<(), ItemError> {
        for attr in self.attrs() {
            let Some(value) = item.get(&attr.name).filter(|value| old.get(&attr.name) != Some(*value)) else {
                continue;
            };
            if value.attr_type() != attr.key_type.attr_type() {
                return Err(ItemError::IndexKeyTypeMismatch {
                    name: attr.name.clone(),
                    expected: attr.key_type,
                    actual: value.attr_type(),
                    index: self.name.clone(),
                });
            }
            if value.as_bytes().is_some_and(<[u8]>::is_empty) {
                return Err(ItemError::EmptyIndexKey {
                    name: attr.name.clone(),
                    key_type: attr.key_type,
                    index: self.name.clone(),
                });
            }
        }
        match self.too_long(old, item, limits) {
            None => Ok(()),
            Some((attr, actual, limit)) => {
                let (name, index) = (attr.name.clone(), self.name.clone());
                Err(ItemError::IndexKeyTooLong { name, actual, limit, index })
            }
        }
    }

    /// Whether an item is in the index: it has all of its key attributes, and they can be a key. It depends only on the
    /// item, so that an index's content does not depend on options or on when the index was made.
    fn holds(&self, item: &ItemRef<'_>) -> bool {
        let fits = |attr: &KeyAttr| item.get(&attr.name).is_some_and(|value| attr.takes(&value));
        self.attrs().all(fits) && self.too_long(ItemRef::EMPTY, item, &ItemLimits::DYNAMODB).is_none()
    }

    /// The keys of the item's entry, if it is in the index. `keys` are the item's own.
    pub fn entry_keys(&self, table: &KeySchema, keys: &ItemKeys, item: &ItemRef<'_>) -> Option<ItemKeys> {
        if self.holds(item) { self.possible_entry_keys(table, keys, item) } else { None }
    }

    /// The keys of the item's entry, also if its keys are too long for the index: earlier versions made such entries.
    /// `None` when the item lacks a key attribute or has one that cannot be a key.
    pub fn possible_entry_keys(
        &self,
        table: &KeySchema,
        keys: &ItemKeys,
        item: &ItemRef<'_>,
    ) -> Option<ItemKeys> {
        let put = |out: &mut KeyBytes, attr: &KeyAttr| {
            let value = item.get(&attr.name)?;
            (attr.takes(&value) && put_key_part(out, &value)).then_some(())
        };
        let (mut pk, mut sk) = (KeyBytes::new(), KeyBytes::new());
        if self.local {
            pk.extend_from_slice(&keys.pk);
        } else {
            self.pk.iter().try_for_each(|attr| put(&mut pk, attr))?;
        }
        self.sk.iter().try_for_each(|attr| put(&mut sk, attr))?;
        self.put_table_keys(table, keys, &mut sk);
        Some(ItemKeys { pk, sk })
    }

    /// The size of the item's entry in bytes by AWS's rules; `None` when it is not in the index.
    pub(super) fn entry_size(&self, table: &KeySchema, item: &ItemRef<'_>) -> Option<usize> {
        if !self.holds(item) {
            return None;
        }
        let held = item.iter().filter(|(name, _)| self.projects(table, name));
        Some(held.map(|(name, value)| name.len() + value.size()).sum())
    }

    /// Appends the table's keys, which make an entry unique.
    fn put_table_keys(&self, table: &KeySchema, keys: &ItemKeys, out: &mut KeyBytes) {
        if !self.local {
            match table.pk.key_type {
                // A number is self-delimiting as it is.
                KeyType::N => out.extend_from_slice(&keys.pk),
                KeyType::S | KeyType::B => {
                    put_key_part_prefix(out, &keys.pk);
                    out.extend_from_slice(&[0, 0]);
                }
            }
        }
        out.extend_from_slice(&keys.sk);
    }

    /// The keys of an entry's item; `None` for keys that no entry of this index can have.
    pub fn item_keys(&self, table: &KeySchema, entry: &ItemKeys) -> Option<ItemKeys> {
        let mut rest = entry.sk.as_slice();
        for attr in &self.sk {
            read_key_part(attr.key_type, &mut rest).ok()?;
        }
        let pk = if self.local {
            entry.pk.clone()
        } else {
            let mut whole = entry.pk.as_slice();
            for attr in &self.pk {
                read_key_part(attr.key_type, &mut whole).ok()?;
            }
            whole.is_empty().then_some(())?;
            let value = read_key_part(table.pk.key_type, &mut rest).ok()?;
            let mut pk = KeyBytes::new();
            super::keys::put_key(&mut pk, &super::EncodedValue::new(&value).ok()?.view());
            pk
        };
        Some(ItemKeys { pk, sk: KeyBytes::from_slice(rest) })
    }

    /// The table's sort key of the item of a local index's entry.
    pub fn table_sort_key<'k>(&self, entry: &'k [u8]) -> Option<&'k [u8]> {
        self.sk.iter().try_fold(entry, |rest, attr| skip_key_part(attr.key_type, rest))
    }

    /// Whether it holds an attribute.
    pub fn projects(&self, table: &KeySchema, name: &[u8]) -> bool {
        match &self.projection {
            Projection::All => true,
            _ if table.is_key(name) || self.attrs().any(|attr| attr.name.as_bytes() == name) => true,
            Projection::KeysOnly => false,
            Projection::Include(names) => names.iter().any(|other| other.as_bytes() == name),
        }
    }

    /// The bytes of an item's entry.
    pub fn put_entry(&self, table: &KeySchema, item: ItemRef<'_>, expiry: u64, out: &mut Vec<u8>) {
        if self.projection == Projection::All {
            return put_whole(item, expiry, out);
        }
        let attributes = item.attributes();
        let held = |name: &[u8]| self.projects(table, name);
        put_varint(out, expiry);
        out.push(ITEM_VERSION);
        put_varint(out, attributes.raw_entries().filter(|(name, _)| held(name)).count() as u64);
        for (name, value) in attributes.raw_entries().filter(|(name, _)| held(name)) {
            put_block(out, name);
            out.extend_from_slice(value);
        }
    }
}

/// The bytes of an entry that holds a whole item.
fn put_whole(item: ItemRef<'_>, expiry: u64, out: &mut Vec<u8>) {
    put_varint(out, expiry);
    out.extend_from_slice(item.as_bytes());
}

/// When an entry's item expires in ms since 1970, 0 for never, and what the entry holds of it.
pub fn entry_item(entry: &[u8]) -> (u64, ItemRef<'_>) {
    let mut reader = Reader::new(entry);
    let expiry = reader.varint().unwrap_or(0);
    (expiry, ItemRef::from_bytes_unchecked(reader.rest()))
}

#[cfg(test)]
mod tests {
    use super::super::TableSchema;
    use super::*;
    use crate::item::{AttributeValue, Item, ItemBuilder};
    use proptest::prelude::*;

    fn attr(name: &str, key_type: KeyType) -> KeyAttr {
        KeyAttr::new(name, key_type)
    }

    fn schema(pk: KeyType, sk: Option<KeyType>) -> TableSchema {
        TableSchema::new(attr("id", pk), sk.map(|key_type| attr("at", key_type)))
    }

    fn index(local: bool) -> IndexSchema {
        IndexSchema {
            name: "ix".into(),
            local,
            pk: if local {
                vec![attr("id", KeyType::S)]
            } else {
                vec![attr("a", KeyType::S), attr("b", KeyType::N)]
            },
            sk: vec![attr("c", KeyType::B), attr("d", KeyType::N)],
            projection: Projection::Include(vec!["e".into()]),
            space: 9,
            status: IndexStatus::Active,
        }
    }

    fn item(entries: &[(&str, AttributeValue)]) -> Item {
        let mut builder = ItemBuilder::new();
        for (name, value) in entries {
            builder.put_owned(name, value).unwrap();
        }
        builder.finish()
    }

    fn value(key_type: KeyType, text: &str, number: i64) -> AttributeValue {
        match key_type {
            KeyType::S => text.into(),
            KeyType::B => AttributeValue::B(text.as_bytes().to_vec()),
            KeyType::N => number.into(),
        }
    }

    fn any_type() -> impl Strategy<Value = KeyType> {
        prop_oneof![Just(KeyType::S), Just(KeyType::N), Just(KeyType::B)]
    }

    proptest! {
        #[test]
        fn an_entry_leads_back_to_its_item(
            local: bool, pk in any_type(), sk in prop::option::of(any_type()),
            text in "[\\x00a\u{e9}]{1,4}", other in "[\\x00b]{1,3}", number: i64, expiry: u64,
        ) {
            let sk = if local { Some(sk.unwrap_or(KeyType::S)) } else { sk };
            let (schema, mut index) = (schema(pk, sk), index(local));
            if local {
                index.pk = vec![schema.keys.pk.clone()];
            }
            let mut entries = vec![
                ("id", value(pk, &text, number)), ("a", other.as_str().into()), ("b", number.into()),
                ("c", AttributeValue::B(text.clone().into_bytes())), ("d", 7.into()), ("e", true.into()), ("f", 1.into()),
            ];
            entries.extend(sk.map(|sk| ("at", value(sk, &other, -7))));
            let whole = item(&entries);
            let keys = schema.item_keys(&whole.view(), &ItemLimits::DYNAMODB).unwrap();
            let entry = index.entry_keys(&schema.keys, &keys, &whole.view()).unwrap();
            prop_assert_eq!(index.item_keys(&schema.keys, &entry), Some(keys.clone()));
            if local {
                prop_assert_eq!(&entry.pk, &keys.pk);
                prop_assert_eq!(index.table_sort_key(&entry.sk), Some(keys.sk.as_slice()));
            }
            let mut bytes = Vec::new();
            index.put_entry(&schema.keys, whole.view(), expiry, &mut bytes);
            let (at, held) = entry_item(&bytes);
            let names: Vec<String> = held.to_map().into_keys().collect();
            let mut expected: Vec<&str> = entries.iter().map(|(name, _)| *name).filter(|name| {
                *name != "f" && !(local && ["a", "b"].contains(name))
            }).collect();
            expected.sort_unstable();
            prop_assert_eq!((at, names), (expiry, expected.into_iter().map(str::to_owned).collect()));
            crate::item::decode_item(held.as_bytes(), 32).unwrap();
            prop_assert_eq!(index.entry_size(&schema.keys, &whole.view()), Some(held.size()));
        }

        #[test]
        fn foreign_keys_never_panic(pk: Vec<u8>, sk: Vec<u8>, local: bool) {
            let (schema, index) = (schema(KeyType::N, Some(KeyType::B)), index(local));
            let entry = ItemKeys { pk: KeyBytes::from_vec(pk), sk: KeyBytes::from_vec(sk) };
            let _ = (index.item_keys(&schema.keys, &entry), index.table_sort_key(&entry.sk));
        }
    }

    #[test]
    fn an_index_holds_keys_of_limited_length() {
        let (schema, index) = (schema(KeyType::S, None), index(false));
        let keys = ItemKeys { pk: KeyBytes::from_slice(b"i"), sk: KeyBytes::new() };
        // The numbers have two bytes each.
        for (a, c, name, refused) in [
            (2046, 1022, "", None),
            (2047, 1022, "b", Some((2049, 2048))),
            (2049, 1, "a", Some((2049, 2048))),
            (2046, 1023, "d", Some((1025, 1024))),
            (1, 1025, "c", Some((1025, 1024))),
        ] {
            let item = item(&[
                ("id", "i".into()),
                ("a", "a".repeat(a).as_str().into()),
                ("b", 1.into()),
                ("c", AttributeValue::B(vec![1; c])),
                ("d", 1.into()),
            ]);
            let error = refused.map(|(actual, limit)| ItemError::IndexKeyTooLong {
                name: name.into(),
                actual,
                limit,
                index: "ix".into(),
            });
            // Options can lower the limits of indexes, but not raise them.
            for limits in [ItemLimits::DYNAMODB, ItemLimits::UNLIMITED] {
                assert_eq!(index.check_item(ItemRef::EMPTY, &item.view(), &limits).err(), error, "{a} {c}");
            }
            let entry = index.entry_keys(&schema.keys, &keys, &item.view());
            assert_eq!(entry.is_some(), error.is_none());
            assert_eq!(index.entry_size(&schema.keys, &item.view()).is_some(), error.is_none());
            assert!(index.possible_entry_keys(&schema.keys, &keys, &item.view()).is_some());
        }
    }

    #[test]
    fn keys_that_cannot_be_are_refused_or_left_out() {
        let (schema, index) = (schema(KeyType::S, None), index(false));
        let good = [
            ("id", "i".into()),
            ("a", "a".into()),
            ("b", 1.into()),
            ("c", AttributeValue::B(vec![0])),
            ("d", 1.into()),
        ];
        let limits = ItemLimits { max_partition_key_bytes: 5, max_sort_key_bytes: 5, ..ItemLimits::DYNAMODB };
        for (at, bad, refused) in [
            (1, AttributeValue::from(""), "cannot contain an empty string value"),
            (3, AttributeValue::B(Vec::new()), "cannot contain an empty binary value"),
            (2, "1".into(), "Type mismatch for Index Key b Expected: N Actual: S IndexName: ix"),
        ] {
            let mut entries = good.clone();
            entries[at].1 = bad;
            let item = item(&entries);
            let error = index.check_item(ItemRef::EMPTY, &item.view(), &limits).unwrap_err().to_string();
            assert!(error.contains(refused), "{error}");
            let keys = ItemKeys { pk: KeyBytes::from_slice(b"i"), sk: KeyBytes::new() };
            assert_eq!(index.entry_keys(&schema.keys, &keys, &item.view()), None);
        }
        let mut long = good.clone();
        long[1].1 = "aaaa".into();
        assert_eq!(
            index.check_item(ItemRef::EMPTY, &item(&long).view(), &limits),
            Err(ItemError::IndexKeyTooLong { name: "b".into(), actual: 6, limit: 5, index: "ix".into() }),
            "the attributes count together"
        );
        let map = item(&good);
        assert!(index.key_map_keys(&schema, &map.view(), &ItemLimits::DYNAMODB).is_ok());
        let mut more = good.to_vec();
        more.push(("x", 1.into()));
        assert_eq!(
            index.key_map_keys(&schema, &item(&more).view(), &ItemLimits::DYNAMODB),
            Err(ItemError::KeyMismatch)
        );
    }
}
