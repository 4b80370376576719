//! Errors with which commands answer. The text begins with a stable code word, as Redis's does.

use crate::config::Settings;
use crate::engine::NotNow;
use crate::expr::ExprError;
use crate::item::ItemError;
use crate::log::LogError;
use crate::ops::OpError;
use std::borrow::Cow;

/// A command's error: the bytes after the protocol's minus sign. They may contain a client's arguments, so they need
/// not be UTF-8.
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

    /// A transaction that is all or nothing takes more memory than it may.
    #[cold]
    pub fn too_large(settings: &Settings) -> Self {
        let most = settings.transaction_max_memory;
        Self::text(format!("ERR the transaction takes more than {most} bytes (transaction-max-memory)"))
    }

    /// A transaction keeps more of what it publishes and tells than it may.
    #[cold]
    pub fn tells_too_much(settings: &Settings) -> Self {
        let most = settings.transaction_max_memory;
        Self::text(format!(
            "ERR what a transaction publishes and tells may take {most} bytes (transaction-max-memory)"
        ))
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

    /// The error for a wrong number of arguments of a command or, written `parent|sub`, of a subcommand.
    pub fn arity(name: &str) -> Self {
        Self::text(format!("ERR wrong number of arguments for '{name}' command"))
    }

    /// The error for an unknown subcommand of a container.
    pub fn unknown_sub(container: &str, sub: &[u8]) -> Self {
        let after = format!("'. Try {} HELP.", container.to_ascii_uppercase());
        Self::about("ERR unknown subcommand '", as_text(sub, SHOWN), &after)
    }

    /// The error for a subcommand with wrong arguments; `args` are those of the whole command.
    pub fn sub_syntax(args: &[&[u8]]) -> Self {
        let container = String::from_utf8_lossy(args[0]).to_ascii_uppercase();
        let after = format!("'. Try {container} HELP.");
        let sub = as_text(args[1], SHOWN);
        Self::about("ERR unknown subcommand or wrong number of arguments for '", sub, &after)
    }

    /// The error of a command that stops because the state of durability or the server's life cycle has changed.
    #[cold]
    pub fn not_now(reason: &NotNow) -> Self {
        match reason {
            NotNow::Loading => LOADING,
            NotNow::Refused(error) => Self::refused(error),
            NotNow::Closed => CLOSED,
            NotNow::Ending => Self::new("ERR the server is shutting down"),
            NotNow::Paused => Self::new("ERR the server is paused"),
            NotNow::TakesLong => Self::new("ERR the command takes long"),
            NotNow::Lent(_) => Self::busy(false),
        }
    }

    /// The error of EXEC when this error discards the transaction.
    #[cold]
    pub fn discards(&self) -> Self {
        let reason = self.0.strip_prefix(b"ERR ").unwrap_or(&self.0);
        Self::bytes([b"EXECABORT Transaction discarded because of: ", reason].concat())
    }

    /// The error while a script runs for longer than `busy-reply-threshold`; `in_function` if it is a function.
    #[cold]
    pub fn busy(in_function: bool) -> Self {
        let kind = if in_function { "FUNCTION" } else { "SCRIPT" };
        Self::text(format!(
            "BUSY Redis is busy running a script. You can only call {kind} KILL or SHUTDOWN NOSAVE."
        ))
    }

    /// The error for a change that the log refuses.
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

    /// The error for an expire time that overflows or is not allowed.
    pub fn invalid_expire(command: &str) -> Self {
        Self::text(format!("ERR invalid expire time in '{command}' command"))
    }
}

/// The most bytes of a name that an error shows.
pub(super) const SHOWN: usize = 128;

/// The part of an argument that errors show: at most `most` bytes, up to the first zero byte, as C's strings end there.
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

/// The last checkpoint failed.
pub const NO_CHECKPOINT: Fail = Fail::new(
    "MISCONF The last checkpoint failed, so that writes are refused as long as stop-writes-on-bgsave-error is on. The \
     server's log tells why it failed.",
);

/// The data is being read from disk.
pub const LOADING: Fail = Fail::new("LOADING Redis is loading the dataset in memory");
/// A change of a key in the same shard panicked.
pub(super) const CLOSED: Fail = Fail::new(
    "MISCONF A change of a key in this shard was interrupted by a fault of the program, so the keys of the shard are \
     closed until a restart or DEBUG RELOAD NOSAVE. The server's log tells more.",
);
/// Memory is at its limit, `maxmemory`.
pub const OUT_OF_MEMORY: Fail = Fail::new("OOM command not allowed when used memory > 'maxmemory'.");
/// ITEM.ATOMIC is not the first command of a transaction.
pub const NOT_FIRST: Fail = Fail::new("ERR ITEM.ATOMIC must be the first command of a transaction");
/// An option that is unknown or contradicts another.
pub const SYNTAX: Fail = Fail::new("ERR syntax error");
/// The key holds another type.
pub const WRONG_TYPE: Fail = Fail::new("WRONGTYPE Operation against a key holding the wrong kind of value");
/// An argument is no 64-bit integer.
pub const NOT_INTEGER: Fail = Fail::new("ERR value is not an integer or out of range");
/// An argument is no floating-point number, or NaN.
pub const NOT_FLOAT: Fail = Fail::new("ERR value is not a valid float");
/// An integer would overflow.
pub const OVERFLOW: Fail = Fail::new("ERR increment or decrement would overflow");
/// The command needs a key that does not exist.
pub const NO_KEY: Fail = Fail::new("ERR no such key");
/// A database number is too large.
pub const DB_RANGE: Fail = Fail::new("ERR DB index is out of range");
/// The value would be longer than `proto-max-bulk-len`.
pub const TOO_LONG: Fail = Fail::new("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
/// An offset is negative or too large.
pub const OFFSET_RANGE: Fail = Fail::new("ERR offset is out of range");
/// A count must be positive.
pub const NOT_POSITIVE: Fail = Fail::new("ERR value is out of range, must be positive");
