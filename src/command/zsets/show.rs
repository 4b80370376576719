//! Writes members into replies.

use crate::resp::Reply;

/// Begins `members` members. With scores, they are pairs in RESP3, and members and scores in turn in RESP2.
pub(super) fn header(out: &mut Reply, members: usize, scores: bool) {
    out.array(if scores && !out.is_resp3() { members * 2 } else { members });
}

/// Writes one of the members.
pub(super) fn member(out: &mut Reply, member: &[u8], score: f64, scores: bool) {
    if scores && out.is_resp3() {
        out.array(2);
    }
    out.bulk(member);
    if scores {
        out.double(score);
    }
}

/// Writes `len` members.
pub(super) fn members<'m>(
    out: &mut Reply,
    len: usize,
    found: impl Iterator<Item = (&'m [u8], f64)>,
    scores: bool,
) {
    header(out, len, scores);
    found.for_each(|(name, score)| member(out, name, score, scores));
}
