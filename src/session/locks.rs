//! Which shards a command locks: those of its keys, as the keys are stored.

use crate::command::Command;
use crate::engine::Engine;
use crate::store::{Locked, Mode};
use smallvec::SmallVec;

/// The hash of a command's only key, for commands that have exactly one.
#[inline]
pub(super) fn only_hash(engine: &Engine, command: &Command, args: &[&[u8]]) -> Option<u64> {
    if command.only_key == 0 {
        return None;
    }
    let Some(find) = command.spec.item_keys else {
        return args.get(command.only_key).map(|key| engine.store.hash(key));
    };
    let mut hash = None;
    find(&engine.tables, args, &mut |_, key| hash = Some(engine.store.hash(key)));
    hash
}

/// Locks the shard of a command's only key, whose hash was worked out at a generation of the tables.
#[inline]
pub(super) fn lock_only<'a>(
    engine: &'a Engine,
    command: &Command,
    args: &[&[u8]],
    (hash, tables): (u64, u64),
    db: usize,
    mode: Mode,
    now: u64,
) -> Locked<'a> {
    let locked = engine.store.lock_one(hash, mode, now);
    if command.spec.item_keys.is_some() && engine.tables.generation() != tables {
        drop(locked);
        return lock_keys(engine, &[(command, args)], &[], db, mode, now);
    }
    locked
}

/// Locks the shards of all keys of some commands, and of other hashes. How a partition key is stored is its table's to
/// say, so the locks are taken again if tables changed meanwhile; they do not while a shard is locked. The keys' entries
/// in `db` are prefetched.
pub(super) fn lock_keys<'a>(
    engine: &'a Engine,
    commands: &[(&Command, &[&[u8]])],
    others: &[u64],
    db: usize,
    mode: Mode,
    now: u64,
) -> Locked<'a> {
    let on_items = commands.iter().any(|(command, _)| command.spec.item_keys.is_some());
    loop {
        let generation = engine.tables.generation();
        let mut hashes: SmallVec<[u64; 16]> = SmallVec::from_slice(others);
        for (command, args) in commands {
            command.each_key(&engine.tables, args, &mut |_, key| hashes.push(engine.store.hash(key)));
        }
        hashes.iter().for_each(|hash| engine.store.prefetch_shard(*hash));
        let locked = engine.store.lock_many(&hashes, mode, now);
        if !on_items || engine.tables.generation() == generation {
            locked.prefetch(&hashes, engine.store.space(db));
            return locked;
        }
    }
}
