//! Reads and verifies on a thread of its own, while the caller applies what was read before.

use super::{LogError, LogReader, RecordRun};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// A reader that is some pieces ahead of its caller. It stops the first time that the log has no further records.
#[derive(Debug)]
pub struct ReadAhead {
    /// `None` stands for the log's end. If the thread ends without sending it, not everything was read.
    filled: Receiver<Result<Option<RecordRun>, LogError>>,
    ended: bool,
    /// Pieces go back, so that their memory is used again.
    emptied: SyncSender<RecordRun>,
}

impl ReadAhead {
    /// Reads on from where `reader` stands, at most `pieces` ahead. The thread ends with the log, at the first error,
    /// or after this was dropped.
    pub fn new(mut reader: Box<dyn LogReader>, pieces: usize) -> Result<Self, LogError> {
        let (fill, filled) = sync_channel(pieces.max(1));
        let (emptied, empty) = sync_channel::<RecordRun>(pieces + 2);
        let work = move || {
            loop {
                let mut piece = empty.try_recv().unwrap_or_default();
                let next = match reader.next_piece(&mut piece) {
                    Ok(true) => Ok(Some(piece)),
                    Ok(false) => Ok(None),
                    Err(error) => Err(error),
                };
                let more = matches!(next, Ok(Some(_)));
                if fill.send(next).is_err() || !more {
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
        Ok(Self { filled, ended: false, emptied })
    }
}

impl LogReader for ReadAhead {
    fn next_piece(&mut self, piece: &mut RecordRun) -> Result<bool, LogError> {
        // If the channel is full, the piece is freed.
        let _ = self.emptied.try_send(std::mem::take(piece));
        let next = match self.filled.recv() {
            Ok(next) => next,
            Err(_) if self.ended => Ok(None),
            Err(_) => Err(LogError::Io {
                what: "read the log".to_owned(),
                cause: "the thread that reads it has ended".to_owned(),
                full: false,
            }),
        };
        self.ended = !matches!(next, Ok(Some(_)));
        match next? {
            Some(next) => {
                *piece = next;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Panics;

    impl LogReader for Panics {
        fn next_piece(&mut self, _piece: &mut RecordRun) -> Result<bool, LogError> {
            panic!("a fault of the program")
        }
    }

    #[test]
    fn a_thread_that_panics_is_not_the_end_of_the_log() {
        let mut reader = ReadAhead::new(Box::new(Panics), 1).unwrap();
        assert!(reader.next_piece(&mut RecordRun::new()).is_err());
    }
}
