//! The users of a server.
//!
//! A client keeps the rules of its user, and the generation for which it took them over. Every change of a user counts
//! the generation up, so a client sees with one comparison that it must look again.

use crate::acl::{PasswordHash, UserRules};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Release},
};

/// The name of the user that every client is at first.
pub const DEFAULT_USER: &[u8] = b"default";

/// One user. Its clients hold it, and see changes of its rules.
pub struct User {
    name: Box<[u8]>,
    rules: Mutex<Arc<UserRules>>,
    /// Whether it was deleted.
    is_gone: AtomicBool,
}

impl User {
    fn new(name: &[u8], rules: Arc<UserRules>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), rules: Mutex::new(rules), is_gone: AtomicBool::new(false) })
    }

    /// The name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The rules as they are now.
    pub fn rules(&self) -> Arc<UserRules> {
        Arc::clone(&self.rules.lock())
    }

    /// Whether the user was deleted. Its clients must be closed.
    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Acquire)
    }
}

/// A change of a user: its name, and its rules after it; none if the user was deleted.
pub type UserChange = (Box<[u8]>, Option<Arc<UserRules>>);

/// All users.
pub struct Users {
    /// Counts the changes, from 1 on.
    generation: AtomicU64,
    /// Whether a new client may run commands without authentication.
    is_open: AtomicBool,
    by_name: Mutex<BTreeMap<Box<[u8]>, Arc<User>>>,
    default: Arc<User>,
    /// The value of `requirepass` that `default` got last.
    configured: Mutex<Vec<u8>>,
}

impl Users {
    /// The user `default` alone, for a table of so many commands. It needs no password and may do everything.
    pub fn new(commands: usize) -> Self {
        let default = User::new(DEFAULT_USER, Arc::new(UserRules::of_default_user(commands)));
        Self {
            generation: AtomicU64::new(1),
            is_open: AtomicBool::new(true),
            by_name: Mutex::new(BTreeMap::from([(DEFAULT_USER.into(), Arc::clone(&default))])),
            default,
            configured: Mutex::default(),
        }
    }

    /// A number that is another one after each change of a user; never 0.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// Whether a new client may run commands without authentication: `default` is on and needs no password.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.is_open.load(Acquire)
    }

    /// The user that every client is at first. It is never deleted.
    pub fn default_user(&self) -> &Arc<User> {
        &self.default
    }

    /// The user of a name.
    pub fn get(&self, name: &[u8]) -> Option<Arc<User>> {
        self.by_name.lock().get(name).cloned()
    }

    /// All users by their names.
    pub fn all(&self) -> Vec<Arc<User>> {
        self.by_name.lock().values().cloned().collect()
    }

    /// The user of a name, if the password is right. A name that does not exist takes as long as a wrong password.
    pub fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<Arc<User>> {
        let hash = PasswordHash::of(password);
        let user = self.get(name);
        // The rules of `default` are asked in place of those that do not exist.
        let accepted = user.as_ref().unwrap_or(&self.default).rules().accepts(&hash);
        user.filter(|_| accepted)
    }

    /// Changes the rules of a user, or makes one. `change` gets the rules that it has. Nobody sees the users between.
    ///
    /// # Errors
    /// Those of `change`; nothing was changed.
    pub fn change<E>(
        &self,
        name: &[u8],
        change: impl FnOnce(Option<&UserRules>) -> Result<UserRules, E>,
    ) -> Result<UserChange, E> {
        let mut by_name = self.by_name.lock();
        let before = by_name.get(name).map(|user| user.rules());
        let rules = change(before.as_deref())?;
        let changed = Self::put(&mut by_name, name, rules);
        self.publish();
        Ok(changed)
    }

    fn put(by_name: &mut BTreeMap<Box<[u8]>, Arc<User>>, name: &[u8], rules: UserRules) -> UserChange {
        let rules = Arc::new(rules);
        match by_name.get(name) {
            Some(user) => *user.rules.lock() = Arc::clone(&rules),
            None => {
                by_name.insert(name.into(), User::new(name, Arc::clone(&rules)));
            }
        }
        (name.into(), Some(rules))
    }

    /// Deletes users, except for `default`. Gives those that existed.
    pub fn delete(&self, names: &[&[u8]]) -> Vec<UserChange> {
        let mut by_name = self.by_name.lock();
        let mut deleted = Vec::new();
        for name in names.iter().filter(|name| **name != DEFAULT_USER) {
            deleted.extend(by_name.remove(*name).map(|user| Self::bury(&user)));
        }
        self.publish();
        deleted
    }

    fn bury(user: &User) -> UserChange {
        user.is_gone.store(true, Release);
        (user.name.clone(), None)
    }

    /// Replaces all users in one step. If `default` is not among the new ones, it gets `default_rules`. Gives the users
    /// that were changed or deleted.
    pub fn replace(
        &self,
        mut new: BTreeMap<Vec<u8>, UserRules>,
        default_rules: UserRules,
    ) -> Vec<UserChange> {
        new.entry(DEFAULT_USER.to_vec()).or_insert(default_rules);
        let mut by_name = self.by_name.lock();
        let mut changes = Vec::new();
        by_name.retain(|name, user| {
            let stays = new.contains_key(&**name);
            if !stays {
                changes.push(Self::bury(user));
            }
            stays
        });
        for (name, rules) in new {
            let is_same = by_name.get(&*name).is_some_and(|user| *user.rules() == rules);
            if !is_same {
                changes.push(Self::put(&mut by_name, &name, rules));
            }
        }
        self.publish();
        changes
    }

    /// Makes `requirepass` the only password of `default`, if the option was changed.
    pub fn configure(&self, requirepass: &[u8]) {
        let mut configured = self.configured.lock();
        if *configured == requirepass {
            return;
        }
        *configured = requirepass.to_vec();
        let _by_name = self.by_name.lock();
        let mut rules = (*self.default.rules()).clone();
        rules.set_password(requirepass);
        *self.default.rules.lock() = Arc::new(rules);
        self.publish();
    }

    /// Has all clients see a change. The caller holds the lock of the users.
    fn publish(&self) {
        let default = self.default.rules();
        self.is_open.store(default.is_on() && default.needs_no_password(), Release);
        self.generation.fetch_add(1, Release);
    }
}

/// What a client may do: its user, and the user's rules as the client last saw them.
pub struct Rights {
    user: Arc<User>,
    rules: Arc<UserRules>,
    /// The generation of the users to which `rules` belong.
    seen: u64,
    /// The generation for which the client may do everything; 0 if it is limited.
    unlimited: u64,
}

impl Rights {
    /// The rights of a user.
    pub fn of(users: &Users, user: Arc<User>) -> Self {
        // The generation is read first, so rules that change meanwhile are looked at again.
        let seen = users.generation();
        let rules = user.rules();
        let unlimited = if rules.is_unlimited() && !user.is_gone() { seen } else { 0 };
        Self { user, rules, seen, unlimited }
    }

    /// Whether the client may do everything, seen at once.
    #[inline]
    pub fn are_unlimited(&self, users: &Users) -> bool {
        self.unlimited == users.generation()
    }

    /// The rules as they are now.
    pub fn rules(&mut self, users: &Users) -> &Arc<UserRules> {
        if self.seen != users.generation() {
            *self = Self::of(users, Arc::clone(&self.user));
        }
        &self.rules
    }

    /// The user.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }
}
