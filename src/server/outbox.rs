//! Replies on their way to the client, and the gates that hold them until the writes they show are durable.

use super::stream::WriteHalf;
use crate::resp::Chain;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::io::{self, IoSlice};

/// The most chunks that one system call sends.
const PIECES: usize = 16;
/// How many gates an idle outbox keeps room for.
const KEEP_GATES: usize = 4;

/// The replies of one connection. Bytes are sent in order. A gate holds the bytes between the gate before it and its
/// own position until the log is settled up to the gate's LSN.
#[derive(Default)]
pub(super) struct Outbox {
    /// The bytes that are not sent yet.
    chain: Chain,
    /// The position up to which bytes may be sent.
    open: usize,
    gates: VecDeque<Gate>,
}

/// Holds the bytes up to a position until the log is settled up to an LSN.
struct Gate {
    at: usize,
    lsn: u64,
    /// Whether the bytes acknowledge writes of this connection. If not, they only show writes of others.
    wrote: bool,
}

impl Outbox {
    /// Takes the chain out, to append replies to it. It must come back through [`Outbox::put_back`].
    pub(super) fn take(&mut self) -> Chain {
        std::mem::take(&mut self.chain)
    }

    /// Brings the chain back. What was appended waits until the log is settled up to `lsn`; returns whether it must
    /// wait because `settled` is less. `wrote` says whether it acknowledges writes of this connection.
    pub(super) fn put_back(&mut self, chain: Chain, lsn: u64, settled: u64, wrote: bool) -> bool {
        let end = chain.end();
        self.chain = chain;
        if end <= self.gates.back().map_or(self.open, |gate| gate.at) {
            return false;
        }
        if self.gates.is_empty() && lsn <= settled {
            self.open = end;
            return false;
        }
        match self.gates.back_mut() {
            // Bytes are sent in order, so these must wait for the last gate's LSN anyway.
            Some(last) if last.lsn >= lsn => {
                last.at = end;
                last.wrote |= wrote;
            }
            _ => self.gates.push_back(Gate { at: end, lsn, wrote }),
        }
        true
    }

    /// Opens the gates that the log has reached; returns whether others stay shut.
    pub(super) fn release(&mut self, settled: u64) -> bool {
        while let Some(gate) = self.gates.pop_front_if(|gate| gate.lsn <= settled) {
            self.open = gate.at;
        }
        !self.gates.is_empty()
    }

    /// The LSN that the log must reach for the next gate to open.
    pub(super) fn next_gate(&self) -> Option<u64> {
        self.gates.front().map(|gate| gate.lsn)
    }

    /// Opens the gates that the log had reached when it failed. The gates behind them open only if none of them
    /// acknowledges a write of this connection, and never if `strict`. False if one stays shut: then the connection
    /// must be closed without sending what is held.
    pub(super) fn release_failed(&mut self, settled: u64, strict: bool) -> bool {
        self.release(settled);
        if self.gates.iter().any(|gate| gate.wrote || strict) {
            return false;
        }
        self.release(u64::MAX);
        true
    }

    /// Whether bytes may be sent that are not sent yet.
    pub(super) fn wants_write(&self) -> bool {
        self.chain.head() < self.open.min(self.chain.end())
    }

    /// Whether all bytes were sent, those behind gates included.
    pub(super) fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }

    /// Bytes of memory that the replies take.
    pub(super) fn held(&self) -> usize {
        self.chain.held()
    }

    /// Sends what may be sent until the socket is full; returns how many bytes were sent.
    pub(super) fn flush(&mut self, to: &WriteHalf) -> io::Result<usize> {
        let before = self.chain.head();
        while self.wants_write() {
            let sent = {
                let mut pieces = self.chain.pieces(self.open);
                match (pieces.next(), pieces.next()) {
                    (Some(piece), None) => to.try_write(piece),
                    (first, second) => {
                        let pieces = first.into_iter().chain(second).chain(pieces).take(PIECES);
                        let pieces: SmallVec<[IoSlice<'_>; PIECES]> = pieces.map(IoSlice::new).collect();
                        to.try_write_vectored(&pieces)
                    }
                }
            };
            match sent {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.chain.advance(n),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(self.chain.head() - before)
    }

    /// Takes the buffer out of an empty outbox for other connections: a connection that waits for commands keeps none.
    pub(super) fn take_room(&mut self) -> Vec<u8> {
        self.gates.shrink_to(KEEP_GATES);
        self.chain.take_room()
    }
}

#[cfg(test)]
mod tests {
    use super::Outbox;
    use crate::server::stream::{WriteHalf, split_unix};
    use std::io::Read;

    /// What an outbox sends to a socket that takes everything.
    fn sent(outbox: &mut Outbox) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (own, mut peer) = std::os::unix::net::UnixStream::pair().unwrap();
            own.set_nonblocking(true).unwrap();
            let (read, write) = split_unix(tokio::net::UnixStream::from_std(own).unwrap());
            std::future::poll_fn(|cx| WriteHalf::poll_writable(&write, cx)).await.unwrap();
            outbox.flush(&write).unwrap();
            drop((read, write));
            let mut text = String::new();
            peer.read_to_string(&mut text).unwrap();
            text
        })
    }

    fn append(outbox: &mut Outbox, text: &str, lsn: u64, settled: u64, wrote: bool) -> bool {
        let mut chain = outbox.take();
        chain.put(text.as_bytes());
        outbox.put_back(chain, lsn, settled, wrote)
    }

    #[test]
    fn replies_are_sent_in_order_and_none_before_its_gate_opens() {
        let mut outbox = Outbox::default();
        assert!(!append(&mut outbox, "a", 0, 0, false));
        assert!(append(&mut outbox, "b", 5, 0, true));
        assert!(append(&mut outbox, "c", 3, 0, false), "it waits with what is before it");
        assert!(append(&mut outbox, "d", 9, 0, false));
        assert_eq!(sent(&mut outbox), "a");
        assert!(outbox.release(4));
        assert_eq!(sent(&mut outbox), "");
        assert!(outbox.release(5));
        assert_eq!(sent(&mut outbox), "bc");
        assert!(!outbox.release(9));
        assert_eq!(sent(&mut outbox), "d");
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_failed_log_lets_only_those_through_who_did_not_write() {
        for (wrote, strict) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut outbox = Outbox::default();
            append(&mut outbox, "kept", 5, 0, true);
            append(&mut outbox, "shown", 8, 0, wrote);
            let passes = outbox.release_failed(5, strict);
            assert_eq!(passes, !wrote && !strict);
            assert_eq!(sent(&mut outbox), if passes { "keptshown" } else { "kept" });
        }
    }

    #[test]
    fn a_buffer_that_a_panic_took_along_sends_nothing() {
        for settled in [0, 5, u64::MAX] {
            let mut outbox = Outbox::default();
            append(&mut outbox, "open", 0, 0, false);
            append(&mut outbox, "gated", 5, 0, true);
            drop(outbox.take());
            outbox.release(settled);
            assert_eq!(sent(&mut outbox), "");
            assert!(!outbox.wants_write() && outbox.held() == 0);
        }
    }
}
