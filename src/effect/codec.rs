//! The parts of which the bytes of all effects consist.

use super::parts::List;
use crate::value::packed::{check_parts, get_varint, put_part, put_varint_to};

/// The first byte of every record.
pub const VERSION: u8 = 1;

/// Bytes that are no effects of a known version.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
pub enum EffectError {
    /// The record's version is newer than this program.
    #[error("effect record of unknown version {0}")]
    Version(u8),
    /// An opcode is unknown.
    #[error("unknown effect opcode {0}")]
    Opcode(u8),
    /// The bytes end inside an effect, or a length or list is inconsistent.
    #[error("malformed effect")]
    Malformed,
    /// A move, a copy or a combination whose source is not available.
    #[error("an effect that is made from what is not there any more")]
    Sourceless,
}

pub(super) fn put_head(out: &mut Vec<u8>, opcode: u8, space: u32, key: &[u8]) {
    // Nearly all numbers and lengths are one byte of a varint.
    if space < 0x80 && key.len() < 0x80 {
        out.extend_from_slice(&[opcode, space as u8, key.len() as u8]);
        out.extend_from_slice(key);
        return;
    }
    out.push(opcode);
    put_varint_to(out, space as usize);
    put_part(out, key);
}

/// Writes the head of an effect that has one opcode without a deadline and another with one.
#[inline]
pub(super) fn put_head_until(out: &mut Vec<u8>, opcodes: [u8; 2], db: u32, key: &[u8], expire: Option<u64>) {
    let [without, with] = opcodes;
    match expire {
        None => put_head(out, without, db, key),
        Some(at) => {
            put_head(out, with, db, key);
            out.extend_from_slice(&at.to_le_bytes());
        }
    }
}

/// Reads the parts of effects.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Checks the version byte.
    pub(super) fn new(record: &'a [u8]) -> Result<Self, EffectError> {
        match record.first() {
            Some(&VERSION) => Ok(Self { bytes: record, at: 1 }),
            Some(&other) => Err(EffectError::Version(other)),
            None => Err(EffectError::Malformed),
        }
    }

    /// Whether nothing is left.
    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Leaves the rest unread.
    pub(super) fn stop(&mut self) {
        self.at = self.bytes.len();
    }

    pub(super) fn byte(&mut self) -> Result<u8, EffectError> {
        let b = *self.bytes.get(self.at).ok_or(EffectError::Malformed)?;
        self.at += 1;
        Ok(b)
    }

    pub(super) fn number(&mut self) -> Result<usize, EffectError> {
        let (n, at) = get_varint(self.bytes, self.at).ok_or(EffectError::Malformed)?;
        self.at = at;
        Ok(n)
    }

    pub(super) fn small(&mut self) -> Result<u32, EffectError> {
        u32::try_from(self.number()?).map_err(|_| EffectError::Malformed)
    }

    pub(super) fn part(&mut self) -> Result<&'a [u8], EffectError> {
        let len = self.number()?;
        let end = self.at.checked_add(len).ok_or(EffectError::Malformed)?;
        let part = self.bytes.get(self.at..end).ok_or(EffectError::Malformed)?;
        self.at = end;
        Ok(part)
    }

    /// The database and the key, or the table and the partition key, with which nearly all effects begin.
    #[inline]
    pub(super) fn head(&mut self) -> Result<(u32, &'a [u8]), EffectError> {
        Ok((self.small()?, self.part()?))
    }

    pub(super) fn time(&mut self) -> Result<u64, EffectError> {
        let bytes = self.bytes.get(self.at..self.at + 8).ok_or(EffectError::Malformed)?;
        self.at += 8;
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| EffectError::Malformed)?))
    }

    pub(super) fn list(&mut self) -> Result<List<'a>, EffectError> {
        let count = self.number()?;
        let bytes = self.part()?;
        let list = List::Packed { bytes, count };
        if !check_parts(bytes, 1, 0) || list.iter().count() != count {
            return Err(EffectError::Malformed);
        }
        Ok(list)
    }

    /// A list of two byte strings each.
    pub(super) fn pairs(&mut self) -> Result<List<'a>, EffectError> {
        let list = self.list()?;
        if list.len() % 2 == 0 { Ok(list) } else { Err(EffectError::Malformed) }
    }
}
