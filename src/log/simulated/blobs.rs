//! Checkpoints in the service: blobs in memory that only the writer in force may create, name or remove.

use super::shared::Shared;
use crate::log::LogError;
use crate::log::checkpoint::{Blob, BlobWriter, CheckpointStore, Stored};
use std::sync::Arc;

/// The checkpoints as the writer of one epoch sees them.
#[derive(Debug)]
pub(super) struct SimBlobs {
    shared: Arc<Shared>,
    epoch: u64,
}

impl SimBlobs {
    pub(super) fn new(shared: Arc<Shared>, epoch: u64) -> Self {
        Self { shared, epoch }
    }
}

/// The error for a blob that is not there.
pub(in crate::log) fn absent(name: &str) -> LogError {
    LogError::Io { what: format!("find {name}"), cause: "there is no such blob".to_owned(), full: false }
}

impl CheckpointStore for SimBlobs {
    fn list(&self) -> Result<Vec<Stored>, LogError> {
        let state = self.shared.state.lock();
        let stored = state.blobs.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64));
        Ok(stored.map(|(name, bytes)| Stored { name, bytes }).collect())
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Blob>, LogError> {
        let bytes = self.shared.state.lock().blobs.get(name).cloned().ok_or_else(|| absent(name))?;
        Ok(Arc::new(MemoryBlob { name: name.to_owned(), bytes }))
    }

    fn create(&self, name: &str) -> Result<Box<dyn BlobWriter + '_>, LogError> {
        self.shared.state.lock().kept.check(self.epoch)?;
        Ok(Box::new(Unfinished { store: self, name: name.to_owned(), bytes: Arc::default() }))
    }

    fn remove(&self, names: &[&str]) -> Result<(), LogError> {
        let mut state = self.shared.state.lock();
        state.kept.check(self.epoch)?;
        names.iter().try_for_each(|name| state.blobs.remove(*name).map(drop).ok_or_else(|| absent(name)))
    }

    /// Unfinished blobs are kept by their writers, so the service holds nothing to remove.
    fn remove_unfinished(&self) -> Result<(), LogError> {
        self.shared.state.lock().kept.check(self.epoch)
    }
}

/// A blob in memory, open to be read.
#[derive(Debug)]
pub(in crate::log) struct MemoryBlob {
    pub(in crate::log) name: String,
    pub(in crate::log) bytes: Arc<Vec<u8>>,
}

impl Blob for MemoryBlob {
    fn place(&self) -> String {
        format!("memory: {}", self.name)
    }

    fn size(&self) -> Result<u64, LogError> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, LogError> {
        let from = self.bytes.get(offset as usize..).unwrap_or_default();
        let len = from.len().min(bytes.len());
        bytes[..len].copy_from_slice(&from[..len]);
        Ok(len)
    }
}

#[derive(Debug)]
struct Unfinished<'a> {
    store: &'a SimBlobs,
    name: String,
    bytes: Arc<Vec<u8>>,
}

impl BlobWriter for Unfinished<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        Arc::make_mut(&mut self.bytes).extend_from_slice(bytes);
        Ok(())
    }

    fn seal(&mut self) -> Result<Arc<dyn Blob>, LogError> {
        Ok(Arc::new(MemoryBlob { name: self.name.clone(), bytes: Arc::clone(&self.bytes) }))
    }

    fn finish(self: Box<Self>) -> Result<(), LogError> {
        let Self { store, name, bytes } = *self;
        let mut state = store.shared.state.lock();
        state.kept.check(store.epoch)?;
        state.blobs.insert(name, bytes);
        Ok(())
    }
}
