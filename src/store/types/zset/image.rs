//! Effects that build a sorted set, and the reader of a large one.

use crate::effect::{List, ZsetChange, score_bytes};
use crate::store::ValueRef;
use crate::store::reader::{PieceReader, ValueChange};
use crate::store::types::reading::{BYTES, PIECE};
use crate::value::zset::{BigZset, ZsetSnapshot};

/// The most members of a large sorted set in one effect.
const PAIRS: usize = 512;

/// A snapshot of a sorted set at the hold, of which the rest is to be read. Changes of the set do not change the
/// snapshot.
pub(in crate::store) struct ZsetReading(ZsetSnapshot);

impl ZsetReading {
    /// `None` if the sorted set is small.
    pub(in crate::store) fn of(set: &BigZset) -> Option<Self> {
        (set.len() > PIECE || set.memory(PIECE) > BYTES).then(|| Self(set.image()))
    }
}

impl PieceReader for ZsetReading {
    fn keep(&mut self, _: ValueRef<'_>, _: ValueChange<'_, '_>) {}

    fn read(&mut self, _: ValueRef<'_>, number: u32, key: &[u8], out: &mut Vec<u8>) -> bool {
        let (mut members, mut bytes) = (0, 0);
        while members < PIECE && bytes < BYTES {
            let mut pairs = Pairs::default();
            if !self.0.read_leaf(|member, score| pairs.push(member, score)) {
                return true;
            }
            (members, bytes) = (members + pairs.scores.len(), bytes + pairs.members.len());
            pairs.put(number, key, out);
        }
        false
    }
}

/// Members and scores of one effect.
#[derive(Default)]
struct Pairs {
    members: Vec<u8>,
    ends: Vec<usize>,
    scores: Vec<[u8; 8]>,
}

impl Pairs {
    fn push(&mut self, member: &[u8], score: f64) {
        self.members.extend_from_slice(member);
        self.ends.push(self.members.len());
        self.scores.push(score_bytes(score));
    }

    fn put(&self, db: u32, key: &[u8], out: &mut Vec<u8>) {
        let mut pairs: Vec<&[u8]> = Vec::with_capacity(self.scores.len() * 2);
        let mut start = 0;
        for (end, score) in self.ends.iter().zip(&self.scores) {
            pairs.extend([self.members.get(start..*end).unwrap_or_default(), score.as_slice()]);
            start = *end;
        }
        if !pairs.is_empty() {
            ZsetChange::Set { pairs: List::Slices(&pairs) }.on(db, key).encode(out);
        }
    }
}

/// Appends the effects that give members of a sorted set their scores.
pub(in crate::store) fn zset_pairs<'m>(
    db: u32,
    key: &[u8],
    members: impl Iterator<Item = (&'m [u8], f64)>,
    out: &mut Vec<u8>,
) {
    let mut pairs = Pairs::default();
    for (member, score) in members {
        pairs.push(member, score);
        if pairs.scores.len() == PAIRS {
            std::mem::take(&mut pairs).put(db, key, out);
        }
    }
    pairs.put(db, key, out);
}
