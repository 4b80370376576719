//! The bytes of what can happen to a key whatever its type: it is deleted, gets a deadline, or holds what is made from other
//! keys.

use super::codec::{Decoder, EffectError, put_head, put_head_until};
use super::{Effect, List};
use crate::value::bits::BitOp;
use crate::value::packed::{put_part, put_varint_to};

#[inline]
pub(super) fn encode_delete(db: u32, key: &[u8], out: &mut Vec<u8>) {
    put_head(out, 4, db, key);
}

#[inline]
pub(super) fn encode_expire(db: u32, key: &[u8], at: Option<u64>, out: &mut Vec<u8>) {
    put_head_until(out, [5, 6], db, key, at);
}

pub(super) fn encode_move(from: (u32, &[u8]), to: (u32, &[u8]), out: &mut Vec<u8>) {
    put_between(out, 31, from, to);
}

pub(super) fn encode_copy(from: (u32, &[u8]), to: (u32, &[u8]), out: &mut Vec<u8>) {
    put_between(out, 32, from, to);
}

fn put_between(out: &mut Vec<u8>, opcode: u8, from: (u32, &[u8]), to: (u32, &[u8])) {
    put_head(out, opcode, from.0, from.1);
    put_varint_to(out, to.0 as usize);
    put_part(out, to.1);
}

pub(super) fn encode_combine(op: BitOp, db: u32, to: &[u8], keys: List<'_>, out: &mut Vec<u8>) {
    put_head(out, 33, db, to);
    out.push(op as u8);
    keys.encode(out);
}

pub(super) fn decode<'a>(opcode: u8, from: &mut Decoder<'a>) -> Result<Effect<'a>, EffectError> {
    let (db, key) = from.head()?;
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
        other => return Err(EffectError::Opcode(other)),
    })
}
