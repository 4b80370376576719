//! The specification of a command: the only source of COMMAND, COMMAND DOCS, key extraction, ACL categories, lock sets,
//! statistics' names and the documentation.

pub use super::types::{Begin, Find, Handler, ItemKey, KeyFinder, KeySpec, OnView, Preparation, Spec};

/// Flags of commands, as a set of bits.
pub mod flag {
    /// Changes keys: their shards are locked exclusively.
    pub const WRITE: u64 = 1;
    /// Reads keys: their shards are locked shared.
    pub const READONLY: u64 = 1 << 1;
    /// Refused when memory is at its limit.
    pub const DENYOOM: u64 = 1 << 2;
    /// An operator's command.
    pub const ADMIN: u64 = 1 << 3;
    /// About publish and subscribe.
    pub const PUBSUB: u64 = 1 << 4;
    /// Not allowed in scripts.
    pub const NOSCRIPT: u64 = 1 << 5;
    /// May wait for keys or for time.
    pub const BLOCKING: u64 = 1 << 6;
    /// Allowed while loading.
    pub const LOADING: u64 = 1 << 7;
    /// Allowed on a stale replica.
    pub const STALE: u64 = 1 << 8;
    /// Not shown by MONITOR.
    pub const SKIP_MONITOR: u64 = 1 << 9;
    /// Not entered in the slow log.
    pub const SKIP_SLOWLOG: u64 = 1 << 10;
    /// O(1) or O(log n).
    pub const FAST: u64 = 1 << 11;
    /// Allowed before authentication.
    pub const NO_AUTH: u64 = 1 << 12;
    /// Not allowed in MULTI.
    pub const NO_MULTI: u64 = 1 << 13;
    /// Allowed while a script runs long.
    pub const ALLOW_BUSY: u64 = 1 << 14;
    /// Beside `DENYOOM`: whether the command needs memory depends on its arguments, so the gate lets it pass, and its
    /// handler refuses it when memory is at its limit.
    pub const WEIGHS: u64 = 1 << 15;
    /// COMMAND reports `movablekeys`: the first key may be absent, or the arguments decide where the keys stand.
    pub const MOVABLE_KEYS: u64 = 1 << 16;
    /// Redis refuses such commands on a replica that loads data while it serves reads. COMMAND shows the flag; it has
    /// no other effect.
    pub const NO_ASYNC_LOADING: u64 = 1 << 17;
    /// Walks over or changes whole databases. A transaction with such a command locks every shard.
    pub const WHOLE: u64 = 1 << 18;
    /// Needs every shard locked, outside EXEC too: exclusively if it writes, else shared, so that it sees one moment.
    pub const ALL_SHARDS: u64 = 1 << 19;
    /// May take long. Outside EXEC it runs on a thread of its own, so that the worker serves other clients.
    pub const LONG: u64 = 1 << 20;
    /// Takes long if one of its arguments has more than [`HEAVY_BYTES`](super::HEAVY_BYTES); then it runs as `LONG`
    /// commands do.
    pub const HEAVY: u64 = 1 << 31;
    /// Run by the session, because it needs more than a handler has (EXEC).
    pub const SESSION: u64 = 1 << 21;
    /// Runs at once, not queued, while MULTI is open (EXEC, DISCARD, WATCH ...).
    pub const IN_MULTI: u64 = 1 << 23;
    /// In the ACL category `dangerous`, beside what other flags imply.
    pub const DANGEROUS: u64 = 1 << 22;
    /// Only allowed as the first command of a transaction, which it makes all or nothing.
    pub const ATOMIC: u64 = 1 << 29;
    /// Only allowed if an option permits it (DEBUG).
    pub const PROTECTED: u64 = 1 << 24;
    /// COMMAND does not show its subcommands, and statistics count them together.
    pub const HIDDEN_SUBS: u64 = 1 << 25;
    /// Valid without keys although it has key specifications.
    pub const NO_MANDATORY_KEYS: u64 = 1 << 26;
    /// Tells whether the server is well: refused when writes are refused (PING).
    pub const PROBE: u64 = 1 << 28;
    /// May have to be sent to replicas although it writes no keys; it waits while writes are paused. Not shown to
    /// clients.
    pub const MAY_REPLICATE: u64 = 1 << 27;
    /// A command that writes, whose lookups count as keyspace hits and misses because its reply tells what it found.
    pub const COUNTED: u64 = 1 << 30;
    /// Neither reads nor writes keys, but is allowed in a transaction that is all or nothing: it only tells something,
    /// or selects the database.
    pub const TELLS: u64 = 1 << 32;
    /// Reads keys, and stores in them what it works out. It is locked and admitted as a write.
    pub const CACHES: u64 = 1 << 33;
    /// Allowed to a subscriber that speaks RESP2.
    pub const IN_SUBSCRIPTION: u64 = 1 << 34;
    /// Beside `HEAVY`: an argument may be compressed, so that a shorter one takes long, see
    /// [`COMPRESSED_BYTES`](super::COMPRESSED_BYTES).
    pub const COMPRESSED: u64 = 1 << 35;
    /// Goes through all elements of the values at its keys: takes long where they are many, see
    /// [`MANY_ELEMENTS`](super::MANY_ELEMENTS). It is then run as `LONG` says.
    pub const SIZED: u64 = 1 << 36;
    /// Runs a script: it may touch keys that are not among its arguments, is then run again with their shards, and
    /// counts what it calls by itself.
    pub const SCRIPT: u64 = 1 << 37;
    /// Runs although a shard is closed: it leaves the shard out, shows none of its values, or makes it sound.
    pub const DESPITE_CLOSED: u64 = 1 << 38;
    /// Begins or ends subscriptions: takes long where these are more than
    /// [`MANY_ELEMENTS`](super::MANY_ELEMENTS). It is then run as `LONG` says.
    pub const SUBSCRIPTIONS: u64 = 1 << 39;
    /// Calls a function of a library. The thread's interpreter loads libraries before the command's shards are locked.
    pub const FUNCTION: u64 = 1 << 40;
}

/// The longest argument of a `HEAVY` command, in bytes, with which it runs on the worker. To read more JSON than that
/// takes more than a few milliseconds.
pub const HEAVY_BYTES: usize = 128 << 10;

/// The same for a command that is `COMPRESSED`: its arguments hold up to 88 times their bytes.
pub const COMPRESSED_BYTES: usize = 8 << 10;

/// The most elements of the values at the keys of a `SIZED` command that is run where others wait. To order more takes
/// more than a few milliseconds.
pub const MANY_ELEMENTS: usize = 10_000;

/// Starts a spec; the builder methods fill in the rest.
pub const fn spec(name: &'static str, arity: i32, flags: u64, run: Handler) -> Spec {
    Spec {
        name,
        arity,
        flags,
        keys: &[],
        channels: &[],
        item_keys: None,
        element: 0,
        prepare: None,
        on_view: OnView::Plain,
        alone: None,
        run,
        group: "generic",
        since: "1.0.0",
        complexity: "O(1)",
        summary: "",
        syntax: "",
        categories: &[],
        tips: &[],
        subs: &[],
    }
}

/// Declares a function that gives a spec of one group its version, complexity, summary and syntax.
macro_rules! in_group {
    ($name:ident, $group:literal) => {
        const fn $name(
            spec: Spec,
            since: &'static str,
            complexity: &'static str,
            summary: &'static str,
            syntax: &'static str,
        ) -> Spec {
            spec.doc($group, since, complexity, summary, syntax)
        }
    };
}
pub(super) use in_group;

impl Spec {
    /// Sets the keys.
    pub const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }

    /// Sets the arguments that are shard channels.
    pub const fn channels(mut self, channels: &'static [KeySpec]) -> Self {
        self.channels = channels;
        self
    }

    /// Sets the handler for calls with a key that is a view of an item.
    pub const fn on_view(mut self, run: Handler) -> Self {
        self.on_view = OnView::Handler(run);
        self
    }

    /// Says of which uses every shard is held, exclusively unless the command only reads.
    pub const fn alone(mut self, is_alone: fn(&[&[u8]]) -> bool) -> Self {
        self.alone = Some(is_alone);
        self
    }

    /// Sets the function that finds the keys, which are partition keys of tables.
    pub const fn item_keys(mut self, find: KeyFinder) -> Self {
        self.item_keys = Some(find);
        self
    }

    /// Sets the argument that names the first element that the command looks up.
    pub const fn element(mut self, at: i8) -> Self {
        self.element = at;
        self
    }

    /// Sets how requests are read before the shards are locked.
    pub const fn prepare(mut self, how: Preparation) -> Self {
        self.prepare = Some(how);
        self
    }

    /// Sets group, version, complexity, summary and syntax.
    pub const fn doc(
        mut self,
        group: &'static str,
        since: &'static str,
        complexity: &'static str,
        summary: &'static str,
        syntax: &'static str,
    ) -> Self {
        self.group = group;
        self.since = since;
        self.complexity = complexity;
        self.summary = summary;
        self.syntax = syntax;
        self
    }

    /// Adds ACL categories.
    pub const fn categories(mut self, categories: &'static [&'static str]) -> Self {
        self.categories = categories;
        self
    }

    /// Adds COMMAND's tips.
    pub const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    /// Makes it a container of subcommands.
    pub const fn subs(mut self, subs: &'static [Spec]) -> Self {
        self.subs = subs;
        self
    }

    /// Whether a flag is set.
    #[inline]
    pub const fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }
}

/// Makes the spec of a subcommand of group `server`, with its documentation.
macro_rules! server {
    ($name:literal, $arity:literal, $flags:expr, $run:expr, $since:literal, $complexity:literal, $summary:literal, $syntax:literal) => {
        spec($name, $arity, $flags, $run).doc("server", $since, $complexity, $summary, $syntax)
    };
}
pub(super) use server;

/// A key specification: keys from argument `first` to `last` (relative to `first`; negative from the end), every
/// `step`-th.
pub const fn keys_at(first: usize, last: i32, step: usize, flags: &'static [&'static str]) -> KeySpec {
    KeySpec { begin: Begin::Index(first), find: Find::Range { last, step, limit: 0 }, flags }
}

/// One key that is read.
pub const READ_KEY: &[KeySpec] = &[keys_at(1, 0, 1, &["RO", "access"])];
/// One key whose existence or metadata is read.
pub const META_KEY: &[KeySpec] = &[keys_at(1, 0, 1, &["RO"])];
/// One key that is overwritten.
pub const OVERWRITE_KEY: &[KeySpec] = &[keys_at(1, 0, 1, &["OW", "update"])];
/// One key that is changed.
pub const UPDATE_KEY: &[KeySpec] = &[keys_at(1, 0, 1, &["RW", "update"])];
/// One key that is read and changed.
pub const ACCESS_UPDATE_KEY: &[KeySpec] = &[keys_at(1, 0, 1, &["RW", "access", "update"])];
/// One key into which something is inserted.
pub const INSERT_KEY: &[KeySpec] = &[keys_at(1, 0, 1, &["RW", "insert"])];
/// One key from which something is deleted.
pub const DELETE_KEY: &[KeySpec] = &[keys_at(1, 0, 1, &["RW", "delete"])];
/// One key that is read and from which something is deleted.
pub const ACCESS_DELETE_KEY: &[KeySpec] = &[keys_at(1, 0, 1, &["RW", "access", "delete"])];
/// All arguments are keys that are read.
pub const READ_KEYS: &[KeySpec] = &[keys_at(1, -1, 1, &["RO", "access"])];
/// All arguments are keys whose metadata is read.
pub const META_KEYS: &[KeySpec] = &[keys_at(1, -1, 1, &["RO"])];
/// All arguments are keys that are removed.
pub const REMOVE_KEYS: &[KeySpec] = &[keys_at(1, -1, 1, &["RM", "delete"])];
/// Keys and values in turn.
pub const OVERWRITE_PAIRS: &[KeySpec] = &[keys_at(1, -1, 2, &["OW", "update"])];
/// A table, then a partition key that is read.
pub const ITEM_READ: &[KeySpec] = &[keys_at(2, 0, 1, &["RO", "access"])];
/// A table, then a partition key that is changed.
pub const ITEM_UPDATE: &[KeySpec] = &[keys_at(2, 0, 1, &["RW", "update"])];
