//! The kinds of what an entry holds.

/// What a block's payload holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// The bytes of a Redis string.
    Str = 0,
    /// A packed hash: (varint length, bytes) for field and value in turn.
    Hash = 1,
    /// A packed hash whose every value is followed by its deadline (u64, little endian, 0 for none).
    HashTtl = 2,
    /// A packed item collection, ordered by sort key.
    Items = 3,
    /// A large Redis string in an allocation of its own.
    Far = 4,
    /// A packed list: the number of elements and their entries.
    List = 5,
    /// A packed set: (varint length, bytes) for each member.
    Set = 6,
    /// A set of integers in ascending order, behind their width.
    IntSet = 7,
    /// A packed sorted set, see [`crate::value::zset`].
    SortedSet = 8,
    /// An [`Object`](crate::store::Object) in an allocation of its own.
    Boxed = 15,
}

/// The kinds of values that stand in the block: those that bytes can be taken for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Near {
    Str,
    Hash,
    HashTtl,
    Items,
    Set,
    IntSet,
    List,
    SortedSet,
}

impl Near {
    #[inline]
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Str => Kind::Str,
            Self::Hash => Kind::Hash,
            Self::HashTtl => Kind::HashTtl,
            Self::Items => Kind::Items,
            Self::Set => Kind::Set,
            Self::IntSet => Kind::IntSet,
            Self::List => Kind::List,
            Self::SortedSet => Kind::SortedSet,
        }
    }
}

impl Kind {
    /// The kind of a block's bits, which are those of a kind.
    #[inline]
    pub(super) fn from_bits(bits: u32) -> Self {
        match bits {
            0 => Self::Str,
            1 => Self::Hash,
            2 => Self::HashTtl,
            3 => Self::Items,
            4 => Self::Far,
            5 => Self::List,
            6 => Self::Set,
            7 => Self::IntSet,
            8 => Self::SortedSet,
            15 => Self::Boxed,
            other => no_kind(other),
        }
    }

    /// The kind as that of bytes. Panics for what is apart, which [`Entry::boxed`](super::Entry::boxed) and
    /// [`Entry::far`](super::Entry::far) take as it is.
    #[inline]
    pub(super) fn of_bytes(self) -> Near {
        match self {
            Self::Str => Near::Str,
            Self::Hash => Near::Hash,
            Self::HashTtl => Near::HashTtl,
            Self::Items => Near::Items,
            Self::Set => Near::Set,
            Self::IntSet => Near::IntSet,
            Self::List => Near::List,
            Self::SortedSet => Near::SortedSet,
            Self::Far | Self::Boxed => panic!("bytes cannot stand for what has an allocation of its own"),
        }
    }

    /// Whether the value has an allocation of its own.
    #[inline]
    pub fn is_apart(self) -> bool {
        match self {
            Self::Str | Self::Hash | Self::HashTtl | Self::Items => false,
            Self::List | Self::Set | Self::IntSet | Self::SortedSet => false,
            Self::Far | Self::Boxed => true,
        }
    }
}

#[cold]
fn no_kind(bits: u32) -> ! {
    unreachable!("no block is of kind {bits}")
}
