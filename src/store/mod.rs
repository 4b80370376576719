//! The sharded item store: DashMap lives here and nowhere else.
//!
//! The keys of databases and the partitions of tables live in one map, keyed by (space, key), where a space is a
//! database or a table. The key alone chooses the shard. So keys of one name in all databases share a shard, and so do
//! the partitions of one partition key in all tables. The space is mixed into the other bits of the hash.
//!
//! Invariants: no guard of the map leaves this room. Shards are locked through [`Store::lock_one`],
//! [`Store::lock_many`] and [`Store::lock_all`] and their namesakes that end in `within` only, which wait in ascending
//! order; no thread locks a second set while it holds one. A writer waits for the readers that were there before it,
//! not for those that come after it (`gate`). A thread that wants several shards holds none that others could have
//! while it waits for one that is held for long. A thread that serves clients uses the functions that end in `within`:
//! these do not wait for a shard that a script holds (`lent`). The mapping of databases to spaces changes only under
//! all locks, so it is stable under any one of them.
//!
//! `shards` has the [`Store`], made of parts that do not know it (`entry`, `side`, `lines`, `watch`, `rosters`,
//! `imaged`, `reaper`); `locked` has what holds its shards, [`Locked`], and `locks` takes them. All other files add
//! methods to these two.

mod access;
mod apply;
mod clear;
mod closed;
pub mod collection;
mod copies;
mod cycle;
pub mod entry;
mod gate;
pub mod holds;
mod image;
mod imaged;
mod inverse;
mod lent;
mod lines;
mod locked;
mod locks;
mod names;
pub mod object;
mod partitions;
mod place;
mod prefetch;
mod raw_table;
mod reader;
mod reaper;
mod recording;
mod rosters;
mod scan;
mod seldom;
mod shards;
pub mod shown;
mod side;
mod sync;
mod thresholds;
mod timed;
mod touch;
mod turns;
mod types;
mod undo;
mod waiting;
mod watch;

pub use collection::DeadlineOf;
pub use cycle::{Due, EvictionOrder, EvictionRule, Sweep, Victim};
pub use entry::{Entry, Kind};
pub use holds::{Holder, Holds, HoldsByHolder};
pub use image::{PieceEnd, ShardImage, key_effects};
pub use imaged::{Owner, SpaceOwners};
pub use lent::{Lent, Patience, serves_clients};
pub use lines::{Awaited, KeyAt, Waiter, Waiting};
pub use locked::{Garbage, Locked, Mode};
pub use object::{Object, ValueRef};
pub use partitions::{RetimePlace, Visit};
pub use prefetch::ElementLookup;
pub use reaper::Reaper;
pub use rosters::walk_order;
pub use scan::{POSITION_BITS, ScanStep, cursor_of, position_of};
pub(crate) use seldom::Seldom;
pub use shards::Store;
pub use thresholds::Thresholds;
pub use timed::Timed;
pub use types::Built;
pub use types::item::{DeadlineIn, item_effects};
pub use types::list::MOST_PACKED;
pub use types::stream::stream_effects;
pub use watch::Watcher;
