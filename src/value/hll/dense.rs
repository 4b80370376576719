//! The dense form: registers of six bits, from the lowest bit of the first byte on.

/// The byte in which a register begins, and the number of its first bit there.
fn dense_place(index: usize) -> (usize, usize) {
    (index * 6 / 8, index * 6 % 8)
}

pub(super) fn dense_at(body: &[u8], index: usize) -> u8 {
    let (at, shift) = dense_place(index);
    let byte = |at: usize| u16::from(body.get(at).copied().unwrap_or(0));
    ((byte(at) | byte(at + 1) << 8) >> shift) as u8 & 63
}

/// The pair of bytes that contains a register, with the register raised to a value, and the pair's offset; `None` if
/// the register has at least that value.
pub(super) fn raised(body: &[u8], index: usize, value: u8) -> Option<(usize, [u8; 2])> {
    if dense_at(body, index) >= value {
        return None;
    }
    let at = dense_place(index).0.min(body.len().checked_sub(2)?);
    let shift = index * 6 - at * 8;
    let pair = u16::from_le_bytes(*body.get(at..)?.first_chunk()?);
    Some((at, (pair & !(63 << shift) | u16::from(value) << shift).to_le_bytes()))
}

pub(super) fn set_dense(body: &mut [u8], index: usize, value: u8) {
    let (at, shift) = dense_place(index);
    let (mask, bits) = (63u16 << shift, u16::from(value) << shift);
    for (at, mask, bits) in [(at, mask as u8, bits as u8), (at + 1, (mask >> 8) as u8, (bits >> 8) as u8)] {
        if let Some(byte) = body.get_mut(at) {
            *byte = *byte & !mask | bits;
        }
    }
}
