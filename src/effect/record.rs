//! The bytes of effects: a record is one version byte, then effects until its end.
//!
//! ```text
//! effect   opcode u8, then per opcode (all numbers varints unless said):
//! of strings (`string.rs`), behind db and key:
//!   1 Set         value                   2 Set with deadline          expire:u64le value
//!   3 Splice      at bytes
//!  34 Restore     payload                35 Restore with deadline      expire:u64le payload
//! of keys of any type, behind db and key:
//!   4 Delete                              5 Persist
//!   6 Expire      at:u64le               33 Combine                    op:u8 count list
//!  31 Move        db key                 32 Copy                       db key
//!  36 Restore     read:u64le payload     37 Restore with deadline      expire:u64le read:u64le payload
//! of hashes (`hash.rs`), behind db and key:
//!   7 Put         form:u8 payload         8 Put with deadline          expire:u64le form:u8 payload
//!                                           (form 1 plain, 2 with fields' deadlines)
//!   9 Set         mode:u8 [at:u64le] count list   (mode 0 clear, 1 keep, 2 at)
//!  10 Delete      count list             11 Expire                     at:u64le count list
//! of items (`item.rs`), behind table and partition:
//!  12 Put         sort item              13 Delete                     sort
//! of databases, tables, libraries and the log (`structural.rs`):
//!  14 FlushDb     db space               15 SwapDb       a b
//!  16 TablePut    table created:u64le name schema
//!  17 TableDrop   table                  18 Gap
//!  70 LibraryPut  name code              71 LibraryDrop  name
//! of streams (`stream.rs`), behind db and key:
//!  19 Add         id count list          20 Node         id body
//!  21 Marks       id id added:u64le      22 Delete       ids
//!  23 Trim        id                     24 is not used
//!  25 Group       group id read:u64le    26 GroupDelete  group
//!  27 Consumer    group consumer seen:u64le active:u64le   28 ConsumerDelete  group consumer
//!  29 Pending     group consumer at:u64le deliveries ids   30 Acknowledge     group ids
//! of sets (`set.rs`), behind db and key:
//!  50 Add         count list            51 Delete                     count list
//! of lists (`list.rs`), behind db and key:
//!  40 Push        front:u8 count list    41 Pop          front:u8 count
//!  42 Set         at value               43 Insert       at value
//!  44 Remove      runs
//!  45 Put         payload                46 Put with deadline          expire:u64le payload
//! of sorted sets (`zset.rs`), behind db and key:
//!  60 Put         payload                61 Put with deadline          expire:u64le payload
//!  62 Set         count list             63 Delete       count list
//!  64 DeleteRange at count
//! key, value, bytes, payload, item ...: varint length, bytes
//! list: varint byte length, then `count` times (varint length, bytes)
//! id: 16 bytes, big-endian   ids: varint byte length, ids
//! runs: varint byte length, then two varints each: elements passed over, elements removed
//! a u64le of all ones in `read` and `active` stands for nothing
//! ```
//! An opcode never changes its meaning; new opcodes are added. 47 to 49 are reserved for lists, 52 to 59 for sets, 65
//! to 69 for sorted sets (docs/adr/0008). Decoding never panics and allocates nothing.

use super::any::Effect;
use super::codec::{EffectError, Reader, put_head, put_head_until};
use super::own::{SYSTEM, TOKENS};
use super::string::{self, StringChange};
use super::{hash, item, list, set, stream, structural, zset};
use crate::value::bits::BitOp;
use crate::value::packed::{put_part, put_varint_to};

impl Effect<'_> {
    /// Appends the effect's bytes.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Self::String { db, key, change: StringChange::Set { value, expire: None } } = *self {
            // The most common effect comes first.
            put_head(out, 1, db, key);
            put_part(out, value);
        } else {
            self.encode_any(out);
        }
    }

    fn encode_any(&self, out: &mut Vec<u8>) {
        match *self {
            Self::String { db, key, ref change } => change.encode(db, key, out),
            Self::Delete { db, key } => put_head(out, 4, db, key),
            Self::Expire { db, key, at } => put_head_until(out, [5, 6], db, key, at),
            Self::Hash { db, key, ref change } => change.encode(db, key, out),
            Self::Set { db, key, ref change } => change.encode(db, key, out),
            Self::Stream { db, key, ref change } => change.encode(db, key, out),
            Self::List { db, key, ref change } => change.encode(db, key, out),
            Self::Zset { db, key, ref change } => change.encode(db, key, out),
            Self::Item { table, partition, ref change } => change.encode(table, partition, out),
            Self::Move { db, key, to_db, to } => put_between(out, 31, (db, key), (to_db, to)),
            Self::Copy { db, key, to_db, to } => put_between(out, 32, (db, key), (to_db, to)),
            Self::Restore { db, key, payload, expire, read_at } => {
                put_head_until(out, [36, 37], db, key, expire);
                out.extend_from_slice(&read_at.to_le_bytes());
                put_part(out, payload);
            }
            Self::Combine { op, db, to, keys } => {
                put_head(out, 33, db, to);
                out.push(op as u8);
                keys.encode(out);
            }
            Self::Structural(change) => change.encode(out),
        }
    }
}

fn put_between(out: &mut Vec<u8>, opcode: u8, from: (u32, &[u8]), to: (u32, &[u8])) {
    put_head(out, opcode, from.0, from.1);
    put_varint_to(out, to.0 as usize);
    put_part(out, to.1);
}

/// Walks the effects of one record.
pub struct EffectDecoder<'a>(Reader<'a>);

impl<'a> EffectDecoder<'a> {
    /// Checks the version byte.
    pub fn new(record: &'a [u8]) -> Result<Self, EffectError> {
        Reader::new(record).map(Self)
    }

    fn effect(&mut self) -> Result<Effect<'a>, EffectError> {
        let from = &mut self.0;
        let opcode = from.byte()?;
        let effect = match opcode {
            1..=3 | 34..=35 => {
                let (db, key) = from.head()?;
                // Earlier versions kept tokens in `SYSTEM`, where they were the only strings with a deadline.
                let db = if (opcode, db) == (2, SYSTEM) { TOKENS } else { db };
                string::decode(opcode, from)?.on(db, key)
            }
            4..=6 | 31..=33 | 36..=37 => {
                let head = from.head()?;
                decode_of_key(opcode, head, from)?
            }
            7..=11 => {
                let (db, key) = from.head()?;
                hash::decode(opcode, from)?.on(db, key)
            }
            12..=13 => {
                let (table, partition) = from.head()?;
                item::decode(opcode, from)?.on(table, partition)
            }
            14..=18 | 70..=71 => structural::decode(opcode, from)?.into(),
            19..=23 | 25..=30 => {
                let (db, key) = from.head()?;
                stream::decode(opcode, from)?.on(db, key)
            }
            50..=51 => {
                let (db, key) = from.head()?;
                set::decode(opcode, from)?.on(db, key)
            }
            40..=46 => {
                let (db, key) = from.head()?;
                list::decode(opcode, from)?.on(db, key)
            }
            60..=64 => {
                let (db, key) = from.head()?;
                zset::decode(opcode, from)?.on(db, key)
            }
            other => return Err(EffectError::Opcode(other)),
        };
        Ok(effect)
    }
}

/// Decodes the effects on keys of any type.
fn decode_of_key<'a>(
    opcode: u8,
    (db, key): (u32, &'a [u8]),
    from: &mut Reader<'a>,
) -> Result<Effect<'a>, EffectError> {
    Ok(match opcode {
        4 => Effect::Delete { db, key },
        5 => Effect::Expire { db, key, at: None },
        6 => Effect::Expire { db, key, at: Some(from.time()?) },
        31 => Effect::Move { db, key, to_db: from.small()?, to: from.part()? },
        32 => Effect::Copy { db, key, to_db: from.small()?, to: from.part()? },
        33 => {
            let op = BitOp::of_number(from.byte()?).ok_or(EffectError::Malformed)?;
            Effect::Combine { op, db, to: key, keys: from.list()? }
        }
        36 | 37 => {
            let expire = if opcode == 37 { Some(from.time()?) } else { None };
            let read_at = from.time()?;
            Effect::Restore { db, key, payload: from.part()?, expire, read_at }
        }
        other => return Err(EffectError::Opcode(other)),
    })
}

impl<'a> Iterator for EffectDecoder<'a> {
    type Item = Result<Effect<'a>, EffectError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_at_end() {
            return None;
        }
        let effect = self.effect();
        if effect.is_err() {
            self.0.stop();
        }
        Some(effect)
    }
}
