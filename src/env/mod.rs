//! The outside world: clock, randomness and disk.
//!
//! The server reaches time, randomness and files only through this room, so that a test can control all three: a
//! [`Clock`] that is moved by hand, a [`Random`] that repeats itself, and a [`SimDisk`] that loses what was not synced,
//! tears writes, runs full and fails on demand.

#![allow(clippy::disallowed_methods)]

mod clock;
mod disk;
mod log_file;
pub mod memory;
mod names;
mod os_disk;
pub mod prefetch;
pub mod process;
mod random;
mod sim_disk;
mod tally;
#[cfg(test)]
mod tests;

pub use clock::{AtomicInstant, Clock, Instant, ManualClock};
pub use disk::{Access, Disk, DiskFile, FolderEntry, FolderLock, OpenFolder, Preallocate, wants_resource};
pub use log_file::LogFile;
pub use names::{PidFile, SocketName, listen_unix};
pub use os_disk::OsDisk;
pub use random::Random;
pub use sim_disk::{CrashMode, Fault, SimDisk};
pub use tally::Tally;
