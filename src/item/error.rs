//! Everything this room refuses, each with the text that `DynamoDB` answers where it has one.

use super::{AttrType, KeyType, NumberError};

/// Why a value, an item, a key or a schema was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// Not a number, or one outside the limits.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// A typed JSON value without a type tag.
    #[error("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")]
    NoType,
    /// A typed JSON value with several type tags.
    #[error(
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
    )]
    SeveralTypes,
    /// `{"NULL": false}`.
    #[error(
        "One or more parameter values were invalid: Null attribute value types must have the value of true"
    )]
    NullNotTrue,
    /// A set without members.
    #[error("One or more parameter values were invalid: {}", empty_set(*.0))]
    EmptySet(AttrType),
    /// A set that names a member twice; the text is the list of members as AWS prints it.
    #[error("{}", duplicates(*.0, .1))]
    DuplicateInSet(AttrType, String),
    /// A container deeper than the limit.
    #[error(
        "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
    )]
    TooDeep,
    /// An item larger than the limit.
    #[error("Item size has exceeded the maximum allowed size")]
    ItemTooLarge,
    /// An attribute without a name.
    #[error(
        "One or more parameter values were invalid: An AttributeValue may not contain an empty attribute name"
    )]
    EmptyName,
    /// An attribute name longer than 65535 bytes.
    #[error(
        "One or more parameter values were invalid: Attribute name is too large, must be less than 65536 bytes"
    )]
    NameTooLong,
    /// A JSON value of the wrong kind, in the words of AWS's deserialiser.
    #[error("{0}")]
    Serialization(String),
    /// JSON that does not parse, or plain JSON that has no item form.
    #[error("invalid JSON: {0}")]
    Json(String),
    /// A JSON text with more values than are read.
    #[error("the JSON has more than a million values")]
    TooManyValues,
    /// A template of key names that is not valid.
    #[error("KEYSPACE '{text}': {reason}")]
    BadTemplate {
        /// The template.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key whose name fits a template's literals, but whose values are not written as the template requires.
    #[error("key '{key}' is not one of its table's: attribute {name}: {reason}")]
    BadViewKey {
        /// The key.
        key: String,
        /// The key attribute.
        name: String,
        /// What was expected of its text.
        reason: &'static str,
    },
    /// A field's text that does not fit the attribute's type.
    #[error("attribute {name} has the type {attr_type}, which the text does not fit")]
    NotOfType {
        /// The attribute.
        name: String,
        /// Its type.
        attr_type: AttrType,
    },
    /// A write that changes or removes a field which is a key attribute.
    #[error("attribute {0} is a key, which cannot be changed")]
    KeyReadOnly(String),
    /// A hash with a deadline for a table that has no TTL attribute.
    #[error("it expires, but the table has no TTL attribute")]
    NoTtl,
    /// A key that cannot become an item.
    #[error("{0}")]
    NotLiftable(&'static str),
    /// A field's name that no attribute can have.
    #[error("an attribute's name must be UTF-8")]
    NameNotUtf8,
    /// A value text that does not fit its declared type.
    #[error("attribute {name}: {reason}")]
    BadText {
        /// The attribute.
        name: String,
        /// What was expected of the text.
        reason: &'static str,
    },
    /// The item lacks a key attribute.
    #[error("One or more parameter values were invalid: Missing the key {0} in the item")]
    MissingKey(String),
    /// A key attribute of the item has another type than the schema says.
    #[error(
        "One or more parameter values were invalid: Type mismatch for key {name} expected: {expected} actual: {actual}"
    )]
    KeyTypeMismatch {
        /// The key attribute.
        name: String,
        /// The schema's type.
        expected: KeyType,
        /// The item's type.
        actual: AttrType,
    },
    /// An index key attribute of the item has another type than the schema says.
    #[error(
        "One or more parameter values were invalid: Type mismatch for Index Key {name} Expected: {expected} Actual: {actual} IndexName: {index}"
    )]
    IndexKeyTypeMismatch {
        /// The key attribute.
        name: String,
        /// The schema's type.
        expected: KeyType,
        /// The item's type.
        actual: AttrType,
        /// The index.
        index: String,
    },
    /// An empty string or binary as a key.
    #[error(
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty {} value. Key: {name}",
        key_type.empty_name()
    )]
    EmptyKey {
        /// The key attribute.
        name: String,
        /// S or B.
        key_type: KeyType,
    },
    /// An empty string or binary as an index key.
    #[error(
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty {} value. IndexName: {index}, IndexKey: {name}",
        key_type.empty_name()
    )]
    EmptyIndexKey {
        /// The key attribute.
        name: String,
        /// S or B.
        key_type: KeyType,
        /// The index.
        index: String,
    },
    /// Key attributes of an index that are longer than the limit together.
    #[error(
        "One or more parameter values were invalid: Size limit exceeded for Index Key {name} Actual Size: {actual} bytes Max Size: {limit} bytes IndexName: {index}"
    )]
    IndexKeyTooLong {
        /// The key attribute that passes the limit.
        name: String,
        /// Their size, in bytes.
        actual: usize,
        /// The limit, in bytes.
        limit: usize,
        /// The index.
        index: String,
    },
    /// A partition key longer than the limit.
    #[error(
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of{0} bytes"
    )]
    PartitionKeyTooLong(usize),
    /// A sort key longer than the limit.
    #[error(
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of {0} bytes"
    )]
    SortKeyTooLong(usize),
    /// The attributes given as a key are not exactly the schema's key attributes with their types.
    #[error("The provided key element does not match the schema")]
    KeyMismatch,
    /// A table or index name of another length than 3 to 255.
    #[error("{field} must be at least 3 characters long and at most 255 characters long")]
    NameLength {
        /// What the name names, as `TableName`.
        field: &'static str,
    },
    /// A table or index name with other characters than `a-z A-Z 0-9 _ . -`.
    #[error(
        "1 validation error detected: Value '{name}' at '{}' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        lower_first(field)
    )]
    NamePattern {
        /// What the name names, as `TableName`.
        field: &'static str,
        /// The name.
        name: String,
    },
    /// A schema that contradicts itself.
    #[error("invalid schema: {0}")]
    BadSchema(&'static str),
    /// Stored bytes that no version of this program wrote.
    #[error("corrupt {what}: {reason}")]
    Corrupt {
        /// Item, key or schema.
        what: &'static str,
        /// The first thing found wrong.
        reason: &'static str,
    },
}

impl ItemError {
    /// True where AWS answers `SerializationException` instead of `ValidationException`.
    pub fn is_serialization(&self) -> bool {
        matches!(self, Self::Serialization(_))
    }

    pub(super) fn corrupt_item(reason: &'static str) -> Self {
        Self::Corrupt { what: "item", reason }
    }
}

// The odd spacing and articles below are AWS's.
fn empty_set(set: AttrType) -> &'static str {
    match set {
        AttrType::Ns => "An number set  may not be empty",
        AttrType::Bs => "Binary sets should not be empty",
        _ => "An string set  may not be empty",
    }
}

fn duplicates(set: AttrType, members: &str) -> String {
    match set {
        AttrType::Ns => "Input collection contains duplicates".to_owned(),
        AttrType::Bs => format!(
            "One or more parameter values were invalid: Input collection {members}of type BS contains duplicates."
        ),
        _ => {
            format!(
                "One or more parameter values were invalid: Input collection {members} contains duplicates."
            )
        }
    }
}

fn lower_first(field: &str) -> String {
    let mut chars = field.chars();
    chars.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(chars).collect()
}
