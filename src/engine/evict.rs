//! Eviction: making room before a command that needs memory.

use super::{Classes, Engine, Over};
use crate::config::{EvictionPolicy, Settings};
use crate::effect::Effect;
use crate::env::{memory, process};
use crate::store::{EvictionOrder, EvictionRule, Holder};

/// The most dead entries that are freed while a shard is held once.
const HOLD: usize = 256;
/// Microseconds that one command spends on eviction, at the default tenacity.
const PATIENCE: u64 = 500;

fn rule_of(policy: EvictionPolicy) -> Option<EvictionRule> {
    let order = match policy {
        EvictionPolicy::Noeviction => return None,
        EvictionPolicy::AllkeysLru | EvictionPolicy::VolatileLru => EvictionOrder::Lru,
        EvictionPolicy::AllkeysLfu | EvictionPolicy::VolatileLfu => EvictionOrder::Lfu,
        EvictionPolicy::AllkeysRandom | EvictionPolicy::VolatileRandom => EvictionOrder::Random,
        EvictionPolicy::VolatileTtl => EvictionOrder::Ttl,
    };
    Some(EvictionRule { volatile: policy.volatile_only(), order })
}

impl Engine {
    /// The bytes in use: those that are allocated, and those that copies of values will take once they share nothing
    /// any more. O(1).
    pub fn used_memory(&self) -> u64 {
        memory::used_bytes() + self.store.shared_bytes()
    }

    /// Whether memory is above `maxmemory`. Buffers that are kept for later do not count: options of their own bound
    /// them, and no key is evicted for them. O(1).
    #[inline]
    pub(super) fn is_full(&self, settings: &Settings) -> bool {
        let most = settings.maxmemory;
        if most == 0 {
            return false;
        }
        let used = self.used_memory();
        used > most && used.saturating_sub(memory::kept_bytes()) > most
    }

    /// Whether memory is below `maxmemory`, after evicting keys if the policy allows it. The caller holds no lock.
    #[inline]
    pub fn make_room(&self, settings: &Settings, record: &mut Vec<u8>) -> bool {
        !self.is_full(settings) || self.evict(settings, record)
    }

    /// Evicts in rounds, between which other threads may take the shards, until memory is below `maxmemory`, no key can
    /// be evicted, or the monotonic clock reaches a time in us. The caller must not hold a lock.
    pub(super) fn evict_in_rounds(&self, end: u64, record: &mut Vec<u8>) {
        loop {
            let settings = self.settings();
            if !self.make_room(&settings, record) {
                // No key can be evicted; commands that need memory are refused.
                tracing::trace!("memory is above maxmemory");
                return;
            }
            let may_go_on = self.state().permits_work() && !self.works.revoked() && !self.keeps_all();
            if !self.is_full(&settings) || !may_go_on || self.clock.monotonic_micros() > end {
                return;
            }
            process::give_way();
        }
    }

    #[cold]
    fn evict(&self, settings: &Settings, record: &mut Vec<u8>) -> bool {
        if !self.state().permits_work() {
            // Nothing is evicted while data is read from disk; another gate refuses the command.
            return true;
        }
        let Some(_permit) = self.works.permit() else { return true };
        if self.keeps_all() {
            return true;
        }
        if self.store.has_dead() {
            // Flushed and dropped entries are freed before keys that are in use are evicted.
            self.store
                .bury_until(self.clock.now_ms(), HOLD, &|| self.works.revoked() || !self.is_full(settings));
        }
        self.store.reaper.finish();
        let patience = match settings.maxmemory_eviction_tenacity {
            100.. => u64::MAX,
            tenacity => PATIENCE * (u64::from(tenacity) + 10) / 20,
        };
        let began = self.clock.monotonic_micros();
        self.settle_copies(settings, began.saturating_add(patience / 2));
        if !self.is_full(settings) {
            return true;
        }
        let Some(rule) = rule_of(settings.maxmemory_policy) else { return false };
        let room = self.evict_until(settings, rule, began.saturating_add(patience), record);
        self.note_work(settings, "eviction-cycle", began);
        room
    }

    /// Gives copies parts of their own until memory is below `maxmemory` or the monotonic clock reaches a time in us.
    /// What a copy shared with a value that is gone counts twice until then.
    fn settle_copies(&self, settings: &Settings, end: u64) {
        let now = self.clock.now_ms();
        while self.is_full(settings) && !self.works.revoked() && self.store.own_some(now) {
            if self.clock.monotonic_micros() > end {
                return;
            }
        }
    }

    fn evict_until(&self, settings: &Settings, rule: EvictionRule, end: u64, record: &mut Vec<u8>) -> bool {
        let now = self.clock.now_ms();
        let mut tries = 0u32;
        while self.is_full(settings) {
            if self.refusal(0).is_some() || !self.state().permits_work() || self.works.revoked() {
                return false;
            }
            let Some((db, key)) = self.next_victim(rule, settings.maxmemory_samples as usize, now) else {
                return false;
            };
            let one = self.clock.monotonic_micros();
            self.evict_key(rule, db, &key, record);
            // Freed at once, so that the next measurement sees it; otherwise more would be evicted than is needed.
            self.store.reaper.finish();
            self.note_work(settings, "eviction-del", one);
            tries += 1;
            if tries.is_multiple_of(16) && self.clock.monotonic_micros() > end {
                // As in Redis, this command may go on. The background and the next commands continue the eviction.
                self.nudge();
                return true;
            }
        }
        true
    }

    fn next_victim(&self, rule: EvictionRule, samples: usize, now: u64) -> Option<(usize, Vec<u8>)> {
        // No shard is locked under the pool's lock, because CONFIG SET inside EXEC takes the pool's lock while it holds
        // shards.
        let mut found = Vec::new();
        self.store.candidates(rule, samples, now, &mut |victim| found.push(victim));
        let mut pool = self.pool.lock();
        if found.is_empty() {
            pool.clear();
        }
        found.into_iter().for_each(|victim| pool.add(victim));
        pool.pop().map(|v| (v.db, v.key))
    }

    /// Evicts a candidate if it still qualifies: it may be gone, or have changed, since it was sampled.
    fn evict_key(&self, rule: EvictionRule, db: usize, key: &[u8], record: &mut Vec<u8>) {
        let hash = self.store.hash(key);
        // If no change may be made now, nothing is evicted.
        let _ = self.transact_over(Holder::Eviction, Over::Hashes(&[hash]), db, record, |tx| {
            let found = tx.locked().peek(self.store.space(db), key, hash);
            if found.is_some_and(|entry| !rule.volatile || entry.expire().is_some()) {
                tx.apply(Effect::Delete { db: db as u32, key });
                tx.tell(Classes::EVICTED, "evicted", key);
            }
        });
    }
}
