//! What can happen to a sorted set, and its bytes.

use super::codec::{EffectError, Reader, put_head, put_head_until};
use super::parts::List;
use crate::value::packed::{put_part, put_varint_to};
use crate::value::zset::check_packed;

/// What happens to a sorted set.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ZsetChange<'a> {
    /// The key holds exactly this sorted set.
    Put {
        /// The packed members, see [`crate::value::zset`].
        payload: &'a [u8],
        /// The key's deadline in ms since the epoch.
        expire: Option<u64>,
    },
    /// Members have these scores; the sorted set is created if missing.
    Set {
        /// Members and scores in turn, a score in eight bytes, see [`score_bytes`].
        pairs: List<'a>,
    },
    /// Members are removed; a sorted set without members is removed.
    Delete {
        /// The members.
        members: List<'a>,
    },
    /// The members of some ranks are removed.
    DeleteRange {
        /// The first rank.
        at: usize,
        /// The number of members.
        count: usize,
    },
}

/// The bytes of a score in an effect.
pub fn score_bytes(score: f64) -> [u8; 8] {
    score.to_le_bytes()
}

/// The score of these bytes; `None` if they are not eight, or if they are NaN.
fn read_score(bytes: &[u8]) -> Option<f64> {
    bytes.try_into().ok().map(f64::from_le_bytes).filter(|score| !score.is_nan())
}

impl<'a> ZsetChange<'a> {
    /// The members and scores of a list of both in turn.
    pub fn pairs_of(pairs: List<'a>) -> impl Iterator<Item = (&'a [u8], f64)> {
        let mut items = pairs.iter();
        std::iter::from_fn(move || Some((items.next()?, items.next()?)))
            .filter_map(|(member, score)| Some((member, read_score(score)?)))
    }

    #[inline]
    pub(super) fn builds_on_value(&self) -> bool {
        match self {
            Self::Set { .. } => true,
            Self::Put { .. } | Self::Delete { .. } | Self::DeleteRange { .. } => false,
        }
    }

    pub(super) fn encode(&self, db: u32, key: &[u8], out: &mut Vec<u8>) {
        match *self {
            Self::Put { payload, expire } => {
                put_head_until(out, [60, 61], db, key, expire);
                put_part(out, payload);
            }
            Self::Set { pairs } => {
                put_head(out, 62, db, key);
                pairs.encode(out);
            }
            Self::Delete { members } => {
                put_head(out, 63, db, key);
                members.encode(out);
            }
            Self::DeleteRange { at, count } => {
                put_head(out, 64, db, key);
                put_varint_to(out, at);
                put_varint_to(out, count);
            }
        }
    }
}

pub(super) fn decode<'a>(opcode: u8, from: &mut Reader<'a>) -> Result<ZsetChange<'a>, EffectError> {
    Ok(match opcode {
        60 => put(from, None)?,
        61 => {
            let expire = Some(from.time()?);
            put(from, expire)?
        }
        62 => {
            let pairs = from.pairs()?;
            if pairs.iter().skip(1).step_by(2).any(|score| read_score(score).is_none()) {
                return Err(EffectError::Malformed);
            }
            ZsetChange::Set { pairs }
        }
        63 => ZsetChange::Delete { members: from.list()? },
        64 => ZsetChange::DeleteRange { at: from.number()?, count: from.number()? },
        other => return Err(EffectError::Opcode(other)),
    })
}

fn put<'a>(from: &mut Reader<'a>, expire: Option<u64>) -> Result<ZsetChange<'a>, EffectError> {
    let payload = from.part()?;
    if payload.is_empty() || !check_packed(payload) {
        return Err(EffectError::Malformed);
    }
    Ok(ZsetChange::Put { payload, expire })
}
