//! An engine that takes the keys of some shards only.

use parking_lot::Mutex;
use std::collections::BTreeSet;

/// The shards whose keys an engine takes.
pub(super) struct Only {
    pub(super) takes: Box<[bool]>,
    /// Other shards, from which something was moved into these.
    pub(super) lacks: Mutex<BTreeSet<usize>>,
}
