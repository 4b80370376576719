//! Trimming from the front: `XTRIM`, and `XADD` with a limit.
//!
//! The entries to remove are determined first and removed later. In between they can be logged in a form that does not
//! depend on how entries are packed.

use super::{Stream, StreamId};

/// What is to be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrimBy {
    /// At most this many entries.
    MaxLen(u64),
    /// No entry before this identifier.
    MinId(StreamId),
}

/// A request to trim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trim {
    /// What is to be left.
    pub by: TrimBy,
    /// Whether only whole nodes are removed, so that some more entries may be left.
    pub approximate: bool,
    /// At most this many entries are removed; 0 for no limit.
    pub limit: u64,
}

/// The result of [`Stream::plan_trim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrimPlan {
    /// All entries up to and including this one are removed.
    pub through: StreamId,
    /// How many entries are removed.
    pub removed: u64,
}

/// The limit of an approximate trim without an explicit one: the entries of a hundred nodes.
pub fn default_trim_limit(node_max_entries: usize) -> u64 {
    match node_max_entries as u64 {
        0 => 10_000,
        entries => entries.saturating_mul(100).min(1_000_000),
    }
}

impl Stream {
    /// Determines which entries a trim removes; `None` if it removes none. O(removed nodes + size of one).
    pub fn plan_trim(&self, trim: Trim) -> Option<TrimPlan> {
        let (mut removed, mut through) = (0, None);
        for node in &self.nodes {
            let length = self.length - removed;
            if let TrimBy::MaxLen(max) = trim.by
                && length <= max
            {
                break;
            }
            if trim.limit > 0 && removed + node.live() > trim.limit {
                break;
            }
            let whole = match trim.by {
                TrimBy::MaxLen(max) => length - node.live() >= max,
                TrimBy::MinId(min) => node.last() < min,
            };
            if whole {
                removed += node.live();
                through = Some(node.last());
                continue;
            }
            if !trim.approximate {
                let (mut left, min) = match trim.by {
                    TrimBy::MaxLen(max) => (length - max, StreamId::MAX),
                    TrimBy::MinId(min) => (u64::MAX, min),
                };
                for entry in node.entries().filter(|entry| !entry.deleted) {
                    if left == 0 || entry.id >= min {
                        break;
                    }
                    left -= 1;
                    removed += 1;
                    through = Some(entry.id);
                }
            }
            break;
        }
        through.map(|through| TrimPlan { through, removed })
    }

    /// Determines which entries a trim removes if it removes only entries that all groups have read and acknowledged:
    /// their identifiers, ascending. Other entries stay, even if more are left than there may be. O(entries that all
    /// groups have read).
    pub fn plan_acknowledged(&self, trim: Trim) -> Vec<StreamId> {
        let Some(read) = self.groups().iter().map(|(_, group)| group.position.last_id).min() else {
            return Vec::new();
        };
        let (most, below) = match trim.by {
            TrimBy::MaxLen(max) => (self.length.saturating_sub(max), None),
            TrimBy::MinId(min) => (u64::MAX, Some(min)),
        };
        let mut through = read;
        if let Some(min) = below {
            let Some(before) = min.prev() else { return Vec::new() };
            through = through.min(before);
        }
        if trim.approximate {
            let Some(plan) = self.plan_trim(trim) else { return Vec::new() };
            through = through.min(plan.through);
        }
        let is_free =
            |id: &StreamId| self.groups().iter().all(|(_, group)| group.pending_entry(*id).is_none());
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.range(StreamId::MIN, through).map(|entry| entry.id).filter(is_free).take(most).collect()
    }

    /// Removes all entries up to and including an identifier. Returns their number. They do not count as deleted one by
    /// one. O(removed nodes + size of one).
    pub fn trim_through(&mut self, through: StreamId) -> u64 {
        let mut removed = 0;
        while let Some(node) = self.nodes.front_mut() {
            if node.last() > through {
                removed += node.delete_while(|id| id <= through);
                if node.live() > 0 {
                    break;
                }
            } else {
                removed += node.live();
            }
            self.remove_node(0);
        }
        if self.nodes.capacity() > 64 && self.nodes.len() < self.nodes.capacity() / 4 {
            self.nodes.shrink_to(self.nodes.len() * 2);
        }
        if removed > 0 {
            self.length -= removed;
            self.update_first_id();
        }
        removed
    }
}
