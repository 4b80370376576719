//! When a value leaves its compact form.

use crate::config::Settings;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::Relaxed};

/// The thresholds of the compact forms. They are read without locks, and CONFIG SET changes them.
pub struct Thresholds {
    /// Most fields of a packed hash.
    pub hash_entries: AtomicUsize,
    /// Longest field or value of a packed hash, in bytes.
    pub hash_value: AtomicUsize,
    /// Most members of a set of integers.
    pub set_ints: AtomicUsize,
    /// Most members of a packed set.
    pub set_entries: AtomicUsize,
    /// Longest member of a packed set, in bytes.
    pub set_value: AtomicUsize,
    /// The size of a packed list, as `list-max-listpack-size` has it.
    pub list_size: AtomicI32,
    /// Most members of a packed sorted set.
    pub zset_entries: AtomicUsize,
    /// Longest member of a packed sorted set, in bytes.
    pub zset_value: AtomicUsize,
    /// Most bytes of a packed item collection.
    pub items_bytes: AtomicUsize,
    /// A string of at least so many bytes has an allocation of its own.
    pub string_bytes: AtomicUsize,
    /// Most bytes of a node of a stream.
    pub stream_node_bytes: AtomicUsize,
    /// Most entries of a node of a stream.
    pub stream_node_entries: AtomicUsize,
}

impl Thresholds {
    /// Takes over the configuration's thresholds. Values that are already stored keep their form until they grow.
    pub fn adopt(&self, settings: &Settings) {
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        self.hash_entries.store(size(settings.hash_max_listpack_entries), Relaxed);
        self.hash_value.store(size(settings.hash_max_listpack_value), Relaxed);
        self.set_ints.store(size(settings.set_max_intset_entries), Relaxed);
        self.set_entries.store(size(settings.set_max_listpack_entries), Relaxed);
        self.set_value.store(size(settings.set_max_listpack_value), Relaxed);
        self.list_size.store(settings.list_max_listpack_size, Relaxed);
        self.zset_entries.store(size(settings.zset_max_listpack_entries), Relaxed);
        self.zset_value.store(size(settings.zset_max_listpack_value), Relaxed);
        self.stream_node_bytes.store(size(settings.stream_node_max_bytes), Relaxed);
        self.stream_node_entries.store(size(settings.stream_node_max_entries), Relaxed);
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            hash_entries: AtomicUsize::new(512),
            hash_value: AtomicUsize::new(64),
            set_ints: AtomicUsize::new(512),
            set_entries: AtomicUsize::new(128),
            set_value: AtomicUsize::new(64),
            list_size: AtomicI32::new(-2),
            zset_entries: AtomicUsize::new(128),
            zset_value: AtomicUsize::new(64),
            items_bytes: AtomicUsize::new(2048),
            string_bytes: AtomicUsize::new(256 << 10),
            stream_node_bytes: AtomicUsize::new(4096),
            stream_node_entries: AtomicUsize::new(100),
        }
    }
}
