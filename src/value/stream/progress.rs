//! How far a group is behind. Counters alone are enough to tell, unless entries were deleted one by one.

use super::group::{Group, GroupPosition};
use super::{Stream, StreamId};

impl Stream {
    /// Whether an entry at or behind an identifier was deleted one by one.
    fn has_holes_from(&self, id: StreamId) -> bool {
        self.length > 0 && self.max_deleted_id >= self.first_id && id <= self.max_deleted_id
    }

    /// Whether an entry behind the first one was deleted one by one.
    fn has_holes(&self) -> bool {
        self.max_deleted_id != StreamId::MIN && self.max_deleted_id >= self.first_id
    }

    /// How many entries were ever added up to and including `id`; `None` if the counters cannot tell.
    pub fn entries_before(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.length == 0 && id <= self.last_id {
            return Some(self.entries_added);
        }
        if id != StreamId::MIN && id < self.max_deleted_id || id > self.last_id {
            return None;
        }
        if id == self.last_id {
            return Some(self.entries_added);
        }
        let gone = self.entries_added.saturating_sub(self.length);
        if self.has_holes() || id > self.first_id {
            None
        } else if id == self.first_id {
            Some(gone + 1)
        } else {
            Some(gone)
        }
    }

    /// How many entries a group has not read; `None` if the counters cannot tell.
    pub fn lag(&self, group: &Group) -> Option<u64> {
        let GroupPosition { last_id, entries_read } = group.position;
        if self.entries_added == 0 || self.length == 0 {
            return Some(0);
        }
        if last_id < self.first_id && self.max_deleted_id < self.first_id {
            return Some(self.length);
        }
        let read = match entries_read {
            Some(read) if !self.has_holes_from(last_id) => read,
            _ => self.entries_before(last_id)?,
        };
        Some(self.entries_added.saturating_sub(read))
    }

    /// The position of a group after the entry `id`, the next one in the stream, is delivered to it.
    pub fn advance(&self, position: GroupPosition, id: StreamId) -> GroupPosition {
        if id <= position.last_id {
            return position;
        }
        let counted = position.last_id >= self.first_id && !self.has_holes_from(position.last_id);
        let entries_read = match position.entries_read {
            Some(read) if counted => read.checked_add(1),
            read if self.entries_added == 0 => read,
            _ => self.entries_before(id),
        };
        GroupPosition { last_id: id, entries_read }
    }

    /// The number of nodes of the radix tree in which Redis would hold this stream's nodes, for `XINFO STREAM`.
    /// O(nodes).
    pub fn radix_tree_nodes(&self) -> u64 {
        let keys: Vec<[u8; 16]> = self.nodes.iter().map(|node| node.master().to_bytes()).collect();
        radix_nodes(&keys, 0)
    }
}

/// The number of nodes of the subtree at a depth, its root included. The keys ascend and are equal up to that depth. A
/// run of bytes without a branch is one node, and so is its end.
fn radix_nodes(keys: &[[u8; 16]], depth: usize) -> u64 {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return 1 };
    let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let run = u64::from(shared > depth);
    if shared == first.len() {
        return run + 1;
    }
    let branches = keys.chunk_by(|a, b| a.get(shared) == b.get(shared));
    run + 1 + branches.map(|keys| radix_nodes(keys, shared + 1)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::radix_nodes;

    #[test]
    fn runs_and_branches() {
        let key = |head: &[u8]| {
            let mut key = [0u8; 16];
            key[..head.len()].copy_from_slice(head);
            key
        };
        assert_eq!(radix_nodes(&[], 0), 1);
        assert_eq!(radix_nodes(&[key(b"a")], 0), 2);
        // The root is the branch; each key adds a run and an end.
        assert_eq!(radix_nodes(&[key(b"a"), key(b"b")], 0), 5);
        // A run and the branch; each key adds a run and an end.
        assert_eq!(radix_nodes(&[key(b"xa"), key(b"xb")], 0), 6);
        let (mut one, mut two) = (key(b""), key(b""));
        (one[15], two[15]) = (1, 2);
        assert_eq!(radix_nodes(&[one, two], 0), 4);
    }
}
