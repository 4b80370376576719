//! The rules of one user.

use super::error::RuleError;
use super::password::PasswordHash;
use super::pattern::ChannelUse;
use super::selector::{CommandNames, CommandUse, Denied, Selector};
use crate::text::{quoted, repr, split_words};

/// What rules are read with.
#[derive(Clone, Copy)]
pub struct RuleContext<'c> {
    /// The command table.
    pub names: &'c dyn CommandNames,
    /// Whether a new user, a reset one and a new selector may use all channels (`acl-pubsub-default`).
    pub all_channels: bool,
}

/// The rules of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRules {
    is_on: bool,
    /// Whether every password is right.
    any_password: bool,
    /// What was said about sanitizing payloads, which is shown and has no other effect: all payloads are checked.
    sanitizes: Option<bool>,
    passwords: Vec<PasswordHash>,
    root: Selector,
    selectors: Vec<Selector>,
}

impl UserRules {
    /// The rules of a new user, who cannot log in and may do nothing, for a table of so many commands.
    pub fn fresh(count: usize, all_channels: bool) -> Self {
        Self {
            is_on: false,
            any_password: false,
            sanitizes: None,
            passwords: Vec::new(),
            root: Selector::fresh(count, all_channels),
            selectors: Vec::new(),
        }
    }

    /// The rules of the user `default` as a server begins with: it needs no password and may do everything.
    pub fn of_default_user(count: usize) -> Self {
        let mut rules = Self::fresh(count, true);
        (rules.is_on, rules.any_password) = (true, true);
        rules.root.allow_everything();
        rules
    }

    /// Makes `password` the only one; without a password, none is needed.
    pub fn set_password(&mut self, password: &[u8]) {
        self.any_password = password.is_empty();
        self.passwords = (!password.is_empty()).then(|| PasswordHash::of(password)).into_iter().collect();
    }

    /// Whether the user can log in.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether every password is right.
    pub fn needs_no_password(&self) -> bool {
        self.any_password
    }

    /// Whether the user may do everything.
    pub fn is_unlimited(&self) -> bool {
        self.root.is_unlimited()
    }

    /// Whether it matters to the user which keys a command uses.
    pub fn limits_keys(&self) -> bool {
        !self.root.has_all_keys() || !self.selectors.is_empty()
    }

    /// Whether the user can log in with a password of this hash. The duration depends on the number of the user's
    /// passwords only.
    pub fn accepts(&self, password: &PasswordHash) -> bool {
        let known = self.passwords.iter().filter(|known| *known == password).count();
        self.is_on && (self.any_password || known > 0)
    }

    /// Applies one rule.
    ///
    /// # Errors
    /// The rule is not understood. The rules are as before.
    pub fn apply(&mut self, rule: &[u8], context: RuleContext<'_>) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        match rule {
            [] => {}
            _ if is("on") => self.is_on = true,
            _ if is("off") => self.is_on = false,
            _ if is("sanitize-payload") => self.sanitizes = Some(true),
            _ if is("skip-sanitize-payload") => self.sanitizes = Some(false),
            _ if is("nopass") => (self.any_password, self.passwords) = (true, Vec::new()),
            _ if is("resetpass") => (self.any_password, self.passwords) = (false, Vec::new()),
            _ if is("reset") => {
                let fresh = Self::fresh(context.names.count(), context.all_channels);
                *self = Self { sanitizes: Some(true), ..fresh };
            }
            _ if is("clearselectors") => self.selectors.clear(),
            [b'>', password @ ..] => self.add_password(PasswordHash::of(password)),
            [b'#', hash @ ..] => self.add_password(PasswordHash::parse(hash).ok_or(RuleError::BadHash)?),
            [b'<', password @ ..] => self.remove_password(&PasswordHash::of(password))?,
            [b'!', hash @ ..] => {
                self.remove_password(&PasswordHash::parse(hash).ok_or(RuleError::BadHash)?)?;
            }
            [b'(', rules @ .., b')'] => {
                let mut selector = Selector::fresh(context.names.count(), context.all_channels);
                let words = split_words(rules).map_err(|_| RuleError::Syntax)?;
                words.iter().try_for_each(|rule| selector.apply(rule, context.names))?;
                self.selectors.push(selector);
            }
            rule => self.root.apply(rule, context.names)?,
        }
        Ok(())
    }

    fn add_password(&mut self, password: PasswordHash) {
        self.any_password = false;
        if !self.passwords.contains(&password) {
            self.passwords.push(password);
        }
    }

    fn remove_password(&mut self, password: &PasswordHash) -> Result<(), RuleError> {
        let at = self.passwords.iter().position(|known| known == password);
        self.passwords.remove(at.ok_or(RuleError::NoSuchPassword)?);
        Ok(())
    }

    /// Whether the user may run a command. One selector must allow all of it.
    ///
    /// # Errors
    /// The latest thing that a selector denies.
    pub fn check(&self, access: &CommandUse<'_>) -> Result<(), Denied> {
        let mut latest = Denied::Command;
        for selector in self.selectors() {
            match selector.check(access) {
                Ok(()) => return Ok(()),
                Err(denied) => latest = latest.max(denied),
            }
        }
        Err(latest)
    }

    /// Whether the user may go on with a subscription: whether a selector allows its channel.
    pub fn allows_channel(&self, used: ChannelUse<'_>) -> bool {
        self.selectors().any(|selector| selector.allows_channel(used))
    }

    /// The selectors, the user's own rules first.
    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.selectors)
    }

    /// The flags, in Redis's words and order.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        let words = |sanitizes| if sanitizes { "sanitize-payload" } else { "skip-sanitize-payload" };
        let state = if self.is_on { "on" } else { "off" };
        std::iter::once(state).chain(self.any_password.then_some("nopass")).chain(self.sanitizes.map(words))
    }

    /// The hashes of the passwords.
    pub fn passwords(&self) -> &[PasswordHash] {
        &self.passwords
    }

    /// All rules, word by word, from which an equal user can be made. In a selector's word, what needs quotes has them.
    pub fn words(&self) -> Vec<Vec<u8>> {
        let flags = self.flags().map(|flag| flag.as_bytes().to_vec());
        let passwords = self.passwords.iter().map(|hash| format!("#{hash}").into_bytes());
        let selectors = self.selectors.iter().map(|selector| {
            // A parenthesis at the end of a word would close the selector where words are put together again.
            let safe = |word: &Vec<u8>| if word.ends_with(b")") { repr(word) } else { quoted(word) };
            let inner: Vec<String> = selector.words().iter().map(safe).collect();
            format!("({})", inner.join(" ")).into_bytes()
        });
        flags.chain(passwords).chain(self.root.words()).chain(selectors).collect()
    }

    /// All rules as they are shown.
    pub fn text(&self) -> Vec<u8> {
        let mut text = self.flags().collect::<Vec<_>>().join(" ").into_bytes();
        for hash in &self.passwords {
            text.extend_from_slice(format!(" #{hash}").as_bytes());
        }
        text.push(b' ');
        text.extend_from_slice(&self.root.text());
        for selector in &self.selectors {
            text.extend_from_slice(&[b" (", &*selector.text(), b")"].concat());
        }
        text
    }
}
