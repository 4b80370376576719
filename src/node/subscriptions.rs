//! What one client has subscribed to.

use crate::env::memory::class_bytes;
use std::collections::HashSet;
use std::sync::Arc;

/// What a subscription names. Each kind is a world of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelKind {
    /// A channel.
    Channel,
    /// A pattern of channels' names.
    Pattern,
    /// A shard channel.
    Shard,
}

impl ChannelKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Channel, Self::Pattern, Self::Shard];
}

/// The names that a client has subscribed to. The roster and all subscribers of a name share its bytes.
#[derive(Default)]
pub(super) struct Subscriptions {
    names: [HashSet<Arc<[u8]>, ahash::RandomState>; 3],
    /// The bytes that the names take.
    bytes: usize,
}

/// What one name in a set takes beside its bytes: the reference and its place, the two counts in front of the bytes.
const PER_NAME: usize = 40;

impl Subscriptions {
    pub(super) fn of(&self, kind: ChannelKind) -> &HashSet<Arc<[u8]>, ahash::RandomState> {
        &self.names[kind as usize]
    }

    /// Adds a name that is not there yet.
    pub(super) fn add(&mut self, kind: ChannelKind, name: Arc<[u8]>) {
        self.bytes += class_bytes(name.len()) + PER_NAME;
        self.names[kind as usize].insert(name);
    }

    /// Takes a name out; false if it is not there.
    pub(super) fn remove(&mut self, kind: ChannelKind, name: &[u8]) -> bool {
        let names = &mut self.names[kind as usize];
        let removed = names.remove(name);
        if removed {
            self.bytes -= class_bytes(name.len()) + PER_NAME;
            if names.capacity() > 64 && names.len() < names.capacity() / 8 {
                names.shrink_to(names.len() * 2);
            }
        }
        removed
    }

    /// About how many bytes they take. The bytes of a name count for each of its subscribers.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes
    }
}
