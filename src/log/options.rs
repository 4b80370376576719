//! How a log is kept.

use super::frame::MAX_PAYLOAD;

/// How a log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes after which the next segment is begun. A larger record gets a segment of its own.
    pub segment_bytes: u64,
    /// Bytes that must stay free on the file system; writes are refused when fewer are.
    pub keep_free_bytes: u64,
    /// The most bytes of room that each buffer for records keeps when it is empty.
    pub keep_buffer_bytes: u64,
    /// Bytes of room that are secured ahead of the records; 0 secures none.
    pub secure_bytes: u64,
    /// The largest payload of one record; at most what the format can hold.
    pub max_record_bytes: u64,
    /// Bytes that are read at once.
    pub piece_bytes: usize,
    /// How many segments are synced at the same time.
    pub sync_threads: usize,
    /// How batches are submitted to a store that is not on this machine.
    pub submit: SubmitOptions,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            keep_free_bytes: 16 << 20,
            keep_buffer_bytes: 4 << 20,
            secure_bytes: 4 << 20,
            max_record_bytes: MAX_PAYLOAD,
            piece_bytes: 512 << 10,
            sync_threads: 4,
            submit: SubmitOptions::default(),
        }
    }
}

/// How batches are submitted to a store whose answers take long, and how much may wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmitOptions {
    /// Batches that may be in flight.
    pub batches: usize,
    /// Bytes that may be in flight. A single batch may be larger.
    pub bytes: usize,
    /// Bytes after which a batch is cut. A larger record is a batch of its own.
    pub batch_bytes: usize,
    /// Bytes that may wait in memory to be durable. Writes are refused beyond.
    pub kept_bytes: u64,
    /// Milliseconds that a record may wait to be durable. While a record has waited longer, writes are refused and
    /// [`super::Log::sync`] fails.
    pub patience_ms: u64,
}

impl Default for SubmitOptions {
    fn default() -> Self {
        Self { batches: 32, bytes: 8 << 20, batch_bytes: 1 << 20, kept_bytes: 256 << 20, patience_ms: 10_000 }
    }
}
