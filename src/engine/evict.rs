//! Eviction: making room before a command that needs memory.

use super::{Engine, Tx};
use crate::config::{EvictionPolicy as Policy, Settings};
use crate::effect::Effect;
use crate::env::memory;
use crate::store::{EvictionOrder, EvictionPolicy, Mode};
use std::sync::atomic::Ordering::Relaxed;

/// Microseconds that one command waits for eviction, at the default tenacity.
const PATIENCE: u64 = 500;

fn policy_of(policy: Policy) -> Option<EvictionPolicy> {
    let order = match policy {
        Policy::Noeviction => return None,
        Policy::AllkeysLru | Policy::VolatileLru => EvictionOrder::Lru,
        Policy::AllkeysLfu | Policy::VolatileLfu => EvictionOrder::Lfu,
        Policy::AllkeysRandom | Policy::VolatileRandom => EvictionOrder::Random,
        Policy::VolatileTtl => EvictionOrder::Ttl,
    };
    Some(EvictionPolicy { volatile: policy.volatile_only(), order })
}

impl Engine {
    /// Whether memory is below `maxmemory`, after evicting keys if the policy allows. No lock may be held by the caller.
    #[inline]
    pub fn make_room(&self, settings: &Settings, record: &mut Vec<u8>) -> bool {
        settings.maxmemory == 0 || memory::used_bytes() <= settings.maxmemory || self.evict(settings, record)
    }

    #[cold]
    fn evict(&self, settings: &Settings, record: &mut Vec<u8>) -> bool {
        let Some(policy) = policy_of(settings.maxmemory_policy) else { return false };
        let patience = match settings.maxmemory_eviction_tenacity {
            100.. => u64::MAX,
            tenacity => PATIENCE * (u64::from(tenacity) + 10) / 20,
        };
        let began = self.clock.monotonic_micros();
        let now = self.clock.now_ms();
        let mut evicted = 0u32;
        while memory::used_bytes() > settings.maxmemory {
            if self.refusal(0).is_some() {
                return false;
            }
            let Some((db, key)) = self.store.victim(policy, settings.maxmemory_samples as usize, now) else {
                return false;
            };
            let hash = self.store.hash(&key);
            let locked = self.store.lock_one(hash, Mode::Write, now);
            let mut tx = Tx::new(self, locked, db, record);
            tx.apply(Effect::Delete { db: db as u32, key: &key });
            tx.commit();
            self.store.evicted_keys.fetch_add(1, Relaxed);
            evicted += 1;
            if evicted % 16 == 0 && self.clock.monotonic_micros() - began > patience {
                // The rest is left to the next commands; this one may go on, as in Redis.
                return true;
            }
        }
        true
    }
}
