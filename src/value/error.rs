//! What can go wrong inside a Redis value.

/// An operation on a value that cannot be done; nothing has been changed. The text is what Redis answers, error code
/// included, so that a front end may pass it on as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A `RESTORE` payload whose footer does not fit: too short, too new, or damaged.
    #[error("ERR DUMP payload version or checksum are wrong")]
    DumpFooter,
    /// A `RESTORE` payload with a correct footer whose content is not a well-formed value.
    #[error("ERR Bad data format")]
    BadFormat,
    /// A payload of functions with a correct footer in which something else stands.
    #[error("ERR given type is not a function")]
    NoFunction,
    /// A text that should be a number with fraction is not one.
    #[error("ERR value is not a valid float")]
    NotFloat,
    /// A hash field's value that should be a number with fraction is not one.
    #[error("ERR hash value is not a float")]
    HashNotFloat,
    /// The increment of a hash field is infinite.
    #[error("ERR value is NaN or Infinity")]
    FloatNotFinite,
    /// The sum is infinite or not a number.
    #[error("ERR increment would produce NaN or Infinity")]
    FloatOverflow,
    /// `LCS` of strings whose table would be larger than is allowed.
    #[error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")]
    LcsMemory,
    /// `LCS` of a string of 4 GiB.
    #[error("ERR String too long for LCS")]
    LcsTooLong,
    /// A string's digest in a condition does not have the length of a digest.
    #[error("ERR must be exactly 16 hexadecimal characters")]
    DigestLength,
    /// Bytes that should be a stream are not one.
    #[error("ERR malformed stream")]
    MalformedStream,
    /// The largest identifier was given already.
    #[error("ERR The stream has exhausted the last possible ID, unable to add more items")]
    StreamExhausted,
    /// An entry cannot have the identifier `0-0`.
    #[error("ERR The ID specified in XADD must be greater than 0-0")]
    StreamIdZero,
    /// An entry's identifier must be larger than all before.
    #[error("ERR The ID specified in XADD is equal or smaller than the target stream top item")]
    StreamIdTooSmall,
    /// An entry's fields and values are too large.
    #[error("ERR Elements are too large to be stored")]
    StreamEntryTooLarge,
    /// A stream's last identifier is set below the largest deleted one that is set with it.
    #[error("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")]
    StreamIdBelowDeleted,
    /// A stream's last identifier is set below the largest one that was deleted.
    #[error("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")]
    StreamIdBelowCurrentDeleted,
    /// A stream's last identifier is set below that of its last entry.
    #[error("ERR The ID specified in XSETID is smaller than the target stream top item")]
    StreamIdBelowTop,
    /// The number of entries ever added is set below that of the entries that are there.
    #[error("ERR The entries_added specified in XSETID is smaller than the target stream length")]
    StreamAddedBelowLength,
}
