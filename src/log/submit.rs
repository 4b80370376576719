//! The seam's second way to keep records: a place that takes batches and tells later what became of them, because it is
//! not on this machine.

use super::tail::Tail;
use super::{LogError, Lsn};
use bytes::Bytes;
use std::fmt::Debug;
use std::sync::Arc;

/// A run of framed records that a store is to keep as a whole. To clone it costs no copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The LSN of the record before the first one: where the log must end for the batch to be kept.
    pub expected_tail: Lsn,
    /// The LSN of the last record.
    pub last: Lsn,
    /// The chain of the last record.
    pub chain: u32,
    /// The frames.
    pub bytes: Bytes,
}

/// What a store tells of the batches that were submitted to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// All records up to this LSN are durable. It may be told late and more than once.
    Durable(Lsn),
    /// The batch that follows this LSN was not kept, because the log ended elsewhere. It may be told late.
    Rejected(Lsn),
    /// What became of the batches behind this LSN is not known: an answer did not come in time, or the connection was
    /// lost. Each of them may have been kept, may be kept later, or never.
    Unknown {
        /// The last LSN whose fate is known.
        after: Lsn,
        /// What happened.
        cause: String,
    },
    /// A newer epoch was established: the store keeps no more batches of this writer.
    Fenced {
        /// The epoch now in force.
        by: u64,
    },
    /// This writer may not write any more, and no new writer is known.
    LeadershipLost {
        /// Why, in the words of the store.
        why: String,
    },
}

/// Is told what becomes of batches.
pub trait BatchObserver: Debug + Send + Sync {
    /// Takes news, from any thread, also from within [`Submit::submit`]. It returns at once.
    fn tell(&self, news: News);
}

/// A store to which batches are submitted. One thread submits; [`Submit::resolve`] may be called beside it.
///
/// Batches of one writer are kept in the order in which they were submitted, each as a whole or not at all: a batch
/// whose [`Submission::expected_tail`] is not the end of the log is rejected. A batch may be kept long after its fate
/// was called unknown. That does no harm: a record has the same bytes each time that it is submitted.
pub trait Submit: Debug + Send + Sync {
    /// Sets the watcher that is told what becomes of the batches. Called once, before the first batch.
    fn watch(&self, watcher: Arc<dyn BatchObserver>);

    /// Submits a batch and returns at once. The watcher is told later: [`News::Durable`] or other news covers each
    /// batch.
    fn submit(&self, epoch: u64, batch: Submission);

    /// Asks where the log ends for the writer of this epoch. It may wait for the store. An end with a newer epoch means
    /// that this writer was fenced, like [`LogError::Fenced`].
    ///
    /// # Errors
    /// [`LogError::Fenced`] and [`LogError::LeadershipLost`] are final; after any other error the caller asks again.
    fn resolve(&self, epoch: u64) -> Result<Tail, LogError>;
}
