//! Changing an entry under its shard's exclusive lock: in place where block and size allow it, else in a new block.

use super::layout::{
    ADDRESS, CLOCK_SHIFT, FIXED, FLAG_RAW, Head, class_of, class_size, put_padded_varint, put_varint, tag_of,
    total_size, varint_len,
};
use super::{Entry, Kind, Parts};
use crate::env::memory::class_bytes;
use crate::store::object::{Object, ValueRef};
use std::alloc::{alloc, dealloc, handle_alloc_error, realloc};
use std::num::NonZeroU64;
use std::sync::atomic::Ordering;

/// How many bytes are allocated beyond what a string that grows needs.
const MOST_SLACK: usize = 1 << 20;

impl Entry {
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

    /// The bytes of a string, to change them without changing their number.
    pub fn string_mut(&mut self) -> &mut [u8] {
        match self.far_mut() {
            // SAFETY: as long as the entry is borrowed mutably nobody else has the vector.
            Some(bytes) => unsafe { (&mut *bytes).as_mut_slice() },
            None => self.payload_mut(),
        }
    }

    /// Makes a string so long; what is new are zeros.
    pub fn resize_string(&mut self, len: usize) {
        if let Some(bytes) = self.far_mut() {
            // SAFETY: as above.
            let bytes = unsafe { &mut *bytes };
            if len > bytes.capacity() {
                let room = class_bytes(len + (len / 2).min(MOST_SLACK));
                bytes.reserve_exact(room - bytes.len());
            }
            bytes.resize(len, 0);
            return;
        }
        let now = self.head().payload_len;
        if len > now {
            self.splice(now, 0, len - now);
        } else {
            self.splice(len, now - len, 0);
        }
    }

    fn far_mut(&mut self) -> Option<*mut Vec<u8>> {
        let h = self.head();
        // SAFETY: the payload's range comes from the head; it is the address of a vector that this entry owns alone.
        (self.kind() == Kind::Far).then(|| unsafe { Self::address_in(self.slice(h.key_at + h.key_len, 8)) })
    }

    /// A copy of a string in an allocation of its own. O(size).
    #[must_use]
    pub fn far_twin(&self) -> Self {
        let h = self.head();
        let bytes = match self.value() {
            ValueRef::Str(bytes) => bytes.to_vec(),
            _ => Vec::new(),
        };
        let mut new = Self::far(h.space, self.key(), h.expire, bytes, self.clock());
        new.set_raw(self.is_raw());
        new
    }

    /// Replaces value and deadline, in place where the size fits the block and does not waste more than a quarter of
    /// it.
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
            && !Kind::from_bits(bits).is_apart();
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

    /// Replaces `remove` bytes of the payload at `at` by `insert` zero bytes and returns those for the caller to fill.
    /// Cost is the bytes behind `at`, plus a reallocation when the block is too small; growth is geometric for large
    /// payloads.
    pub fn splice(&mut self, at: usize, remove: usize, insert: usize) -> &mut [u8] {
        let h = self.head();
        debug_assert!(at + remove <= h.payload_len && !self.kind().is_apart());
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
        let slack = if grows { (need / 2).min(MOST_SLACK) } else { 0 };
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
            // SAFETY: the address of what is apart moved to the new block, so the old one is freed without dropping it.
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
        // SAFETY: the payload's range comes from the head; an address moves, so the old block is freed without drop.
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

    /// A copy of an entry whose value has no allocation of its own. O(size).
    #[must_use]
    pub fn twin(&self) -> Self {
        self.named_twin(self.space(), self.key(), self.clock())
    }

    /// The same under another name, with an access clock of its own.
    #[must_use]
    pub fn named_twin(&self, space: u32, key: &[u8], clock: u32) -> Self {
        debug_assert!(!self.kind().is_apart());
        let h = self.head();
        let bits = self.bits();
        // SAFETY: the payload's range comes from the head, and no address is in it.
        let payload = unsafe { self.slice(h.key_at + h.key_len, h.payload_len) };
        let parts = Parts { space, key, expire: h.expire, kind: self.kind(), payload };
        let mut new = Self::build(&parts, clock, bits & FLAG_RAW != 0);
        // SAFETY: the address is the new block's, which is not zero; the tag says the same of the copy.
        new.0 = unsafe { NonZeroU64::new_unchecked(new.0.get() & ADDRESS | self.0.get() & !ADDRESS) };
        new
    }

    /// Sets whether the string counts as edited in place.
    pub fn set_raw(&mut self, raw: bool) {
        let word = self.word();
        if raw {
            word.fetch_or(FLAG_RAW, Ordering::Relaxed);
        } else {
            word.fetch_and(!FLAG_RAW, Ordering::Relaxed);
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

    pub(super) fn retag(&mut self, inner: Option<u64>) {
        let own = self.head().expire;
        let deadline = match (own, inner) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let tagged = self.0.get() & ADDRESS | tag_of(deadline);
        // SAFETY: the address part is not zero.
        self.0 = unsafe { NonZeroU64::new_unchecked(tagged) };
    }
}
