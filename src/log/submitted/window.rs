//! What was handed over, until it is durable.
//!
//! ```text
//!   durable          submitted                cut              handed over
//!      ├── in flight ──┼── waits for the window ─┼── not cut yet ──┤
//! ```
//!
//! A batch is cut when it is about to be submitted, so that what waits for the window goes in few large batches. It
//! stays as it was cut: a batch that is submitted again has the same bounds.
//!
//! Frames are handed over in buffers. A buffer is moved, not copied, because the appenders' lock is held meanwhile;
//! only a small one is copied, into a buffer that has room. Batches of different buffers share no memory. So memory
//! holds the records that are not durable, the unused ends of buffers, and the durable records of at most one buffer.

use crate::log::frame::FrameHeader;
use crate::log::submit::Submission;
use crate::log::tail::Tail;
use crate::log::{Lsn, SubmitOptions};
use bytes::{Buf as _, Bytes};
use std::collections::VecDeque;

/// The pending buffer is given back with at most this capacity.
const LARGEST_BUFFER: usize = 1 << 20;
/// A hand-over of at most so many bytes is copied, if the hand-over before it is not cut yet.
const SMALL: usize = 16 << 10;
/// The capacity of a buffer that takes such copies.
const COLLECTED: usize = 64 << 10;

/// A record and the chain up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::log) struct Point {
    pub(in crate::log) lsn: Lsn,
    pub(in crate::log) chain: u32,
}

/// A batch that is not known to be durable.
#[derive(Debug)]
struct Kept {
    /// The LSN before its first record.
    before: Lsn,
    last: Point,
    bytes: Bytes,
}

/// Frames that were handed over and not cut.
#[derive(Debug)]
struct Uncut {
    bytes: Vec<u8>,
    last: Point,
}

/// A hand-over: its last LSN, and its time in microseconds.
#[derive(Debug)]
struct HandedOver {
    last: Lsn,
    at: u64,
}

/// Why the log's end does not fit what was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// Durable records are missing.
    Missing,
    /// The last record is another writer's.
    Foreign,
}

/// The records that are kept, and which of them are in flight.
#[derive(Debug)]
pub(super) struct Window {
    options: SubmitOptions,
    durable: Point,
    /// Batches behind the durable records, in order; the first `sent` of them are in flight.
    kept: VecDeque<Kept>,
    sent: usize,
    sent_bytes: usize,
    /// The greatest LSN that was ever submitted.
    submitted: Lsn,
    /// Frames behind the last batch, up to `end`, in order. None of the buffers is empty.
    uncut: VecDeque<Uncut>,
    end: Point,
    /// The hand-overs that are not wholly durable, in order. Hand-overs at the same time are one entry.
    times: VecDeque<HandedOver>,
}

impl Window {
    pub(super) fn new(tail: Tail, options: SubmitOptions) -> Self {
        let durable = Point { lsn: tail.lsn, chain: tail.chain };
        Self {
            options,
            durable,
            kept: VecDeque::new(),
            sent: 0,
            sent_bytes: 0,
            submitted: tail.lsn,
            uncut: VecDeque::new(),
            end: durable,
            times: VecDeque::new(),
        }
    }

    /// Takes frames up to `end` out of `bytes`, and leaves an empty buffer there. Copies at most a small buffer.
    pub(super) fn hand_over(&mut self, bytes: &mut Vec<u8>, end: Point, now: u64) {
        let len = bytes.len();
        let small = len <= SMALL && bytes.capacity() <= LARGEST_BUFFER;
        match self.uncut.back_mut() {
            Some(last) if small && last.bytes.capacity() - last.bytes.len() >= len => {
                last.bytes.append(bytes);
                last.last = end;
            }
            Some(_) if small => {
                let mut collected = Vec::with_capacity(COLLECTED);
                collected.append(bytes);
                self.uncut.push_back(Uncut { bytes: collected, last: end });
            }
            _ => {
                // The next hand-over is expected to be about as large.
                let next = Vec::with_capacity(len.min(LARGEST_BUFFER));
                self.uncut.push_back(Uncut { bytes: std::mem::replace(bytes, next), last: end });
            }
        }
        self.end = end;
        match self.times.back_mut() {
            Some(last) if last.at == now => last.last = end.lsn,
            _ => self.times.push_back(HandedOver { last: end.lsn, at: now }),
        }
    }

    /// Whether a batch may be submitted and there is one.
    pub(super) fn has_next(&self) -> bool {
        let room = self.sent < self.options.batches && self.sent_bytes < self.options.bytes;
        (room || self.sent == 0) && (self.sent < self.kept.len() || !self.uncut.is_empty())
    }

    /// The next batch to submit, which is in flight from now on.
    pub(super) fn next(&mut self) -> Option<Submission> {
        if !self.has_next() {
            return None;
        }
        if self.sent == self.kept.len() {
            self.cut();
        }
        let next = self.kept.get(self.sent)?;
        if self.sent > 0 && self.sent_bytes + next.bytes.len() > self.options.bytes {
            return None;
        }
        self.sent += 1;
        self.sent_bytes += next.bytes.len();
        self.submitted = self.submitted.max(next.last.lsn);
        Some(Submission {
            expected_tail: next.before,
            last: next.last.lsn,
            chain: next.last.chain,
            bytes: next.bytes.clone(),
        })
    }

    /// Makes batches of the oldest buffer that is not cut, or one batch of several small ones.
    fn cut(&mut self) {
        let Some(Uncut { bytes, last: end }) = self.uncut.pop_front() else { return };
        let most = self.options.batch_bytes;
        let (mut len, mut joined) = (bytes.len(), 0);
        // A buffer larger than half a batch is not worth a copy.
        while let Some(next) = self.uncut.get(joined)
            && bytes.len() <= most / 2
            && len + next.bytes.len() <= most
        {
            len += next.bytes.len();
            joined += 1;
        }
        if joined > 0 || (len <= most && bytes.capacity() / 2 > len.max(SMALL)) {
            let mut batch = Vec::with_capacity(len);
            batch.extend_from_slice(&bytes);
            let mut last = end;
            for next in self.uncut.drain(..joined) {
                batch.extend_from_slice(&next.bytes);
                last = next.last;
            }
            return self.keep(Bytes::from(batch), last);
        }
        let mut rest = Bytes::from(bytes);
        while !rest.is_empty() {
            let (len, last) =
                if rest.len() <= most { (rest.len(), end) } else { frames(&rest, |bytes, _| bytes <= most) };
            let batch = rest.split_to(len);
            self.keep(batch, last);
        }
    }

    /// Adds a batch.
    fn keep(&mut self, bytes: Bytes, last: Point) {
        let before = self.kept.back().map_or(self.durable.lsn, |kept| kept.last.lsn);
        self.kept.push_back(Kept { before, last, bytes });
    }

    /// Takes note that records up to `upto` are durable; returns how many bytes are let go. A record that was never
    /// submitted cannot be durable.
    pub(super) fn advance(&mut self, upto: Lsn) -> usize {
        let upto = upto.min(self.submitted);
        let mut freed = 0;
        while let Some(front) = self.kept.front_mut().filter(|front| front.before < upto) {
            let whole = front.last.lsn <= upto;
            let (len, last) = if whole {
                (front.bytes.len(), front.last)
            } else {
                frames(&front.bytes, |_, header| header.lsn <= upto)
            };
            front.bytes.advance(len);
            front.before = last.lsn;
            freed += len;
            self.durable = last;
            if self.sent > 0 {
                self.sent_bytes -= len;
                self.sent -= usize::from(whole);
            }
            if !whole {
                break;
            }
            self.kept.pop_front();
        }
        while self.times.pop_front_if(|time| time.last <= self.durable.lsn).is_some() {}
        freed
    }

    /// Takes note of where the log ends: the records that it has are durable, and no batch is in flight any more.
    /// `asked` is the last LSN known to be durable when the store was asked. Returns how many bytes are let go.
    pub(super) fn resolved(&mut self, asked: Lsn, tail: Tail) -> Result<usize, Misfit> {
        if tail.lsn < asked {
            return Err(Misfit::Missing);
        }
        // News may have come while the answer was on its way.
        if tail.lsn >= self.durable.lsn && self.chain_at(tail.lsn) != Some(tail.chain) {
            return Err(Misfit::Foreign);
        }
        let freed = self.advance(tail.lsn);
        (self.sent, self.sent_bytes) = (0, 0);
        Ok(freed)
    }

    /// Drops all records that are not known to be durable: this writer will not make them durable.
    pub(super) fn give_up(&mut self) {
        (self.kept, self.uncut, self.times) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        (self.sent, self.sent_bytes) = (0, 0);
    }

    /// The chain of the record with this LSN, if it is the last durable record or was submitted after it.
    fn chain_at(&self, lsn: Lsn) -> Option<u32> {
        if lsn == self.durable.lsn {
            return Some(self.durable.chain);
        }
        let kept = self.kept.iter().find(|kept| kept.before < lsn && lsn <= kept.last.lsn)?;
        let (_, last) = frames(&kept.bytes, |_, header| header.lsn <= lsn);
        (lsn <= self.submitted && last.lsn == lsn).then_some(last.chain)
    }

    /// The last LSN known to be durable.
    pub(super) fn durable(&self) -> Lsn {
        self.durable.lsn
    }

    /// The last LSN handed over.
    pub(super) fn end(&self) -> Lsn {
        self.end.lsn
    }

    /// Batches and bytes in flight.
    pub(super) fn in_flight(&self) -> (usize, usize) {
        (self.sent, self.sent_bytes)
    }

    /// When the oldest record that is not known to be durable was handed over; 0 if there is none.
    pub(super) fn oldest(&self) -> u64 {
        self.times.front().map_or(0, |time| time.at)
    }
}

/// The longest run of frames at the beginning of `bytes` for which `belongs` is true; at least one frame. `belongs`
/// gets the offset of a frame's end and its header. Returns the run's length and its last record.
fn frames(bytes: &[u8], belongs: impl Fn(usize, &FrameHeader) -> bool) -> (usize, Point) {
    let (mut len, mut last) = (0, Point::default());
    while let Some(header) = bytes.get(len..).and_then(FrameHeader::decode) {
        let end = len + header.frame_len() as usize;
        if len > 0 && !belongs(end, &header) {
            break;
        }
        (len, last) = (end, Point { lsn: header.lsn, chain: header.chain });
    }
    (len, last)
}

#[cfg(test)]
mod tests;
