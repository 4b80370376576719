//! The bytes of effects: a record is one version byte, then effects until its end.
//!
//! ```text
//! effect   opcode u8, then per opcode (all numbers varints unless said):
//! of strings (`string.rs`), behind db and key:
//!   1 Set         value                   2 Set with deadline          expire:u64le value
//!   3 Splice      at bytes
//!  34 Restore     payload                35 Restore with deadline      expire:u64le payload
//! of keys of any type (`key.rs`), behind db and key:
//!   4 Delete                              5 Persist
//!   6 Expire      at:u64le               33 Combine                    op:u8 count list
//!  31 Move        db key                 32 Copy                       db key
//! of hashes (`hash.rs`), behind db and key:
//!   7 Put         form:u8 payload         8 Put with deadline          expire:u64le form:u8 payload
//!                                           (form 1 plain, 2 with fields' deadlines)
//!   9 Set         mode:u8 [at:u64le] count list   (mode 0 clear, 1 keep, 2 at)
//!  10 Delete      count list             11 Expire                     at:u64le count list
//! of items (`item.rs`), behind table and partition:
//!  12 Put         sort item              13 Delete                     sort
//! of databases, tables and the log (`structural.rs`):
//!  14 FlushDb     db space               15 SwapDb       a b
//!  16 TablePut    table created:u64le name schema
//!  17 TableDrop   table                  18 Gap
//! of streams (`stream.rs`), behind db and key:
//!  19 Add         id count list          20 Node         id body
//!  21 Marks       id id added:u64le      22 Delete       ids
//!  23 Trim        id                     24 is not used
//!  25 Group       group id read:u64le    26 GroupDelete  group
//!  27 Consumer    group consumer seen:u64le active:u64le   28 ConsumerDelete  group consumer
//!  29 Pending     group consumer at:u64le deliveries ids   30 Acknowledge     group ids
//! key, value, bytes, payload, item ...: varint length, bytes
//! list: varint byte length, then `count` times (varint length, bytes)
//! id: 16 bytes, big-endian   ids: varint byte length, ids
//! a u64le of all ones in `read` and `active` stands for nothing
//! ```
//! An opcode never changes its meaning; new ones are added. 40 to 49 are kept for lists, 50 to 59 for sets, 60 to 69 for sorted
//! sets (docs/adr/0008). Decoding never panics and allocates nothing.

use super::{Effect, List, hash, item, key, stream, string, structural};
use crate::value::packed::{check_parts, get_varint, put_part, put_varint_to};

/// The first byte of every record.
pub const VERSION: u8 = 1;

/// Bytes that are no effects of a version we know.
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
    /// A move, a copy or a combination stands where its source cannot be had.
    #[error("an effect that is made from what is not there any more")]
    Sourceless,
}

pub(super) fn put_head(out: &mut Vec<u8>, opcode: u8, space: u32, key: &[u8]) {
    out.push(opcode);
    put_varint_to(out, space as usize);
    put_part(out, key);
}

/// The head of an effect that has one opcode without a deadline and another one with it.
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

/// Walks the effects of one record.
pub struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// Checks the version byte.
    pub fn new(record: &'a [u8]) -> Result<Self, EffectError> {
        match record.first() {
            Some(&VERSION) => Ok(Self { bytes: record, at: 1 }),
            Some(&other) => Err(EffectError::Version(other)),
            None => Err(EffectError::Malformed),
        }
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

    fn effect(&mut self) -> Result<Effect<'a>, EffectError> {
        match self.byte()? {
            opcode @ (1..=3 | 34..=35) => string::decode(opcode, self),
            opcode @ (4..=6 | 31..=33) => key::decode(opcode, self),
            opcode @ 7..=11 => hash::decode(opcode, self),
            opcode @ 12..=13 => item::decode(opcode, self),
            opcode @ 14..=18 => structural::decode(opcode, self),
            opcode @ (19..=23 | 25..=30) => stream::decode(opcode, self),
            other => Err(EffectError::Opcode(other)),
        }
    }
}

impl<'a> Iterator for Decoder<'a> {
    type Item = Result<Effect<'a>, EffectError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let effect = self.effect();
        if effect.is_err() {
            self.at = self.bytes.len();
        }
        Some(effect)
    }
}
