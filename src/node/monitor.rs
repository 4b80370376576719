//! MONITOR's clients, and how they see what others do.

use super::handle::ClientHandle;
use super::output;
use super::server::Server;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A line shows so many bytes of a command's arguments at most, with a byte more for each argument.
const MOST_SHOWN: usize = 4 << 20;

/// The line that MONITOR shows of a command. Of long arguments it shows the first 4 MB, and says how much more there
/// is, as the command logs do.
pub fn monitor_line(micros: u64, db: usize, addr: &str, unix: bool, args: &[Cow<'_, [u8]>]) -> String {
    let from = if unix { format!("unix:{}", addr.trim_end_matches(":0")) } else { addr.to_owned() };
    let mut line = format!("+{}.{:06} [{db} {from}]", micros / 1_000_000, micros % 1_000_000);
    let mut left = MOST_SHOWN;
    for (at, arg) in args.iter().enumerate() {
        line.push(' ');
        if left == 0 {
            line += "\"... (";
            line += itoa::Buffer::new().format(args.len() - at);
            line += " more arguments)\"";
            break;
        }
        match arg.split_at_checked(left) {
            Some((shown, more)) if !more.is_empty() => {
                let end = format!("... ({} more bytes)", more.len());
                line += &crate::text::repr(&[shown, end.as_bytes()].concat());
            }
            _ => line += &crate::text::repr(arg),
        }
        left = left.saturating_sub(arg.len() + 1);
    }
    line += "\r\n";
    line
}

/// The lines of a transaction's commands, which are kept until the transaction is in the log.
#[derive(Default)]
pub struct MonitorLines {
    text: String,
    /// Whether there were too many, so that none is kept.
    overran: bool,
}

impl MonitorLines {
    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.overran
    }

    /// Adds a line if there is one. If the lines would then take more than `most` bytes, none is kept.
    pub fn add(&mut self, most: u64, line: impl FnOnce() -> Option<String>) {
        if self.overran {
            return;
        }
        let Some(line) = line() else { return };
        if (self.text.len() + line.len()) as u64 > most {
            *self = Self { text: String::new(), overran: true };
        } else {
            self.text += &line;
        }
    }

    /// Shows the lines to the clients of MONITOR. If there were too many, these clients are closed.
    #[cold]
    pub fn show<R>(self, server: &Server<R>) {
        if self.overran {
            watching(server).iter().for_each(|monitor| output::close(&server.counts, monitor));
        } else {
            show_monitors(server, self.text);
        }
    }
}

/// The clients of MONITOR that want replies.
fn watching<R>(server: &Server<R>) -> Vec<Arc<ClientHandle>> {
    let watches = |other: &ClientHandle| other.monitor.load(Relaxed) && !other.silent.load(Relaxed);
    server.clients.lock().values().filter(|other| watches(other)).cloned().collect()
}

/// Shows lines to the clients of MONITOR.
#[cold]
pub fn show_monitors<R>(server: &Server<R>, line: String) {
    let monitors = watching(server);
    let shows = server.engine.everything_since(server.engine.state());
    let settings = server.config.snapshot();
    let line = Bytes::from(line);
    for monitor in monitors {
        let most = output::most(&settings, &monitor, true);
        if !monitor.push(|_| line.clone(), shows, most) {
            output::close(&server.counts, &monitor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_bounded() {
        let line = |args: &[&[u8]]| {
            let args: Vec<_> = args.iter().map(|arg| Cow::Borrowed(*arg)).collect();
            monitor_line(1, 0, "a:1", false, &args)
        };
        let long = vec![b'x'; MOST_SHOWN];
        let begins = "+0.000001 [0 a:1] \"SET\" \"";
        let whole = line(&[b"SET", &long[4..]]);
        assert_eq!(whole.len(), begins.len() + long.len() - 4 + "\"\r\n".len());
        let cut = line(&[b"SET", &long, b"EX", b"1"]);
        assert!(cut.starts_with(begins) && cut.len() < whole.len() + 100);
        assert!(cut.ends_with("x... (4 more bytes)\" \"... (2 more arguments)\"\r\n"), "{}", cut.len());
        let empty: &[u8] = b"";
        let many = line(&vec![empty; MOST_SHOWN + 1]);
        assert!(many.ends_with("\"\" \"... (1 more arguments)\"\r\n"), "{}", many.len());
    }

    #[test]
    fn the_unix_socket_is_named() {
        let line = monitor_line(1, 0, "/tmp/s:0", true, &[Cow::Borrowed(b"a\"\n")]);
        assert_eq!(line, "+0.000001 [0 unix:/tmp/s] \"a\\\"\\n\"\r\n");
    }
}
