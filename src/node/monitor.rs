//! MONITOR's clients, and how they see what others do.

use super::handle::ClientHandle;
use super::output;
use super::server::Server;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The line that MONITOR shows of a command.
pub fn monitor_line(micros: u64, db: usize, addr: &str, unix: bool, args: &[Cow<'_, [u8]>]) -> String {
    let from = if unix { format!("unix:{}", addr.trim_end_matches(":0")) } else { addr.to_owned() };
    let mut line = format!("+{}.{:06} [{db} {from}]", micros / 1_000_000, micros % 1_000_000);
    for arg in args {
        line.push(' ');
        line += &crate::text::repr(arg);
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
    fn the_unix_socket_is_named() {
        let line = monitor_line(1, 0, "/tmp/s:0", true, &[Cow::Borrowed(b"a\"\n")]);
        assert_eq!(line, "+0.000001 [0 unix:/tmp/s] \"a\\\"\\n\"\r\n");
    }
}
