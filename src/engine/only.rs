//! An engine that takes some shards alone.

use parking_lot::Mutex;
use std::collections::BTreeSet;

/// The shards whose keys an engine takes.
pub(super) struct Only {
    pub(super) takes: Box<[bool]>,
    /// Others from which something was moved into these.
    pub(super) lacks: Mutex<BTreeSet<usize>>,
}
