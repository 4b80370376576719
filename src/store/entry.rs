//! One entry of the sharded map: a heap block that holds key, flags and a small value, behind one tagged word.
//!
//! ```text
//! slot (8 bytes, what the map stores)
//!   bits  0..48  address of the block (8-byte aligned)
//!   bits 48..63  deadline in ticks of 4096 ms, modulo 2^15, when bit 63 is set
//!   bit  63      the entry, or a field or item in it, has a deadline
//! block
//!   0   u32   access clock (24 bits) | flags (4 bits) | kind (4 bits); readers update the clock atomically
//!   4   u8    size class of the allocation
//!   5   varint space, varint key length, varint payload length
//!       u64   deadline in ms, little endian, only with FLAG_EXPIRE
//!       key bytes, payload bytes
//! ```
//! The payload of kind `BOXED` is the address of a `Box<Object>`, that of kind `FAR` of a `Box<Vec<u8>>`: a string so
//! large that copying it with its block would hold up the shard. The deadline in the slot lets the expiry cycle and the
//! volatile eviction policies walk the map without touching the blocks.
//!
//! # Safety invariants
//! * A block is owned by exactly one `Entry`; it is freed by `Drop` and nowhere else.
//! * The fields from offset 4 on change only through `&mut Entry`, that is under the shard's exclusive lock.
//! * The first word is an atomic, because readers that share the lock store the access clock.
#![allow(unsafe_code)]
// Blocks are aligned to 8, and only their first word is read as one.
#![allow(clippy::cast_ptr_alignment)]

mod change;
mod layout;

use super::object::{Object, ValueRef};
use layout::{
    ADDRESS, ALIGN, CLOCK_SHIFT, FIXED, FLAG_EXPIRE, FLAG_RAW, Head, TICK_MASK, TICK_SHIFT, TTL_BIT,
    class_of, class_size, get_varint, put_varint, tag_of, total_size,
};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a block's payload holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// The bytes of a Redis string.
    Str = 0,
    /// A packed hash: (varint length, bytes) for field and value in turn.
    Hash = 1,
    /// A packed hash whose every value is followed by its deadline (u64, little endian, 0 for none).
    HashTtl = 2,
    /// A packed item collection, ordered by sort key.
    Items = 3,
    /// The address of the `Box<Vec<u8>>` that holds the bytes of a large Redis string.
    Far = 4,
    /// The address of a `Box<Object>`.
    Boxed = 15,
}

impl Kind {
    fn from_bits(bits: u32) -> Self {
        match bits & 15 {
            0 => Self::Str,
            1 => Self::Hash,
            2 => Self::HashTtl,
            3 => Self::Items,
            4 => Self::Far,
            _ => Self::Boxed,
        }
    }

    /// Whether the value has an allocation of its own, of which the block holds the address.
    #[inline]
    pub fn is_apart(self) -> bool {
        matches!(self, Self::Far | Self::Boxed)
    }
}

/// The parts from which a block is made.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The space (database or table) of the key.
    pub space: u32,
    /// The key.
    pub key: &'a [u8],
    /// The deadline in ms since the epoch.
    pub expire: Option<u64>,
    /// What the payload is.
    pub kind: Kind,
    /// The payload's bytes.
    pub payload: &'a [u8],
}

/// Which deadlines an entry has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Deadlines {
    /// One of its own.
    pub(super) own: bool,
    /// Those of fields.
    pub(super) fields: bool,
}

/// An owned entry. See the module's description for its layout.
pub struct Entry(NonZeroU64);

// SAFETY: an entry owns its block, and `Object` is Send and Sync; shared access goes through the atomic first word.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

impl Entry {
    /// Makes an entry in one allocation. Values of their own allocation come from [`Entry::boxed`] and [`Entry::far`].
    pub fn new(parts: &Parts<'_>, clock: u32) -> Self {
        debug_assert!(!parts.kind.is_apart());
        let mut entry = Self::build(parts, clock, false);
        if parts.kind == Kind::HashTtl {
            entry.refresh_deadline();
        }
        entry
    }

    /// Makes an entry whose value has its own allocation.
    pub fn boxed(space: u32, key: &[u8], expire: Option<u64>, object: Box<Object>, clock: u32) -> Self {
        let deadline = object.deadline();
        let address = (Box::into_raw(object) as u64).to_le_bytes();
        let parts = Parts { space, key, expire, kind: Kind::Boxed, payload: &address };
        let mut entry = Self::build(&parts, clock, false);
        entry.retag(deadline);
        entry
    }

    /// Makes an entry of a string that has its own allocation.
    pub fn far(space: u32, key: &[u8], expire: Option<u64>, bytes: Vec<u8>, clock: u32) -> Self {
        let address = (Box::into_raw(Box::new(bytes)) as u64).to_le_bytes();
        Self::build(&Parts { space, key, expire, kind: Kind::Far, payload: &address }, clock, false)
    }

    fn build(parts: &Parts<'_>, clock: u32, raw: bool) -> Self {
        let size = total_size(parts.space, parts.key.len(), parts.payload.len(), parts.expire.is_some());
        let class = class_of(size);
        let layout = Self::layout(class);
        // SAFETY: the layout's size is not zero; `size` bytes fit the class, and exactly `size` bytes are written.
        unsafe {
            let p = alloc(layout);
            if p.is_null() {
                handle_alloc_error(layout);
            }
            let flags = parts.kind as u32
                | if parts.expire.is_some() { FLAG_EXPIRE } else { 0 }
                | if raw { FLAG_RAW } else { 0 };
            p.cast::<u32>().write(flags | clock << CLOCK_SHIFT);
            *p.add(4) = class;
            let mut q = put_varint(p.add(FIXED), parts.space as usize);
            q = put_varint(q, parts.key.len());
            q = put_varint(q, parts.payload.len());
            if let Some(ms) = parts.expire {
                q.cast::<[u8; 8]>().write(ms.to_le_bytes());
                q = q.add(8);
            }
            q.copy_from_nonoverlapping(parts.key.as_ptr(), parts.key.len());
            q.add(parts.key.len()).copy_from_nonoverlapping(parts.payload.as_ptr(), parts.payload.len());
            Self::from_block(p, tag_of(parts.expire))
        }
    }

    fn layout(class: u8) -> Layout {
        // SAFETY: the alignment is a power of two, and a class's size is below isize::MAX as lengths are below 2^32.
        unsafe { Layout::from_size_align_unchecked(class_size(class), ALIGN) }
    }

    unsafe fn from_block(p: *mut u8, tag: u64) -> Self {
        debug_assert_eq!(p as u64 & !ADDRESS, 0, "user addresses have 48 bits");
        // SAFETY: an allocation's address is not zero.
        Self(unsafe { NonZeroU64::new_unchecked(p as u64 | tag) })
    }

    #[inline]
    fn ptr(&self) -> *mut u8 {
        (self.0.get() & ADDRESS) as *mut u8
    }

    /// The block's address, as a hint for prefetching.
    #[inline]
    pub fn address(&self) -> *const u8 {
        self.ptr()
    }

    #[inline]
    fn word(&self) -> &AtomicU32 {
        // SAFETY: the block is aligned to 8 and lives as long as the entry.
        unsafe { AtomicU32::from_ptr(self.ptr().cast()) }
    }

    #[inline]
    fn bits(&self) -> u32 {
        self.word().load(Ordering::Relaxed)
    }

    #[inline]
    fn head(&self) -> Head {
        // SAFETY: the block was written by `build` in this layout.
        unsafe {
            let p = self.ptr();
            let (space, q) = get_varint(p.add(FIXED));
            let (key_len, q) = get_varint(q);
            let (payload_len, q) = get_varint(q);
            let mut key_at = q.offset_from(p) as usize;
            let expire = if self.bits() & FLAG_EXPIRE != 0 {
                key_at += 8;
                Some(u64::from_le_bytes(q.cast::<[u8; 8]>().read()))
            } else {
                None
            };
            Head { space: space as u32, key_len, payload_len, expire, key_at }
        }
    }

    #[inline]
    unsafe fn slice(&self, at: usize, len: usize) -> &[u8] {
        // SAFETY: the caller passes a range inside the block's used bytes.
        unsafe { std::slice::from_raw_parts(self.ptr().add(at), len) }
    }

    /// Whether this is the entry of `key` in `space`.
    #[inline]
    pub fn is(&self, space: u32, key: &[u8]) -> bool {
        let h = self.head();
        // SAFETY: the key's range comes from the head.
        h.space == space && h.key_len == key.len() && unsafe { self.slice(h.key_at, h.key_len) } == key
    }

    /// The database or table the entry belongs to.
    #[inline]
    pub fn space(&self) -> u32 {
        self.head().space
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        let h = self.head();
        // SAFETY: the key's range comes from the head.
        unsafe { self.slice(h.key_at, h.key_len) }
    }

    /// The deadline in ms since the epoch of the whole entry; of an item collection, one that is not later than its
    /// earliest item's.
    #[inline]
    pub fn expire(&self) -> Option<u64> {
        if self.0.get() & TTL_BIT == 0 {
            return None;
        }
        self.head().expire
    }

    /// Whether the entry's own deadline has passed.
    #[inline]
    pub fn deadline_passed(&self, now: u64) -> bool {
        self.expire().is_some_and(|at| at <= now)
    }

    /// Whether the entry is gone for readers: its own deadline has passed, or it is a hash whose fields have all
    /// expired. O(1) without deadlines, else O(log n) for large hashes and O(expired fields) for packed ones.
    #[inline]
    pub fn expired(&self, now: u64) -> bool {
        self.has_deadline()
            && self.value().items().is_none()
            && (self.deadline_passed(now) || !self.any_part_live(now))
    }

    /// Whether the value, or a part of it, lives on while the entry's own deadline has not passed.
    fn any_part_live(&self, now: u64) -> bool {
        match self.value() {
            ValueRef::Str(_) | ValueRef::Items(_) | ValueRef::Hash(_, false) => true,
            value => value.hash().is_none_or(|hash| hash.any_live(now)),
        }
    }

    /// Whether the slot says that something in this entry has a deadline.
    #[inline]
    pub fn has_deadline(&self) -> bool {
        self.0.get() & TTL_BIT != 0
    }

    /// Which deadlines there are. O(fields) for packed hashes with some, else O(1).
    #[inline]
    pub(super) fn deadlines(&self) -> Deadlines {
        if !self.has_deadline() {
            return Deadlines::default();
        }
        let fields = match self.value() {
            ValueRef::Hash(packed, true) => crate::value::hash::packed_deadline(packed).is_some(),
            ValueRef::Boxed(Object::Hash(hash)) => hash.with_deadline() != 0,
            _ => false,
        };
        Deadlines { own: self.head().expire.is_some(), fields }
    }

    /// Whether a deadline may have passed, judged by the slot alone: false positives are possible (ticks are coarse and
    /// wrap after 37 hours), false negatives are not, as long as an overdue entry is looked at within 18 hours.
    #[inline]
    pub fn maybe_due(&self, now: u64) -> bool {
        let slot = self.0.get();
        if slot & TTL_BIT == 0 {
            return false;
        }
        let age = ((now >> TICK_SHIFT) & TICK_MASK).wrapping_sub((slot >> 48) & TICK_MASK) & TICK_MASK;
        age < TICK_MASK / 2
    }

    /// What the payload holds.
    #[inline]
    pub fn kind(&self) -> Kind {
        Kind::from_bits(self.bits())
    }

    /// Whether the string was edited in place.
    pub fn is_raw(&self) -> bool {
        self.bits() & FLAG_RAW != 0
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> ValueRef<'_> {
        let h = self.head();
        // SAFETY: the payload's range comes from the head; one that is an address was made by `boxed` or `far`.
        unsafe {
            let payload = self.slice(h.key_at + h.key_len, h.payload_len);
            match self.kind() {
                Kind::Str => ValueRef::Str(payload),
                Kind::Hash => ValueRef::Hash(payload, false),
                Kind::HashTtl => ValueRef::Hash(payload, true),
                Kind::Items => ValueRef::Items(payload),
                Kind::Far => ValueRef::Str(&*Self::address_in::<Vec<u8>>(payload)),
                Kind::Boxed => ValueRef::Boxed(&*Self::object_ptr(payload)),
            }
        }
    }

    /// The address of a value of its own allocation, which stays the same as long as the value lives.
    #[inline]
    pub(super) fn object_address(&self) -> Option<usize> {
        if !self.kind().is_apart() {
            return None;
        }
        let h = self.head();
        // SAFETY: the payload's range comes from the head.
        Some(unsafe { Self::address_in::<u8>(self.slice(h.key_at + h.key_len, h.payload_len)) }.addr())
    }

    fn object_ptr(payload: &[u8]) -> *mut Object {
        Self::address_in(payload)
    }

    fn address_in<T>(payload: &[u8]) -> *mut T {
        let mut address = [0; 8];
        address.copy_from_slice(payload);
        u64::from_le_bytes(address) as *mut T
    }

    /// The access clock: seconds (LRU) or minutes and counter (LFU), 24 bits.
    #[inline]
    pub fn clock(&self) -> u32 {
        self.bits() >> CLOCK_SHIFT
    }

    /// Sets the access clock; allowed to all who share the shard's lock. The store is skipped when nothing changes, so
    /// that hot keys do not bounce between cores.
    #[inline]
    pub fn set_clock(&self, clock: u32) {
        let bits = self.bits();
        let new = bits & 0xff | clock << CLOCK_SHIFT;
        if new != bits {
            self.word().store(new, Ordering::Relaxed);
        }
    }

    /// Bytes allocated for a string beside its block.
    pub fn far_bytes(&self) -> usize {
        let h = self.head();
        if self.kind() != Kind::Far {
            return 0;
        }
        // SAFETY: the payload is the address of a vector that this entry owns.
        let bytes = unsafe { &*Self::address_in::<Vec<u8>>(self.slice(h.key_at + h.key_len, h.payload_len)) };
        size_of::<Vec<u8>>() + bytes.capacity()
    }

    /// Bytes allocated for the block, without what a value of its own allocation takes.
    pub fn block_size(&self) -> usize {
        // SAFETY: reading the class byte of a live block.
        class_size(unsafe { *self.ptr().add(4) })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // SAFETY: the entry owns the block, and the box if the payload is one.
        unsafe {
            if self.kind().is_apart() {
                let h = self.head();
                let payload = self.slice(h.key_at + h.key_len, 8);
                match self.kind() {
                    Kind::Far => drop(Box::from_raw(Self::address_in::<Vec<u8>>(payload))),
                    _ => drop(Box::from_raw(Self::object_ptr(payload))),
                }
            }
            let class = *self.ptr().add(4);
            dealloc(self.ptr(), Self::layout(class));
        }
    }
}

#[cfg(test)]
mod tests;
