//! The server's own log: `loglevel`, `logfile` and `log-format` through the `tracing` crate.

use crate::config::{LogFormat, LogLevel, Settings};
use crate::env::{LogFile, memory};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// The level in force, so that CONFIG SET can change it.
static LEVEL: AtomicU8 = AtomicU8::new(2);

/// The filter that stands for one of Redis's levels.
fn filter_of(level: LogLevel) -> (u8, LevelFilter) {
    match level {
        LogLevel::Debug => (0, LevelFilter::TRACE),
        LogLevel::Verbose => (1, LevelFilter::DEBUG),
        LogLevel::Notice => (2, LevelFilter::INFO),
        LogLevel::Warning => (3, LevelFilter::WARN),
        LogLevel::Nothing => (4, LevelFilter::OFF),
    }
}

fn filter() -> LevelFilter {
    match LEVEL.load(Relaxed) {
        0 => LevelFilter::TRACE,
        1 => LevelFilter::DEBUG,
        2 => LevelFilter::INFO,
        3 => LevelFilter::WARN,
        _ => LevelFilter::OFF,
    }
}

/// Sets the level from now on.
pub(super) fn set_level(level: LogLevel) {
    LEVEL.store(filter_of(level).0, Relaxed);
    // Each place in the code that logs keeps its decision from its first use; this makes it decide again.
    tracing::callsite::rebuild_interest_cache();
}

/// Keeps every message in one line, even if a client's bytes are in it: control characters are written as escapes, so
/// that no client can forge a line. `tracing` itself escapes the sequences that would steer a terminal.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    /// Takes one message as a whole, as the formatter gives it.
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        let (text, end) = match message.strip_suffix(b"\n") {
            Some(text) => (text, &b"\n"[..]),
            None => (message, &b""[..]),
        };
        if text.iter().any(|byte| is_escaped(*byte)) {
            self.0.write_all(&[escaped(text).as_slice(), end].concat())?;
        } else {
            self.0.write_all(message)?;
        }
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The escape character itself is kept, because the formatter's own colours begin with it.
fn is_escaped(byte: u8) -> bool {
    byte < b' ' && byte != 0x1b
}

fn escaped(text: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(text.len() + 16);
    for byte in text {
        if is_escaped(*byte) {
            line.extend(byte.escape_ascii());
        } else {
            line.push(*byte);
        }
    }
    line
}

/// Begins to log. A file that cannot be opened is an error. Of two calls, the second has no effect.
pub fn start(settings: &Settings) -> io::Result<()> {
    LEVEL.store(filter_of(settings.loglevel).0, Relaxed);
    let is_file = !settings.logfile.is_empty();
    let writer = if is_file {
        let file = LogFile::new(PathBuf::from(&settings.logfile))?;
        BoxMakeWriter::new(move || OneLine(file.clone()))
    } else {
        BoxMakeWriter::new(|| OneLine(io::stderr()))
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_target(false);
    let by_level = dynamic_filter_fn(|metadata, _| *metadata.level() <= filter());
    let installed = match settings.log_format {
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_filter(by_level);
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
        }
        LogFormat::Pretty => {
            let colours = !is_file && io::IsTerminal::is_terminal(&io::stderr());
            let layer = layer.with_ansi(colours).with_filter(by_level);
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
        }
    };
    drop(installed);
    // A panic costs only one connection or one round of background work, so the log must show it.
    std::panic::set_hook(Box::new(|panic| {
        memory::or_abort(|| {
            // What names the functions of a backtrace takes tens of megabytes, which std keeps from the first panic on.
            let trace = memory::apart(|| std::backtrace::Backtrace::force_capture().to_string());
            tracing::error!("this is a fault of the program, please report it: {panic}");
            trace.lines().for_each(|line| tracing::error!("{line}"));
            memory::apart(|| drop(trace));
        });
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_message_is_one_line(message: Vec<u8>, ends: bool) {
            let end: &[u8] = if ends { b"\n" } else { b"" };
            let message = [message.as_slice(), end].concat();
            let mut written = Vec::new();
            OneLine(&mut written).write_all(&message).unwrap();
            let text = written.strip_suffix(b"\n").unwrap_or(&written);
            prop_assert!(!text.iter().any(|byte| is_escaped(*byte)));
            prop_assert_eq!(written.ends_with(b"\n"), message.ends_with(b"\n"));
        }
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        let mut written = Vec::new();
        OneLine(&mut written).write_all("\x1b[32mé\x1b[0m a\nb\r\t\0\n".as_bytes()).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), "\x1b[32mé\x1b[0m a\\nb\\r\\t\\x00\n");
    }
}
