//! The configuration of a running server: snapshots, CONFIG GET and CONFIG SET.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::error::ConfigError;
use super::settings::Settings;
use super::spec::{Change, Spec, Trait, find_spelling, specs};
use super::{glob, rewrite};

/// The configuration of a running server, shared by all its threads.
#[derive(Debug)]
pub struct Config {
    live: RwLock<Arc<Settings>>,
    generation: AtomicU64,
    /// Held while options are changed, so that changes happen one after the other.
    changing: Mutex<()>,
    file: Option<PathBuf>,
}

/// What CONFIG SET needs to know of the one who asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caller {
    /// Connected through a loopback address or the unix socket.
    pub local: bool,
    /// The server is still loading its data.
    pub loading: bool,
}

/// The outcome of CONFIG SET: what was, what is now, and which options differ.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The values before.
    pub old: Arc<Settings>,
    /// The values from now on.
    pub new: Arc<Settings>,
    /// The names of the options whose value is another one.
    pub names: Vec<&'static str>,
}

/// Why an option whose value is valid cannot take effect: the option's name and the reason.
pub type Refusal = (&'static str, String);

impl Config {
    /// A configuration with these values, and the file that CONFIG REWRITE writes to.
    pub fn new(settings: Settings, file: Option<PathBuf>) -> Self {
        Self {
            live: RwLock::new(Arc::new(settings)),
            generation: AtomicU64::new(0),
            changing: Mutex::new(()),
            file,
        }
    }

    /// The values as they are now.
    pub fn snapshot(&self) -> Arc<Settings> {
        Arc::clone(&self.live.read())
    }

    /// A number that changes with every CONFIG SET that changed something. A worker compares it once per batch, and
    /// takes a new [`snapshot`](Self::snapshot) when it differs from the one it saw; the snapshot is then at least as
    /// new as the number, because the number moves while the lock of the values is held.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// The file that CONFIG REWRITE writes to, as an absolute path.
    pub fn file(&self) -> Option<&std::path::Path> {
        self.file.as_deref()
    }

    /// CONFIG GET: names and values of the options that match any of the patterns, each once. Every spelling of a
    /// name counts as an option of its own, as in Redis.
    pub fn get<P: AsRef<[u8]>>(&self, patterns: &[P]) -> Vec<(&'static str, Vec<u8>)> {
        let settings = self.snapshot();
        let wanted = |spec: &Spec, name: &str| {
            patterns.iter().map(AsRef::as_ref).any(|pattern| {
                if pattern.iter().any(|byte| b"[*?".contains(byte)) {
                    !spec.is_hidden() && glob::matches(pattern, name.as_bytes())
                } else {
                    pattern.eq_ignore_ascii_case(name.as_bytes())
                }
            })
        };
        let mut found = Vec::new();
        for spec in specs() {
            for name in spec.spellings().filter(|name| wanted(spec, name)) {
                found.push((name, (spec.show)(&settings)));
            }
        }
        found
    }

    /// CONFIG SET of one or several options: all of them or, on an error, none.
    pub fn set(&self, pairs: &[(&[u8], &[u8])], caller: Caller) -> Result<Changed, ConfigError> {
        self.set_with(pairs, caller, |_| Ok(()))
    }

    /// As [`set`](Self::set), for options that take effect through an action that can fail, such as listening on
    /// another port: `apply` sees the old and the new values, and if it refuses, nothing has changed. It is called
    /// only when something differs, and other changes wait for it.
    pub fn set_with(
        &self,
        pairs: &[(&[u8], &[u8])],
        caller: Caller,
        apply: impl FnOnce(&Changed) -> Result<(), Refusal>,
    ) -> Result<Changed, ConfigError> {
        let _turn = self.changing.lock();
        let old = self.snapshot();
        let options = resolve(pairs, &old, caller)?;
        let mut new = Settings::clone(&old);
        for ((spec, spelling), (_, value)) in options.iter().zip(pairs) {
            let words = if spec.multi {
                value.split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect()
            } else {
                vec![value.to_vec()]
            };
            (spec.parse)(&mut new, &words, false)
                .map_err(|reason| ConfigError::Refused { option: (*spelling).to_owned(), reason })?;
        }
        if old.dir != new.dir {
            let reason = "the data folder cannot change while the server runs".to_owned();
            return Err(ConfigError::Refused { option: "dir".to_owned(), reason });
        }
        let names: Vec<_> = specs().filter(|spec| !(spec.same)(&old, &new)).map(|spec| spec.name).collect();
        let changed = Changed { old, new: Arc::new(new), names };
        if !changed.names.is_empty() {
            apply(&changed)
                .map_err(|(option, reason)| ConfigError::Refused { option: option.to_owned(), reason })?;
            let mut live = self.live.write();
            *live = Arc::clone(&changed.new);
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
        Ok(changed)
    }

    /// CONFIG REWRITE: brings the file up to date, keeping its comments and its order, and replaces it in one step.
    /// Blocks for reading, writing and syncing one small file.
    pub fn rewrite(&self) -> Result<(), ConfigError> {
        let file = self.file.as_deref().ok_or(ConfigError::NoFile)?;
        let _turn = self.changing.lock();
        rewrite::rewrite_file(file, &self.snapshot())
            .map_err(|error| ConfigError::Rewrite(super::error::reason(&error)))
    }
}

type Resolved = (&'static Spec, &'static str);

/// Finds the option of every pair and checks that it may be set at all, before any value is looked at.
fn resolve(
    pairs: &[(&[u8], &[u8])],
    settings: &Settings,
    caller: Caller,
) -> Result<Vec<Resolved>, ConfigError> {
    let mut options: Vec<Resolved> = Vec::with_capacity(pairs.len());
    for (name, _) in pairs {
        let given = || String::from_utf8_lossy(name).into_owned();
        let refused = |reason: &str| ConfigError::Refused { option: given(), reason: reason.to_owned() };
        let (spec, spelling) = find_spelling(name).ok_or_else(|| ConfigError::Unknown(given()))?;
        if spec.change == Change::Fixed {
            return Err(refused("can't set immutable config"));
        }
        if spec.change == Change::Guarded && !settings.enable_protected_configs.allows(caller.local) {
            return Err(refused("can't set protected config"));
        }
        if caller.loading && spec.has(Trait::NotWhileLoading) {
            return Err(ConfigError::Loading);
        }
        if options.iter().any(|(_, known)| *known == spelling) {
            return Err(refused("duplicate parameter"));
        }
        options.push((spec, spelling));
    }
    Ok(options)
}
