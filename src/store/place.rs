//! The place of an entry in the store.

/// Where an entry is, or would be: its shard, and the name under which the shard's table has it.
#[derive(Clone, Copy)]
pub(super) struct Place<'k> {
    pub(super) shard: usize,
    /// The full hash, which the space is mixed into.
    pub(super) hash: u64,
    pub(super) space: u32,
    /// The database whose keys are counted; `None` for tables.
    pub(super) db: Option<usize>,
    pub(super) key: &'k [u8],
}
