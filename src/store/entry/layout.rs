//! Where things stand in a block: flags, size classes, lengths of variable width, and the deadline in a slot.

pub(super) const FLAG_EXPIRE: u32 = 1 << 4;
/// The string was edited in place (APPEND, SETRANGE, SETBIT), so that Redis would call its encoding `raw`.
pub(super) const FLAG_RAW: u32 = 1 << 5;
pub(super) const CLOCK_SHIFT: u32 = 8;
pub(super) const FIXED: usize = 5;
pub(super) const ADDRESS: u64 = (1 << 48) - 1;
pub(super) const TTL_BIT: u64 = 1 << 63;
pub(super) const TICK_SHIFT: u32 = 12;
pub(super) const TICK_MASK: u64 = 0x7fff;
pub(super) const ALIGN: usize = 8;

/// What stands before a block's key.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) space: u32,
    pub(super) key_len: usize,
    pub(super) payload_len: usize,
    pub(super) expire: Option<u64>,
    pub(super) key_at: usize,
}

pub(super) fn class_of(size: usize) -> u8 {
    if size <= 128 {
        return (size.max(1).div_ceil(16) - 1) as u8;
    }
    let n = size - 1;
    let lg = n.ilog2();
    (8 + 4 * (lg - 7) + ((n >> (lg - 2)) & 3) as u32) as u8
}

pub(super) fn class_size(class: u8) -> usize {
    let c = class as usize;
    if c < 8 {
        return (c + 1) * 16;
    }
    let (group, step) = ((c - 8) / 4, (c - 8) % 4);
    (128 << group) + (((step + 1) * 32) << group)
}

pub(super) fn varint_len(n: usize) -> usize {
    match n {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => crate::value::packed::varint_len(n),
    }
}

pub(super) unsafe fn put_varint(mut p: *mut u8, mut n: usize) -> *mut u8 {
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
pub(super) unsafe fn get_varint(p: *const u8) -> (usize, *const u8) {
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

pub(super) fn tag_of(deadline: Option<u64>) -> u64 {
    match deadline {
        None => 0,
        Some(ms) => TTL_BIT | (((ms >> TICK_SHIFT) & TICK_MASK) << 48),
    }
}

pub(super) fn total_size(space: u32, key: usize, payload: usize, expire: bool) -> usize {
    FIXED
        + varint_len(space as usize)
        + varint_len(key)
        + varint_len(payload)
        + usize::from(expire) * 8
        + key
        + payload
}

pub(super) unsafe fn put_padded_varint(mut p: *mut u8, mut n: usize, width: usize) -> *mut u8 {
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
