//! How far an index is filled.

use crate::item::ItemKeys;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How far the items that were there before the index was added have been entered.
#[derive(Default)]
pub struct Build {
    /// Items looked at so far.
    pub seen: AtomicU64,
    /// The keys of the last item looked at.
    pub(super) last: Mutex<Option<ItemKeys>>,
}

impl Build {
    pub(super) fn restart(&self) {
        self.seen.store(0, Relaxed);
        *self.last.lock() = None;
    }
}
