//! A selector: the commands that it allows, and on which keys and channels.

use super::error::RuleError;
use super::pattern::{ChannelUse, KeyPattern, KeyUse, check_text};
use crate::text::glob_match;
use std::collections::BTreeMap;

/// A command or subcommand that a rule names.
#[derive(Debug, Clone)]
pub struct NamedCommand {
    /// Its number.
    pub number: usize,
    /// Its name as rules are shown with it.
    pub name: String,
    /// The numbers of its subcommands.
    pub subs: Vec<usize>,
}

/// What rules ask of the command table.
pub trait CommandNames {
    /// The number of commands and subcommands; every number is less.
    fn count(&self) -> usize;
    /// Finds a command, or a subcommand by `parent|sub`, regardless of upper and lower case.
    fn find(&self, name: &[u8]) -> Option<NamedCommand>;
    /// The numbers of a category's commands, their subcommands included; `None` if there is no such category.
    fn in_category(&self, category: &[u8]) -> Option<Vec<usize>>;
}

/// A command with what it uses.
pub struct CommandUse<'a> {
    /// The command's number.
    pub number: usize,
    /// Whether every user may run it (AUTH, QUIT).
    pub is_free: bool,
    /// The first argument, which rules may limit.
    pub first_arg: Option<&'a [u8]>,
    /// The keys.
    pub keys: &'a [KeyUse<'a>],
    /// The channels.
    pub channels: &'a [ChannelUse<'a>],
}

/// What a user is denied. Of several selectors the one counts that denies the latest of these; of keys and channels the
/// number among those that the command uses is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    /// The command itself.
    Command,
    /// A key.
    Key(usize),
    /// A channel.
    Channel(usize),
}

/// A set of commands, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CommandSet(Vec<u64>);

impl CommandSet {
    fn of_none(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn has(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| (word >> (number % 64)) & 1 == 1)
    }

    fn set(&mut self, number: usize, allowed: bool) {
        if let Some(word) = self.0.get_mut(number / 64) {
            let bit = 1 << (number % 64);
            *word = if allowed { *word | bit } else { *word & !bit };
        }
    }
}

/// A selector. A fresh one allows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Whether every command is allowed, those of later versions too. It ends with the first rule that takes one away.
    all_commands: bool,
    /// Whether the rules began with all commands rather than with none, which is shown first.
    began_with_all: bool,
    commands: CommandSet,
    /// The first arguments with which commands are allowed that are not allowed as a whole.
    first_args: BTreeMap<usize, Vec<Box<[u8]>>>,
    /// The rules on commands and categories that count, in their order, as they are shown.
    shown: Vec<String>,
    all_keys: bool,
    keys: Vec<KeyPattern>,
    all_channels: bool,
    channels: Vec<Box<[u8]>>,
}

impl Selector {
    /// A selector for a table of so many commands that allows nothing, except for all channels if `all_channels` is
    /// set.
    pub fn fresh(count: usize, all_channels: bool) -> Self {
        Self {
            all_commands: false,
            began_with_all: false,
            commands: CommandSet::of_none(count),
            first_args: BTreeMap::new(),
            shown: Vec::new(),
            all_keys: false,
            keys: Vec::new(),
            all_channels,
            channels: Vec::new(),
        }
    }

    /// Allows everything.
    pub fn allow_everything(&mut self) {
        (self.all_keys, self.all_channels) = (true, true);
        (self.keys, self.channels) = (Vec::new(), Vec::new());
        self.begin(true);
    }

    /// Whether it allows everything.
    pub fn is_unlimited(&self) -> bool {
        self.all_commands && self.all_keys && self.all_channels
    }

    /// Whether all keys are allowed.
    pub fn has_all_keys(&self) -> bool {
        self.all_keys
    }

    /// Applies one rule.
    ///
    /// # Errors
    /// The rule is not understood. The selector is as before.
    pub fn apply(&mut self, rule: &[u8], names: &dyn CommandNames) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        match rule {
            _ if is("allkeys") || is("~*") => (self.all_keys, self.keys) = (true, Vec::new()),
            _ if is("resetkeys") => (self.all_keys, self.keys) = (false, Vec::new()),
            _ if is("allchannels") || is("&*") => (self.all_channels, self.channels) = (true, Vec::new()),
            _ if is("resetchannels") => (self.all_channels, self.channels) = (false, Vec::new()),
            _ if is("allcommands") || is("+@all") => self.begin(true),
            _ if is("nocommands") || is("-@all") => self.begin(false),
            [b'~' | b'%', ..] if self.all_keys => return Err(RuleError::AfterAllKeys),
            [b'~' | b'%', ..] => self.add_key(KeyPattern::parse(rule)?),
            [b'&', ..] if self.all_channels => return Err(RuleError::AfterAllChannels),
            [b'&', pattern @ ..] => {
                check_text(pattern)?;
                if !self.channels.iter().any(|known| **known == *pattern) {
                    self.channels.push(pattern.into());
                }
            }
            [sign @ (b'+' | b'-'), b'@', category @ ..] => {
                let numbers = names.in_category(category).ok_or(RuleError::UnknownName)?;
                numbers.into_iter().for_each(|number| self.set(number, *sign == b'+'));
                self.note(*sign == b'+', &format!("@{}", lower(category)));
            }
            [b'+', name @ ..] => self.allow(name, names)?,
            [b'-', name @ ..] => {
                let found = names.find(name).ok_or(RuleError::UnknownName)?;
                self.set_with_subs(&found, false);
                self.note(false, &found.name);
            }
            _ => return Err(RuleError::Syntax),
        }
        Ok(())
    }

    /// Begins anew with all commands or with none.
    fn begin(&mut self, all: bool) {
        (self.all_commands, self.began_with_all) = (all, all);
        self.commands.0.fill(if all { u64::MAX } else { 0 });
        self.first_args.clear();
        self.shown.clear();
    }

    /// Adds a pattern of keys. If the pattern is there already, it allows what both say.
    fn add_key(&mut self, new: KeyPattern) {
        match self.keys.iter_mut().find(|known| known.text == new.text) {
            Some(known) => known.may = known.may.and(new.may),
            None => self.keys.push(new),
        }
    }

    /// Allows `command`, `parent|sub`, or `command|argument` where the command has no subcommands.
    fn allow(&mut self, name: &[u8], names: &dyn CommandNames) -> Result<(), RuleError> {
        let Some(bar) = memchr::memrchr(b'|', name) else {
            let found = names.find(name).ok_or(RuleError::UnknownName)?;
            self.set_with_subs(&found, true);
            self.note(true, &found.name);
            return Ok(());
        };
        let (parent, sub) = (&name[..bar], &name[bar + 1..]);
        let found = names.find(parent).ok_or(RuleError::UnknownName)?;
        if parent.contains(&b'|') {
            return Err(RuleError::FirstArgOfSub);
        }
        if sub.is_empty() {
            return Err(RuleError::Syntax);
        }
        if found.subs.is_empty() {
            let args = self.first_args.entry(found.number).or_default();
            if !args.iter().any(|known| known.eq_ignore_ascii_case(sub)) {
                args.push(sub.into());
            }
        } else {
            let found = names.find(name).ok_or(RuleError::UnknownName)?;
            self.set_with_subs(&found, true);
        }
        self.note(true, &lower(name));
        Ok(())
    }

    fn set_with_subs(&mut self, command: &NamedCommand, allowed: bool) {
        std::iter::once(&command.number).chain(&command.subs).for_each(|number| self.set(*number, allowed));
    }

    fn set(&mut self, number: usize, allowed: bool) {
        self.commands.set(number, allowed);
        self.first_args.remove(&number);
        self.all_commands &= allowed;
    }

    /// Notes a rule as it is shown. It replaces earlier rules on the same command or category, and on the command's
    /// subcommands and first arguments.
    fn note(&mut self, allowed: bool, name: &str) {
        self.shown.retain(|rule| {
            rule[1..].strip_prefix(name).is_none_or(|rest| !rest.is_empty() && !rest.starts_with('|'))
        });
        self.shown.push(format!("{}{name}", if allowed { '+' } else { '-' }));
    }

    /// Whether it allows all of a command.
    ///
    /// # Errors
    /// The first thing that it denies.
    pub fn check(&self, access: &CommandUse<'_>) -> Result<(), Denied> {
        if !self.allows_command(access) {
            return Err(Denied::Command);
        }
        if !self.all_keys {
            let allowed = |used: &KeyUse<'_>| self.keys.iter().any(|pattern| pattern.allows(used));
            if let Some(at) = access.keys.iter().position(|used| !allowed(used)) {
                return Err(Denied::Key(at));
            }
        }
        if let Some(at) = access.channels.iter().position(|used| !self.allows_channel(*used)) {
            return Err(Denied::Channel(at));
        }
        Ok(())
    }

    fn allows_command(&self, access: &CommandUse<'_>) -> bool {
        self.all_commands
            || access.is_free
            || self.commands.has(access.number)
            || access.first_arg.is_some_and(|arg| {
                let args = self.first_args.get(&access.number);
                args.is_some_and(|args| args.iter().any(|known| known.eq_ignore_ascii_case(arg)))
            })
    }

    /// Whether it allows the use of a channel.
    pub fn allows_channel(&self, used: ChannelUse<'_>) -> bool {
        self.all_channels
            || self.channels.iter().any(|known| match used {
                ChannelUse::Named(name) => glob_match(known, name),
                ChannelUse::Pattern(pattern) => **known == *pattern,
            })
    }

    /// The rules on commands.
    pub fn commands_text(&self) -> String {
        let begin = if self.began_with_all { "+@all" } else { "-@all" };
        std::iter::once(begin).chain(self.shown.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
    }

    /// The patterns of keys.
    pub fn keys_text(&self) -> Vec<u8> {
        let shown = self.keys.iter().map(|pattern| {
            let mut text = Vec::new();
            pattern.show(&mut text);
            text
        });
        joined(self.all_keys.then(|| b"~*".to_vec()).into_iter().chain(shown))
    }

    /// The patterns of channels.
    pub fn channels_text(&self) -> Vec<u8> {
        let shown = self.channels.iter().map(|pattern| [b"&", &**pattern].concat());
        joined(self.all_channels.then(|| b"&*".to_vec()).into_iter().chain(shown))
    }

    /// All rules, word by word, from which an equal selector can be made.
    pub fn words(&self) -> Vec<Vec<u8>> {
        self.text().split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect()
    }

    /// All rules as they are shown.
    pub fn text(&self) -> Vec<u8> {
        let mut channels = self.channels_text();
        if !self.all_channels {
            channels =
                joined([b"resetchannels".to_vec(), channels].into_iter().filter(|text| !text.is_empty()));
        }
        let parts = [self.keys_text(), channels, self.commands_text().into_bytes()];
        joined(parts.into_iter().filter(|text| !text.is_empty()))
    }
}

fn joined(parts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    parts.collect::<Vec<_>>().join(&b' ')
}

/// A name of a command or category for showing. It was found in the table, so it is ASCII.
fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase()
}
