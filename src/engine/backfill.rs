//! Entering the items of a table into an index that was added later, piece by piece while commands run.
//!
//! From the moment an index exists, writers keep its entries. A walk over the table's partitions, shard by shard in
//! their order, enters the items that were there before; it holds a shard for a few items at a time. For each item it
//! adds the entry if that is missing, so the result does not depend on how far the walk is when an item changes. After
//! a restart the walk begins again.

use super::table::{Index, Table};
use super::{Engine, Over};
use crate::effect::Structural;
use crate::env::process;
use crate::item::{IndexStatus, ItemKeys, ItemRef, KeyBytes};
use crate::store::{Holder, Lent, walk_order};
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The most items that are read while a shard is held once.
const PIECE_ITEMS: usize = 32;
/// The most items that are entered while shards are held once: their own shard, and that of each entry.
const HOLD: usize = 8;
/// A piece ends once its items have this many bytes.
const PIECE_BYTES: usize = 64 << 10;

/// A few items of a table.
struct Piece {
    items: Vec<(ItemKeys, Box<[u8]>)>,
}

impl Engine {
    /// Works on incomplete indexes for about `micros` microseconds; returns whether there is more to do. The background
    /// calls it, and so do tests that own time.
    pub fn build_indexes(&self, micros: u64, record: &mut Vec<u8>) -> bool {
        let end = self.clock.monotonic_micros() + micros;
        loop {
            let unfinished = self.tables.unfinished();
            let Some(table) = unfinished.first() else { return false };
            if self.refusal(0).is_some() || !self.state().permits_work() {
                // An entry that cannot be logged cannot be made.
                return false;
            }
            let unfinished = |index: &&Index| index.schema.status != IndexStatus::Active;
            let Some(index) = table.indexes.iter().find(unfinished) else { return false };
            match self.build_piece(table, index, record) {
                Ok(true) => {}
                Ok(false) if self.finish_index(table, index, record) => {}
                // The next round goes on.
                Ok(false) | Err(_) => return false,
            }
            if self.clock.monotonic_micros() >= end {
                return true;
            }
        }
    }

    /// Enters the next items of a table; false at the end of the table.
    ///
    /// # Errors
    /// A shard is lent, and was not waited for. The walk stays where it is.
    fn build_piece(&self, table: &Table, index: &Index, record: &mut Vec<u8>) -> Result<bool, Lent> {
        let last = index.build.last.lock().clone();
        let Some(piece) = self.next_piece(table, last.as_ref())? else { return Ok(false) };
        let mut begun = 0;
        while begun < piece.items.len() {
            let Some(entered) = self.enter_items(table, index, &piece.items[begun..], record) else {
                // The walk stays where it is.
                return Ok(true);
            };
            begun += entered;
            process::give_way();
        }
        index.build.seen.fetch_add(piece.items.len() as u64, Relaxed);
        *index.build.last.lock() = piece.items.into_iter().next_back().map(|(keys, _)| keys);
        Ok(true)
    }

    /// The next items after `last`, in the order of a walk.
    fn next_piece(&self, table: &Table, last: Option<&ItemKeys>) -> Result<Option<Piece>, Lent> {
        let from = last.map_or(0, |last| walk_order(self.store.hash(&last.pk)));
        let (mut items, mut bytes) = (Vec::new(), 0);
        let none = self.store.lock_none(self.clock.now_ms());
        self.store.walk(&none, table.id, (from, u64::MAX), &mut |_, entry| {
            let Some(all) = entry.value().items() else { return ControlFlow::Continue(()) };
            let low = match last {
                Some(last) if last.pk.as_slice() == entry.key() => Excluded(last.sk.as_slice()),
                _ => Unbounded,
            };
            for (sort, item) in all.range(low, Unbounded, false) {
                let keys = ItemKeys { pk: KeyBytes::from_slice(entry.key()), sk: KeyBytes::from_slice(sort) };
                items.push((keys, Box::from(item)));
                bytes += item.len();
                if items.len() >= PIECE_ITEMS || bytes >= PIECE_BYTES {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        match none.lacks() {
            Some(lent) if items.is_empty() => Err(lent),
            _ => Ok((!items.is_empty()).then_some(Piece { items })),
        }
    }

    /// Enters the first of some items: as many as lie in one shard, at most [`HOLD`]. Returns how many; `None` if no
    /// change may be made now.
    fn enter_items(
        &self,
        table: &Table,
        index: &Index,
        items: &[(ItemKeys, Box<[u8]>)],
        record: &mut Vec<u8>,
    ) -> Option<usize> {
        let Some((first, _)) = items.first() else { return Some(0) };
        let hash = self.store.hash(&first.pk);
        let shard = self.store.shard_of(hash);
        let entered = self.transact_over(Holder::Indexing, Over::Hashes(&[hash]), 0, record, |tx| {
            if !self.still_has(table, index) {
                return items.len();
            }
            let mut entered = 0;
            for (keys, _) in items.iter().take(HOLD) {
                if self.store.shard_of(self.store.hash(&keys.pk)) != shard {
                    break;
                }
                // The item as it is now: it may have changed since the piece was read.
                let now = tx.stored(table.id, keys).map(Box::<[u8]>::from);
                if let Some(item) = now
                    && let Err(hash) = tx.enter(table, index, keys, ItemRef::from_bytes_unchecked(&item))
                {
                    // Each entry is complete by itself. So if a later one lacks its shard, the entries made before it
                    // stay.
                    if entered == 0 {
                        tx.lacks(vec![hash]);
                    }
                    break;
                }
                entered += 1;
            }
            entered
        });
        entered.ok()
    }

    /// Whether the index is still the one for which the walk began.
    fn still_has(&self, table: &Table, index: &Index) -> bool {
        let now = self.tables.by_id(table.id);
        now.is_some_and(|now| {
            now.schema.ttl == table.schema.ttl
                && now.indexes.iter().any(|other| Arc::ptr_eq(&other.build, &index.build))
        })
    }

    /// Marks the index as complete; false if no change may be made now. Then the walk stays at its end.
    fn finish_index(&self, table: &Table, index: &Index, record: &mut Vec<u8>) -> bool {
        let finished = self.transact_over(Holder::Indexing, Over::Everything, 0, record, |tx| {
            let still = self.still_has(table, index);
            let Some(now) = self.tables.by_id(table.id).filter(|_| still) else { return };
            let mut schema = now.schema.clone();
            for other in &mut schema.indexes {
                if other.space == index.schema.space {
                    other.status = IndexStatus::Active;
                }
            }
            let (name, schema) = (now.name.as_bytes(), schema.to_bytes());
            tx.apply(Structural::TablePut { table: now.id, created: now.created, name, schema: &schema });
            tracing::info!(table = now.name, index = index.schema.name, "index is complete");
        });
        if finished.is_ok() {
            index.build.restart();
        }
        finished.is_ok()
    }
}
