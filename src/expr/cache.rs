//! Parsed expressions by text, shared by all threads.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ahash::RandomState;
use parking_lot::RwLock;

use super::ast::{ParsedCondition, ParsedProjection, ParsedUpdate};
use super::error::Reason;
use super::options::{Dialect, ParseOptions};
use super::parse::{parse_condition, parse_projection, parse_update};

/// Longer texts are parsed each time: they are rare, and would take much memory.
const MAX_TEXT_BYTES: usize = 4096;
const SHARDS: usize = 16;

/// A bounded cache of parsed expressions for one set of options. A hit takes a shared lock and allocates nothing. When
/// a shard is full, it drops the entries that were not used since it was last full.
#[derive(Debug)]
pub struct ExprCache {
    options: ParseOptions,
    conditions: Texts<ParsedCondition>,
    updates: Texts<ParsedUpdate>,
    projections: Texts<ParsedProjection>,
}

impl ExprCache {
    /// A cache of at most about `capacity` expressions of each of the three grammars.
    pub fn new(options: ParseOptions, capacity: usize) -> Self {
        Self {
            options,
            conditions: Texts::new(capacity),
            updates: Texts::new(capacity),
            projections: Texts::new(capacity),
        }
    }

    /// The options its expressions are parsed with.
    pub fn options(&self) -> &ParseOptions {
        &self.options
    }

    /// The mode its expressions are parsed in.
    pub fn mode(&self) -> Dialect {
        self.options.mode
    }

    /// A condition, filter or key condition.
    ///
    /// # Errors
    /// What is wrong with the text. Errors are not cached.
    pub fn condition(&self, text: &str) -> Result<Arc<ParsedCondition>, Reason> {
        self.conditions.get(text, || parse_condition(text, &self.options))
    }

    /// An update.
    ///
    /// # Errors
    /// As [`ExprCache::condition`].
    pub fn update(&self, text: &str) -> Result<Arc<ParsedUpdate>, Reason> {
        self.updates.get(text, || parse_update(text, &self.options))
    }

    /// A projection.
    ///
    /// # Errors
    /// As [`ExprCache::condition`].
    pub fn projection(&self, text: &str) -> Result<Arc<ParsedProjection>, Reason> {
        self.projections.get(text, || parse_projection(text, &self.options))
    }
}

#[cfg(test)]
impl ExprCache {
    /// Whether a condition or projection is kept.
    pub(crate) fn keeps(&self, text: &str) -> bool {
        self.conditions.keeps(text) || self.projections.keeps(text)
    }
}

#[cfg(test)]
impl<T> Texts<T> {
    fn keeps(&self, text: &str) -> bool {
        self.shards.iter().any(|shard| shard.read().contains_key(text))
    }
}

#[derive(Debug)]
struct Entry<T> {
    parsed: Arc<T>,
    used: AtomicBool,
}

/// One shard: trees by text.
type Shard<T> = RwLock<HashMap<Box<str>, Entry<T>, RandomState>>;

#[derive(Debug)]
struct Texts<T> {
    hasher: RandomState,
    shards: [Shard<T>; SHARDS],
    shard_capacity: usize,
}

impl<T> Texts<T> {
    fn new(capacity: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| RwLock::new(HashMap::default())),
            shard_capacity: capacity.div_ceil(SHARDS),
        }
    }

    fn get(&self, text: &str, parse: impl FnOnce() -> Result<T, Reason>) -> Result<Arc<T>, Reason> {
        let shard = self.shards.get(self.hasher.hash_one(text) as usize % SHARDS);
        let Some(shard) = shard.filter(|_| text.len() <= MAX_TEXT_BYTES && self.shard_capacity > 0) else {
            return parse().map(Arc::new);
        };
        if let Some(entry) = shard.read().get(text) {
            if !entry.used.load(Ordering::Relaxed) {
                entry.used.store(true, Ordering::Relaxed);
            }
            return Ok(Arc::clone(&entry.parsed));
        }
        let parsed = Arc::new(parse()?);
        let mut entries = shard.write();
        if entries.len() >= self.shard_capacity {
            entries.retain(|_, entry| entry.used.swap(false, Ordering::Relaxed));
        }
        if entries.len() >= self.shard_capacity {
            entries.clear();
        }
        entries.insert(text.into(), Entry { parsed: Arc::clone(&parsed), used: AtomicBool::new(false) });
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_share_one_tree_and_failures_are_not_kept() {
        let cache = ExprCache::new(ParseOptions::STRICT, 64);
        let first = cache.condition("a = :v").unwrap();
        assert!(Arc::ptr_eq(&first, &cache.condition("a = :v").unwrap()));
        assert!(cache.condition("a = ").is_err());
        assert!(cache.update("SET a = :v").is_ok());
        assert!(cache.projection("a, b").is_ok());
    }

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let cache = ExprCache::new(ParseOptions::HUMAN, 160);
        let kept = cache.condition("kept = 1").unwrap();
        for number in 0..10_000 {
            cache.condition(&format!("a = {number}")).unwrap();
            let again = cache.condition("kept = 1").unwrap();
            assert_eq!(again, kept);
        }
        let entries: usize = cache.conditions.shards.iter().map(|shard| shard.read().len()).sum();
        assert!(entries <= 160, "{entries}");
        // A cache without room still parses.
        assert!(ExprCache::new(ParseOptions::HUMAN, 0).condition("a = 1").is_ok());
    }
}
