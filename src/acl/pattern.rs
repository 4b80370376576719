//! Patterns of keys and channels, and the uses that are compared with them.

use super::error::RuleError;
use crate::text::glob_match;
use std::borrow::Cow;

/// What a command does with a key that it names. A command that does neither only looks at the key's existence or
/// metadata; any pattern allows that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need {
    /// The value, or a part of it, is returned or copied elsewhere.
    pub read: bool,
    /// The value is changed or removed.
    pub write: bool,
}

impl Need {
    /// What two uses of one key need together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { read: self.read || other.read, write: self.write || other.write }
    }
}

/// A use of keys by a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyUse<'k> {
    /// The command uses the key of this name.
    Key(Cow<'k, [u8]>, Need),
    /// The command uses keys that it does not name, so all keys must be allowed. The text stands for them in ACL LOG.
    Every(Cow<'k, [u8]>, Need),
}

/// A use of a channel by a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelUse<'k> {
    /// The command publishes to this channel or subscribes to it.
    Named(&'k [u8]),
    /// The command subscribes to all channels of this pattern. Only the same pattern allows it, not one that matches
    /// it.
    Pattern(&'k [u8]),
}

/// A pattern of keys, and what may be done with the keys that it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyPattern {
    pub(super) text: Box<[u8]>,
    /// At least one of the two is set.
    pub(super) may: Need,
}

impl KeyPattern {
    /// Reads `~pattern`, `%R~pattern`, `%W~pattern` or `%RW~pattern`.
    pub(super) fn parse(rule: &[u8]) -> Result<Self, RuleError> {
        let (may, text) = match rule {
            [b'~', text @ ..] => (Need { read: true, write: true }, text),
            [b'%', rest @ ..] => Self::parse_permissions(rest)?,
            _ => return Err(RuleError::Syntax),
        };
        check_text(text)?;
        Ok(Self { text: text.into(), may })
    }

    fn parse_permissions(mut rest: &[u8]) -> Result<(Need, &[u8]), RuleError> {
        let mut may = Need::default();
        loop {
            rest = match rest {
                [b'R' | b'r', more @ ..] if !may.read => {
                    may.read = true;
                    more
                }
                [b'W' | b'w', more @ ..] if !may.write => {
                    may.write = true;
                    more
                }
                [b'~', text @ ..] if may != Need::default() => return Ok((may, text)),
                // As in Redis, permissions without a pattern are those for the key without a name.
                [] if may != Need::default() => return Ok((may, rest)),
                _ => return Err(RuleError::Syntax),
            };
        }
    }

    /// Whether the pattern allows a use of a key.
    pub(super) fn allows(&self, used: &KeyUse<'_>) -> bool {
        let has = |need: &Need| (self.may.read || !need.read) && (self.may.write || !need.write);
        match used {
            KeyUse::Key(name, need) => has(need) && glob_match(&self.text, name),
            KeyUse::Every(_, need) => has(need) && *self.text == *b"*",
        }
    }

    pub(super) fn show(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match (self.may.read, self.may.write) {
            (true, false) => b"%R~",
            (false, true) => b"%W~",
            _ => b"~",
        });
        out.extend_from_slice(&self.text);
    }
}

/// Refuses what would break a line of rules.
pub(super) fn check_text(text: &[u8]) -> Result<(), RuleError> {
    let breaks = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0);
    if text.iter().any(breaks) { Err(RuleError::Syntax) } else { Ok(()) }
}
