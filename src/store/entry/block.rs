//! The block of an entry, and all unsafe code that it takes. No caller can forge a pointer in a block: a value apart
//! comes as the box itself, never as its address, and no function gives out the bytes of a pointer.
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
//! The payload of kind `BOXED` is the pointer of a `Box<Object>`, that of kind `FAR` of a `Box<Vec<u8>>`.
//!
//! # Safety invariants
//! Every function of this module that is not `unsafe` keeps them whatever it is given.
//! * A block is owned by exactly one [`Block`]; it is freed where that is dropped or gets another block, and nowhere
//!   else.
//! * The block is allocated with the layout of its size class, and its head, key and payload lie within.
//! * Kind and payload belong together: with a kind that is apart the payload is a pointer of a box that this block
//!   alone owns.
//! * The fields from offset 4 on change only through `&mut Block`, that is under the shard's exclusive lock.
//! * The first word is an atomic, because readers that share the lock store the access clock, and nothing else of it.
#![allow(unsafe_code)]
// Blocks are aligned to 8, and only their first word is read as one.
#![allow(clippy::cast_ptr_alignment)]

mod edit;
mod varint;

use super::kind::{Kind, Near};
use super::layout::{
    ADDRESS, ALIGN, CLOCK_SHIFT, FIXED, FLAG_EXPIRE, FLAG_RAW, KIND, TICK_MASK, TTL_BIT, class_of,
    class_size, tag_of, total_size,
};
use crate::store::object::Object;
use std::alloc::{Layout, alloc, handle_alloc_error};
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use varint::{get_varint, put_varint};

/// What a block can own besides its bytes.
type Apart = (Box<Vec<u8>>, Box<Object>);

/// How many bytes a payload has that is a pointer.
const POINTER: usize = size_of::<*mut ()>();

/// An owned block, as its address and the coarse deadline beside it. The marker makes it `Send` and `Sync` only if
/// everything that a block can own is.
pub(super) struct Block(NonZeroU64, PhantomData<Apart>);

const _: () = {
    const fn may_be_shared<T: Send + Sync>() {}
    may_be_shared::<Apart>();
    may_be_shared::<Block>();
    assert!(size_of::<Option<Block>>() == 8, "the map has eight bytes for an entry");
    assert!(POINTER == 8, "an address and its tag fill a word");
};

/// What stands before a block's payload.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) space: u32,
    pub(super) key: &'a [u8],
    pub(super) expire: Option<u64>,
}

/// What a new block holds.
pub(super) enum Content<'a> {
    Near(Near, &'a [u8]),
    Far(Vec<u8>),
    Boxed(Box<Object>),
}

/// What a block holds.
#[derive(Clone, Copy)]
pub(super) enum View<'a> {
    Near(Near, &'a [u8]),
    Far(&'a Vec<u8>),
    Boxed(&'a Object),
}

/// What a block holds, for a change.
pub(super) enum ViewMut<'a> {
    Near(Near, &'a mut [u8]),
    Far(&'a mut Vec<u8>),
    Boxed(&'a mut Object),
}

/// What stands before a block's key, and the places of key and payload.
#[derive(Clone, Copy)]
struct Head {
    space: u32,
    key_len: usize,
    payload_len: usize,
    expire: Option<u64>,
    key_at: usize,
}

impl Head {
    fn payload_at(&self) -> usize {
        self.key_at + self.key_len
    }

    fn size_with(&self, payload_len: usize) -> usize {
        total_size(self.space, self.key_len, payload_len, self.expire.is_some())
    }
}

fn layout(class: u8) -> Layout {
    let Ok(layout) = Layout::from_size_align(class_size(class), ALIGN) else {
        unreachable!("`class_for` gives no class of which no allocation can be asked");
    };
    layout
}

/// The class of so many bytes. Panics for more bytes than can be allocated: a caller may ask for them, though no block
/// has them.
fn class_for(size: usize) -> u8 {
    assert!(size < isize::MAX as usize / 2, "a block of {size} bytes");
    class_of(size)
}

/// Checks that a pointer can be tagged; otherwise ends the program. The system gives out addresses of more than 48 bits
/// only to a program that asks for them.
fn usable(p: *mut u8, class: u8) -> NonNull<u8> {
    match NonNull::new(p) {
        Some(p) if p.addr().get() as u64 & !ADDRESS == 0 => p,
        _ => handle_alloc_error(layout(class)),
    }
}

/// A new block in which everything is written except the payload's bytes, and the place of the payload. The caller
/// writes these bytes and owns the block.
fn begin(name: Name<'_>, payload_len: usize, slack: usize, flags: u32) -> (NonNull<u8>, NonNull<u8>) {
    let expires = name.expire.is_some();
    let class = class_for(total_size(name.space, name.key.len(), payload_len, expires).saturating_add(slack));
    // SAFETY: the layout's size is not zero; the size that was worked out is that of what is written.
    unsafe {
        let p = usable(alloc(layout(class)), class);
        let expire_bit = if expires { FLAG_EXPIRE } else { 0 };
        p.cast::<u32>().write(flags & !FLAG_EXPIRE | expire_bit);
        p.add(4).write(class);
        let mut q = put_varint(p.add(FIXED), name.space as usize);
        q = put_varint(q, name.key.len());
        q = put_varint(q, payload_len);
        if let Some(ms) = name.expire {
            q.cast::<[u8; 8]>().write(ms.to_le_bytes());
            q = q.add(8);
        }
        q.as_ptr().copy_from_nonoverlapping(name.key.as_ptr(), name.key.len());
        (p, q.add(name.key.len()))
    }
}

fn slot(block: NonNull<u8>, tag: u64) -> NonZeroU64 {
    // Exposes the address, from which `Block::ptr` makes the pointer again. `usable` has seen that it has 48 bits.
    let address = block.as_ptr().expose_provenance() as u64;
    // SAFETY: an address that is not zero stays so when bits are added.
    unsafe { NonZeroU64::new_unchecked(address | tag & !ADDRESS) }
}

impl Block {
    /// A new block for a value. O(size of a near value).
    pub(super) fn new(name: Name<'_>, content: Content<'_>, clock: u32, raw: bool) -> Self {
        let flags = |kind: Kind| kind as u32 | if raw { FLAG_RAW } else { 0 } | clock << CLOCK_SHIFT;
        let pointing = |kind, pointer: *mut ()| {
            let (block, payload) = begin(name, POINTER, 0, flags(kind));
            // SAFETY: the payload has the room of a pointer.
            unsafe { payload.cast::<*mut ()>().write_unaligned(pointer) };
            block
        };
        let block = match content {
            Content::Near(near, bytes) => {
                let (block, payload) = begin(name, bytes.len(), 0, flags(near.kind()));
                // SAFETY: the payload has room for the bytes.
                unsafe { payload.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
                block
            }
            Content::Far(bytes) => pointing(Kind::Far, Box::into_raw(Box::new(bytes)).cast()),
            Content::Boxed(object) => pointing(Kind::Boxed, Box::into_raw(object).cast()),
        };
        Self(slot(block, tag_of(name.expire)), PhantomData)
    }

    #[inline]
    fn ptr(&self) -> NonNull<u8> {
        let address = (self.0.get() & ADDRESS) as usize;
        // SAFETY: `slot` was given an address that is not zero.
        unsafe { NonNull::new_unchecked(std::ptr::with_exposed_provenance_mut(address)) }
    }

    /// The block's address, as a hint for prefetching.
    #[inline]
    pub(super) fn address(&self) -> *const u8 {
        self.ptr().as_ptr()
    }

    #[inline]
    fn word(&self) -> &AtomicU32 {
        // SAFETY: the block is aligned to 8 and lives as long as `self`.
        unsafe { AtomicU32::from_ptr(self.ptr().as_ptr().cast()) }
    }

    #[inline]
    fn bits(&self) -> u32 {
        self.word().load(Ordering::Relaxed)
    }

    #[inline]
    fn class(&self) -> u8 {
        // SAFETY: the byte is there in every block.
        unsafe { self.ptr().add(4).read() }
    }

    #[inline]
    fn head(&self) -> Head {
        // SAFETY: `begin` wrote the head in this layout.
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
    pub(super) fn is(&self, space: u32, key: &[u8]) -> bool {
        let name = self.name();
        name.space == space && name.key == key
    }

    #[inline]
    pub(super) fn name(&self) -> Name<'_> {
        let h = self.head();
        // SAFETY: the key's range comes from the head.
        let key = unsafe { NonNull::slice_from_raw_parts(self.ptr().add(h.key_at), h.key_len).as_ref() };
        Name { space: h.space, key, expire: h.expire }
    }

    /// The slot's bits above the address.
    #[inline]
    fn tag(&self) -> u64 {
        self.0.get() & !ADDRESS
    }

    /// The ticks of the slot's deadline.
    #[inline]
    pub(super) fn tick(&self) -> u64 {
        self.0.get() >> ADDRESS.count_ones() & TICK_MASK
    }

    #[inline]
    pub(super) fn has_deadline(&self) -> bool {
        self.0.get() & TTL_BIT != 0
    }

    /// Sets the deadline in the slot.
    pub(super) fn set_tag(&mut self, deadline: Option<u64>) {
        self.0 = slot(self.ptr(), tag_of(deadline));
    }

    #[inline]
    pub(super) fn kind(&self) -> Kind {
        Kind::from_bits(self.bits() & KIND)
    }

    #[inline]
    pub(super) fn is_raw(&self) -> bool {
        self.bits() & FLAG_RAW != 0
    }

    pub(super) fn set_raw(&mut self, raw: bool) {
        if raw {
            self.word().fetch_or(FLAG_RAW, Ordering::Relaxed);
        } else {
            self.word().fetch_and(!FLAG_RAW, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn clock(&self) -> u32 {
        self.bits() >> CLOCK_SHIFT
    }

    /// Sets the access clock, if it has another value.
    #[inline]
    pub(super) fn set_clock(&self, clock: u32) {
        let bits = self.bits();
        let new = bits & ((1 << CLOCK_SHIFT) - 1) | clock << CLOCK_SHIFT;
        if new != bits {
            self.word().store(new, Ordering::Relaxed);
        }
    }

    /// The bytes allocated for the block.
    pub(super) fn size(&self) -> usize {
        class_size(self.class())
    }

    #[inline]
    pub(super) fn view(&self) -> View<'_> {
        let h = self.head();
        // SAFETY: the payload's range comes from the head.
        let bytes = || unsafe {
            NonNull::slice_from_raw_parts(self.ptr().add(h.payload_at()), h.payload_len).as_ref()
        };
        // SAFETY: with these kinds the payload is a pointer of such a box, which lives as long as the block.
        unsafe {
            match self.kind() {
                Kind::Str => View::Near(Near::Str, bytes()),
                Kind::Hash => View::Near(Near::Hash, bytes()),
                Kind::HashTtl => View::Near(Near::HashTtl, bytes()),
                Kind::Items => View::Near(Near::Items, bytes()),
                Kind::Set => View::Near(Near::Set, bytes()),
                Kind::IntSet => View::Near(Near::IntSet, bytes()),
                Kind::List => View::Near(Near::List, bytes()),
                Kind::SortedSet => View::Near(Near::SortedSet, bytes()),
                Kind::Far => View::Far(&*self.pointer(&h)),
                Kind::Boxed => View::Boxed(&*self.pointer(&h)),
            }
        }
    }

    pub(super) fn view_mut(&mut self) -> ViewMut<'_> {
        let h = self.head();
        let kind = self.kind();
        // SAFETY: as in `view`; the block is borrowed mutably, and it alone owns what the payload points to.
        unsafe {
            let mut payload = NonNull::slice_from_raw_parts(self.ptr().add(h.payload_at()), h.payload_len);
            match kind {
                Kind::Str => ViewMut::Near(Near::Str, payload.as_mut()),
                Kind::Hash => ViewMut::Near(Near::Hash, payload.as_mut()),
                Kind::HashTtl => ViewMut::Near(Near::HashTtl, payload.as_mut()),
                Kind::Items => ViewMut::Near(Near::Items, payload.as_mut()),
                Kind::Set => ViewMut::Near(Near::Set, payload.as_mut()),
                Kind::IntSet => ViewMut::Near(Near::IntSet, payload.as_mut()),
                Kind::List => ViewMut::Near(Near::List, payload.as_mut()),
                Kind::SortedSet => ViewMut::Near(Near::SortedSet, payload.as_mut()),
                Kind::Far => ViewMut::Far(&mut *self.pointer(&h)),
                Kind::Boxed => ViewMut::Boxed(&mut *self.pointer(&h)),
            }
        }
    }

    /// Reads a payload that is a pointer.
    ///
    /// # Safety
    /// The block's kind is one that is apart, and `h` is its head.
    #[inline]
    unsafe fn pointer<T>(&self, h: &Head) -> *mut T {
        // SAFETY: the caller says that the payload is a pointer.
        unsafe { self.ptr().add(h.payload_at()).cast::<*mut T>().read_unaligned() }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let h = self.head();
        // SAFETY: with a kind that is apart the payload is a pointer of such a box, which the block alone owns.
        unsafe {
            match self.kind() {
                Kind::Str
                | Kind::Hash
                | Kind::HashTtl
                | Kind::Items
                | Kind::List
                | Kind::Set
                | Kind::IntSet
                | Kind::SortedSet => {}
                Kind::Far => drop(Box::<Vec<u8>>::from_raw(self.pointer(&h))),
                Kind::Boxed => drop(Box::<Object>::from_raw(self.pointer(&h))),
            }
            self.free();
        }
    }
}
