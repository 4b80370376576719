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
}
