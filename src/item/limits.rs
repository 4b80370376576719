//! Limits on items and keys. Callers pass them.

use super::ItemError;

/// Limits that the configuration sets; the defaults are `DynamoDB`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemLimits {
    /// Largest item by AWS's rules of size, in bytes.
    pub max_item_bytes: usize,
    /// Deepest nesting of lists and maps within one another, in levels. AWS counts the innermost value too: its 32
    /// levels are 31 containers and a value in the last one.
    pub max_depth: usize,
    /// Longest partition key, in bytes.
    pub max_partition_key_bytes: usize,
    /// Longest sort key, in bytes.
    pub max_sort_key_bytes: usize,
}

impl ItemLimits {
    /// No limits.
    pub const UNLIMITED: Self = Self {
        max_item_bytes: usize::MAX,
        max_depth: usize::MAX,
        max_partition_key_bytes: usize::MAX,
        max_sort_key_bytes: usize::MAX,
    };

    /// The limits AWS documents.
    pub const DYNAMODB: Self = Self {
        max_item_bytes: 400 * 1024,
        max_depth: 31,
        max_partition_key_bytes: 2048,
        max_sort_key_bytes: 1024,
    };
}

impl ItemLimits {
    /// Checks that a text from which a value will be made is not longer than the largest item.
    ///
    /// # Errors
    /// [`ItemError::ItemTooLarge`].
    pub fn check_text(&self, text: &[u8]) -> Result<(), ItemError> {
        if text.len() > self.max_item_bytes { Err(ItemError::ItemTooLarge) } else { Ok(()) }
    }
}

impl Default for ItemLimits {
    fn default() -> Self {
        Self::DYNAMODB
    }
}
