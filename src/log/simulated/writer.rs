//! A process's side of the service.

use super::network::LinkId;
use super::shared::{Shared, SimCall, unreachable};
use crate::log::frame::LogId;
use crate::log::store::{LogReader, LogStore, RecordBatch, RecordRun, Room, StoreStats};
use crate::log::submit::{BatchObserver, News, Submission, Submit};
use crate::log::tail::Tail;
use crate::log::{LogError, Lsn};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that are read at once.
const PIECE: usize = 512 << 10;

/// A process's store: its connection to the service. It is cut when this is dropped.
#[derive(Debug)]
pub struct SimWriter {
    wire: Arc<Wire>,
}

/// What the store and its log's driver share.
#[derive(Debug)]
struct Wire {
    shared: Arc<Shared>,
    link: LinkId,
}

impl SimWriter {
    pub(super) fn new(shared: Arc<Shared>, link: LinkId) -> Self {
        Self { wire: Arc::new(Wire { shared, link }) }
    }

    /// Whether the writer before ended in order.
    pub fn is_closed(&self) -> bool {
        self.wire.shared.state.lock().kept.is_closed()
    }
}

impl Drop for SimWriter {
    fn drop(&mut self) {
        self.wire.shared.state.lock().network.disconnect(self.wire.link);
    }
}

impl Wire {
    /// Waits for as long as a question and its answer are under way.
    fn ask(&self) -> Result<(), LogError> {
        let micros = self.shared.state.lock().network.ask(self.link).ok_or_else(unreachable)?;
        if micros > 0 && self.shared.clock.as_manual().is_none() {
            std::thread::sleep(Duration::from_micros(micros));
        }
        Ok(())
    }
}

impl Submit for Wire {
    fn watch(&self, watcher: Arc<dyn BatchObserver>) {
        self.shared.state.lock().network.watch(self.link, watcher);
    }

    fn submit(&self, epoch: u64, batch: Submission) {
        let now = self.shared.clock.monotonic_micros();
        self.shared.state.lock().network.submit(now, self.link, epoch, batch);
        self.shared.sent.notify_one();
    }

    fn resolve(&self, epoch: u64) -> Result<Tail, LogError> {
        self.ask()?;
        let state = self.shared.state.lock();
        state.kept.check(epoch)?;
        Ok(state.kept.tail())
    }
}

impl LogStore for SimWriter {
    fn log_id(&self) -> LogId {
        self.wire.shared.state.lock().kept.id()
    }

    fn establish_epoch(&self) -> Result<Tail, LogError> {
        self.wire.shared.about_to(SimCall::TakeOver);
        self.wire.ask()?;
        let mut state = self.wire.shared.state.lock();
        let tail = state.kept.begin_epoch();
        state.network.note_epoch(self.wire.link, tail.epoch);
        Ok(tail)
    }

    fn tail(&self) -> Tail {
        self.wire.shared.state.lock().kept.tail()
    }

    fn submission(&self) -> Option<Arc<dyn Submit>> {
        Some(Arc::clone(&self.wire) as Arc<dyn Submit>)
    }

    fn append(&self, epoch: u64, expected_tail: Lsn, batch: &RecordBatch<'_>) -> Result<Lsn, LogError> {
        self.wire.ask()?;
        let bytes = Bytes::copy_from_slice(batch.bytes);
        let submission = Submission { expected_tail, last: batch.last, chain: batch.chain, bytes };
        let mut state = self.wire.shared.state.lock();
        match state.kept.keep(epoch, &submission) {
            News::Durable(last) => Ok(last),
            _ => Err(state
                .kept
                .check(epoch)
                .err()
                .unwrap_or(LogError::TailMoved { expected: expected_tail, actual: state.kept.tail().lsn })),
        }
    }

    fn sync(&self, epoch: u64) -> Result<(), LogError> {
        self.wire.shared.state.lock().kept.check(epoch)
    }

    fn read_from(&self, from: Lsn) -> Result<Box<dyn LogReader>, LogError> {
        self.wire.shared.about_to(SimCall::Read);
        let first = self.wire.shared.state.lock().kept.first();
        if from < first {
            return Err(LogError::Trimmed { asked: from, first });
        }
        Ok(Box::new(SimReader { shared: Arc::clone(&self.wire.shared), next: from }))
    }

    fn trim_to(&self, epoch: u64, upto: Lsn) -> Result<u64, LogError> {
        self.wire.ask()?;
        let mut state = self.wire.shared.state.lock();
        state.kept.check(epoch)?;
        Ok(state.kept.trim_to(upto))
    }

    fn room(&self) -> Result<Room, LogError> {
        Ok(Room { free: i64::MAX as u64, refused: None })
    }

    fn expect_frequent_syncs(&self, _frequent: bool) {}

    fn maintain(&self, _epoch: u64) -> Result<(), LogError> {
        Ok(())
    }

    fn close(&self, epoch: u64) -> Result<(), LogError> {
        self.wire.ask()?;
        let mut state = self.wire.shared.state.lock();
        state.kept.check(epoch)?;
        state.kept.close();
        Ok(())
    }

    fn stats(&self) -> StoreStats {
        self.wire.shared.state.lock().kept.stats()
    }
}

/// Reads what the service keeps.
struct SimReader {
    shared: Arc<Shared>,
    next: Lsn,
}

impl LogReader for SimReader {
    fn next_piece(&mut self, piece: &mut RecordRun) -> Result<bool, LogError> {
        let more = self.shared.state.lock().kept.read(self.next, PIECE, piece)?;
        if more {
            self.next = piece.last() + 1;
        }
        Ok(more)
    }
}
