//! What was refused to users: the log that ACL LOG shows.

use crate::env::Instant;
use std::collections::VecDeque;

/// A refusal counts in the entry of an equal one if that is no older than so many ms.
const SAME_WITHIN_MS: u64 = 60_000;
/// Only so many of the newest entries are compared with a new refusal.
const SAME_AMONG: usize = 10;

/// One kind of refusal.
#[derive(Clone)]
pub struct AclEntry {
    /// Its number since the server started.
    pub id: u64,
    /// How often it happened.
    pub count: u64,
    /// What was denied, in Redis's words: `auth`, `command`, `key` or `channel`.
    pub reason: &'static str,
    /// Where the command stood, in Redis's words: `toplevel`, `multi` or `lua`.
    pub context: &'static str,
    /// The name of the command, key or channel.
    pub object: Vec<u8>,
    /// The user's name, clipped.
    pub user: Vec<u8>,
    /// The client as in CLIENT LIST, its names clipped.
    pub client: String,
    /// When it happened first, in ms since the epoch.
    pub created: u64,
    /// When it happened last, in ms since the epoch.
    pub updated: u64,
    /// When it happened last, on this process's clock.
    pub last: Instant,
}

/// The log, the newest entry first.
#[derive(Default)]
pub struct AclLog {
    entries: VecDeque<AclEntry>,
    next_id: u64,
}

impl AclLog {
    /// Adds a refusal, or counts it in the entry of an equal earlier one. A new entry gets its number here. At most
    /// `capacity` entries are kept.
    pub fn add(&mut self, new: AclEntry, capacity: usize) {
        let same = self.entries.iter().take(SAME_AMONG).position(|old| {
            new.last.ms_since(old.last) <= SAME_WITHIN_MS
                && (old.reason, old.context) == (new.reason, new.context)
                && (&old.object, &old.user) == (&new.object, &new.user)
        });
        if let Some(mut old) = same.and_then(|at| self.entries.remove(at)) {
            (old.count, old.client, old.updated, old.last) =
                (old.count + 1, new.client, new.updated, new.last);
            self.entries.push_front(old);
        } else {
            self.entries.push_front(AclEntry { id: self.next_id, ..new });
            self.next_id += 1;
        }
        self.entries.truncate(capacity);
    }

    /// The entries, the newest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &AclEntry> {
        self.entries.iter()
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
