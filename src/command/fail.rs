//! Errors that commands answer with. The text begins with a stable code word, as Redis's does.

use crate::engine::NotNow;
use crate::expr::ExprError;
use crate::item::ItemError;
use crate::log::LogError;
use crate::ops::OpError;
use std::borrow::Cow;

/// A command's error: the bytes after the protocol's minus sign. What clients sent is shown as it came, so it need not
/// be text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail(pub Cow<'static, [u8]>);

impl Fail {
    /// An error of fixed text.
    pub const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }

    /// An error of composed text.
    pub fn text(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into().into_bytes()))
    }

    /// An error of composed bytes.
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Self(Cow::Owned(bytes))
    }

    /// An error that shows an argument between two texts.
    #[cold]
    pub fn about(before: &str, arg: &[u8], after: &str) -> Self {
        Self::bytes([before.as_bytes(), as_text(arg, usize::MAX), after.as_bytes()].concat())
    }

    /// The wrong number of arguments for a command or, with `|`, a subcommand.
    pub fn arity(name: &str) -> Self {
        Self::text(format!("ERR wrong number of arguments for '{name}' command"))
    }

    /// A container's subcommand that does not exist.
    pub fn unknown_sub(container: &str, sub: &[u8]) -> Self {
        let after = format!("'. Try {} HELP.", container.to_ascii_uppercase());
        Self::about("ERR unknown subcommand '", as_text(sub, SHOWN), &after)
    }

    /// A subcommand whose arguments do not fit; `args` are the whole command's.
    pub fn sub_syntax(args: &[&[u8]]) -> Self {
        let container = String::from_utf8_lossy(args[0]).to_ascii_uppercase();
        let after = format!("'. Try {container} HELP.");
        let sub = as_text(args[1], SHOWN);
        Self::about("ERR unknown subcommand or wrong number of arguments for '", sub, &after)
    }

    /// A command that cannot go on because the state of durability has changed.
    #[cold]
    pub fn not_now(reason: &NotNow) -> Self {
        match reason {
            NotNow::Loading => LOADING,
            NotNow::Refused(error) => Self::refused(error),
            NotNow::Ending => Self::new("ERR the server is shutting down"),
            NotNow::Paused => Self::new("ERR the server is paused"),
        }
    }

    /// A change that the log does not take.
    #[cold]
    pub fn refused(error: &LogError) -> Self {
        match error {
            LogError::TooLarge { .. } => Self::text(format!("ERR the change is too large: {error}")),
            _ if error.is_superseded() => Self::text(format!(
                "READONLY You can't write against a read only replica. The log goes on without this server: {error}"
            )),
            _ => Self::text(format!("MISCONF Errors writing to the AOF file: {}", error.cause())),
        }
    }

    /// An expire time that overflows or is refused.
    pub fn invalid_expire(command: &str) -> Self {
        Self::text(format!("ERR invalid expire time in '{command}' command"))
    }
}

/// The most bytes of a name that errors show.
pub(super) const SHOWN: usize = 128;

/// What errors show of an argument: as texts in C, it ends at a zero byte.
pub(super) fn as_text(arg: &[u8], most: usize) -> &[u8] {
    &arg[..memchr::memchr(0, arg).unwrap_or(arg.len()).min(most)]
}

impl From<ItemError> for Fail {
    #[cold]
    fn from(error: ItemError) -> Self {
        Self::text(format!("VALIDATION {error}"))
    }
}

impl From<LogError> for Fail {
    fn from(error: LogError) -> Self {
        Self::refused(&error)
    }
}

impl From<ExprError> for Fail {
    #[cold]
    fn from(error: ExprError) -> Self {
        Self::text(format!("VALIDATION {error}"))
    }
}

impl From<OpError> for Fail {
    #[cold]
    fn from(error: OpError) -> Self {
        match error {
            OpError::NoTable(_) => Self::text(format!("NOTABLE {error}")),
            _ => Self::text(format!("VALIDATION {error}")),
        }
    }
}

/// The data is being read from disk.
pub const LOADING: Fail = Fail::new("LOADING Redis is loading the dataset in memory");
/// The data takes as much memory as it may.
pub const OUT_OF_MEMORY: Fail = Fail::new("OOM command not allowed when used memory > 'maxmemory'.");
/// ITEM.ATOMIC anywhere else.
pub const NOT_FIRST: Fail = Fail::new("ERR ITEM.ATOMIC must be the first command of a transaction");
/// An option that is unknown or contradicts another.
pub const SYNTAX: Fail = Fail::new("ERR syntax error");
/// The key holds another type.
pub const WRONG_TYPE: Fail = Fail::new("WRONGTYPE Operation against a key holding the wrong kind of value");
/// Not a 64-bit integer.
pub const NOT_INTEGER: Fail = Fail::new("ERR value is not an integer or out of range");
/// Not a number.
pub const NOT_FLOAT: Fail = Fail::new("ERR value is not a valid float");
/// An integer would overflow.
pub const OVERFLOW: Fail = Fail::new("ERR increment or decrement would overflow");
/// The key is needed.
pub const NO_KEY: Fail = Fail::new("ERR no such key");
/// A database number is too large.
pub const DB_RANGE: Fail = Fail::new("ERR DB index is out of range");
/// The value would be longer than `proto-max-bulk-len`.
pub const TOO_LONG: Fail = Fail::new("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
/// An offset is negative or too large.
pub const OFFSET_RANGE: Fail = Fail::new("ERR offset is out of range");
/// A count must be positive.
pub const NOT_POSITIVE: Fail = Fail::new("ERR value is out of range, must be positive");
