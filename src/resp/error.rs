//! What can be wrong on the wire.

/// A client broke the protocol. The connection is answered with [`ProtocolError::text`] and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// An inline command grew beyond [`InputLimits::max_inline`](crate::resp::InputLimits::max_inline) without a line
    /// end.
    #[error("Protocol error: too big inline request")]
    TooBigInline,
    /// An inline command had an open quote, or text right behind a closing one.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// No line end within the limit for the line that counts the arguments.
    #[error("Protocol error: too big mbulk count string")]
    TooBigMultibulkCount,
    /// The count of arguments was no integer, or above the limit.
    #[error("Protocol error: invalid multibulk length")]
    InvalidMultibulkLength,
    /// More arguments than a client may send before it has authenticated.
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedMultibulkLength,
    /// No line end within the limit for the line with an argument's length.
    #[error("Protocol error: too big bulk count string")]
    TooBigBulkCount,
    /// An argument did not begin with `$` but with this byte.
    #[error("Protocol error: expected '$', got '{}'", char::from(*.0))]
    ExpectedDollar(u8),
    /// The length of an argument was no integer, negative, or above the limit.
    #[error("Protocol error: invalid bulk length")]
    InvalidBulkLength,
    /// A longer argument than a client may send before it has authenticated.
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulkLength,
}

impl ProtocolError {
    /// The error's text for [`Reply::error`](crate::resp::Reply::error), byte for byte as Redis sends it.
    ///
    /// The result is bytes because it may quote the offending byte.
    pub fn text(&self) -> Vec<u8> {
        match self {
            Self::ExpectedDollar(byte) => {
                [b"ERR Protocol error: expected '$', got '", &[*byte][..], b"'"].concat()
            }
            other => format!("ERR {other}").into_bytes(),
        }
    }
}

/// A server's reply could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The bytes are not RESP2 or RESP3, or use its streamed forms, which no server of this protocol sends.
    #[error("malformed reply at byte {0}")]
    Malformed(usize),
    /// Aggregates are nested deeper than the decoder allows.
    #[error("reply nested deeper than {0} levels")]
    TooDeep(usize),
}
