//! What is needed to undo a change within a value, for values of every type. Each type of value defines its own part.

use super::collection::ItemInverse;
use super::entry::StringInverse;
use crate::value::hash::Field;
use crate::value::parted::PartInverse;
use crate::value::set::MemberName;
use crate::value::stream::StreamInverse;
use crate::value::zset::ZsetInverse;

/// What is needed to undo a change within a value.
pub(super) enum Inverse {
    String(StringInverse),
    Hash(Vec<PartInverse<Field>>),
    Set(Vec<PartInverse<MemberName>>),
    Item(ItemInverse),
    /// With the address of the stream's object.
    Stream(Option<usize>, StreamInverse),
    Zset(Vec<ZsetInverse>),
}

impl From<StringInverse> for Inverse {
    fn from(inverse: StringInverse) -> Self {
        Self::String(inverse)
    }
}

impl From<Vec<PartInverse<Field>>> for Inverse {
    fn from(inverses: Vec<PartInverse<Field>>) -> Self {
        Self::Hash(inverses)
    }
}

impl From<Vec<PartInverse<MemberName>>> for Inverse {
    fn from(inverses: Vec<PartInverse<MemberName>>) -> Self {
        Self::Set(inverses)
    }
}

impl From<Vec<ZsetInverse>> for Inverse {
    fn from(inverses: Vec<ZsetInverse>) -> Self {
        Self::Zset(inverses)
    }
}

impl From<ItemInverse> for Inverse {
    fn from(inverse: ItemInverse) -> Self {
        Self::Item(inverse)
    }
}

impl From<(Option<usize>, StreamInverse)> for Inverse {
    fn from((address, inverse): (Option<usize>, StreamInverse)) -> Self {
        Self::Stream(address, inverse)
    }
}
