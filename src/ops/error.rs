//! Why an operation was refused.

use crate::engine::LiftError;
use crate::expr::ExprError;
use crate::item::{Item, ItemError};

/// Why an operation was refused. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpError {
    /// There is no table of this name.
    #[error("table '{0}' does not exist")]
    NoTable(String),
    /// There is a table of this name already.
    #[error("table '{0}' already exists")]
    TableExists(String),
    /// The table has no index of this name.
    #[error("table '{table}' has no index '{index}'")]
    NoIndex {
        /// The table.
        table: String,
        /// The index.
        index: String,
    },
    /// The table has an index of this name already.
    #[error("the table has an index '{0}' already")]
    IndexExists(String),
    /// The index does not hold all items yet.
    #[error("index '{0}' is being created, see TABLE.DESCRIBE for its progress")]
    IndexCreating(String),
    /// A template shares a name with another table's.
    #[error("KEYSPACE '{new}' and '{old}' of table '{table}' have keys in common")]
    TemplatesOverlap {
        /// The template.
        new: String,
        /// The other one.
        old: String,
        /// Its table.
        table: String,
    },
    /// A key that fits a template cannot become an item.
    #[error(transparent)]
    CannotLift(#[from] LiftError),
    /// An item, a key or a schema is not valid.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// An expression is not valid, or does not fit the item it meets.
    #[error(transparent)]
    Expr(#[from] ExprError),
    /// An update would make an item larger than the limit.
    #[error("Item size to update has exceeded the maximum allowed size")]
    UpdateTooLarge,
    /// An update would give an index a key that it cannot have.
    #[error("{}", refused_update(.0))]
    UpdatesIndexKey(ItemError),
    /// The condition does not hold. Holds the present item, if the caller asked for it and it exists.
    #[error("The conditional request failed")]
    ConditionFailed(Option<Item>),
}

/// AWS's words for an update that gives an index an invalid key. They differ from those for a put.
fn refused_update(error: &ItemError) -> String {
    match error {
        ItemError::EmptyIndexKey { key_type, .. } => format!(
            "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty {} value.",
            key_type.empty_name()
        ),
        ItemError::IndexKeyTooLong { .. } => {
            "The update expression attempted to update the secondary index key beyond allowed size limits"
                .to_owned()
        }
        _ => {
            "The update expression attempted to update the secondary index key to unsupported type".to_owned()
        }
    }
}
