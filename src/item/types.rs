//! The types of attributes and of keys.

use std::fmt;

/// The ten types of an attribute, by `DynamoDB`'s names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttrType {
    /// String, UTF-8.
    S,
    /// Number.
    N,
    /// Binary.
    B,
    /// Boolean.
    Bool,
    /// Null.
    Null,
    /// Map.
    M,
    /// List.
    L,
    /// Set of strings.
    Ss,
    /// Set of numbers.
    Ns,
    /// Set of binaries.
    Bs,
}

impl AttrType {
    /// Every type.
    pub const ALL: [Self; 10] =
        [Self::S, Self::N, Self::B, Self::Bool, Self::Null, Self::M, Self::L, Self::Ss, Self::Ns, Self::Bs];

    /// `DynamoDB`'s type tag: `S`, `N`, `B`, `BOOL`, `NULL`, `M`, `L`, `SS`, `NS` or `BS`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
            Self::Bool => "BOOL",
            Self::Null => "NULL",
            Self::M => "M",
            Self::L => "L",
            Self::Ss => "SS",
            Self::Ns => "NS",
            Self::Bs => "BS",
        }
    }

    /// The type of a tag, exact in case.
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.tag() == tag)
    }

    /// True for the three set types.
    pub fn is_set(self) -> bool {
        matches!(self, Self::Ss | Self::Ns | Self::Bs)
    }
}

impl fmt::Display for AttrType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

/// The three types a key attribute may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// String.
    S,
    /// Number.
    N,
    /// Binary.
    B,
}

impl KeyType {
    /// The attribute type.
    pub fn attr_type(self) -> AttrType {
        match self {
            Self::S => AttrType::S,
            Self::N => AttrType::N,
            Self::B => AttrType::B,
        }
    }

    /// `S`, `N` or `B`.
    pub fn tag(self) -> &'static str {
        self.attr_type().tag()
    }

    /// What AWS calls an empty value of it.
    pub(crate) fn empty_name(self) -> &'static str {
        if self == Self::B { "binary" } else { "string" }
    }

    /// The key type of an attribute type, if it may be a key.
    pub fn from_attr_type(attr_type: AttrType) -> Option<Self> {
        match attr_type {
            AttrType::S => Some(Self::S),
            AttrType::N => Some(Self::N),
            AttrType::B => Some(Self::B),
            _ => None,
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}
