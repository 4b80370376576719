//! What can happen to a string, and its bytes.

use super::codec::{EffectError, Reader, put_head, put_head_until};
use crate::value::packed::{put_part, put_varint_to};

/// The longest string in bytes: one record of the log can hold it.
pub const MAX_STRING: usize = (1 << 32) - (1 << 20);

/// What happens to a string.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum StringChange<'a> {
    /// The key holds exactly this string.
    Set {
        /// The whole value.
        value: &'a [u8],
        /// The deadline in ms since the epoch.
        expire: Option<u64>,
    },
    /// Bytes are overwritten from `at` on; the string is created and padded with zeros as needed.
    Splice {
        /// Offset of the first byte.
        at: usize,
        /// The new bytes.
        bytes: &'a [u8],
    },
    /// The key holds the string that a payload of Redis's serialisation holds.
    Restore {
        /// The payload with its footer.
        payload: &'a [u8],
        /// The deadline in ms since the epoch.
        expire: Option<u64>,
    },
}

impl<'a> StringChange<'a> {
    #[inline]
    pub(super) fn builds_on_value(&self) -> bool {
        match self {
            Self::Splice { .. } => true,
            Self::Set { .. } | Self::Restore { .. } => false,
        }
    }

    #[inline]
    pub(super) fn encode(&self, db: u32, key: &[u8], out: &mut Vec<u8>) {
        match *self {
            Self::Set { value, expire } => {
                put_head_until(out, [1, 2], db, key, expire);
                put_part(out, value);
            }
            Self::Splice { at, bytes } => {
                put_head(out, 3, db, key);
                put_varint_to(out, at);
                put_part(out, bytes);
            }
            Self::Restore { payload, expire } => {
                put_head_until(out, [34, 35], db, key, expire);
                put_part(out, payload);
            }
        }
    }
}

pub(super) fn decode<'a>(opcode: u8, from: &mut Reader<'a>) -> Result<StringChange<'a>, EffectError> {
    Ok(match opcode {
        1 => StringChange::Set { value: from.part()?, expire: None },
        2 => {
            let expire = Some(from.time()?);
            StringChange::Set { value: from.part()?, expire }
        }
        3 => {
            let (at, bytes) = (from.number()?, from.part()?);
            // The store allocates up to this end, so it must be bounded.
            if at.checked_add(bytes.len()).is_none_or(|end| end > MAX_STRING) {
                return Err(EffectError::Malformed);
            }
            StringChange::Splice { at, bytes }
        }
        34 => StringChange::Restore { payload: from.part()?, expire: None },
        35 => {
            let expire = Some(from.time()?);
            StringChange::Restore { payload: from.part()?, expire }
        }
        other => return Err(EffectError::Opcode(other)),
    })
}
