//! What a client has open until EXEC: the commands of MULTI, and the keys that it watches.

use crate::env::memory::class_bytes;
use crate::item::ItemKeys;
use smallvec::SmallVec;

/// The owned arguments of a command, one behind the other in one allocation.
pub struct OwnedArgs {
    bytes: Box<[u8]>,
    /// The offset at which each argument ends.
    ends: SmallVec<[usize; 10]>,
}

impl OwnedArgs {
    /// A copy of some arguments.
    pub fn of(args: &[&[u8]]) -> Self {
        let mut bytes = Vec::with_capacity(args.iter().map(|arg| arg.len()).sum());
        let mut ends = SmallVec::with_capacity(args.len());
        for arg in args {
            bytes.extend_from_slice(arg);
            ends.push(bytes.len());
        }
        Self { bytes: bytes.into_boxed_slice(), ends }
    }

    /// How many arguments there are, the command's name included.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The arguments in turn.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut begin = 0;
        self.ends.iter().map(move |end| {
            let from = std::mem::replace(&mut begin, *end);
            self.bytes.get(from..*end).unwrap_or_default()
        })
    }

    /// Bytes allocated for them.
    pub fn memory(&self) -> usize {
        let ends =
            if self.ends.spilled() { class_bytes(self.ends.capacity() * size_of::<usize>()) } else { 0 };
        class_bytes(self.bytes.len()) + ends
    }
}

/// A command that waits in MULTI.
pub struct Queued<C: 'static> {
    /// The command.
    pub command: &'static C,
    /// Its arguments.
    pub args: OwnedArgs,
}

/// An open MULTI.
pub struct Multi<C: 'static> {
    /// The commands so far.
    pub queue: Vec<Queued<C>>,
    /// Whether a command was refused, so that EXEC must fail.
    pub broken: bool,
    /// Bytes of the queued arguments.
    pub bytes: usize,
    /// Bytes of the queued arguments whose commands take time to read.
    pub body_bytes: usize,
    /// The bytes of the queued arguments whose requests are kept as they were read.
    pub kept_bytes: usize,
    /// How many of the commands were counted and observed already, if EXEC has begun and is to be run again.
    pub concluded: usize,
    /// The lines that the clients of MONITOR are to see of these commands.
    pub monitored: String,
}

impl<C> Default for Multi<C> {
    fn default() -> Self {
        Self {
            queue: Vec::new(),
            broken: false,
            bytes: 0,
            body_bytes: 0,
            kept_bytes: 0,
            concluded: 0,
            monitored: String::new(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owned_arguments_are_what_they_were_copied_from() {
        for count in [0, 1, 9, 10, 11, 300] {
            let texts: Vec<Vec<u8>> = (0..count).map(|n| vec![n as u8; n % 4]).collect();
            let args: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            let owned = OwnedArgs::of(&args);
            assert_eq!((owned.count(), owned.iter().len()), (count, count));
            assert_eq!(owned.iter().collect::<Vec<_>>(), args);
            let spilled = if count > 10 { count * size_of::<usize>() } else { 0 };
            assert!(owned.memory() >= args.concat().len() + spilled);
        }
    }
}
