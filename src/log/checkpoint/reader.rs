//! Reads one checkpoint, with several threads.

use super::format::{BLOCK, Block, CheckpointInfo, END_PAYLOAD, HEADER, Header, Totals};
use super::store::Blob;
use crate::log::frame::{LogId, payload_checksum};
use crate::log::segment::FORMAT_VERSION;
use crate::log::{HeaderFault, LogError, Lsn};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A finished checkpoint. Its structure (header, prologue, blocks, end) is verified when it is opened, and each chunk's
/// payload when it is read.
#[derive(Debug)]
pub struct Checkpoint {
    blob: Arc<dyn Blob>,
    key: u32,
    info: CheckpointInfo,
    prologue: Vec<u8>,
    chunks: Vec<Place>,
}

/// Where a chunk lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    block: Block,
}

/// One chunk, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// The shard.
    pub shard: u32,
    /// The LSN at which the shard was read.
    pub lsn: Lsn,
    /// What was written.
    pub payload: &'a [u8],
}

/// Why reading stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError<E> {
    /// The file is damaged or cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The sink refused a chunk.
    #[error("{0}")]
    Sink(E),
}

impl Checkpoint {
    /// Verifies the structure of a checkpoint. `named` holds what is known from its name.
    pub(in crate::log) fn open(
        blob: Arc<dyn Blob>,
        id: LogId,
        named: CheckpointInfo,
    ) -> Result<Self, LogError> {
        let mut opened = Self { blob, key: id.key(), info: named, prologue: Vec::new(), chunks: Vec::new() };
        opened.load(id)?;
        Ok(opened)
    }

    fn corrupt(&self, offset: u64, what: impl Into<String>) -> LogError {
        LogError::Corrupt { file: self.blob.place(), offset, what: what.into() }
    }

    /// Fills `bytes` from `offset`. It is damage if the file ends before.
    fn read_exactly(&self, bytes: &mut [u8], offset: u64) -> Result<(), LogError> {
        let got = self.blob.read_at(bytes, offset)?;
        if got == bytes.len() { Ok(()) } else { Err(self.corrupt(offset, "the file is incomplete")) }
    }

    fn load(&mut self, id: LogId) -> Result<(), LogError> {
        let len = self.blob.size()?;
        let mut bytes = [0; HEADER];
        self.read_exactly(&mut bytes, 0)?;
        let (header, sum) = Header::decode(&bytes).map_err(|fault| match fault {
            HeaderFault::Version(version) => {
                LogError::UnknownVersion { file: self.blob.place(), version, known: FORMAT_VERSION }
            }
            other => self.corrupt(0, other.to_string()),
        })?;
        if header.id != id {
            return Err(LogError::Foreign {
                file: self.blob.place(),
                found: header.id.to_string(),
                expected: id.to_string(),
            });
        }
        self.info.start_lsn = header.start_lsn;
        self.info.ms = header.ms;
        self.info.bytes = len;
        if header.prologue_len > len {
            return Err(self.corrupt(0, "the prologue is incomplete"));
        }
        let mut prologue = vec![0; header.prologue_len as usize];
        self.read_exactly(&mut prologue, HEADER as u64)?;
        if payload_checksum(self.key, &[&prologue]) != header.prologue_checksum {
            return Err(self.corrupt(HEADER as u64, "the prologue does not match its checksum"));
        }
        self.prologue = prologue;
        self.load_blocks(HEADER as u64 + header.prologue_len, sum, len)
    }

    /// Walks over the blocks up to the end and compares the totals.
    fn load_blocks(&mut self, begin: u64, sum: u32, len: u64) -> Result<(), LogError> {
        let (mut offset, mut chain, mut payload_bytes) = (begin, sum, 0);
        loop {
            let mut bytes = [0; BLOCK];
            self.read_exactly(&mut bytes, offset)?;
            let Some((block, next)) = Block::decode(&bytes, self.key, chain) else {
                return Err(self.corrupt(offset, "a block's header does not match its checksum"));
            };
            if block.end {
                let totals = Totals {
                    chunks: self.chunks.len() as u64,
                    payload_bytes,
                    file_len: len,
                    previous: chain,
                };
                self.info.last_lsn = block.lsn;
                self.info.chunks = totals.chunks;
                return self.check_end(offset, block, &totals);
            }
            self.chunks.push(Place { offset: offset + BLOCK as u64, block });
            payload_bytes += block.len;
            offset = offset.saturating_add(BLOCK as u64).saturating_add(block.len);
            chain = next;
        }
    }

    fn check_end(&self, offset: u64, block: Block, totals: &Totals) -> Result<(), LogError> {
        let mut bytes = [0; END_PAYLOAD];
        self.read_exactly(&mut bytes, offset + BLOCK as u64)?;
        if payload_checksum(self.key, &[&bytes]) != block.checksum || Totals::decode(&bytes) != *totals {
            return Err(self.corrupt(offset, "the totals at the end do not match"));
        }
        Ok(())
    }

    /// What the file says about itself.
    pub fn info(&self) -> &CheckpointInfo {
        &self.info
    }

    /// The blob given when it was begun.
    pub fn prologue(&self) -> &[u8] {
        &self.prologue
    }

    /// Calls `sink` with every chunk, from `threads` threads at once. Chunks of one shard that were written one
    /// directly after the other come in their order; all others come in any order. It stops at the first error. The
    /// chunks given to `sink` before it were sound, but the checkpoint as a whole is not.
    pub fn read<E: Send>(
        &self,
        threads: usize,
        sink: impl Fn(Chunk<'_>) -> Result<(), E> + Sync,
    ) -> Result<(), ReadError<E>> {
        let runs: Vec<&[Place]> = self.chunks.chunk_by(|a, b| a.block.shard == b.block.shard).collect();
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        let work = || {
            let mut buffer = Vec::new();
            // Relaxed: the counter only deals out indices; no thread changes the chunks.
            while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let done = run.iter().try_for_each(|place| {
                    let chunk = self.read_chunk(*place, &mut buffer)?;
                    sink(chunk).map_err(ReadError::Sink)
                });
                if let Err(error) = done {
                    next.store(runs.len(), Ordering::Relaxed);
                    failure.lock().get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.clamp(1, runs.len().max(1)) {
                // If no thread can be started, the calling thread does its part.
                let _ =
                    std::thread::Builder::new().name("checkpoint-read".to_owned()).spawn_scoped(scope, work);
            }
            work();
        });
        failure.into_inner().map_or(Ok(()), Err)
    }

    fn read_chunk<'b>(&self, place: Place, buffer: &'b mut Vec<u8>) -> Result<Chunk<'b>, LogError> {
        let Place { offset, block } = place;
        // `load_blocks` has checked that the file holds so many bytes.
        buffer.resize(block.len as usize, 0);
        self.read_exactly(buffer, offset)?;
        if payload_checksum(self.key, &[buffer]) != block.checksum {
            return Err(self.corrupt(offset, "a chunk does not match its checksum"));
        }
        Ok(Chunk { shard: block.shard, lsn: block.lsn, payload: buffer })
    }

    /// Verifies one chunk; false when there is none of that index.
    pub(in crate::log) fn verify_chunk(&self, index: usize, buffer: &mut Vec<u8>) -> Result<bool, LogError> {
        match self.chunks.get(index) {
            Some(place) => self.read_chunk(*place, buffer).map(|_| true),
            None => Ok(false),
        }
    }

    /// Reads and verifies everything.
    pub fn verify(&self, threads: usize) -> Result<(), LogError> {
        self.read(threads, |_| Ok::<(), Infallible>(())).map_err(|error| match error {
            ReadError::Log(error) => error,
            ReadError::Sink(never) => match never {},
        })
    }
}

/// The log that a checkpoint belongs to, if its header can be read.
pub(super) fn log_id(blob: &dyn Blob) -> Option<LogId> {
    let mut header = [0; HEADER];
    let got = blob.read_at(&mut header, 0).ok()?;
    Header::decode(header.get(..got)?).ok().map(|(header, _)| header.id)
}

/// The last LSN from a checkpoint's end, if header and end are sound and of this log.
pub(super) fn last_lsn(blob: &dyn Blob, id: LogId) -> Option<Lsn> {
    let len = blob.size().ok()?;
    if log_id(blob)? != id {
        return None;
    }
    let mut end = [0; BLOCK + END_PAYLOAD];
    let at = len.checked_sub(end.len() as u64)?;
    if blob.read_at(&mut end, at).ok()? != end.len() {
        return None;
    }
    let (block, payload) = (end.first_chunk()?, end.last_chunk()?);
    let totals = Totals::decode(payload);
    let (block, _) = Block::decode(block, id.key(), totals.previous)?;
    let whole =
        block.end && totals.file_len == len && payload_checksum(id.key(), &[payload]) == block.checksum;
    whole.then_some(block.lsn)
}
