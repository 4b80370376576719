//! Where a log ends.

use super::Lsn;

/// What a new writer continues from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The writer's epoch.
    pub epoch: u64,
    /// The LSN of the last record; 0 in an empty log. All records up to it are durable.
    pub lsn: Lsn,
    /// The chain of the last record.
    pub chain: u32,
}
