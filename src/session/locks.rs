//! Which shards a command locks: those in which its keys are stored.

use super::call::{Call, KnownHash};
use crate::command::{Command, OnView, Server, flag, is_write};
use crate::config::Settings;
use crate::effect::SYSTEM;
use crate::engine::{Engine, NotNow, Reach, VIEW_DB};
use crate::env::memory;
use crate::node::Foreseen;
use crate::store::{Lent, Locked, Mode, Patience};
use smallvec::SmallVec;

/// A key's hash, and the space of the database or table that the key is in.
#[derive(Clone, Copy)]
pub(super) struct Hashed {
    pub(super) hash: u64,
    pub(super) space: u32,
}

/// The only key of a command.
#[derive(Clone, Copy)]
pub(super) struct Only {
    pub(super) at: Hashed,
    /// Whether the hash is that of the key's own name, rather than that of the partition key of the item that the key
    /// stands for.
    pub(super) own_name: bool,
    /// Whether the command changes an item of a table that may have a change stream: then the stream's shard is locked
    /// too, at once.
    pub(super) recorded: bool,
}

/// What was looked up for a command of a batch.
#[derive(Clone, Copy)]
pub(super) struct LookedUp {
    /// The command; an error if none has that name.
    pub(super) command: Result<&'static Command, ()>,
    /// Its only key, if it has exactly one.
    pub(super) only: Option<Only>,
}

/// The state for which the keys of a batch were looked up. Earlier commands of the batch, and other clients, may have
/// changed it by the time a command runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Assumed {
    pub(super) db: usize,
    /// The tables' generation.
    pub(super) tables: u64,
}

/// The hash of a command's only key, worked out ahead.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    hash: u64,
    own_name: bool,
    assumed: Assumed,
}

impl Only {
    /// What a command that is queued keeps of it. A key that is a view's is not kept, because it depends on the
    /// database.
    pub(super) fn foreseen(self, command: &Command, assumed: Assumed) -> Option<Foreseen> {
        let keeps = self.own_name || command.spec.item_keys.is_some();
        keeps.then_some(Foreseen { hash: self.at.hash, space: self.at.space, tables: assumed.tables })
    }
}

impl Ahead {
    /// What was worked out for a command's only key; `None` if the command also locks the shard of a change stream.
    #[inline]
    pub(super) fn of(only: Only, assumed: Assumed) -> Option<Self> {
        (!only.recorded).then_some(Self { hash: only.at.hash, own_name: only.own_name, assumed })
    }

    /// Whether the hash was worked out for this database.
    #[inline]
    pub(super) fn is_of(self, db: usize) -> bool {
        self.assumed.db == db
    }

    /// What the hash is of, but for a view's key.
    #[inline]
    pub(super) fn known_hash(self, command: &Command) -> Option<KnownHash> {
        if self.own_name {
            return Some(KnownHash::Name(self.hash));
        }
        command.spec.item_keys.is_some().then_some(KnownHash::Partition(self.hash))
    }
}

/// The only key of a command, for commands that have exactly one.
#[inline]
pub(super) fn only_key(engine: &Engine, command: &Command, args: &[&[u8]], db: usize) -> Option<Only> {
    if command.only_key == 0 {
        return None;
    }
    let store = &engine.store;
    let in_table = |key: &[u8], space| Only {
        at: Hashed { hash: store.hash(key), space },
        own_name: false,
        recorded: engine.tables.may_record(space) && is_write(command),
    };
    let Some(find) = command.spec.item_keys else {
        let key = args.get(command.only_key)?;
        if engine.tables.have_views()
            && db == VIEW_DB
            && let Some((space, key)) = engine.tables.view_place(key)
        {
            // While hashes are being lifted, the key's own name may hold one, so its shard is needed too.
            return (!engine.tables.any_lifting()).then(|| in_table(&key, space));
        }
        let at = Hashed { hash: store.hash(key), space: store.space(db) };
        return Some(Only { at, own_name: true, recorded: false });
    };
    let mut only = None;
    find(&engine.tables, args, &mut |found| only = Some(in_table(found.key, found.table)));
    only
}

/// Locks the shard of a command's only key by the hash that was worked out ahead; `None` if the tables have changed
/// since. The tables' schemas decide which shard that is, and tables do not change while a shard is locked.
#[inline(always)]
#[allow(clippy::inline_always)]
pub(super) fn lock_ahead(
    engine: &Engine,
    ahead: Ahead,
    mode: Mode,
    now: u64,
) -> Result<Option<Locked<'_>>, Lent> {
    let locked = engine.store.lock_one_within(Patience::Short, ahead.hash, mode, now)?;
    Ok((engine.tables.generation() == ahead.assumed.tables).then_some(locked))
}

/// How shards are locked.
#[derive(Clone, Copy)]
pub(super) struct How<'p> {
    pub(super) patience: Patience<'p>,
    pub(super) mode: Mode,
    pub(super) now: u64,
}

/// Whether a script that waits for a shard gives up: another one has that shard for so long that clients are told BUSY,
/// or the server is about to end. `threshold` is `busy-reply-threshold`.
pub(super) fn gives_up(server: &Server, threshold: u64) -> impl Fn(usize) -> bool {
    move |shard| {
        let now = server.engine.clock.instant();
        server.running.is_stopping() || server.running.slow(Some(shard), now, threshold).is_some()
    }
}

/// Whether a script may be begun: not if the server is about to end.
pub(super) fn may_begin(server: &Server) -> Result<(), NotNow> {
    if server.running.is_stopping() { Err(NotNow::Ending) } else { Ok(()) }
}

/// Locks what a command needs, and the shards of `reach` that it lacked in an earlier round.
pub(super) fn lock_command<'a>(
    engine: &'a Engine,
    settings: &Settings,
    call: &mut Call<'_>,
    db: usize,
    reach: &Reach,
    how: How<'_>,
) -> Result<Locked<'a>, Lent> {
    let (command, args) = (call.command, call.args);
    if let Some(mode) = alone(command, args) {
        return lock_whole(engine, How { mode, ..how });
    }
    if command.has(flag::ALL_SHARDS) {
        return engine.store.lock_all_within(how.patience, how.mode, how.now);
    }
    if command.is_keyless() {
        return Ok(engine.store.lock_none(how.now));
    }
    if reach.is_everything() {
        return lock_whole(engine, how);
    }
    lock_keys(engine, settings, std::slice::from_mut(call), reach.hashes(), db, how)
}

/// How a use of a command needs every shard whatever its keys are, if it does: shared only if the command reads.
pub(super) fn alone(command: &Command, args: &[&[u8]]) -> Option<Mode> {
    let is_alone = command.spec.alone.is_some_and(|is_alone| is_alone(args));
    is_alone.then_some(if command.has(flag::READONLY) { Mode::Read } else { Mode::Write })
}

/// The requests of a transaction that are read ahead may take so many bytes. Payloads of RESTORE behind these are read
/// under the locks, one at a time, because a payload may hold 88 times its bytes.
const AHEAD_BYTES: i64 = 16 << 20;

/// Reads the requests of some calls ahead. No shard is held. The total size of a transaction's requests on items was
/// checked when they were queued.
pub(super) fn prepare(engine: &Engine, settings: &Settings, calls: &mut [Call<'_>], now: u64) {
    let before = memory::thread_bytes();
    for call in calls {
        if !call.command.has(flag::COMPRESSED) || memory::thread_bytes() - before <= AHEAD_BYTES {
            call.prepare(engine, settings, now);
        }
    }
}

/// Locks the shards of all keys of some commands and of the hashes `others`, which are of `db`, and prefetches the
/// keys' entries. A table decides how a partition key is stored, so the locks are taken again if the tables changed
/// before the shards were locked; after that they cannot change.
pub(super) fn lock_keys<'a>(
    engine: &'a Engine,
    settings: &Settings,
    calls: &mut [Call<'_>],
    others: &[u64],
    db: usize,
    how: How<'_>,
) -> Result<Locked<'a>, Lent> {
    let store = &engine.store;
    loop {
        let generation = engine.tables.generation();
        let mut hashes: SmallVec<[u64; 16]> = SmallVec::from_slice(others);
        // The hashes of keys in tables; `hashes` so far are of the database.
        let mut in_tables: SmallVec<[Hashed; 4]> = SmallVec::new();
        for call in &*calls {
            if let Some(Foreseen { hash, space, .. }) = call.foreseen(&engine.tables) {
                match call.command.spec.item_keys {
                    None => hashes.push(hash),
                    Some(_) => in_tables.push(Hashed { hash, space }),
                }
                continue;
            }
            call.each_key(&engine.tables, &mut |table, key| {
                let hash = store.hash(key);
                match table {
                    None => hashes.push(hash),
                    Some(space) => in_tables.push(Hashed { hash, space }),
                }
            });
        }
        // A command that finds a hash which is to become an item lifts it, even if the command only reads.
        let mode = if engine.tables.any_lifting() { Mode::Write } else { how.mode };
        let plain = hashes.len();
        if mode == Mode::Write && engine.tables.any_stream() {
            add_streams(engine, &mut in_tables);
        }
        hashes.extend(in_tables.iter().map(|found| found.hash));
        if hashes.is_empty()
            && calls.iter().any(|call| stays_in_tables(call.command) || call.command.has(flag::SCRIPT))
        {
            // Any shard will do: no table can appear while one is held, and the state of durability stays as it is.
            hashes.push(0);
        }
        hashes.iter().for_each(|hash| store.prefetch_shard(*hash));
        let locked = store.lock_many_within(how.patience, &hashes, mode, how.now)?;
        if engine.tables.generation() == generation {
            locked.prefetch(&hashes[..plain], store.space(db));
            let mut at = plain;
            for same in in_tables.chunk_by(|a, b| a.space == b.space) {
                locked.prefetch(&hashes[at..at + same.len()], same[0].space);
                at += same.len();
            }
            return Ok(locked);
        }
        drop(locked);
        // The requests were read ahead for the old tables.
        prepare(engine, settings, calls, how.now);
    }
}

/// Whether all keys of a command are items of tables, so that it locks no shard if their tables do not exist.
fn stays_in_tables(command: &Command) -> bool {
    command.spec.item_keys.is_some() && !command.has(flag::WHOLE)
}

/// Whether a command may turn out to need other shards than its arguments tell: one that changes items, or a script.
#[inline]
pub(super) fn may_be_run_again(engine: &Engine, command: &Command) -> bool {
    command.has(flag::SCRIPT) || changes_items(engine, command)
}

/// Adds the change streams of the tables that the keys are in.
#[cold]
fn add_streams(engine: &Engine, keys: &mut SmallVec<[Hashed; 4]>) {
    let recording = |table: &u32| engine.tables.may_record(*table);
    let mut tables: SmallVec<[u32; 4]> = keys.iter().map(|key| key.space).filter(recording).collect();
    tables.sort_unstable();
    tables.dedup();
    let streams = tables.iter().filter_map(|table| engine.tables.stream_key(*table));
    keys.extend(streams.map(|key| Hashed { hash: engine.store.hash(&key), space: SYSTEM }));
}

/// Locks every shard; exclusively if hashes are being lifted, even for a command that reads.
pub(super) fn lock_whole<'a>(engine: &'a Engine, how: How<'_>) -> Result<Locked<'a>, Lent> {
    loop {
        let needed = if engine.tables.any_lifting() { Mode::Write } else { how.mode };
        let locked = engine.store.lock_all_within(how.patience, needed, how.now)?;
        if needed == Mode::Write || !engine.tables.any_lifting() {
            return Ok(locked);
        }
    }
}

/// Whether a command may change items, by their own names or by those of views, where such a change may reach into
/// other shards than those of the keys: to entries of global indexes, or to a change stream.
#[inline]
pub(super) fn changes_items(engine: &Engine, command: &Command) -> bool {
    engine.tables.any_reaches_afar()
        && (engine.tables.any_lifting() && !command.spec.keys.is_empty() || changes_some(engine, command))
}

fn changes_some(engine: &Engine, command: &Command) -> bool {
    is_write(command)
        && (command.spec.item_keys.is_some()
            || (engine.tables.have_views() && matches!(command.spec.on_view, OnView::Handler(_))))
}

/// Whether a command may find out that it lacks shards after it has changed something. Then its changes must be
/// undoable, so that it can be run again with these shards. A command that changes a single item finds out before its
/// first change.
#[inline]
pub(super) fn may_lack_shards(engine: &Engine, command: &Command) -> bool {
    command.has(flag::SCRIPT)
        || (command.only_key == 0 || engine.tables.any_lifting()) && changes_items(engine, command)
}
