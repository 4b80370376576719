//! What a client has open until EXEC: the commands of MULTI, and the keys that it watches.

use crate::env::memory::class_bytes;
use crate::item::ItemKeys;

/// A command that waits in MULTI.
pub struct Queued<C: 'static> {
    /// The command.
    pub command: &'static C,
    /// Its arguments, owned.
    pub args: Vec<Box<[u8]>>,
}

/// An open MULTI.
pub struct Multi<C: 'static> {
    /// The commands so far.
    pub queue: Vec<Queued<C>>,
    /// Whether a command was refused, so that EXEC must fail.
    pub broken: bool,
    /// Bytes of the queued arguments.
    pub bytes: usize,
    /// How many of the commands were counted already, if EXEC was begun and is to be done again.
    pub concluded: usize,
    /// What the clients of MONITOR are to see of these.
    pub monitored: String,
}

impl<C> Default for Multi<C> {
    fn default() -> Self {
        Self { queue: Vec::new(), broken: false, bytes: 0, concluded: 0, monitored: String::new() }
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
    /// The item that it stands for, where it is a view.
    pub item: Option<WatchedItem>,
    /// Whether there was something for readers as it was watched. The removal of what has expired raises no flag, for
    /// nobody sees a change then; what counts is that it was there and no longer is.
    pub live: bool,
    /// When the first of its fields was to expire, in ms since the epoch.
    pub field_deadline: Option<u64>,
}

impl Watched {
    /// About how many bytes it takes, with its place in the store's table of watched keys.
    pub fn memory(&self) -> usize {
        /// A key's place in the table, with the list of who watches it.
        const PLACE: usize = 160;
        let item = self.item.as_ref().map_or(0, |item| 2 * (item.keys.pk.len() + item.keys.sk.len()));
        size_of::<Self>() + PLACE + 2 * class_bytes(self.key.len()) + item
    }
}
