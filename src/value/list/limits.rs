//! Up to which size a list has the packed form: Redis's rules for `list-max-listpack-size`.

/// The bytes that a listpack has beside its entries.
const FRAME: usize = 7;
/// A listpack whose elements are counted has at most so many bytes.
const MOST_COUNTED_BYTES: usize = 8192;

/// The limits of the packed form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    bytes: usize,
    count: usize,
}

impl Limits {
    /// The limits by the option: elements from 0 on, of which 0 counts as 1; from -1 to -5, and below, 4 KiB to 64 KiB.
    #[must_use]
    pub fn of_option(option: i64) -> Self {
        match usize::try_from(option) {
            Ok(count) => Self { bytes: MOST_COUNTED_BYTES, count: count.max(1) },
            Err(_) => Self { bytes: 2048 << option.unsigned_abs().min(5), count: usize::MAX },
        }
    }

    /// Whether entries of so many bytes and of this number fit.
    #[must_use]
    pub fn allow(self, entries: usize, count: usize) -> bool {
        entries + FRAME <= self.bytes && count <= self.count
    }

    /// Whether they are so few that a list which was larger is packed again: half as many as may be there.
    #[must_use]
    pub fn allow_again(self, entries: usize, count: usize) -> bool {
        entries + FRAME <= self.bytes / 2 && (self.count == usize::MAX || count <= self.count / 2)
    }
}
