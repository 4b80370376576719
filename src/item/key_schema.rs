//! Key attributes, and the keys of an item.

use super::bytes::is_utf8;
use super::keys::KeyBytes;
use super::{AttributeValueRef, ItemError, KeyType, Number};

/// A key attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttr {
    /// The attribute's name.
    pub name: String,
    /// Its type.
    pub key_type: KeyType,
}

impl KeyAttr {
    /// A key attribute.
    pub fn new(name: impl Into<String>, key_type: KeyType) -> Self {
        Self { name: name.into(), key_type }
    }

    /// The value that a text given for this key denotes.
    ///
    /// # Errors
    /// For a string that is not UTF-8, or no number.
    pub fn value_of_text<'t>(&self, text: &'t [u8]) -> Result<AttributeValueRef<'t>, ItemError> {
        match self.key_type {
            KeyType::S if !is_utf8(text) => {
                Err(ItemError::BadText { name: self.name.clone(), reason: "a string must be UTF-8" })
            }
            KeyType::S => Ok(AttributeValueRef::S(text)),
            KeyType::B => Ok(AttributeValueRef::B(text)),
            KeyType::N => Ok(AttributeValueRef::N(Number::from_text(text)?)),
        }
    }

    /// Whether a value can be a key: it has the right type and is not empty.
    pub(super) fn takes(&self, value: &AttributeValueRef<'_>) -> bool {
        value.attr_type() == self.key_type.attr_type() && !value.as_bytes().is_some_and(<[u8]>::is_empty)
    }
}

/// Partition key and perhaps sort key of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySchema {
    /// Partition key.
    pub pk: KeyAttr,
    /// Sort key.
    pub sk: Option<KeyAttr>,
}

impl KeySchema {
    /// The key attributes, partition key first.
    pub fn attrs(&self) -> impl Iterator<Item = &KeyAttr> {
        std::iter::once(&self.pk).chain(self.sk.as_ref())
    }

    /// True when `name` is one of them.
    pub fn is_key(&self, name: &[u8]) -> bool {
        self.attrs().any(|attr| attr.name.as_bytes() == name)
    }
}

/// The keys of an item as ordered bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKeys {
    /// Partition key.
    pub pk: KeyBytes,
    /// Sort key; empty when the table has none.
    pub sk: KeyBytes,
}
