//! The sources of combinations: sorted sets, and sets, whose members have the score 1.

use crate::command::Fail;
use crate::command::fail::WRONG_TYPE;
use crate::engine::Tx;
use crate::store::Entry;
use crate::value::set::SetRef;
use crate::value::zset::ZsetRef;
use std::borrow::Cow;

/// The value at a key as a source.
#[derive(Clone, Copy)]
pub(super) enum Source<'t> {
    Nothing,
    Sorted(ZsetRef<'t>),
    Plain(SetRef<'t>),
}

impl<'t> Source<'t> {
    pub(super) fn at(tx: &'t Tx<'_>, key: &[u8]) -> Result<Self, Fail> {
        let Some(value) = tx.entry(key).map(Entry::value) else { return Ok(Self::Nothing) };
        let sorted = value.zset().map(Self::Sorted);
        sorted.or_else(|| value.set().map(Self::Plain)).ok_or(WRONG_TYPE)
    }

    pub(super) fn len(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Sorted(set) => set.len(),
            Self::Plain(set) => set.len(),
        }
    }

    pub(super) fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Nothing => None,
            Self::Sorted(set) => set.score(member),
            Self::Plain(set) => set.contains(member).then_some(1.0),
        }
    }

    /// Calls `visit` with each member and its score, until it returns false.
    pub(super) fn each(self, mut visit: impl FnMut(Cow<'t, [u8]>, f64) -> bool) {
        match self {
            Self::Nothing => {}
            Self::Sorted(set) => {
                set.iter().all(|(member, score)| visit(Cow::Borrowed(member), score));
            }
            Self::Plain(set) => {
                set.iter().all(|member| visit(member.bytes(), 1.0));
            }
        }
    }
}
