//! Byte sequences of `(varint length, bytes)` parts: the compact form of small containers.
//!
//! The bytes were written by this module's users, so the functions return no errors. Codecs that read bytes from disk
//! call [`check_parts`] first.

/// Appends `n` as a little-endian base-128 varint.
pub fn put_varint_to(out: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// The number of bytes of `n`'s varint.
pub const fn varint_len(n: usize) -> usize {
    let bits = usize::BITS - (n | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Reads a varint at `at`: the number and the offset behind it. Returns `None` for bytes that are no varint.
#[inline]
pub fn get_varint(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let first = *bytes.get(at)?;
    if first < 0x80 {
        return Some((first as usize, at + 1));
    }
    let mut n = (first & 0x7f) as usize;
    let mut shift = 7;
    let mut at = at + 1;
    loop {
        let b = *bytes.get(at)?;
        at += 1;
        if shift > 56 {
            return None;
        }
        n |= ((b & 0x7f) as usize) << shift;
        if b < 0x80 {
            return Some((n, at));
        }
        shift += 7;
    }
}

/// Reads a varint that one of our writers wrote.
#[inline]
pub fn read_varint(bytes: &[u8], at: usize) -> (usize, usize) {
    get_varint(bytes, at).unwrap_or((0, bytes.len()))
}

/// Reads the part at `at`: its bytes and the offset behind it.
#[inline]
pub fn read_part(bytes: &[u8], at: usize) -> (&[u8], usize) {
    let (len, start) = read_varint(bytes, at);
    let end = (start + len).min(bytes.len());
    (bytes.get(start..end).unwrap_or_default(), end)
}

/// Appends a part.
pub fn put_part(out: &mut Vec<u8>, part: &[u8]) {
    put_varint_to(out, part.len());
    out.extend_from_slice(part);
}

/// The bytes of a part.
pub fn part_len(part: &[u8]) -> usize {
    varint_len(part.len()) + part.len()
}

/// Writes a part into bytes of exactly its size.
pub fn fill_part(target: &mut [u8], part: &[u8]) {
    let (head, body) = target.split_at_mut(target.len() - part.len());
    let mut n = part.len();
    let last = head.len() - 1;
    for (i, byte) in head.iter_mut().enumerate() {
        *byte = n as u8 & 0x7f | if i < last { 0x80 } else { 0 };
        n >>= 7;
    }
    body.copy_from_slice(part);
}

/// Whether `bytes` is a whole number of groups of `parts` parts, each group followed by `trailer` plain bytes.
pub fn check_parts(bytes: &[u8], parts: usize, trailer: usize) -> bool {
    let mut at = 0;
    while at < bytes.len() {
        for _ in 0..parts {
            let Some((len, start)) = get_varint(bytes, at) else { return false };
            let Some(end) = start.checked_add(len).filter(|end| *end <= bytes.len()) else { return false };
            at = end;
        }
        at += trailer;
        if at > bytes.len() {
            return false;
        }
    }
    true
}
