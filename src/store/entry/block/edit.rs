//! Changing a block under its shard's exclusive lock: in place if size and shape allow it, else in another block.

use super::varint::put_varint;
use super::{Block, Head, Name, begin, class_for, layout, slot, usable};
use crate::store::entry::kind::Near;
use crate::store::entry::layout::{CLOCK_SHIFT, FIXED, FLAG_RAW, KIND, class_size, varint_len};
use std::alloc::{alloc, dealloc, realloc};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

impl Block {
    /// Replaces a near value and the deadline in place, if the block has the room, keeps the shape of its head, and
    /// wastes no more than a quarter. Returns whether it did.
    pub(in crate::store::entry) fn overwrite(
        &mut self,
        near: Near,
        expire: Option<u64>,
        bytes: &[u8],
    ) -> bool {
        let h = self.head();
        let (size, capacity) = (h.size_with(bytes.len()), self.size());
        let fits = varint_len(bytes.len()) == varint_len(h.payload_len)
            && expire.is_some() == h.expire.is_some()
            && size <= capacity
            && size + capacity / 4 >= capacity;
        if self.kind().is_apart() || !fits {
            return false;
        }
        let bits = self.bits() & !(KIND | FLAG_RAW) | near.kind() as u32;
        self.word().store(bits, Ordering::Relaxed);
        // SAFETY: the head keeps its shape, and the block has room for the bytes.
        unsafe {
            self.write_deadline(&h, expire);
            self.write_payload_len(&h, bytes.len());
            let payload = self.ptr().add(h.payload_at());
            payload.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        self.set_tag(expire);
        true
    }

    /// Writes a deadline over the present one, if both exist.
    ///
    /// # Safety
    /// `h` is the block's head.
    unsafe fn write_deadline(&mut self, h: &Head, expire: Option<u64>) {
        if let (Some(_), Some(ms)) = (h.expire, expire) {
            // SAFETY: the head says that there is a deadline before the key.
            unsafe { self.ptr().add(h.key_at - 8).cast::<[u8; 8]>().write(ms.to_le_bytes()) };
        }
    }

    /// Writes the payload's length.
    ///
    /// # Safety
    /// `h` is the block's head, the length is as wide as the one before, and so many bytes of payload are written or
    /// about to be.
    unsafe fn write_payload_len(&mut self, h: &Head, len: usize) {
        let at = FIXED + varint_len(h.space as usize) + varint_len(h.key_len);
        // SAFETY: the caller says that the length's varint keeps its width.
        unsafe { put_varint(self.ptr().add(at), len) };
    }

    /// Replaces a part of a near value by zeros, and returns these. If the block is too small it is replaced by one
    /// with room for `slack(size)` more bytes. Panics if the value is apart or the part is not within it.
    pub(in crate::store::entry) fn splice(
        &mut self,
        at: usize,
        remove: usize,
        insert: usize,
        slack: impl Fn(usize) -> usize,
    ) -> &mut [u8] {
        let h = self.head();
        let tail = h.payload_len.checked_sub(at).and_then(|rest| rest.checked_sub(remove));
        let (false, Some(tail)) = (self.kind().is_apart(), tail) else {
            panic!("{remove} bytes at {at} of {} of kind {:?}", h.payload_len, self.kind());
        };
        let new_len = (at + tail).saturating_add(insert);
        // Only a payload that is not empty gets slack: a value that grows once will grow again, but a new one may stay
        // as it is.
        let need = h.size_with(new_len);
        let slack = if need > self.size() && h.payload_len > 0 { slack(need) } else { 0 };
        let payload = if varint_len(new_len) == varint_len(h.payload_len) {
            let class = (need > self.size()).then(|| class_for(need.saturating_add(slack)));
            // SAFETY: a class for more than the block has is greater than its own. Then the block has room for the new
            // length, whose field keeps its width; the tail moves within the payload.
            unsafe {
                if let Some(class) = class {
                    self.reallocate(class);
                }
                self.write_payload_len(&h, new_len);
                let payload = self.ptr().add(h.payload_at());
                payload.add(at + insert).copy_from(payload.add(at + remove), tail);
                payload
            }
        } else {
            let (block, payload) = begin(self.name(), new_len, slack, self.bits());
            // SAFETY: the new block has room for the bytes before and behind the gap, which are bytes of the old one;
            // what the new block holds is near.
            unsafe {
                let old = self.ptr().add(h.payload_at());
                payload.copy_from_nonoverlapping(old, at);
                payload.add(at + insert).copy_from_nonoverlapping(old.add(at + remove), tail);
                self.exchange(block);
            }
            payload
        };
        // SAFETY: the gap is within the payload; it is borrowed as long as the block is.
        unsafe {
            payload.add(at).write_bytes(0, insert);
            NonNull::slice_from_raw_parts(payload.add(at), insert).as_mut()
        }
    }

    /// Gives the block the room of a greater class.
    ///
    /// # Safety
    /// The class is greater than the block's.
    unsafe fn reallocate(&mut self, class: u8) {
        // SAFETY: the block was allocated with its class's layout, and all its bytes have room in the greater one.
        unsafe {
            let p = realloc(self.ptr().as_ptr(), layout(self.class()), class_size(class));
            let p = usable(p, class);
            p.add(4).write(class);
            self.0 = slot(p, self.tag());
        }
    }

    /// Sets the deadline before the key. The slot's deadline stays as it is.
    pub(in crate::store::entry) fn set_expire(&mut self, expire: Option<u64>) {
        let h = self.head();
        if h.expire.is_some() == expire.is_some() {
            // SAFETY: the head is the block's.
            unsafe { self.write_deadline(&h, expire) };
        } else {
            let block = self.under(Name { expire, ..self.name() }, self.bits());
            // SAFETY: the new block holds what this one does.
            unsafe { self.exchange(block) };
        }
    }

    /// Gives the block another name. The deadlines stay as they are.
    pub(in crate::store::entry) fn set_name(&mut self, space: u32, key: &[u8]) {
        let block = self.under(Name { space, key, expire: self.name().expire }, self.bits());
        // SAFETY: the new block holds what this one does.
        unsafe { self.exchange(block) };
    }

    /// A copy under another name, with the same deadlines; `None` if the value is apart. O(size).
    pub(in crate::store::entry) fn copy(&self, space: u32, key: &[u8], clock: u32) -> Option<Self> {
        if self.kind().is_apart() {
            return None;
        }
        let flags = self.bits() & (KIND | FLAG_RAW) | clock << CLOCK_SHIFT;
        let block = self.under(Name { space, key, expire: self.name().expire }, flags);
        Some(Self(slot(block, self.tag()), PhantomData))
    }

    /// A copy with the same name, deadlines and access clock; `None` if the value is apart. O(size).
    pub(in crate::store::entry) fn twin(&self) -> Option<Self> {
        if self.kind().is_apart() {
            return None;
        }
        let h = self.head();
        let len = h.size_with(h.payload_len);
        let class = class_for(len);
        // SAFETY: both blocks have room for `len` bytes, which hold all of the block's bytes but those beyond its
        // payload. Readers may set the clock in the first word meanwhile, so it is read as an atomic; the size class
        // behind it is that of the new block.
        let block = unsafe {
            let p = usable(alloc(layout(class)), class);
            p.cast::<u32>().write(self.bits());
            p.add(4).write(class);
            p.add(FIXED).copy_from_nonoverlapping(self.ptr().add(FIXED), len - FIXED);
            p
        };
        Some(Self(slot(block, self.tag()), PhantomData))
    }

    /// A new block with the bytes of this one's payload. If they are a pointer, then only one of the two blocks may
    /// live on, and the other is freed without what it points to.
    fn under(&self, name: Name<'_>, flags: u32) -> NonNull<u8> {
        let h = self.head();
        let (block, payload) = begin(name, h.payload_len, 0, flags);
        // SAFETY: the new payload has room for as many bytes as the old one has.
        unsafe { payload.copy_from_nonoverlapping(self.ptr().add(h.payload_at()), h.payload_len) };
        block
    }

    /// Replaces the block by another one and frees it, but not what its payload points to. The slot keeps its deadline.
    ///
    /// # Safety
    /// The other block is complete and no `Block` owns it. If this block's payload points to a box, the other block's
    /// payload points to the same.
    unsafe fn exchange(&mut self, block: NonNull<u8>) {
        // SAFETY: the block is not used again.
        unsafe { self.free() };
        self.0 = slot(block, self.tag());
    }

    /// Frees the block, but not what its payload points to.
    ///
    /// # Safety
    /// The block is not used again.
    pub(super) unsafe fn free(&mut self) {
        // SAFETY: the block was allocated with the layout of its class.
        unsafe { dealloc(self.ptr().as_ptr(), layout(self.class())) };
    }
}
