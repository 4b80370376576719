//! Errors that commands answer with. The text begins with a stable code word, as Redis's does.

use crate::expr::ExprError;
use crate::item::ItemError;
use crate::ops::OpError;
use std::borrow::Cow;

/// A command's error: the text after the protocol's minus sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail(pub Cow<'static, str>);

impl Fail {
    /// An error of fixed text.
    pub const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// An error of composed text.
    pub fn text(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into()))
    }

    /// The code word.
    pub fn code(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// The wrong number of arguments for a command or, with `|`, a subcommand.
    pub fn arity(name: &str) -> Self {
        Self::text(format!("ERR wrong number of arguments for '{name}' command"))
    }

    /// A container's subcommand that does not exist.
    pub fn unknown_sub(container: &str, sub: &[u8]) -> Self {
        let sub: String = String::from_utf8_lossy(sub).chars().take(128).collect();
        Self::text(format!("ERR unknown subcommand '{sub}'. Try {} HELP.", container.to_ascii_uppercase()))
    }

    /// A subcommand whose arguments do not fit; `args` are the whole command's.
    pub fn sub_syntax(args: &[&[u8]]) -> Self {
        let container = String::from_utf8_lossy(args[0]).to_ascii_uppercase();
        let sub: String = String::from_utf8_lossy(args[1]).chars().take(128).collect();
        Self::text(format!(
            "ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {container} HELP."
        ))
    }

    /// An expire time that overflows or is refused.
    pub fn invalid_expire(command: &str) -> Self {
        Self::text(format!("ERR invalid expire time in '{command}' command"))
    }
}

impl From<ItemError> for Fail {
    #[cold]
    fn from(error: ItemError) -> Self {
        Self::text(format!("VALIDATION {error}"))
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
