//! One entry of the sharded map: a heap block that holds key, flags and a small value, behind one tagged word.
//!
//! Small values stand in the block (near). Larger ones stand in an allocation of their own (apart): a string that is
//! too large to be copied with its block while the shard is held, or an [`Object`]. The deadline in the slot lets the
//! expiry cycle and the volatile eviction policies walk the map without touching the blocks.
//!
//! `block` defines the layout and has all unsafe code.

mod block;
mod change;
mod kind;
mod layout;

pub(super) use change::StringInverse;
pub use kind::Kind;

use super::object::{Object, ValueRef};
use crate::value::heap;
use block::{Block, Content, Name, View};
use kind::Near;
use layout::{TICK_MASK, TICK_SHIFT};
use std::hash::{Hash, Hasher};

/// The parts from which a block is made.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The space (database or table) of the key.
    pub space: u32,
    /// The key.
    pub key: &'a [u8],
    /// The deadline in ms since the epoch.
    pub expire: Option<u64>,
    /// The kind of the payload: not one that is apart.
    pub kind: Kind,
    /// The payload's bytes.
    pub payload: &'a [u8],
}

/// Which deadlines an entry has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct DeadlineFlags {
    /// The entry's own deadline.
    pub(super) own: bool,
    /// Deadlines of fields.
    pub(super) fields: bool,
}

/// An owned entry. See the module's description for its layout.
pub struct Entry(Block);

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.space(), other.key())
    }
}

impl Eq for Entry {}

impl Entry {
    /// Makes an entry in one allocation. [`Entry::boxed`] and [`Entry::far`] make entries whose values are apart; this
    /// panics if the parts' kind is one of those.
    pub fn new(parts: &Parts<'_>, clock: u32) -> Self {
        let name = Name { space: parts.space, key: parts.key, expire: parts.expire };
        let content = Content::Near(parts.kind.of_bytes(), parts.payload);
        let mut entry = Self(Block::new(name, content, clock, false));
        if parts.kind == Kind::HashTtl {
            entry.refresh_deadline();
        }
        entry
    }

    /// Makes an entry whose value is in an allocation of its own.
    pub fn boxed(space: u32, key: &[u8], expire: Option<u64>, object: Box<Object>, clock: u32) -> Self {
        let deadline = object.deadline();
        let name = Name { space, key, expire };
        let mut entry = Self(Block::new(name, Content::Boxed(object), clock, false));
        entry.retag(deadline);
        entry
    }

    /// Makes an entry of a string that is in an allocation of its own.
    pub fn far(space: u32, key: &[u8], expire: Option<u64>, bytes: Vec<u8>, clock: u32) -> Self {
        Self(Block::new(Name { space, key, expire }, Content::Far(bytes), clock, false))
    }

    /// The block's address, as a hint for prefetching.
    #[inline]
    pub fn address(&self) -> *const u8 {
        self.0.address()
    }

    /// Whether this is the entry of `key` in `space`.
    #[inline]
    pub fn is(&self, space: u32, key: &[u8]) -> bool {
        self.0.is(space, key)
    }

    /// The database or table the entry belongs to.
    #[inline]
    pub fn space(&self) -> u32 {
        self.0.name().space
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.0.name().key
    }

    /// The deadline of the whole entry in ms since the epoch. For an item collection, a time that is not later than the
    /// deadline of its earliest item.
    #[inline]
    pub fn expire(&self) -> Option<u64> {
        if !self.has_deadline() {
            return None;
        }
        self.0.name().expire
    }

    /// Whether the entry's own deadline has passed.
    #[inline]
    pub fn deadline_passed(&self, now: u64) -> bool {
        self.expire().is_some_and(|at| at <= now)
    }

    /// Whether readers see the entry as gone: its own deadline has passed, or it is a hash whose fields have all
    /// expired. O(1) without deadlines; otherwise O(log n) for large hashes and O(expired fields) for packed ones.
    #[inline]
    pub fn expired(&self, now: u64) -> bool {
        self.has_deadline()
            && self.value().items().is_none()
            && (self.deadline_passed(now) || !self.any_part_live(now))
    }

    /// Whether a part of the value is live. The entry's own deadline has not passed.
    fn any_part_live(&self, now: u64) -> bool {
        match self.value() {
            ValueRef::Str(_)
            | ValueRef::Items(_)
            | ValueRef::List(_)
            | ValueRef::Set(..)
            | ValueRef::Hash(_, false) => true,
            value => value.hash().is_none_or(|hash| hash.any_live(now)),
        }
    }

    /// Whether the slot says that the entry, or a part of it, has a deadline.
    #[inline]
    pub fn has_deadline(&self) -> bool {
        self.0.has_deadline()
    }

    /// Which deadlines the entry has. O(fields) for packed hashes with deadlines, else O(1).
    #[inline]
    pub(super) fn deadlines(&self) -> DeadlineFlags {
        if !self.has_deadline() {
            return DeadlineFlags::default();
        }
        let fields = match self.value() {
            ValueRef::Hash(packed, true) => crate::value::hash::packed_deadline(packed).is_some(),
            ValueRef::Boxed(Object::Hash(hash)) => hash.with_deadline() != 0,
            ValueRef::Boxed(
                Object::Set(_) | Object::Items(_) | Object::Stream(_) | Object::List(_) | Object::Zset(_),
            )
            | ValueRef::Str(_)
            | ValueRef::Hash(_, false)
            | ValueRef::Set(..)
            | ValueRef::Items(_)
            | ValueRef::List(_)
            | ValueRef::Zset(_) => false,
        };
        DeadlineFlags { own: self.0.name().expire.is_some(), fields }
    }

    /// Whether a deadline may have passed, judged by the slot alone. It may be true too early, because ticks are coarse
    /// and wrap after 37 hours. It is never false too late, if an overdue entry is looked at within 18 hours.
    #[inline]
    pub fn maybe_due(&self, now: u64) -> bool {
        if !self.has_deadline() {
            return false;
        }
        let age = ((now >> TICK_SHIFT) & TICK_MASK).wrapping_sub(self.0.tick()) & TICK_MASK;
        age < TICK_MASK / 2
    }

    /// What the payload holds.
    #[inline]
    pub fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// Redis's name of the value's type.
    pub fn type_name(&self) -> &'static str {
        match self.value() {
            ValueRef::Str(_) => "string",
            ValueRef::Hash(..) | ValueRef::Boxed(Object::Hash(_)) => "hash",
            ValueRef::Set(..) | ValueRef::Boxed(Object::Set(_)) => "set",
            ValueRef::Zset(_) | ValueRef::Boxed(Object::Zset(_)) => "zset",
            ValueRef::Items(_) | ValueRef::Boxed(Object::Items(_)) => "items",
            ValueRef::Boxed(Object::Stream(_)) => "stream",
            ValueRef::List(_) | ValueRef::Boxed(Object::List(_)) => "list",
        }
    }

    /// Whether the string was edited in place.
    pub fn is_raw(&self) -> bool {
        self.0.is_raw()
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> ValueRef<'_> {
        match self.0.view() {
            View::Near(Near::Str, bytes) => ValueRef::Str(bytes),
            View::Near(Near::Hash, packed) => ValueRef::Hash(packed, false),
            View::Near(Near::HashTtl, packed) => ValueRef::Hash(packed, true),
            View::Near(Near::Items, packed) => ValueRef::Items(packed),
            View::Near(Near::Set, packed) => ValueRef::Set(packed, false),
            View::Near(Near::IntSet, ints) => ValueRef::Set(ints, true),
            View::Near(Near::List, packed) => ValueRef::List(packed),
            View::Near(Near::SortedSet, packed) => ValueRef::Zset(packed),
            View::Far(bytes) => ValueRef::Str(bytes),
            View::Boxed(object) => ValueRef::Boxed(object),
        }
    }

    /// The address of a value in an allocation of its own. It stays the same as long as the value lives.
    #[inline]
    pub(super) fn object_address(&self) -> Option<usize> {
        match self.0.view() {
            View::Near(..) => None,
            View::Far(bytes) => Some(std::ptr::from_ref(bytes).addr()),
            View::Boxed(object) => Some(std::ptr::from_ref(object).addr()),
        }
    }

    /// The access clock: seconds (LRU) or minutes and counter (LFU), 24 bits.
    #[inline]
    pub fn clock(&self) -> u32 {
        self.0.clock()
    }

    /// Sets the access clock. A shared lock of the shard is enough. Nothing is stored if the value is the same, so that
    /// the cache lines of hot keys do not move between cores.
    #[inline]
    pub fn set_clock(&self, clock: u32) {
        self.0.set_clock(clock);
    }

    /// Bytes allocated for a string besides its block.
    pub fn far_bytes(&self) -> usize {
        match self.0.view() {
            View::Far(bytes) => heap::block(size_of::<Vec<u8>>()) + heap::block(bytes.capacity()),
            View::Near(..) | View::Boxed(_) => 0,
        }
    }

    /// Bytes allocated for the block, without those of a value that is apart.
    pub fn block_size(&self) -> usize {
        self.0.size()
    }
}

#[cfg(test)]
mod tests;
