//! The `itemory` server binary.

use itemory::command::{Registry, Server};
use itemory::config::{Config, Invocation, Loaded};
use itemory::engine::Engine;
use itemory::env::{Clock, OsDisk};
use itemory::server::{self, logging};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: itemory::env::memory::Allocator = itemory::env::memory::Allocator;

fn main() -> ExitCode {
    let loaded = match Config::load(std::env::args().skip(1), std::env::vars()) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match loaded.invocation {
        Invocation::Help => print!("{}", itemory::config::help()),
        Invocation::Version => println!("{}", itemory::config::version()),
        Invocation::Check { ref dir, repair } => return check(dir, repair),
        Invocation::Serve => return serve(loaded),
    }
    ExitCode::SUCCESS
}

/// Verifies a data folder, or repairs it; the exit code tells whether it was sound.
fn check(dir: &Path, repair: bool) -> ExitCode {
    let disk = OsDisk::shared();
    let report = if repair {
        itemory::log::check::repair(&*disk, dir, Clock::System.now_ms())
    } else {
        itemory::log::check::check(&*disk, dir)
    };
    match report {
        Ok(report) => {
            println!("{report}");
            if report.is_sound() || repair { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(loaded: Loaded) -> ExitCode {
    let settings = loaded.config.snapshot();
    if let Err(error) = logging::start(&settings) {
        eprintln!("Can't open the log file {}: {error}", settings.logfile);
        return ExitCode::FAILURE;
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let registry = match Registry::renamed(&settings.renamed_commands) {
        Ok(registry) => registry,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let engine = Engine::on_disk(settings, Clock::System, OsDisk::shared());
    let server = Arc::new(Server::with_registry(Arc::new(engine), Arc::new(loaded.config), registry));
    match server::run(&server) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
