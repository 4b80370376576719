//! What users may do, as pure data: rules as ACL SETUSER takes them, how they are shown, and what they allow.
//!
//! A user's [`UserRules`] have passwords and selectors. A [`Selector`] says which commands it allows, on which keys and
//! channels; a command is allowed if one selector allows all of it. The room knows commands by their numbers only, and
//! asks a [`CommandNames`] for what their names and categories mean.

mod error;
mod lines;
mod password;
mod pattern;
mod rules;
mod selector;
#[cfg(test)]
mod tests;

pub use error::RuleError;
pub use lines::{LineFault, UserLine, merged, parse_lines};
pub use password::PasswordHash;
pub use pattern::{ChannelUse, KeyUse, Need};
pub use rules::{RuleContext, UserRules};
pub use selector::{CommandNames, CommandUse, Denied, NamedCommand, Selector};
