//! What a server knows apart from its commands: its clients and what they wait for, statistics, the slow log, the
//! latency monitor, MONITOR's clients, subscribers and messages, clients that cache, users and what was refused to
//! them, pauses, and the request to end.
//!
//! The rooms above decide what a command is. Clients and server are generic over commands and their table, and only
//! hold references to them.

mod acl_log;
mod caching;
mod client;
pub mod command_log;
mod counts;
pub mod handle;
pub mod hot_keys;
mod inbox;
mod invalidations;
mod key_messages;
mod latency;
mod monitor;
mod notifications;
mod outgoing;
pub mod output;
mod own_channels;
mod pause;
mod publish;
mod queue;
mod rates;
mod roster;
pub mod running;
mod server;
mod shutdown;
mod stats;
mod subscriptions;
mod tracking;
mod transaction;
mod users;

pub use acl_log::{AclEntry, AclLog};
pub use caching::{Caching, CachingMode};
pub use client::{
    AwaitedKey, Client, Parked, ReplyMode, Served, StateSlot, Wait, end_transaction, forget_watched,
};
pub use counts::Counts;
pub use handle::{ClientHandle, ClientNames, Kill};
pub use latency::{LatencyMonitor, Series};
pub use monitor::{MonitorLines, monitor_line, show_monitors};
pub use outgoing::Publication;
pub use pause::Pause;
pub use publish::Broker;
pub use queue::{Args, Foreseen, Queue, Queued};
pub use rates::Rates;
pub use roster::Roster;
pub use server::{Reconfigured, Server};
pub use shutdown::Shutdown;
pub use stats::{Histogram, OCTAVES, WorkerStats, octave_micros};
pub use subscriptions::ChannelKind;
pub use tracking::{PARTS as TRACKING_PARTS, Tracking, TrackingRequest};
pub use transaction::{Multi, Watched, WatchedItem};
pub use users::{DEFAULT_USER, Rights, User, UserChange, Users};
