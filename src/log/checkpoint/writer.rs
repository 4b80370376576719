//! Writes one checkpoint.

use super::format::{BLOCK, Block, CheckpointInfo, END_PAYLOAD, Header, Totals};
use super::kept::Checkpoints;
use super::reader::Checkpoint;
use super::store::BlobWriter;
use crate::log::frame::payload_checksum;
use crate::log::{Log, LogError, Lsn};

/// Bytes that are gathered before they are written. Small is better: while the system copies or writes them, no other
/// thread may get the processor.
const BUFFER: usize = 256 << 10;

/// A checkpoint that is being written. If it is dropped before [`CheckpointWriter::finish`], no checkpoint is left
/// behind.
#[derive(Debug)]
pub struct CheckpointWriter<'a> {
    kept: &'a Checkpoints,
    blob: Box<dyn BlobWriter + 'a>,
    info: CheckpointInfo,
    key: u32,
    chain: u32,
    payload_bytes: u64,
    buffer: Vec<u8>,
    /// Bytes that were handed on.
    written: u64,
}

impl<'a> CheckpointWriter<'a> {
    /// Begins a checkpoint that reflects every record up to `start_lsn`. The prologue is for the caller's own use and
    /// is read before all chunks.
    pub fn new(
        kept: &'a Checkpoints,
        start_lsn: Lsn,
        now_ms: u64,
        prologue: &[u8],
    ) -> Result<Self, LogError> {
        let key = kept.id().key();
        let info = kept.next_info(start_lsn, now_ms)?;
        let blob = kept.create(&info)?;
        let header = Header {
            id: kept.id(),
            start_lsn,
            ms: now_ms,
            prologue_len: prologue.len() as u64,
            prologue_checksum: payload_checksum(key, &[prologue]),
        };
        let (bytes, chain) = header.encode();
        let mut writer = Self {
            kept,
            blob,
            info,
            key,
            chain,
            payload_bytes: 0,
            buffer: Vec::with_capacity(BUFFER + BLOCK),
            written: 0,
        };
        writer.put(&bytes)?;
        writer.put(prologue)?;
        Ok(writer)
    }

    /// Adds a chunk: a part of `shard` as it was at `lsn`. Chunks may come in any order. Chunks of one shard that are
    /// added one directly after the other are read in that order.
    pub fn chunk(&mut self, shard: u32, lsn: Lsn, payload: &[u8]) -> Result<(), LogError> {
        self.info.last_lsn = self.info.last_lsn.max(lsn);
        self.info.chunks += 1;
        self.payload_bytes += payload.len() as u64;
        self.block(false, shard, lsn, payload)
    }

    /// Says that chunks may show records up to an LSN that is greater than their own.
    pub fn reflects(&mut self, lsn: Lsn) {
        self.info.last_lsn = self.info.last_lsn.max(lsn);
    }

    fn block(&mut self, end: bool, shard: u32, lsn: Lsn, payload: &[u8]) -> Result<(), LogError> {
        let checksum = payload_checksum(self.key, &[payload]);
        let block = Block { end, shard, lsn, len: payload.len() as u64, checksum };
        let (header, chain) = block.encode(self.key, self.chain);
        self.chain = chain;
        self.put(&header)?;
        self.put(payload)
    }

    /// Bytes of the checkpoint so far.
    pub fn bytes(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() >= BUFFER {
            return self.write(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LogError> {
        self.blob.write(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        self.blob.write(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Ends the checkpoint, makes it durable, reads it back and gives it its name. Then all checkpoints but the two
    /// newest sound ones are removed, and the log before the older of the two.
    ///
    /// The log is synced first up to the greatest LSN that a chunk has or may show. Once the name is durable the
    /// checkpoint counts: an old one that cannot be removed now is removed after the next checkpoint.
    ///
    /// # Errors
    /// An error leaves no checkpoint behind, unless it comes from making the name durable or is final for the log
    /// ([`LogError::is_final`]).
    pub fn finish(mut self, log: &Log) -> Result<CheckpointInfo, LogError> {
        self.info.bytes = self.bytes() + (BLOCK + END_PAYLOAD) as u64;
        let totals = Totals {
            chunks: self.info.chunks,
            payload_bytes: self.payload_bytes,
            file_len: self.info.bytes,
            previous: self.chain,
        };
        self.block(true, 0, self.info.last_lsn, &totals.encode())?;
        self.flush()?;
        let sealed = self.blob.seal()?;
        log.sync(self.info.last_lsn)?;
        Checkpoint::open(sealed, self.kept.id(), self.info.clone())?.verify(1)?;
        let Self { kept, blob, info, .. } = self;
        log.confirm()?;
        log.heed(blob.finish())?;
        kept.names_durable(log)?;
        match kept.prune(log, &info) {
            Err(error) if error.is_final() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "old checkpoints or the log before them cannot be removed now");
            }
            Ok(()) => {}
        }
        Ok(info)
    }
}
