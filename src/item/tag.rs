//! The first bytes of stored values; `codec.rs` draws the format.

pub(super) const NULL: u8 = 0x01;
pub(super) const FALSE: u8 = 0x02;
pub(super) const TRUE: u8 = 0x03;
pub(super) const S: u8 = 0x04;
pub(super) const B: u8 = 0x05;
pub(super) const INT: u8 = 0x06;
pub(super) const DECIMAL: u8 = 0x07;
pub(super) const SS: u8 = 0x08;
pub(super) const NS: u8 = 0x09;
pub(super) const BS: u8 = 0x0A;
pub(super) const L: u8 = 0x0B;
pub(super) const M: u8 = 0x0C;
pub(super) const SMALL_N: u8 = 0x40;
pub(super) const SHORT_S: u8 = 0x80;
