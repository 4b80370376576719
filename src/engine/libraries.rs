//! The libraries of functions that exist: their names and texts. What they mean is for others to know.

use crate::effect::{Effect, Structural};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// All libraries. They change only while every shard is locked, so what a transaction has looked up stays true while it
/// holds a shard.
pub struct Libraries {
    id: u64,
    by_name: RwLock<BTreeMap<Box<[u8]>, Arc<[u8]>>>,
    generation: AtomicU64,
}

/// The next number for a [`Libraries`]. Numbers keep a thread that serves several engines from mixing up their
/// libraries.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Default for Libraries {
    fn default() -> Self {
        Self { id: NEXT_ID.fetch_add(1, Relaxed), by_name: RwLock::default(), generation: AtomicU64::new(0) }
    }
}

impl Libraries {
    /// A value that is equal only for the same [`Libraries`] with no change in between.
    #[inline]
    pub fn version(&self) -> (u64, u64) {
        (self.id, self.generation.load(Acquire))
    }

    /// The text of a library.
    pub fn get(&self, name: &[u8]) -> Option<Arc<[u8]>> {
        self.by_name.read().get(name).cloned()
    }

    /// The names and texts of all libraries, in the order of their names.
    pub fn list(&self) -> Vec<(Box<[u8]>, Arc<[u8]>)> {
        self.by_name.read().iter().map(|(name, code)| (name.clone(), Arc::clone(code))).collect()
    }

    /// How many there are, and the bytes of their texts.
    pub fn figures(&self) -> (usize, usize) {
        let all = self.by_name.read();
        (all.len(), all.values().map(|code| code.len()).sum())
    }

    /// Applies the creation, change or removal of a library; ignores other changes.
    pub(super) fn apply(&self, change: &Structural<'_>) {
        match *change {
            Structural::LibraryPut { name, code } => {
                self.by_name.write().insert(name.into(), code.into());
            }
            Structural::LibraryDrop { name } => {
                self.by_name.write().remove(name);
            }
            Structural::FlushDb { .. }
            | Structural::SwapDb { .. }
            | Structural::TablePut { .. }
            | Structural::TableDrop { .. }
            | Structural::Gap => return,
        }
        self.generation.fetch_add(1, AcqRel);
    }

    /// Forgets all libraries, before they are read again.
    pub(super) fn clear(&self) {
        self.by_name.write().clear();
        self.generation.fetch_add(1, AcqRel);
    }

    /// The effects that make these libraries, for a checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for (name, code) in self.by_name.read().iter() {
            Effect::from(Structural::LibraryPut { name, code }).encode(out);
        }
    }
}
