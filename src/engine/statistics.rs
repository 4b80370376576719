//! Counts of expiry and eviction. They are kept by a listener, so changes that are undone are not counted.

use super::events::{Classes, KeyEvents, Listener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts of what was removed without a command that asked for it.
#[derive(Default)]
pub struct Statistics {
    /// Keys that expired and were removed.
    pub expired_keys: AtomicU64,
    /// Fields of hashes that expired and were removed.
    pub expired_fields: AtomicU64,
    /// Keys evicted.
    pub evicted_keys: AtomicU64,
}

impl Listener for Statistics {
    fn classes(&self) -> Classes {
        Classes::RARE
    }

    fn hear(&self, events: &Arc<KeyEvents>) {
        for event in events.of(Classes::RARE) {
            let (counter, count) = match event.class {
                Classes::EXPIRED => (&self.expired_keys, 1),
                Classes::EVICTED => (&self.evicted_keys, 1),
                _ => (&self.expired_fields, event.fields as u64),
            };
            counter.fetch_add(count, Relaxed);
        }
    }
}
