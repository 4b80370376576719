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
//! The payload of kind `BOXED` is the address of a `Box<Object>`. The deadline in the slot lets the expiry cycle and the
//! volatile eviction policies walk the map without touching the blocks.
//!
//! # Safety invariants
//! * A block is owned by exactly one `Entry`; it is freed by `Drop` and nowhere else.
//! * The fields from offset 4 on change only through `&mut Entry`, that is under the shard's exclusive lock.
//! * The first word is an atomic, because readers that share the lock store the access clock.
#![allow(unsafe_code)]
// Blocks are aligned to 8, and only their first word is read as one.
#![allow(clippy::cast_ptr_alignment)]

use super::object::{Object, ValueRef};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
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
            _ => Self::Boxed,
        }
    }
}

const FLAG_EXPIRE: u32 = 1 << 4;
/// The string was edited in place (APPEND, SETRANGE, SETBIT), so that Redis would call its encoding `raw`.
const FLAG_RAW: u32 = 1 << 5;
const CLOCK_SHIFT: u32 = 8;
const FIXED: usize = 5;
const ADDRESS: u64 = (1 << 48) - 1;
const TTL_BIT: u64 = 1 << 63;
const TICK_SHIFT: u32 = 12;
const TICK_MASK: u64 = 0x7fff;
const ALIGN: usize = 8;

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

/// An owned entry. See the module's description for its layout.
pub struct Entry(NonZeroU64);

// SAFETY: an entry owns its block, and `Object` is Send and Sync; shared access goes through the atomic first word.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

#[derive(Clone, Copy)]
struct Head {
    space: u32,
    key_len: usize,
    payload_len: usize,
    expire: Option<u64>,
    key_at: usize,
}

fn class_of(size: usize) -> u8 {
    if size <= 128 {
        return (size.max(1).div_ceil(16) - 1) as u8;
    }
    let n = size - 1;
    let lg = n.ilog2();
    (8 + 4 * (lg - 7) + ((n >> (lg - 2)) & 3) as u32) as u8
}

fn class_size(class: u8) -> usize {
    let c = class as usize;
    if c < 8 {
        return (c + 1) * 16;
    }
    let (group, step) = ((c - 8) / 4, (c - 8) % 4);
    (128 << group) + (((step + 1) * 32) << group)
}

fn varint_len(n: usize) -> usize {
    match n {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => crate::value::packed::varint_len(n),
    }
}

unsafe fn put_varint(mut p: *mut u8, mut n: usize) -> *mut u8 {
    // SAFETY: the caller reserved `varint_len(n)` bytes at `p`.
    unsafe {
        while n >= 0x80 {
            *p = n as u8 | 0x80;
            n >>= 7;
            p = p.add(1);
        }
        *p = n as u8;
        p.add(1)
    }
}

#[inline]
unsafe fn get_varint(p: *const u8) -> (usize, *const u8) {
    // SAFETY: the caller points at a varint that `put_varint` wrote.
    unsafe {
        let b = *p;
        if b < 0x80 {
            return (b as usize, p.add(1));
        }
        let (mut n, mut shift, mut q) = ((b & 0x7f) as usize, 7, p.add(1));
        loop {
            let b = *q;
            q = q.add(1);
            n |= ((b & 0x7f) as usize) << shift;
            if b < 0x80 {
                return (n, q);
            }
            shift += 7;
        }
    }
}

fn tag_of(deadline: Option<u64>) -> u64 {
    match deadline {
        None => 0,
        Some(ms) => TTL_BIT | (((ms >> TICK_SHIFT) & TICK_MASK) << 48),
    }
}

fn total_size(space: u32, key: usize, payload: usize, expire: bool) -> usize {
    FIXED
        + varint_len(space as usize)
        + varint_len(key)
        + varint_len(payload)
        + usize::from(expire) * 8
        + key
        + payload
}

impl Entry {
    /// Makes an entry in one allocation. The payload of a boxed value comes from [`Entry::boxed`].
    pub fn new(parts: &Parts<'_>, clock: u32) -> Self {
        debug_assert!(parts.kind != Kind::Boxed);
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

    /// The deadline in ms since the epoch of the whole entry; of an item collection, one that is not later than its earliest
    /// item's.
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
        // SAFETY: the payload's range comes from the head; a boxed payload is an address that `boxed` made.
        unsafe {
            let payload = self.slice(h.key_at + h.key_len, h.payload_len);
            match self.kind() {
                Kind::Str => ValueRef::Str(payload),
                Kind::Hash => ValueRef::Hash(payload, false),
                Kind::HashTtl => ValueRef::Hash(payload, true),
                Kind::Items => ValueRef::Items(payload),
                Kind::Boxed => ValueRef::Boxed(&*Self::object_ptr(payload)),
            }
        }
    }

    fn object_ptr(payload: &[u8]) -> *mut Object {
        let mut address = [0; 8];
        address.copy_from_slice(payload);
        u64::from_le_bytes(address) as *mut Object
    }

    /// The boxed value, to change it. The caller calls [`Entry::refresh_deadline`] afterwards.
    pub fn object_mut(&mut self) -> Option<&mut Object> {
        if self.kind() != Kind::Boxed {
            return None;
        }
        let h = self.head();
        // SAFETY: the payload is the address of a box that this entry owns alone, and the entry is borrowed mutably.
        unsafe { Some(&mut *Self::object_ptr(self.slice(h.key_at + h.key_len, 8))) }
    }

    /// The payload's bytes, to change them without changing their number.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let h = self.head();
        // SAFETY: the range comes from the head, and the entry is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.ptr().add(h.key_at + h.key_len), h.payload_len) }
    }

    /// Replaces value and deadline, in place where the size fits the block and does not waste more than a quarter of it.
    pub fn replace(&mut self, kind: Kind, expire: Option<u64>, payload: &[u8]) {
        let h = self.head();
        let bits = self.bits();
        let fits = total_size(h.space, h.key_len, payload.len(), expire.is_some());
        // SAFETY: reading the class byte of a live block.
        let capacity = class_size(unsafe { *self.ptr().add(4) });
        let same_head =
            varint_len(payload.len()) == varint_len(h.payload_len) && expire.is_some() == h.expire.is_some();
        let in_place = same_head
            && fits <= capacity
            && fits + capacity / 4 >= capacity
            && Kind::from_bits(bits) != Kind::Boxed;
        if in_place {
            self.overwrite(&h, bits, kind, expire, payload);
        } else {
            let parts = Parts { space: h.space, key: self.key(), expire, kind, payload };
            *self = Self::build(&parts, bits >> CLOCK_SHIFT, false);
        }
        if kind == Kind::HashTtl {
            self.refresh_deadline();
        }
    }

    fn overwrite(&mut self, h: &Head, bits: u32, kind: Kind, expire: Option<u64>, payload: &[u8]) {
        // SAFETY: the head has the same shape and the new payload fits the block's capacity.
        unsafe {
            let p = self.ptr();
            self.word().store(bits & !(15 | FLAG_RAW) | kind as u32, Ordering::Relaxed);
            self.set_payload_len(h.space, h.key_len, payload.len());
            if let Some(ms) = expire {
                p.add(h.key_at - 8).cast::<[u8; 8]>().write(ms.to_le_bytes());
            }
            p.add(h.key_at + h.key_len).copy_from_nonoverlapping(payload.as_ptr(), payload.len());
        }
        self.retag(None);
    }

    unsafe fn set_payload_len(&mut self, space: u32, key_len: usize, payload_len: usize) {
        let at = FIXED + varint_len(space as usize) + varint_len(key_len);
        // SAFETY: the caller made sure that the length's varint keeps its width.
        unsafe { put_varint(self.ptr().add(at), payload_len) };
    }

    /// Replaces `remove` bytes of the payload at `at` by `insert` zero bytes and returns those for the caller to fill. Cost is
    /// the bytes behind `at`, plus a reallocation when the block is too small; growth is geometric for large payloads.
    pub fn splice(&mut self, at: usize, remove: usize, insert: usize) -> &mut [u8] {
        let h = self.head();
        debug_assert!(at + remove <= h.payload_len && self.kind() != Kind::Boxed);
        let new_len = h.payload_len - remove + insert;
        self.make_room(&h, new_len);
        let old_len = h.payload_len;
        let h = self.head();
        // SAFETY: `make_room` made the head's shape right for `new_len` and the capacity large enough; the old payload
        // is still in place, and the tail moves within the block.
        unsafe {
            self.set_payload_len(h.space, h.key_len, new_len);
            let base = self.ptr().add(h.key_at + h.key_len);
            base.add(at + insert).copy_from(base.add(at + remove), old_len - at - remove);
            base.add(at).write_bytes(0, insert);
            std::slice::from_raw_parts_mut(base.add(at), insert)
        }
    }

    /// Makes the block fit a payload of `new_len` bytes: same varint width for the length, and enough capacity.
    fn make_room(&mut self, h: &Head, new_len: usize) {
        let need = total_size(h.space, h.key_len, new_len, h.expire.is_some());
        // SAFETY: reading the class byte of a live block.
        let class = unsafe { *self.ptr().add(4) };
        let capacity = class_size(class);
        let same_width = varint_len(new_len) == varint_len(h.payload_len);
        if same_width && need <= capacity {
            return;
        }
        // What is there and grows will grow again; what begins may be all there ever is.
        let grows = need > capacity && need > 256 && h.payload_len > 0;
        let slack = if grows { (need / 2).min(1 << 20) } else { 0 };
        if same_width {
            let new_class = class_of(need + slack);
            // SAFETY: the block was allocated with this class's layout; the new size holds all used bytes.
            unsafe {
                let tag = self.0.get() & !ADDRESS;
                let p = realloc(self.ptr(), Self::layout(class), class_size(new_class));
                if p.is_null() {
                    handle_alloc_error(Self::layout(new_class));
                }
                *p.add(4) = new_class;
                self.0 = NonZeroU64::new_unchecked(p as u64 | tag);
            }
            return;
        }
        self.rebuild_for(h, new_len, slack);
    }

    /// Copies the block to one whose length field is as wide as `new_len` needs. All old payload bytes stay, but the
    /// recorded length only has the right width: `splice` writes the right number before anyone reads it.
    fn rebuild_for(&mut self, h: &Head, new_len: usize, slack: usize) {
        let bits = self.bits();
        let class =
            class_of(total_size(h.space, h.key_len, new_len.max(h.payload_len), h.expire.is_some()) + slack);
        let layout = Self::layout(class);
        // SAFETY: all used bytes fit the new class, and the regions do not overlap.
        unsafe {
            let p = alloc(layout);
            if p.is_null() {
                handle_alloc_error(layout);
            }
            p.cast::<u32>().write(bits);
            *p.add(4) = class;
            let mut q = put_varint(p.add(FIXED), h.space as usize);
            q = put_varint(q, h.key_len);
            q = put_padded_varint(q, h.payload_len, varint_len(new_len));
            if let Some(ms) = h.expire {
                q.cast::<[u8; 8]>().write(ms.to_le_bytes());
                q = q.add(8);
            }
            q.copy_from_nonoverlapping(self.ptr().add(h.key_at), h.key_len + h.payload_len);
            let old_class = *self.ptr().add(4);
            dealloc(self.ptr(), Self::layout(old_class));
            let tag = self.0.get() & !ADDRESS;
            self.0 = NonZeroU64::new_unchecked(p as u64 | tag);
        }
    }

    /// Sets the deadline of the whole entry.
    pub fn set_expire(&mut self, expire: Option<u64>) {
        let h = self.head();
        if let (Some(_), Some(ms)) = (h.expire, expire) {
            // SAFETY: the block has a deadline in front of its key.
            unsafe { self.ptr().add(h.key_at - 8).cast::<[u8; 8]>().write(ms.to_le_bytes()) };
        } else if h.expire != expire {
            let bits = self.bits();
            // SAFETY: the payload's range comes from the head.
            let payload = unsafe { self.slice(h.key_at + h.key_len, h.payload_len) };
            let parts = Parts { space: h.space, key: self.key(), expire, kind: self.kind(), payload };
            let new = Self::build(&parts, bits >> CLOCK_SHIFT, bits & FLAG_RAW != 0);
            // SAFETY: a boxed value's address moved to the new block, so the old one is freed without dropping it.
            unsafe {
                let class = *self.ptr().add(4);
                dealloc(self.ptr(), Self::layout(class));
            }
            self.0 = new.0;
            std::mem::forget(new);
        }
        self.refresh_deadline();
    }

    /// Moves the entry to another space or key.
    #[must_use]
    pub fn with_name(self, space: u32, key: &[u8]) -> Self {
        let h = self.head();
        let bits = self.bits();
        // SAFETY: the payload's range comes from the head; a boxed address moves, so the old block is freed without drop.
        unsafe {
            let payload = self.slice(h.key_at + h.key_len, h.payload_len);
            let parts = Parts { space, key, expire: h.expire, kind: self.kind(), payload };
            let mut new = Self::build(&parts, bits >> CLOCK_SHIFT, bits & FLAG_RAW != 0);
            new.0 = NonZeroU64::new_unchecked(new.0.get() & ADDRESS | self.0.get() & !ADDRESS);
            dealloc(self.ptr(), Self::layout(*self.ptr().add(4)));
            std::mem::forget(self);
            new
        }
    }

    /// Marks the string as edited in place.
    pub fn mark_raw(&mut self) {
        self.word().fetch_or(FLAG_RAW, Ordering::Relaxed);
    }

    /// Recomputes the slot's deadline from the entry's and those of its parts.
    pub fn refresh_deadline(&mut self) {
        let inner = match self.value() {
            ValueRef::Hash(packed, true) => crate::value::hash::packed_deadline(packed),
            ValueRef::Boxed(object) => object.deadline(),
            _ => None,
        };
        self.retag(inner);
    }

    fn retag(&mut self, inner: Option<u64>) {
        let own = self.head().expire;
        let deadline = match (own, inner) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let tagged = self.0.get() & ADDRESS | tag_of(deadline);
        // SAFETY: the address part is not zero.
        self.0 = unsafe { NonZeroU64::new_unchecked(tagged) };
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

    /// Bytes allocated for the block, without what a boxed value owns.
    pub fn block_size(&self) -> usize {
        // SAFETY: reading the class byte of a live block.
        class_size(unsafe { *self.ptr().add(4) })
    }
}

unsafe fn put_padded_varint(mut p: *mut u8, mut n: usize, width: usize) -> *mut u8 {
    // SAFETY: the caller reserved `width` bytes; a value too large for the width keeps its low bits, which is fine
    // because `splice` writes the right length before anyone reads it.
    unsafe {
        for i in 0..width {
            let more = if i + 1 < width { 0x80 } else { 0 };
            *p = (n & 0x7f) as u8 | more;
            n >>= 7;
            p = p.add(1);
        }
        p
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // SAFETY: the entry owns the block, and the box if the payload is one.
        unsafe {
            if let (Kind::Boxed, h) = (self.kind(), self.head()) {
                drop(Box::from_raw(Self::object_ptr(self.slice(h.key_at + h.key_len, 8))));
            }
            let class = *self.ptr().add(4);
            dealloc(self.ptr(), Self::layout(class));
        }
    }
}

#[cfg(test)]
mod tests;
