//! What a table's definition says of its change stream.

/// What a table's change stream records of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamView {
    /// Keys only.
    KeysOnly,
    /// The item after the change.
    NewImage,
    /// The item before the change.
    OldImage,
    /// Both.
    NewAndOldImages,
}

impl StreamView {
    /// All views.
    pub const ALL: [Self; 4] = [Self::KeysOnly, Self::NewImage, Self::OldImage, Self::NewAndOldImages];

    /// AWS's name: `KEYS_ONLY`, `NEW_IMAGE`, `OLD_IMAGE` or `NEW_AND_OLD_IMAGES`.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeysOnly => "KEYS_ONLY",
            Self::NewImage => "NEW_IMAGE",
            Self::OldImage => "OLD_IMAGE",
            Self::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }

    /// The short name: `KEYS`, `NEW`, `OLD` or `BOTH`.
    pub fn short_name(self) -> &'static str {
        match self {
            Self::KeysOnly => "KEYS",
            Self::NewImage => "NEW",
            Self::OldImage => "OLD",
            Self::NewAndOldImages => "BOTH",
        }
    }

    /// Whether items are recorded as they are after a change.
    pub fn has_new(self) -> bool {
        matches!(self, Self::NewImage | Self::NewAndOldImages)
    }

    /// Whether items are recorded as they were before a change.
    pub fn has_old(self) -> bool {
        matches!(self, Self::OldImage | Self::NewAndOldImages)
    }
}

/// A place in a change stream: milliseconds since the epoch, and a number within the millisecond.
pub type StreamPlace = (u64, u64);

/// A span of time in which a table's changes are recorded; DynamoDB calls it a stream. The records of all of a table's
/// spans are in one sequence, one span behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSpan {
    /// What is recorded.
    pub view: StreamView,
    /// When it began, in ms since the epoch. No two spans of a table have the same.
    pub since_ms: u64,
    /// The last place before its records.
    pub after: StreamPlace,
    /// How it ended, if it did.
    pub end: Option<StreamEnd>,
}

/// The end of a [`StreamSpan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// When it was disabled, in ms since the epoch.
    pub at_ms: u64,
    /// The last place that a record of the span may have.
    pub through: StreamPlace,
}

impl StreamSpan {
    /// A span that begins with the table.
    pub fn new(view: StreamView) -> Self {
        Self { view, since_ms: 0, after: (0, 0), end: None }
    }
}
