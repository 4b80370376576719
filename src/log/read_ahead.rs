//! Reads and verifies on a thread of its own, while the caller applies what was read before.

use super::{LogError, LogReader, Piece};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// A reader that is some pieces ahead of its caller. It ends where the log ended when it got there.
#[derive(Debug)]
pub struct ReadAhead {
    filled: Receiver<Result<Piece, LogError>>,
    /// Pieces go back, so that their memory is used again.
    emptied: SyncSender<Piece>,
}

impl ReadAhead {
    /// Reads on from where `reader` stands, at most `pieces` ahead. The thread ends with the log, at the first error, or
    /// after this was dropped.
    pub fn new(mut reader: Box<dyn LogReader>, pieces: usize) -> Result<Self, LogError> {
        let (fill, filled) = sync_channel(pieces.max(1));
        let (emptied, empty) = sync_channel::<Piece>(pieces + 2);
        let work = move || {
            loop {
                let mut piece = empty.try_recv().unwrap_or_default();
                let next = match reader.next_piece(&mut piece) {
                    Ok(true) => Ok(piece),
                    Ok(false) => break,
                    Err(error) => Err(error),
                };
                let ended = next.is_err();
                if fill.send(next).is_err() || ended {
                    break;
                }
            }
        };
        let spawned = std::thread::Builder::new().name("log-read-ahead".to_owned()).spawn(work);
        spawned.map_err(|error| LogError::Io {
            what: "start a thread that reads the log".to_owned(),
            cause: error.to_string(),
            full: false,
        })?;
        Ok(Self { filled, emptied })
    }
}

impl LogReader for ReadAhead {
    fn next_piece(&mut self, piece: &mut Piece) -> Result<bool, LogError> {
        // A piece that finds no place is simply freed.
        let _ = self.emptied.try_send(std::mem::take(piece));
        match self.filled.recv() {
            Ok(next) => {
                *piece = next?;
                Ok(true)
            }
            // The thread has ended with the log.
            Err(_) => Ok(false),
        }
    }
}
