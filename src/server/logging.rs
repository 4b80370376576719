//! The server's own log: `loglevel`, `logfile` and `log-format` through the `tracing` crate.

use crate::config::{LogFormat, LogLevel, Settings};
use crate::env::{LogFile, memory};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// The level in force, so that CONFIG SET can change it.
static LEVEL: AtomicU8 = AtomicU8::new(2);

/// How Redis's levels translate.
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

/// Changes how much is logged from now on.
pub(super) fn set_level(level: LogLevel) {
    LEVEL.store(filter_of(level).0, Relaxed);
    // What was decided for a place in the code at its first use is decided anew.
    tracing::callsite::rebuild_interest_cache();
}

/// Begins to log. A file that cannot be opened is an error; called twice, the first call counts.
pub fn start(settings: &Settings) -> std::io::Result<()> {
    LEVEL.store(filter_of(settings.loglevel).0, Relaxed);
    let is_file = !settings.logfile.is_empty();
    let writer = if is_file {
        let file = LogFile::new(PathBuf::from(&settings.logfile))?;
        BoxMakeWriter::new(move || file.clone())
    } else {
        BoxMakeWriter::new(std::io::stderr)
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_target(false);
    let by_level = dynamic_filter_fn(|metadata, _| *metadata.level() <= filter());
    let installed = match settings.log_format {
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_filter(by_level);
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
        }
        LogFormat::Pretty => {
            let colours = !is_file && std::io::IsTerminal::is_terminal(&std::io::stderr());
            let layer = layer.with_ansi(colours).with_filter(by_level);
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
        }
    };
    drop(installed);
    // A panic costs one connection or one round of background work, and must be seen where people look.
    std::panic::set_hook(Box::new(|panic| {
        memory::or_abort(|| {
            let trace = std::backtrace::Backtrace::force_capture();
            tracing::error!("this is a fault of the program, please report it: {panic}\n{trace}");
        });
    }));
    Ok(())
}
