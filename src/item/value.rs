//! `AttributeValue`: a value in its owned form, as requests bring it and updates build it.

use std::collections::{BTreeMap, BTreeSet};

use super::binary::to_base64;
use super::{AttrType, ItemError, Number};

/// An attribute's value. Sets are ordered and without duplicates by construction; [`AttributeValue::validate`] checks
/// that they are not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// String.
    S(String),
    /// Number.
    N(Number),
    /// Binary.
    B(Vec<u8>),
    /// Boolean.
    Bool(bool),
    /// Null.
    Null,
    /// Map.
    M(BTreeMap<String, AttributeValue>),
    /// List.
    L(Vec<AttributeValue>),
    /// Set of strings.
    Ss(BTreeSet<String>),
    /// Set of numbers.
    Ns(BTreeSet<Number>),
    /// Set of binaries.
    Bs(BTreeSet<Vec<u8>>),
}

impl AttributeValue {
    /// The value's type.
    pub fn attr_type(&self) -> AttrType {
        match self {
            Self::S(_) => AttrType::S,
            Self::N(_) => AttrType::N,
            Self::B(_) => AttrType::B,
            Self::Bool(_) => AttrType::Bool,
            Self::Null => AttrType::Null,
            Self::M(_) => AttrType::M,
            Self::L(_) => AttrType::L,
            Self::Ss(_) => AttrType::Ss,
            Self::Ns(_) => AttrType::Ns,
            Self::Bs(_) => AttrType::Bs,
        }
    }

    /// A set of strings.
    ///
    /// # Errors
    /// When `members` is empty or has duplicates.
    pub fn string_set(members: Vec<String>) -> Result<Self, ItemError> {
        let printed = |members: &[String]| format!("[{}]", members.join(", "));
        Ok(Self::Ss(unique(AttrType::Ss, members, printed)?))
    }

    /// A set of numbers, equal by value.
    ///
    /// # Errors
    /// As [`AttributeValue::string_set`].
    pub fn number_set(members: Vec<Number>) -> Result<Self, ItemError> {
        Ok(Self::Ns(unique(AttrType::Ns, members, |_| String::new())?))
    }

    /// A set of binaries.
    ///
    /// # Errors
    /// As [`AttributeValue::string_set`].
    pub fn binary_set(members: Vec<Vec<u8>>) -> Result<Self, ItemError> {
        let printed = |members: &[Vec<u8>]| {
            let members: Vec<String> = members.iter().map(|m| to_base64(m)).collect();
            format!("[{}]", members.join(", "))
        };
        Ok(Self::Bs(unique(AttrType::Bs, members, printed)?))
    }

    /// Checks what the type alone does not guarantee: no empty sets, names of 1 to 65535 bytes, and at most
    /// `max_depth` levels of containers.
    ///
    /// # Errors
    /// With the first violation.
    pub fn validate(&self, max_depth: usize) -> Result<(), ItemError> {
        match self {
            Self::Ss(set) if set.is_empty() => Err(ItemError::EmptySet(AttrType::Ss)),
            Self::Ns(set) if set.is_empty() => Err(ItemError::EmptySet(AttrType::Ns)),
            Self::Bs(set) if set.is_empty() => Err(ItemError::EmptySet(AttrType::Bs)),
            Self::L(_) | Self::M(_) if max_depth == 0 => Err(ItemError::TooDeep),
            Self::L(list) => list.iter().try_for_each(|value| value.validate(max_depth - 1)),
            Self::M(map) => map.iter().try_for_each(|(name, value)| {
                check_name(name.as_bytes())?;
                value.validate(max_depth - 1)
            }),
            _ => Ok(()),
        }
    }

    /// Levels of containers: 0 for scalars and sets, 1 for a list of scalars.
    pub fn depth(&self) -> usize {
        match self {
            Self::L(list) => 1 + list.iter().map(Self::depth).max().unwrap_or(0),
            Self::M(map) => 1 + map.values().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }
}

/// Checks an attribute name: 1 to 65535 bytes.
///
/// # Errors
/// When it is empty or longer.
pub fn check_name(name: &[u8]) -> Result<(), ItemError> {
    match name.len() {
        0 => Err(ItemError::EmptyName),
        1..=65535 => Ok(()),
        _ => Err(ItemError::NameTooLong),
    }
}

fn unique<T: Ord>(
    set: AttrType,
    members: Vec<T>,
    printed: impl FnOnce(&[T]) -> String,
) -> Result<BTreeSet<T>, ItemError> {
    if members.is_empty() {
        return Err(ItemError::EmptySet(set));
    }
    let mut sorted: Vec<&T> = members.iter().collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair.first() == pair.get(1)) {
        return Err(ItemError::DuplicateInSet(set, printed(&members)));
    }
    Ok(members.into_iter().collect())
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::S(text.to_owned())
    }
}

impl From<i64> for AttributeValue {
    fn from(value: i64) -> Self {
        Self::N(Number::from(value))
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
