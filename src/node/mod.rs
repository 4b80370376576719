//! What a server knows apart from its commands: its clients and what they wait for, statistics, the slow log, the
//! latency monitor, MONITOR's clients, what was refused to users, pauses, and the request to end.
//!
//! The rooms above decide what a command is. Clients and server are generic over commands and their table, and only
//! hold references to them.

mod acl_log;
mod client;
pub mod handle;
mod latency;
mod monitor;
pub mod output;
mod pause;
mod rates;
mod server;
mod shutdown;
pub mod slowlog;
mod stats;
mod transaction;

pub use acl_log::{AclEntry, AclLog};
pub use client::{
    AwaitedKey, Client, Parked, ReplyMode, Served, StateSlot, Wait, end_transaction, forget_watched,
};
pub use handle::{ClientHandle, ClientNames, Kill};
pub use latency::{LatencyMonitor, Series};
pub use monitor::{monitor_line, show_monitors};
pub use pause::Pause;
pub use rates::Rates;
pub use server::{Counts, Reconfigured, Server};
pub use shutdown::Shutdown;
pub use stats::{Histogram, OCTAVES, WorkerStats, octave_micros};
pub use transaction::{Multi, OwnedArgs, Queued, Watched, WatchedItem};
