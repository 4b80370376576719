//! What can happen to a hash, and its bytes.

use super::codec::{EffectError, Reader, put_head, put_head_until};
use super::parts::List;
use crate::value::packed::{check_parts, put_part};

/// What happens to a hash.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum HashChange<'a> {
    /// The key holds exactly this hash.
    Put {
        /// Whether each value is followed by its field's deadline.
        ttl: bool,
        /// The packed fields, see [`crate::value::hash`].
        payload: &'a [u8],
        /// The key's deadline in ms since the epoch.
        expire: Option<u64>,
    },
    /// Fields are set; the hash is created if missing.
    Set {
        /// Fields and values in turn.
        pairs: List<'a>,
        /// What happens to the fields' deadlines.
        expire: FieldExpire,
    },
    /// Fields are removed; a hash without fields is removed.
    Delete {
        /// The fields.
        fields: List<'a>,
    },
    /// Fields have this deadline.
    Expire {
        /// The fields.
        fields: List<'a>,
        /// The deadline in ms since the epoch, 0 for none.
        at: u64,
    },
}

/// What happens to a field's deadline when the field is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldExpire {
    /// The field has no deadline afterwards.
    Clear,
    /// An existing field keeps its deadline.
    Keep,
    /// The field has this deadline (ms since the epoch) afterwards.
    At(u64),
}

/// The numbers of the packed forms in the log.
const PLAIN: u8 = 1;
const WITH_DEADLINES: u8 = 2;

impl<'a> HashChange<'a> {
    /// The names of the fields that it changes one by one; none for `Put`.
    pub fn fields(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (list, step) = match *self {
            Self::Put { .. } => (List::Slices(&[]), 1),
            Self::Set { pairs, .. } => (pairs, 2),
            Self::Delete { fields } | Self::Expire { fields, .. } => (fields, 1),
        };
        list.iter().step_by(step)
    }

    #[inline]
    pub(super) fn builds_on_value(&self) -> bool {
        match self {
            Self::Set { .. } | Self::Expire { .. } => true,
            Self::Put { .. } | Self::Delete { .. } => false,
        }
    }

    pub(super) fn encode(&self, db: u32, key: &[u8], out: &mut Vec<u8>) {
        match *self {
            Self::Put { ttl, payload, expire } => {
                put_head_until(out, [7, 8], db, key, expire);
                out.push(if ttl { WITH_DEADLINES } else { PLAIN });
                put_part(out, payload);
            }
            Self::Set { pairs, expire } => {
                put_head(out, 9, db, key);
                match expire {
                    FieldExpire::Clear => out.push(0),
                    FieldExpire::Keep => out.push(1),
                    FieldExpire::At(at) => {
                        out.push(2);
                        out.extend_from_slice(&at.to_le_bytes());
                    }
                }
                pairs.encode(out);
            }
            Self::Delete { fields } => {
                put_head(out, 10, db, key);
                fields.encode(out);
            }
            Self::Expire { fields, at } => {
                put_head(out, 11, db, key);
                out.extend_from_slice(&at.to_le_bytes());
                fields.encode(out);
            }
        }
    }
}

pub(super) fn decode<'a>(opcode: u8, from: &mut Reader<'a>) -> Result<HashChange<'a>, EffectError> {
    Ok(match opcode {
        7 => put(from, None)?,
        8 => {
            let expire = Some(from.time()?);
            put(from, expire)?
        }
        9 => {
            let expire = match from.byte()? {
                0 => FieldExpire::Clear,
                1 => FieldExpire::Keep,
                2 => FieldExpire::At(from.time()?),
                _ => return Err(EffectError::Malformed),
            };
            HashChange::Set { pairs: from.pairs()?, expire }
        }
        10 => HashChange::Delete { fields: from.list()? },
        11 => {
            let at = from.time()?;
            HashChange::Expire { fields: from.list()?, at }
        }
        other => return Err(EffectError::Opcode(other)),
    })
}

fn put<'a>(from: &mut Reader<'a>, expire: Option<u64>) -> Result<HashChange<'a>, EffectError> {
    let ttl = match from.byte()? {
        PLAIN => false,
        WITH_DEADLINES => true,
        _ => return Err(EffectError::Malformed),
    };
    let payload = from.part()?;
    if payload.is_empty() || !check_parts(payload, 2, if ttl { 8 } else { 0 }) {
        return Err(EffectError::Malformed);
    }
    Ok(HashChange::Put { ttl, payload, expire })
}
