//! Where a parse of the log stands.

use super::Lsn;

/// Where a parse stands: what the next record must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) key: u32,
    /// The LSN of the next record.
    pub(super) next: Lsn,
    /// The chain of the record before.
    pub(super) chain: u32,
}
