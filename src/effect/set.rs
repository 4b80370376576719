//! What can happen to a set, and its bytes.

use super::codec::{EffectError, Reader, put_head};
use super::parts::List;

/// What happens to a set.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum SetChange<'a> {
    /// Members are added; the set is created if missing.
    Add {
        /// The members.
        members: List<'a>,
    },
    /// Members are removed; a set without members is removed.
    Delete {
        /// The members.
        members: List<'a>,
    },
}

impl<'a> SetChange<'a> {
    /// The members that are added or removed.
    pub fn members(&self) -> List<'a> {
        match *self {
            Self::Add { members } | Self::Delete { members } => members,
        }
    }

    #[inline]
    pub(super) fn builds_on_value(&self) -> bool {
        match self {
            Self::Add { .. } => true,
            Self::Delete { .. } => false,
        }
    }

    pub(super) fn encode(&self, db: u32, key: &[u8], out: &mut Vec<u8>) {
        let opcode = match self {
            Self::Add { .. } => 50,
            Self::Delete { .. } => 51,
        };
        put_head(out, opcode, db, key);
        self.members().encode(out);
    }
}

pub(super) fn decode<'a>(opcode: u8, from: &mut Reader<'a>) -> Result<SetChange<'a>, EffectError> {
    Ok(match opcode {
        50 => SetChange::Add { members: from.list()? },
        51 => SetChange::Delete { members: from.list()? },
        other => return Err(EffectError::Opcode(other)),
    })
}
