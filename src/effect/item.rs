//! What can happen to an item of a table or an entry of an index, and its bytes.

use super::codec::{EffectError, Reader, put_head};
use crate::value::packed::put_part;

/// What happens to an item of a partition.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ItemChange<'a> {
    /// The item replaces the one with its key.
    Put {
        /// The encoded sort key, empty in tables without one.
        sort: &'a [u8],
        /// The encoded item.
        item: &'a [u8],
    },
    /// The item is removed.
    Delete {
        /// The encoded sort key, empty in tables without one.
        sort: &'a [u8],
    },
}

impl<'a> ItemChange<'a> {
    /// The encoded sort key of the item.
    pub fn sort(&self) -> &'a [u8] {
        match *self {
            Self::Put { sort, .. } | Self::Delete { sort } => sort,
        }
    }

    pub(super) fn encode(&self, table: u32, partition: &[u8], out: &mut Vec<u8>) {
        match *self {
            Self::Put { sort, item } => {
                put_head(out, 12, table, partition);
                put_part(out, sort);
                put_part(out, item);
            }
            Self::Delete { sort } => {
                put_head(out, 13, table, partition);
                put_part(out, sort);
            }
        }
    }
}

pub(super) fn decode<'a>(opcode: u8, from: &mut Reader<'a>) -> Result<ItemChange<'a>, EffectError> {
    Ok(match opcode {
        12 => ItemChange::Put { sort: from.part()?, item: from.part()? },
        13 => ItemChange::Delete { sort: from.part()? },
        other => return Err(EffectError::Opcode(other)),
    })
}
