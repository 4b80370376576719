//! The numbers of a block: flags, size classes, widths of lengths, and the deadline in a slot.

/// The bits of a block's first word that are its kind.
pub(super) const KIND: u32 = 15;
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

pub(super) fn tag_of(deadline: Option<u64>) -> u64 {
    match deadline {
        None => 0,
        Some(ms) => TTL_BIT | (((ms >> TICK_SHIFT) & TICK_MASK) << 48),
    }
}

/// The bytes of a block with such a head, key and payload. For impossible lengths the result saturates, so that no
/// allocation of it can succeed.
pub(super) fn total_size(space: u32, key: usize, payload: usize, expire: bool) -> usize {
    let head =
        FIXED + varint_len(space as usize) + varint_len(key) + varint_len(payload) + usize::from(expire) * 8;
    head.saturating_add(key).saturating_add(payload)
}
