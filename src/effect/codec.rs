//! The bytes of effects: a record is one version byte, then effects until its end.
//!
//! ```text
//! effect   opcode u8, then per opcode (all numbers varints unless said):
//!   1 SetString   db key value            2 SetString with deadline   db key expire:u64le value
//!   3 Splice      db key at bytes         4 Delete                    db key
//!   5 Persist     db key                  6 Expire                    db key at:u64le
//!   7 PutPacked   db key kind:u8 payload  8 PutPacked with deadline   db key expire:u64le kind:u8 payload
//!   9 HashSet     db key mode:u8 [at:u64le] count list   (mode 0 clear, 1 keep, 2 at)
//!  10 HashDelete  db key count list      11 HashExpire                db key at:u64le count list
//!  12 ItemPut     table partition sort item                13 ItemDelete  table partition sort
//!  14 FlushDb     db space               15 SwapDb  a b    16 TablePut  table created:u64le name schema
//!  17 TableDrop   table                  18 Gap
//!  31 Move        db key db key          32 Copy                      db key db key
//!  33 Combine     db key op:u8 count list
//!  34 Restore     db key payload         35 Restore with deadline     db key expire:u64le payload
//! of streams, behind db and key:
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
//! An opcode never changes its meaning; new ones are added. Decoding never panics and allocates nothing.

use super::{Effect, FieldExpire, List, MAX_STRING, PackedKind, SYSTEM, TOKENS, stream};
use crate::value::bits::BitOp;
use crate::value::packed::{check_parts, get_varint, put_part, put_varint_to, varint_len};

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

pub(super) fn put_list(out: &mut Vec<u8>, list: &List<'_>) {
    put_varint_to(out, list.len());
    match list {
        List::Packed { bytes, .. } => put_part(out, bytes),
        List::Slices(slices) => {
            put_varint_to(out, slices.iter().map(|s| s.len() + varint_len(s.len())).sum());
            slices.iter().for_each(|s| put_part(out, s));
        }
    }
}

impl Effect<'_> {
    /// Appends the effect's bytes.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::SetString { db, key, value, expire: None } => {
                put_head(out, 1, db, key);
                put_part(out, value);
            }
            Self::SetString { db, key, value, expire: Some(at) } => {
                put_head(out, 2, db, key);
                out.extend_from_slice(&at.to_le_bytes());
                put_part(out, value);
            }
            Self::Delete { db, key } => put_head(out, 4, db, key),
            Self::Expire { db, key, at: None } => put_head(out, 5, db, key),
            Self::Expire { db, key, at: Some(at) } => {
                put_head(out, 6, db, key);
                out.extend_from_slice(&at.to_le_bytes());
            }
            _ => self.encode_rest(out),
        }
    }

    fn encode_rest(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Splice { db, key, at, bytes } => {
                put_head(out, 3, db, key);
                put_varint_to(out, at);
                put_part(out, bytes);
            }
            Self::PutPacked { db, key, expire, kind, payload } => {
                put_head(out, if expire.is_some() { 8 } else { 7 }, db, key);
                if let Some(at) = expire {
                    out.extend_from_slice(&at.to_le_bytes());
                }
                out.push(kind as u8);
                put_part(out, payload);
            }
            Self::HashSet { db, key, pairs, expire } => {
                put_head(out, 9, db, key);
                match expire {
                    FieldExpire::Clear => out.push(0),
                    FieldExpire::Keep => out.push(1),
                    FieldExpire::At(at) => {
                        out.push(2);
                        out.extend_from_slice(&at.to_le_bytes());
                    }
                }
                put_list(out, &pairs);
            }
            Self::HashDelete { db, key, fields } => {
                put_head(out, 10, db, key);
                put_list(out, &fields);
            }
            Self::HashExpire { db, key, fields, at } => {
                put_head(out, 11, db, key);
                out.extend_from_slice(&at.to_le_bytes());
                put_list(out, &fields);
            }
            Self::ItemPut { table, partition, sort, item } => {
                put_head(out, 12, table, partition);
                put_part(out, sort);
                put_part(out, item);
            }
            Self::ItemDelete { table, partition, sort } => {
                put_head(out, 13, table, partition);
                put_part(out, sort);
            }
            _ => self.encode_made(out),
        }
    }

    fn encode_made(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Move { db, key, to_db, to } | Self::Copy { db, key, to_db, to } => {
                put_head(out, if matches!(self, Self::Move { .. }) { 31 } else { 32 }, db, key);
                put_varint_to(out, to_db as usize);
                put_part(out, to);
            }
            Self::Combine { op, db, to, keys } => {
                put_head(out, 33, db, to);
                out.push(op as u8);
                put_list(out, &keys);
            }
            Self::Restore { db, key, payload, expire } => {
                put_head(out, if expire.is_some() { 35 } else { 34 }, db, key);
                if let Some(at) = expire {
                    out.extend_from_slice(&at.to_le_bytes());
                }
                put_part(out, payload);
            }
            _ => self.encode_structural(out),
        }
    }

    fn encode_structural(&self, out: &mut Vec<u8>) {
        let mut numbers = |opcode: u8, a: u32, b: Option<u32>| {
            out.push(opcode);
            put_varint_to(out, a as usize);
            if let Some(b) = b {
                put_varint_to(out, b as usize);
            }
        };
        match *self {
            Self::FlushDb { db, space } => numbers(14, db, Some(space)),
            Self::SwapDb { a, b } => numbers(15, a, Some(b)),
            Self::TableDrop { table } => numbers(17, table, None),
            Self::TablePut { table, created, name, schema } => {
                numbers(16, table, None);
                out.extend_from_slice(&created.to_le_bytes());
                put_part(out, name);
                put_part(out, schema);
            }
            Self::Gap => out.push(18),
            Self::Stream { db, key, ref change } => stream::encode(db, key, change, out),
            _ => {}
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

    fn byte(&mut self) -> Result<u8, EffectError> {
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

    fn packed(&mut self) -> Result<(PackedKind, &'a [u8]), EffectError> {
        let (kind, trailer) = match self.byte()? {
            1 => (PackedKind::Hash, 0),
            2 => (PackedKind::HashTtl, 8),
            _ => return Err(EffectError::Malformed),
        };
        let payload = self.part()?;
        if payload.is_empty() || !check_parts(payload, 2, trailer) {
            return Err(EffectError::Malformed);
        }
        Ok((kind, payload))
    }

    fn hash_set(&mut self) -> Result<Effect<'a>, EffectError> {
        let (db, key) = (self.small()?, self.part()?);
        let expire = match self.byte()? {
            0 => FieldExpire::Clear,
            1 => FieldExpire::Keep,
            2 => FieldExpire::At(self.time()?),
            _ => return Err(EffectError::Malformed),
        };
        let pairs = self.list()?;
        if pairs.len() % 2 != 0 {
            return Err(EffectError::Malformed);
        }
        Ok(Effect::HashSet { db, key, pairs, expire })
    }

    fn effect(&mut self) -> Result<Effect<'a>, EffectError> {
        Ok(match self.byte()? {
            1 => {
                Effect::SetString { db: self.small()?, key: self.part()?, value: self.part()?, expire: None }
            }
            2 => {
                let (db, key, at) = (self.small()?, self.part()?, self.time()?);
                // Before tokens had a database of their own, they were what was in this one with a deadline.
                let db = if db == SYSTEM { TOKENS } else { db };
                Effect::SetString { db, key, value: self.part()?, expire: Some(at) }
            }
            3 => {
                let (db, key, at, bytes) = (self.small()?, self.part()?, self.number()?, self.part()?);
                // The store makes as much room as is asked for here.
                if at.checked_add(bytes.len()).is_none_or(|end| end > MAX_STRING) {
                    return Err(EffectError::Malformed);
                }
                Effect::Splice { db, key, at, bytes }
            }
            4 => Effect::Delete { db: self.small()?, key: self.part()? },
            5 => Effect::Expire { db: self.small()?, key: self.part()?, at: None },
            6 => Effect::Expire { db: self.small()?, key: self.part()?, at: Some(self.time()?) },
            7 | 8 => {
                let with_deadline = self.bytes.get(self.at - 1) == Some(&8);
                let (db, key) = (self.small()?, self.part()?);
                let expire = if with_deadline { Some(self.time()?) } else { None };
                let (kind, payload) = self.packed()?;
                Effect::PutPacked { db, key, expire, kind, payload }
            }
            9 => self.hash_set()?,
            10 => Effect::HashDelete { db: self.small()?, key: self.part()?, fields: self.list()? },
            11 => {
                let (db, key, at) = (self.small()?, self.part()?, self.time()?);
                Effect::HashExpire { db, key, fields: self.list()?, at }
            }
            12 => {
                let (table, partition) = (self.small()?, self.part()?);
                Effect::ItemPut { table, partition, sort: self.part()?, item: self.part()? }
            }
            13 => Effect::ItemDelete { table: self.small()?, partition: self.part()?, sort: self.part()? },
            14 => Effect::FlushDb { db: self.small()?, space: self.small()? },
            15 => Effect::SwapDb { a: self.small()?, b: self.small()? },
            16 => {
                let (table, created) = (self.small()?, self.time()?);
                Effect::TablePut { table, created, name: self.part()?, schema: self.part()? }
            }
            17 => Effect::TableDrop { table: self.small()? },
            18 => Effect::Gap,
            opcode @ 19..=30 => self.stream(opcode)?,
            opcode @ 31..=35 => self.made(opcode)?,
            other => return Err(EffectError::Opcode(other)),
        })
    }

    /// What names what it was made from.
    fn made(&mut self, opcode: u8) -> Result<Effect<'a>, EffectError> {
        let (db, key) = (self.small()?, self.part()?);
        Ok(match opcode {
            31 => Effect::Move { db, key, to_db: self.small()?, to: self.part()? },
            32 => Effect::Copy { db, key, to_db: self.small()?, to: self.part()? },
            33 => {
                let op = BitOp::of_number(self.byte()?).ok_or(EffectError::Malformed)?;
                Effect::Combine { op, db, to: key, keys: self.list()? }
            }
            _ => {
                let expire = if opcode == 35 { Some(self.time()?) } else { None };
                Effect::Restore { db, key, payload: self.part()?, expire }
            }
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Ids, StreamChange};
    use crate::value::stream::{GroupPosition, StreamId};
    use proptest::prelude::*;

    fn samples<'a>(
        key: &'a [u8],
        value: &'a [u8],
        slices: &'a [&'a [u8]],
        n: u32,
        at: u64,
    ) -> Vec<Effect<'a>> {
        let list = List::Slices(slices);
        vec![
            Effect::SetString { db: n, key, value, expire: None },
            Effect::SetString { db: n, key, value, expire: Some(at) },
            Effect::Splice { db: n, key, at: n as usize / 2, bytes: value },
            Effect::Delete { db: n, key },
            Effect::Move { db: n, key, to_db: 3, to: value },
            Effect::Copy { db: n, key, to_db: 3, to: value },
            Effect::Combine { op: BitOp::AndOr, db: n, to: key, keys: list },
            Effect::Restore { db: n, key, payload: value, expire: None },
            Effect::Restore { db: n, key, payload: value, expire: Some(at) },
            Effect::Expire { db: n, key, at: None },
            Effect::Expire { db: n, key, at: Some(at) },
            Effect::PutPacked { db: n, key, expire: None, kind: PackedKind::Hash, payload: b"\x01a\x01b" },
            Effect::PutPacked {
                db: n,
                key,
                expire: Some(at),
                kind: PackedKind::Hash,
                payload: b"\x01a\x01b",
            },
            Effect::HashSet { db: n, key, pairs: list, expire: FieldExpire::Clear },
            Effect::HashSet { db: n, key, pairs: list, expire: FieldExpire::Keep },
            Effect::HashSet { db: n, key, pairs: list, expire: FieldExpire::At(at) },
            Effect::HashDelete { db: n, key, fields: list },
            Effect::HashExpire { db: n, key, fields: list, at },
            Effect::ItemPut { table: n, partition: key, sort: value, item: key },
            Effect::ItemDelete { table: n, partition: key, sort: value },
            Effect::FlushDb { db: n, space: n },
            Effect::SwapDb { a: n, b: 3 },
            Effect::TablePut { table: n, created: at, name: key, schema: value },
            Effect::Gap,
            Effect::TableDrop { table: n },
        ]
    }

    fn stream_samples<'a>(
        key: &'a [u8],
        name: &'a [u8],
        slices: &'a [&'a [u8]],
        ids: &'a [StreamId],
        at: u64,
    ) -> Vec<Effect<'a>> {
        let (id, other, ids) = (ids[0], ids[1], Ids::Slice(ids));
        let (group, consumer) = (name, key);
        let position = |entries_read| GroupPosition { last_id: id, entries_read };
        let changes = [
            StreamChange::Add { id, pairs: List::Slices(slices) },
            StreamChange::Node { master: id, body: name },
            StreamChange::Marks { last_id: id, max_deleted_id: other, entries_added: at },
            StreamChange::Delete { ids },
            StreamChange::Trim { through: id },
            StreamChange::Group { group, position: position(Some(at >> 1)) },
            StreamChange::Group { group, position: position(None) },
            StreamChange::GroupDelete { group },
            StreamChange::Consumer { group, consumer, seen_at_ms: at, active_at_ms: Some(at >> 1) },
            StreamChange::Consumer { group, consumer, seen_at_ms: at, active_at_ms: None },
            StreamChange::ConsumerDelete { group, consumer },
            StreamChange::Pending { group, consumer, delivered_at_ms: at, deliveries: at >> 1, ids },
            StreamChange::Acknowledge { group, ids },
        ];
        changes.map(|change| Effect::Stream { db: 3, key, change }).to_vec()
    }

    #[test]
    fn tokens_from_before_they_had_a_database_of_their_own_are_in_it() {
        let token = |db| Effect::SetString { db, key: b"atomic:abc", value: b"reply", expire: Some(1) };
        let mut record = vec![VERSION];
        token(SYSTEM).encode(&mut record);
        assert_eq!(Decoder::new(&record).unwrap().next(), Some(Ok(token(TOKENS))));
    }

    proptest! {
        #[test]
        fn effects_survive_their_bytes(key in prop::collection::vec(any::<u8>(), 0..200),
                                       value in prop::collection::vec(any::<u8>(), 0..300), n: u32, at: u64) {
            let slices: [&[u8]; 4] = [&key, &value, b"", b"x"];
            let mut effects = samples(&key, &value, &slices, n, at);
            let ids = [StreamId::new(at, 7), StreamId::new(u64::from(n), at), StreamId::MAX];
            effects.extend(stream_samples(&key, &value, &slices, &ids, at));
            let mut record = vec![VERSION];
            effects.iter().for_each(|e| e.encode(&mut record));
            let decoded: Result<Vec<_>, _> = Decoder::new(&record).unwrap().collect();
            prop_assert_eq!(decoded.unwrap(), effects);
        }

        #[test]
        fn any_bytes_are_effects_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(decoder) = Decoder::new(&bytes) {
                let _ = decoder.count();
            }
        }
    }
}
