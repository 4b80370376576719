//! The `itemory` server binary.

use itemory::command::Server;
use itemory::engine::Engine;
use itemory::env::Clock;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::io::Result<()> {
    let port: u16 = std::env::args().nth(1).and_then(|p| p.parse().ok()).unwrap_or(6379);
    let workers: usize = std::env::args().nth(2).and_then(|p| p.parse().ok()).unwrap_or(2);
    let engine = Arc::new(Engine::in_memory(1024, 16, Clock::System));
    let server = Arc::new(Server::new(engine, workers));
    itemory::server::run(&server, std::net::TcpListener::bind(("127.0.0.1", port))?)
}
