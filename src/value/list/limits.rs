//! The limits of the packed form: Redis's rules for `list-max-listpack-size`.

/// The bytes of a listpack beside its entries.
const FRAME: usize = 7;
/// The most bytes of a listpack whose limit is a number of elements.
const MOST_COUNTED_BYTES: usize = 8192;

/// The limits of the packed form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListLimits {
    bytes: usize,
    count: usize,
}

impl ListLimits {
    /// The limits for a value of the option. From 0 on it is a number of elements, where 0 counts as 1; -1 to -5 mean 4
    /// KiB to 64 KiB, and numbers below -5 mean the same as -5.
    #[must_use]
    pub fn of_option(option: i64) -> Self {
        match usize::try_from(option) {
            Ok(count) => Self { bytes: MOST_COUNTED_BYTES, count: count.max(1) },
            Err(_) => Self { bytes: 2048 << option.unsigned_abs().min(5), count: usize::MAX },
        }
    }

    /// Whether `count` entries of `entries` bytes together fit.
    #[must_use]
    pub fn allow(self, entries: usize, count: usize) -> bool {
        entries + FRAME <= self.bytes && count <= self.count
    }

    /// Whether a large list has become so small that it is packed again: at most half of what the limits allow.
    #[must_use]
    pub fn allow_again(self, entries: usize, count: usize) -> bool {
        entries + FRAME <= self.bytes / 2 && (self.count == usize::MAX || count <= self.count / 2)
    }
}
