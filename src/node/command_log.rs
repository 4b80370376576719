//! The command logs: commands that took long, and those with large requests or replies.

use parking_lot::Mutex;
use std::collections::VecDeque;

/// The most arguments that are kept of one command; the rest are only counted.
const MOST_ARGS: usize = 32;
/// Bytes kept of one argument.
const MOST_BYTES: usize = 128;

/// For what commands are logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Logged {
    /// They took long; SLOWLOG shows the same log.
    Slow,
    /// Their arguments have many bytes.
    LargeRequest,
    /// Their replies have many bytes.
    LargeReply,
}

impl Logged {
    /// All reasons, with their names in COMMANDLOG.
    pub const ALL: [(&str, Self); 3] =
        [("slow", Self::Slow), ("large-request", Self::LargeRequest), ("large-reply", Self::LargeReply)];
}

/// One command that was logged.
#[derive(Clone, Debug)]
pub struct LoggedCommand {
    /// Its number since the server started.
    pub id: i64,
    /// When it ran, in seconds since the epoch.
    pub time: u64,
    /// How long it ran, in µs, or how many bytes its request or reply had.
    pub amount: u64,
    /// Its arguments, clipped.
    pub args: Vec<Vec<u8>>,
    /// The client's address.
    pub addr: String,
    /// The client's name, clipped.
    pub name: Vec<u8>,
}

/// The newest commands of one log.
#[derive(Default, Debug)]
pub struct CommandLog {
    entries: VecDeque<LoggedCommand>,
    next: i64,
    capacity: usize,
}

impl CommandLog {
    /// Sets the most entries that are kept.
    pub fn set_capacity(&mut self, capacity: u64) {
        self.capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        self.entries.truncate(self.capacity);
    }

    /// Adds an entry; its number is set here.
    pub fn add(&mut self, mut entry: LoggedCommand) {
        entry.id = self.next;
        self.next += 1;
        self.entries.push_front(entry);
        self.entries.truncate(self.capacity);
    }

    /// The entries, the newest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &LoggedCommand> {
        self.entries.iter()
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

/// The three logs.
#[derive(Default, Debug)]
pub struct CommandLogs([Mutex<CommandLog>; 3]);

impl CommandLogs {
    /// The log of one kind.
    pub fn of(&self, kind: Logged) -> &Mutex<CommandLog> {
        &self.0[kind as usize]
    }
}

/// Clips arguments for a log: the first 31 of more than 32, each to 128 bytes.
pub fn clip<A: AsRef<[u8]>>(args: &[A]) -> Vec<Vec<u8>> {
    let kept = if args.len() > MOST_ARGS { MOST_ARGS - 1 } else { args.len() };
    let mut clipped: Vec<Vec<u8>> = args[..kept].iter().map(|arg| clip_arg(arg.as_ref())).collect();
    if kept < args.len() {
        clipped.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
    }
    clipped
}

/// Clips one argument, or a name, to 128 bytes.
pub fn clip_arg(arg: &[u8]) -> Vec<u8> {
    if arg.len() <= MOST_BYTES {
        return arg.to_vec();
    }
    let mut text = arg[..MOST_BYTES].to_vec();
    text.extend_from_slice(format!("... ({} more bytes)", arg.len() - MOST_BYTES).as_bytes());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_clipped() {
        let words: Vec<Vec<u8>> = (0..32).map(|i| i.to_string().into_bytes()).collect();
        assert_eq!(clip(&words), words);
        let words: Vec<Vec<u8>> = (0..40).map(|i| i.to_string().into_bytes()).collect();
        let clipped = clip(&words);
        assert_eq!(clipped.len(), 32);
        assert_eq!(clipped[30], b"30");
        assert_eq!(clipped[31], b"... (9 more arguments)");
        assert_eq!(clip(&[vec![b'x'; 128]])[0].len(), 128);
        let mut long = vec![b'x'; 128];
        long.extend_from_slice(b"... (72 more bytes)");
        assert_eq!(clip(&[vec![b'x'; 200]])[0], long);
    }

    #[test]
    fn the_oldest_go_first() {
        let mut log = CommandLog::default();
        log.set_capacity(2);
        let (args, addr, name) = (Vec::new(), String::new(), Vec::new());
        let entry = LoggedCommand { id: 0, time: 1, amount: 1, args, addr, name };
        for _ in 0..3 {
            log.add(entry.clone());
        }
        assert_eq!(log.entries.iter().map(|e| e.id).collect::<Vec<_>>(), [2, 1]);
        log.set_capacity(1);
        assert_eq!(log.entries.len(), 1);
        log.set_capacity(0);
        log.add(entry);
        assert_eq!(log.entries.len(), 0);
    }
}
