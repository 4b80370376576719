//! Checkpoints in memory, for tests: a place that is no folder. It outlives the engines and logs that use it.

use super::store::{Blob, BlobWriter, CheckpointStore, Stored};
use crate::log::LogError;
use crate::log::simulated::{MemoryBlob, absent};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The blobs of one log.
#[derive(Debug, Default)]
pub(crate) struct MemoryCheckpoints {
    finished: Mutex<BTreeMap<String, Arc<Vec<u8>>>>,
    unfinished: Mutex<BTreeMap<String, Arc<Vec<u8>>>>,
}

impl MemoryCheckpoints {
    /// Changes the bytes of a finished blob. A blob that is open keeps its old bytes.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(Arc::make_mut(self.finished.lock().get_mut(name).expect(name)));
    }

    /// The same finished blobs in a store of their own.
    pub(crate) fn fork(&self) -> Self {
        Self { finished: Mutex::new(self.finished.lock().clone()), unfinished: Mutex::default() }
    }

    /// How many blobs were begun, not finished and not dropped.
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished.lock().len()
    }
}

impl CheckpointStore for MemoryCheckpoints {
    fn list(&self) -> Result<Vec<Stored>, LogError> {
        let all = self.finished.lock();
        let stored = |(name, bytes): (&String, &Arc<Vec<u8>>)| Stored {
            name: name.clone(),
            bytes: bytes.len() as u64,
        };
        // Reversed, because no caller may rely on the order.
        Ok(all.iter().rev().map(stored).collect())
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Blob>, LogError> {
        let bytes = self.finished.lock().get(name).cloned().ok_or_else(|| absent(name))?;
        Ok(Arc::new(MemoryBlob { name: name.to_owned(), bytes }))
    }

    fn create(&self, name: &str) -> Result<Box<dyn BlobWriter + '_>, LogError> {
        self.unfinished.lock().insert(name.to_owned(), Arc::default());
        Ok(Box::new(Unfinished { store: self, name: name.to_owned() }))
    }

    fn remove(&self, names: &[&str]) -> Result<(), LogError> {
        let mut all = self.finished.lock();
        names.iter().try_for_each(|name| all.remove(*name).map(drop).ok_or_else(|| absent(name)))
    }

    fn remove_unfinished(&self) -> Result<(), LogError> {
        self.unfinished.lock().clear();
        Ok(())
    }
}

#[derive(Debug)]
struct Unfinished<'a> {
    store: &'a MemoryCheckpoints,
    name: String,
}

impl BlobWriter for Unfinished<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        let mut all = self.store.unfinished.lock();
        let blob = all.get_mut(&self.name).ok_or_else(|| absent(&self.name))?;
        Arc::make_mut(blob).extend_from_slice(bytes);
        Ok(())
    }

    fn seal(&mut self) -> Result<Arc<dyn Blob>, LogError> {
        let bytes = self.store.unfinished.lock().get(&self.name).cloned();
        let bytes = bytes.ok_or_else(|| absent(&self.name))?;
        Ok(Arc::new(MemoryBlob { name: self.name.clone(), bytes }))
    }

    fn finish(self: Box<Self>) -> Result<(), LogError> {
        let bytes = self.store.unfinished.lock().remove(&self.name).ok_or_else(|| absent(&self.name))?;
        self.store.finished.lock().insert(self.name.clone(), bytes);
        Ok(())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.store.unfinished.lock().remove(&self.name);
    }
}
