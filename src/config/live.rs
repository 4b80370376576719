//! The configuration of a running server: snapshots, CONFIG GET and CONFIG SET.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::error::ConfigError;
use super::options::{OptionSpec, find_spelling, specs};
use super::rewrite;
use super::settings::Settings;
use super::spec::{Changeable, Trait};
use super::value::split_at_spaces;
use crate::text::glob_match_nocase;

/// The configuration of a running server, shared by all its threads.
#[derive(Debug)]
pub struct Config {
    live: RwLock<Arc<Settings>>,
    generation: AtomicU64,
    /// Held while options are changed, so that changes happen one after the other.
    changing: Mutex<()>,
    file: Option<PathBuf>,
}

/// What CONFIG SET needs to know of the client that runs it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caller {
    /// Connected through a loopback address or the unix socket.
    pub local: bool,
    /// The server is still loading its data.
    pub loading: bool,
}

/// The outcome of CONFIG SET: the old values, the new values, and the options that differ.
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
    /// takes a new [`snapshot`](Self::snapshot) when it has changed. That snapshot is at least as new as the number,
    /// because the number changes while the lock of the values is held.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// The file that CONFIG REWRITE writes to, as an absolute path.
    pub fn file(&self) -> Option<&std::path::Path> {
        self.file.as_deref()
    }

    /// CONFIG GET: names and values of the options that match any of the patterns, each once. As in Redis, every
    /// spelling of a name counts as an option of its own, and a name that is asked for without wildcards is reported in
    /// the caller's spelling.
    pub fn get<P: AsRef<[u8]>>(&self, patterns: &[P]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let settings = self.snapshot();
        let mut found: Vec<(&'static str, Vec<u8>, Vec<u8>)> = Vec::new();
        for pattern in patterns.iter().map(AsRef::as_ref) {
            let is_glob = pattern.iter().any(|byte| b"[*?".contains(byte));
            for spec in specs() {
                for name in spec.spellings() {
                    let wanted = if is_glob {
                        !spec.is_hidden() && glob_match_nocase(pattern, name.as_bytes())
                    } else {
                        pattern.eq_ignore_ascii_case(name.as_bytes())
                    };
                    if wanted && found.iter().all(|(known, ..)| *known != name) {
                        let shown = if is_glob { name.as_bytes() } else { pattern };
                        found.push((name, shown.to_vec(), (spec.show)(&settings)));
                    }
                }
            }
        }
        found.into_iter().map(|(_, name, value)| (name, value)).collect()
    }

    /// CONFIG SET of one or several options. On an error none of them changes.
    pub fn set(&self, pairs: &[(&[u8], &[u8])], caller: Caller) -> Result<Changed, ConfigError> {
        self.set_with(pairs, caller, |_| Ok(()))
    }

    /// As [`set`](Self::set), for options that take effect through an action that can fail, such as listening on
    /// another port. `apply` gets the old and the new values; if it refuses, no option changes. It is called only if a
    /// value differs, and other changes wait for it.
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
            let words = if spec.multi && value.is_empty() {
                Vec::new()
            } else if spec.multi {
                split_at_spaces(value)
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
    pub fn rewrite(&self, users: &[String]) -> Result<(), ConfigError> {
        let file = self.file.as_deref().ok_or(ConfigError::NoFile)?;
        let _turn = self.changing.lock();
        rewrite::rewrite_file(file, &self.snapshot(), users)
            .map_err(|error| ConfigError::Rewrite(super::error::reason(&error)))
    }
}

type Resolved = (&'static OptionSpec, &'static str);

/// Finds the option of every pair and checks that it may be set. No value is read yet.
fn resolve(
    pairs: &[(&[u8], &[u8])],
    settings: &Settings,
    caller: Caller,
) -> Result<Vec<Resolved>, ConfigError> {
    let mut options: Vec<Resolved> = Vec::with_capacity(pairs.len());
    for (name, _) in pairs {
        let given = || String::from_utf8_lossy(name).into_owned();
        let refused = |reason: &str| ConfigError::Refused { option: given(), reason: reason.to_owned() };
        let (spec, spelling) = find_spelling(name).ok_or_else(|| ConfigError::Unknown(name.to_vec()))?;
        if spec.change == Changeable::Fixed {
            return Err(refused("can't set immutable config"));
        }
        if spec.change == Changeable::Guarded && !settings.enable_protected_configs.allows(caller.local) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EvictionPolicy, ProtectedAction};
    use proptest::prelude::*;

    fn config() -> Config {
        Config::new(Settings::default(), None)
    }

    fn set(config: &Config, pairs: &[(&str, &str)]) -> Result<Vec<&'static str>, String> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        config.set(&pairs, Caller::default()).map(|changed| changed.names).map_err(|error| error.to_string())
    }

    fn get(config: &Config, patterns: &[&str]) -> Vec<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        config.get(patterns).into_iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    fn one(config: &Config, name: &str) -> String {
        let mut found = get(config, &[name]);
        assert_eq!(found.len(), 1, "{name}");
        found.remove(0).1
    }

    #[test]
    fn values_are_reported_in_the_form_of_redis() {
        let config = config();
        for (name, value) in [
            ("maxmemory", "0"),
            ("appendonly", "yes"),
            ("bind", "127.0.0.1 -::1"),
            ("save", "3600 1 300 100 60 10000"),
            ("proto-max-bulk-len", "536870912"),
            (
                "client-output-buffer-limit",
                "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
            ),
            ("latency-tracking-info-percentiles", "50 99 99.9"),
            ("oom-score-adj-values", "0 200 800"),
            ("notify-keyspace-events", ""),
            ("shutdown-on-sigterm", "default"),
            ("unixsocketperm", "0"),
            ("replicaof", ""),
        ] {
            assert_eq!(one(&config, name), value, "{name}");
        }
    }

    #[test]
    fn patterns_report_every_spelling_once() {
        let config = config();
        let names = |patterns: &[&str]| -> Vec<String> {
            get(&config, patterns).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&["hash-max-*-entries"]), ["hash-max-listpack-entries", "hash-max-ziplist-entries"]);
        assert_eq!(names(&["hz", "HZ", "h[z]"]), ["hz"]);
        assert_eq!(names(&["PORT", "po*"]), ["PORT"]);
        assert_eq!(names(&["po*", "PORT"]), ["port"]);
        assert_eq!(names(&["slave-priority"]), ["slave-priority"]);
        assert_eq!(names(&["nosuch", ""]), [""; 0]);
        // Options for tests of Redis itself are found only by their exact name.
        assert_eq!(names(&["watchdog*"]), [""; 0]);
        assert_eq!(names(&["watchdog-period"]), ["watchdog-period"]);
        assert!(names(&["*"]).len() > 200);
    }

    #[test]
    fn setting_changes_the_snapshot_and_the_generation() {
        let config = config();
        let before = config.generation();
        let names = set(&config, &[("maxmemory", "1gb"), ("MAXMEMORY-policy", "ALLKEYS-lru")]).unwrap();
        assert_eq!(names, ["maxmemory", "maxmemory-policy"]);
        assert_ne!(config.generation(), before);
        let settings = config.snapshot();
        assert_eq!((settings.maxmemory, settings.maxmemory_policy), (1 << 30, EvictionPolicy::AllkeysLru));

        let before = config.generation();
        assert_eq!(set(&config, &[("maxmemory", "1024mb")]), Ok(vec![]));
        assert_eq!(config.generation(), before, "nothing differs");
    }

    #[test]
    fn refusals_have_the_words_of_redis_and_change_nothing() {
        let config = config();
        let refused = |option: &str, reason: &str| {
            format!("CONFIG SET failed (possibly related to argument '{option}') - {reason}")
        };
        let integer = "argument couldn't be parsed into an integer";
        for (pairs, error) in [
            (vec![("appendonly", "maybe")], refused("appendonly", "argument must be 'yes' or 'no'")),
            (
                vec![("nosuch", "1")],
                "Unknown option or number of arguments for CONFIG SET - 'nosuch'".to_owned(),
            ),
            (vec![("maxmemory", "5"), ("hz", "abc")], refused("hz", integer)),
            (vec![("maxmemory", "1"), ("MAXMEMORY", "2")], refused("MAXMEMORY", "duplicate parameter")),
            (vec![("Databases", "3"), ("nosuch", "1")], refused("Databases", "can't set immutable config")),
            (vec![("dir", "/tmp")], refused("dir", "can't set protected config")),
            (vec![("Slave-Priority", "x")], refused("slave-priority", integer)),
            (
                vec![("appendfsync", "x")],
                refused("appendfsync", "argument(s) must be one of the following: everysec, always, no"),
            ),
            (vec![("save", "900")], refused("save", "Invalid save parameters")),
            (vec![("save", "0 1")], refused("save", "Invalid save parameters")),
            (vec![("save", "900 1  300 10")], refused("save", "Invalid save parameters")),
            (
                vec![("notify-keyspace-events", "q")],
                refused(
                    "notify-keyspace-events",
                    "Invalid event class character. Use 'Ag$lshzxeKEtmdnocSTIV'.",
                ),
            ),
            (
                vec![("client-output-buffer-limit", "master 1 2 3")],
                refused(
                    "client-output-buffer-limit",
                    "Invalid client class specified in buffer limit configuration.",
                ),
            ),
            (
                vec![("shutdown-on-sigint", "save nosave")],
                refused(
                    "shutdown-on-sigint",
                    "shutdown options SAVE and NOSAVE can't be used simultaneously",
                ),
            ),
        ] {
            assert_eq!(set(&config, &pairs), Err(error), "{pairs:?}");
        }
        assert_eq!(*config.snapshot(), Settings::default());
    }

    #[test]
    fn compound_values_are_taken_apart() {
        let config = config();
        for (name, value, reported) in [
            ("save", "60 1 30 0", "60 1 30 0"),
            ("save", "", ""),
            ("save", "05 1", "5 1"),
            ("notify-keyspace-events", "Anm", "Amn"),
            ("notify-keyspace-events", "g$lshzxetdK", "AK"),
            ("notify-keyspace-events", "Exg", "gxE"),
            ("latency-tracking-info-percentiles", "1e1 99.9999999", "10 100"),
            ("latency-tracking-info-percentiles", "", ""),
            ("shutdown-on-sigint", "now save", "save now"),
            ("bind", "", ""),
            (
                "client-output-buffer-limit",
                "Replica 1mb 2 03",
                "normal 0 0 0 slave 1048576 2 3 pubsub 33554432 8388608 60",
            ),
        ] {
            set(&config, &[(name, value)]).unwrap();
            assert_eq!(one(&config, name), reported, "{name} {value}");
        }
    }

    #[test]
    fn spellings_count_as_options_of_their_own() {
        let config = config();
        set(&config, &[("hash-max-listpack-entries", "1"), ("hash-max-ziplist-entries", "2")]).unwrap();
        assert_eq!(one(&config, "hash-max-listpack-entries"), "2");
    }

    #[test]
    fn what_cannot_take_effect_is_not_set() {
        let config = config();
        let outcome = config.set_with(&[(b"port", b"7000")], Caller::default(), |changed| {
            assert_eq!((changed.old.port, changed.new.port), (6379, 7000));
            Err(("port", "Unable to listen on this port. Check server logs.".to_owned()))
        });
        assert!(outcome.unwrap_err().to_string().contains("'port') - Unable to listen"));
        assert_eq!((config.snapshot().port, config.generation()), (6379, 0));
    }

    #[test]
    fn protected_and_loading_limits_hold() {
        let settings = Settings { enable_protected_configs: ProtectedAction::Local, ..Settings::default() };
        let config = Config::new(settings, None);
        let local = Caller { local: true, loading: false };
        let set = |name: &str, value: &str, caller| {
            config.set(&[(name.as_bytes(), value.as_bytes())], caller).map(|changed| changed.names)
        };
        assert_eq!(set("dbfilename", "x.rdb", local), Ok(vec!["dbfilename"]));
        assert!(matches!(set("dbfilename", "y.rdb", Caller::default()), Err(ConfigError::Refused { .. })));
        assert!(matches!(set("dbfilename", "a/b", local), Err(ConfigError::Refused { .. })));
        assert!(matches!(set("dir", "/", local), Err(ConfigError::Refused { .. })));
        let loading = Caller { loading: true, ..local };
        assert_eq!(set("appendonly", "no", loading), Err(ConfigError::Loading));
        assert_eq!(set("maxmemory", "1", loading), Ok(vec!["maxmemory"]));
    }

    #[test]
    fn rewriting_needs_a_file() {
        let error = config().rewrite(&[]).unwrap_err();
        assert_eq!(error.to_string(), "The server is running without a config file");
    }

    proptest! {
        /// SET of what GET reports gives the same value.
        #[test]
        fn what_get_reports_can_be_set(pick in any::<prop::sample::Index>(), value in "[ -~]{0,12}|[0-9]{1,6}(mb|%)?|yes|no") {
            let config = config();
            let live: Vec<_> = specs().filter(|spec| spec.change == Changeable::Live).collect();
            let name = pick.get(&live).name;
            if set(&config, &[(name, &value)]).is_ok() {
                let reported = config.get(&[name]).remove(0).1;
                let before = config.snapshot();
                let again = config.set(&[(name.as_bytes(), &reported)], Caller::default()).unwrap();
                prop_assert_eq!(again.names, Vec::<&str>::new(), "{} became {:?}", name, reported);
                prop_assert_eq!(&*before, &*config.snapshot());
            }
        }
    }
}
