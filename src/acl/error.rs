//! Why a rule is refused, in Redis's words.

use thiserror::Error;

/// Why a rule is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RuleError {
    /// The rule is none of the known ones, or its name has a blank or a zero byte.
    #[error("Syntax error")]
    Syntax,
    /// The rule names a command or category that does not exist.
    #[error("Unknown command or category name in ACL")]
    UnknownName,
    /// The rule allows a subcommand with one first argument.
    #[error("Allowing first-arg of a subcommand is not supported")]
    FirstArgOfSub,
    /// A pattern of keys was added where all keys are allowed.
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try \
         'resetkeys' to start with an empty list of patterns"
    )]
    AfterAllKeys,
    /// A pattern of channels was added where all channels are allowed.
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. \
         Try 'resetchannels' to start with an empty list of channels"
    )]
    AfterAllChannels,
    /// A password is to be removed that the user does not have.
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    /// A password's hash is not one.
    #[error(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
    )]
    BadHash,
    /// A user stands twice in a file.
    #[error("Duplicate user found. A user can only be defined once in config files")]
    Duplicate,
}
