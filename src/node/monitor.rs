//! MONITOR's clients, and how they see what others do.

use super::handle::ClientHandle;
use super::output;
use super::server::Server;
use bytes::Bytes;
use std::borrow::Cow;
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

/// Shows lines to the clients of MONITOR.
#[cold]
pub fn show_monitors<R>(server: &Server<R>, line: &str) {
    let watches = |other: &ClientHandle| other.monitor.load(Relaxed) && !other.silent.load(Relaxed);
    let monitors: Vec<_> = server.clients.lock().values().filter(|other| watches(other)).cloned().collect();
    let shows = server.engine.everything_since(server.engine.state());
    let settings = server.config.snapshot();
    let line = Bytes::copy_from_slice(line.as_bytes());
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
