//! What a client has open until EXEC: the commands of MULTI, and the keys that it watches.

use super::monitor::MonitorLines;
use super::queue::Queue;
use crate::env::memory::class_bytes;
use crate::item::ItemKeys;

/// An open MULTI.
pub struct Multi<C: 'static> {
    /// The commands so far.
    pub queue: Queue<C>,
    /// Whether a command was refused, so that EXEC must fail.
    pub broken: bool,
    /// Bytes of the queued arguments whose commands take time to read.
    pub body_bytes: usize,
    /// The bytes of the queued arguments whose requests are kept as they were read.
    pub kept_bytes: usize,
    /// How many of the commands were counted and observed already, if EXEC has begun and is to be run again.
    pub concluded: usize,
    /// The lines that the clients of MONITOR are to see of these commands.
    pub monitored: MonitorLines,
}

impl<C> Default for Multi<C> {
    fn default() -> Self {
        Self {
            queue: Queue::default(),
            broken: false,
            body_bytes: 0,
            kept_bytes: 0,
            concluded: 0,
            monitored: MonitorLines::default(),
        }
    }
}

/// The item behind a watched key.
pub struct WatchedItem {
    /// The table's id.
    pub table: u32,
    /// Its keys.
    pub keys: ItemKeys,
}

/// A watched key.
pub struct Watched {
    /// The database's number.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
    /// The hash that chooses the shard.
    pub hash: u64,
    /// The item that the key stands for, if the key is a view.
    pub item: Option<WatchedItem>,
    /// Whether a reader would have found the key when the client began to watch it. The removal of an expired key
    /// raises no flag, because readers saw no key from its deadline on. EXEC compares: a key that was live then and is
    /// not live now has changed.
    pub live: bool,
    /// When the first field of the hash was to expire, in ms since the epoch.
    pub field_deadline: Option<u64>,
}

impl Watched {
    /// About how many bytes it takes, with its place in the store's table of watched keys.
    pub fn memory(&self) -> usize {
        /// A key's place in the table, with the list of its watchers.
        const PLACE: usize = 160;
        let item = self.item.as_ref().map_or(0, |item| 2 * (item.keys.pk.len() + item.keys.sk.len()));
        size_of::<Self>() + PLACE + 2 * class_bytes(self.key.len()) + item
    }
}
