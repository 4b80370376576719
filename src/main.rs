//! The `itemory` server binary.

use itemory::command::{Registry, Server, load_users};
use itemory::config::{Config, Invocation, Loaded};
use itemory::engine::Engine;
use itemory::env::{Clock, OsDisk, process};
use itemory::server::{self, logging};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: itemory::env::memory::Allocator = itemory::env::memory::Allocator;

/// The exit code of a check or repair that could not do its work, whatever state the folder is in.
const COULD_NOT_LOOK: u8 = 2;

fn main() -> ExitCode {
    process::keep_files_private();
    let loaded = match Config::load(std::env::args_os().skip(1), std::env::vars_os()) {
        Ok(loaded) => loaded,
        Err(error) if std::env::args_os().nth(1).is_some_and(|word| word == "check") => {
            let _ = fail(error);
            return ExitCode::from(COULD_NOT_LOOK);
        }
        Err(error) => return fail(error),
    };
    match loaded.invocation {
        Invocation::Help => say(itemory::config::help().trim_end()),
        Invocation::Version => say(itemory::config::version()),
        Invocation::Check { ref dir, repair } => return check(dir, repair),
        Invocation::Serve => return serve(loaded),
    }
    ExitCode::SUCCESS
}

/// Prints a line. It is no failure if the reader has closed the output, as `head` does.
fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints why the program ends. It is no failure if standard error is closed.
fn fail(why: impl std::fmt::Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{why}");
    ExitCode::FAILURE
}

/// Verifies a data folder, or repairs it. The exit code tells whether it was sound or was repaired (0), is damaged (1),
/// or could not be looked at (2).
fn check(dir: &Path, repair: bool) -> ExitCode {
    let disk = OsDisk::shared();
    let report = if repair {
        itemory::log::check::repair(&*disk, dir, Clock::System.now_ms())
    } else {
        itemory::log::check::check(&*disk, dir)
    };
    match report {
        Ok(report) => {
            say(&report);
            if report.is_sound() || repair { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            use itemory::log::LogError::{Corrupt, Foreign, MissingSegment};
            let damage = matches!(error, Corrupt { .. } | Foreign { .. } | MissingSegment { .. });
            let code = fail(error);
            if damage { code } else { ExitCode::from(COULD_NOT_LOOK) }
        }
    }
}

fn serve(loaded: Loaded) -> ExitCode {
    let settings = loaded.config.snapshot();
    if let Err(error) = logging::start(&settings) {
        return fail(format_args!("Can't open the log file {}: {error}", settings.logfile));
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let registry = match Registry::renamed(&settings.renamed_commands) {
        Ok(registry) => registry,
        Err(error) => return fail(error),
    };
    let engine = Engine::on_disk(settings, Clock::System, OsDisk::shared());
    let server = Arc::new(Server::with_registry(Arc::new(engine), Arc::new(loaded.config), registry));
    if let Err(error) = load_users(&server) {
        return fail(error);
    }
    match server::run(&server) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
