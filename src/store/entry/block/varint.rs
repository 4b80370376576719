//! Numbers of variable width in a block.

use std::ptr::NonNull;

/// Writes a number in as many bytes as `varint_len` says, and returns the place behind it.
///
/// # Safety
/// So many bytes can be written at `p`.
pub(super) unsafe fn put_varint(mut p: NonNull<u8>, mut n: usize) -> NonNull<u8> {
    // SAFETY: the caller has the room.
    unsafe {
        while n >= 0x80 {
            p.write(n as u8 | 0x80);
            n >>= 7;
            p = p.add(1);
        }
        p.write(n as u8);
        p.add(1)
    }
}

/// Reads a number, and returns the place behind it.
///
/// # Safety
/// `put_varint` wrote a number at `p`.
#[inline]
pub(super) unsafe fn get_varint(p: NonNull<u8>) -> (usize, NonNull<u8>) {
    // SAFETY: the caller points at a number, of which each byte but the last says that there is another.
    unsafe {
        let b = p.read();
        if b < 0x80 {
            return (b as usize, p.add(1));
        }
        let (mut n, mut shift, mut q) = ((b & 0x7f) as usize, 7, p.add(1));
        loop {
            let b = q.read();
            q = q.add(1);
            n |= ((b & 0x7f) as usize) << shift;
            if b < 0x80 {
                return (n, q);
            }
            shift += 7;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NonNull, get_varint, put_varint};
    use crate::store::entry::layout::varint_len;

    #[test]
    fn lengths_of_any_width_have_their_room() {
        for bits in 0..40 {
            for n in [(1usize << bits) - 1, 1 << bits, (1 << bits) + 1] {
                let mut buffer = [0xAA_u8; 16];
                let p = NonNull::from(&mut buffer).cast::<u8>();
                // SAFETY: no varint of a number below 2^64 is longer than ten bytes.
                let (written, (read, end)) = unsafe { (put_varint(p, n), get_varint(p)) };
                assert_eq!((written, read), (end, n));
                assert_eq!(end.addr().get() - p.addr().get(), varint_len(n));
            }
        }
    }
}
