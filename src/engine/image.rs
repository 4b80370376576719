//! The image of one shard in a checkpoint.
//!
//! All entries are read under one hold of the shard, except for large hashes, item collections and streams: those are read in pieces, so
//! that nobody waits for long. Their pieces show them at different moments, all of them at or after the LSN of the image. What
//! recovery replays from there on makes up for it: effects on fields and items carry final values, so that after the last record
//! of the meantime each field and item is what its last change made it, and one that was not changed is in a piece. Streams are read
//! node by node: the last one, which alone is added to, is in the last piece together with marks and groups, so that no entry
//! falls between two pieces; one that is in a piece is not added again, because its identifier is not new. The
//! deadline of a whole key is read with the last piece, and so decides over what was replayed before in no case.

use super::Engine;
use super::checkpoint::{hash_pairs, item_effects, key_effects};
use super::streams::{last_piece, nodes_piece};
use crate::effect::{self, Effect, SYSTEM};
use crate::env::process;
use crate::store::{Entry, Locked, Mode, Object, ValueRef};
use crate::value::stream::StreamId;
use std::ops::Bound::{Excluded, Unbounded};

/// Fields or items that are read in one hold; a few under test, so that there are always several pieces.
const PIECE: usize = if cfg!(test) { 16 } else { 4096 };
/// Nodes of a stream that are read in one hold.
const NODES: usize = if cfg!(test) { 3 } else { 256 };
/// After so many tries in which a large value went away meanwhile the shard is read in one hold.
const TRIES: usize = 3;

/// Whose an entry is.
#[derive(Clone, Copy)]
enum Owner {
    Database(u32),
    Table(u32),
}

/// A value that is read in pieces.
struct Large {
    space: u32,
    owner: Owner,
    key: Vec<u8>,
    start: fn() -> At,
}

impl Large {
    fn of(entry: &Entry, owner: Owner) -> Option<Self> {
        let start: fn() -> At = match entry.value() {
            ValueRef::Boxed(object @ Object::Hash(_)) if object.elements() > PIECE => || At::Fields(0),
            ValueRef::Boxed(object @ Object::Items(_)) if object.elements() > PIECE => || At::Items(None),
            ValueRef::Boxed(Object::Stream(stream)) if stream.nodes().len() > NODES => || At::Nodes(None),
            _ => return None,
        };
        Some(Self { space: entry.space(), owner, key: entry.key().to_vec(), start })
    }
}

/// Where the next piece begins.
enum At {
    /// Positions of a hash, downwards.
    Fields(u64),
    /// Behind a sort key.
    Items(Option<Vec<u8>>),
    /// Behind a node of a stream.
    Nodes(Option<StreamId>),
    End,
}

impl Engine {
    /// Writes the effects that build a shard's entries into `chunk`; returns the LSN that it reflects, and the longest time
    /// that the shard was held in microseconds. The LSN is read under the lock: whoever changes the shard later appends later.
    pub(super) fn image(&self, shard: usize, chunk: &mut Vec<u8>) -> (u64, u64) {
        for _ in 0..TRIES {
            let mut large = Vec::new();
            let (lsn, mut longest) = self.small_entries(shard, chunk, Some(&mut large));
            let whole = large.iter().all(|value| match self.in_pieces(shard, value, chunk) {
                Some(held) => {
                    longest = longest.max(held);
                    true
                }
                None => false,
            });
            if whole {
                return (lsn, longest);
            }
        }
        self.small_entries(shard, chunk, None)
    }

    /// All entries but large ones, which are named instead if there is a list for them.
    fn small_entries(
        &self,
        shard: usize,
        chunk: &mut Vec<u8>,
        mut large: Option<&mut Vec<Large>>,
    ) -> (u64, u64) {
        chunk.clear();
        chunk.push(effect::VERSION);
        let locked = self.store.lock_shard(shard, Mode::Read, self.clock.now_ms());
        let began = self.clock.monotonic_micros();
        let lsn = self.tail();
        for entry in locked.entries(shard) {
            let Some(owner) = self.owner_of(entry.space()) else { continue };
            match (large.as_mut(), Large::of(entry, owner)) {
                (Some(list), Some(value)) => list.push(value),
                _ => match owner {
                    Owner::Database(db) => key_effects(db, entry.key(), entry, chunk),
                    Owner::Table(table) => item_effects(table, entry, chunk),
                },
            }
        }
        (lsn, self.clock.monotonic_micros() - began)
    }

    fn owner_of(&self, space: u32) -> Option<Owner> {
        if let Some(db) = (0..self.store.databases()).find(|db| self.store.space(*db) == space) {
            return Some(Owner::Database(db as u32));
        }
        if space == SYSTEM {
            return Some(Owner::Database(SYSTEM));
        }
        self.tables.owns(space).then_some(Owner::Table(space))
    }

    /// A large value piece by piece; nothing if it is not what it was any more.
    fn in_pieces(&self, shard: usize, large: &Large, chunk: &mut Vec<u8>) -> Option<u64> {
        let mut at = (large.start)();
        let mut longest = 0;
        while !matches!(at, At::End) {
            let locked = self.store.lock_shard(shard, Mode::Read, self.clock.now_ms());
            let began = self.clock.monotonic_micros();
            at = self.piece(&locked, large, &at, chunk)?;
            longest = longest.max(self.clock.monotonic_micros() - began);
            drop(locked);
            process::give_way();
        }
        Some(longest)
    }

    fn piece(&self, locked: &Locked<'_>, large: &Large, at: &At, chunk: &mut Vec<u8>) -> Option<At> {
        let entry = locked.peek(large.space, &large.key, self.store.hash(&large.key))?;
        match (entry.value(), at, large.owner) {
            (ValueRef::Boxed(Object::Hash(big)), At::Fields(from), Owner::Database(db)) => {
                let step = big.step(*from, PIECE);
                hash_pairs(db, &large.key, big.fields_in(step), chunk);
                if step.next() != 0 {
                    return Some(At::Fields(step.next()));
                }
                if entry.expire().is_some() {
                    Effect::Expire { db, key: &large.key, at: entry.expire() }.encode(chunk);
                }
                Some(At::End)
            }
            (ValueRef::Boxed(Object::Items(_)), At::Items(after), Owner::Table(table)) => {
                let low = after.as_deref().map_or(Unbounded, Excluded);
                let mut last = None;
                for (sort, item) in entry.value().items()?.range(low, Unbounded, false).take(PIECE) {
                    Effect::ItemPut { table, partition: &large.key, sort, item }.encode(chunk);
                    last = Some(sort);
                }
                Some(last.map_or(At::End, |sort| At::Items(Some(sort.to_vec()))))
            }
            (ValueRef::Boxed(Object::Stream(stream)), At::Nodes(behind), Owner::Database(db)) => {
                let from = (stream, *behind);
                if let Some(last) = nodes_piece(db, &large.key, from, NODES, chunk) {
                    return Some(At::Nodes(Some(last)));
                }
                last_piece(db, &large.key, from, entry.expire(), chunk);
                Some(At::End)
            }
            _ => None,
        }
    }
}
