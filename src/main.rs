//! The `itemory` server binary.

use itemory::command::Server;
use itemory::config::{Config, Invocation};
use itemory::engine::Engine;
use itemory::env::{Clock, OsDisk};
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
        Invocation::Check { .. } | Invocation::Serve => return serve(loaded.config),
    }
    ExitCode::SUCCESS
}

fn serve(config: Config) -> ExitCode {
    let settings = config.snapshot();
    let engine = Arc::new(Engine::on_disk(Arc::clone(&settings), Clock::System, OsDisk::shared()));
    let server = Arc::new(Server::new(Arc::clone(&engine), Arc::new(config)));
    std::thread::spawn(move || match engine.recover() {
        Ok(report) => {
            eprintln!("{report:?}");
            let _ = engine.start_background();
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    });
    let outcome = std::net::TcpListener::bind(("127.0.0.1", settings.port))
        .and_then(|listener| itemory::server::run(&server, listener));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
