//! The packed form: members one after the other, in their order.
//!
//! Each member is `(varint length, member, score)`. A score that is an integer below 2^53 is a varint: one more than
//! its zigzag form, which has the sign in its lowest bit. Any other score is a zero byte and eight bytes (little
//! endian). As in Redis's packed form, the negative zero becomes zero. Lookup is a linear scan; the thresholds
//! `zset-max-listpack-entries` and `-value` bound it.

use super::cut::compare;
use crate::value::packed::{get_varint, put_part, put_varint_to, read_part, read_varint};

/// A member of a packed sorted set and its place.
#[derive(Clone, Copy, Debug)]
pub struct PackedZsetMember<'a> {
    /// The member.
    pub member: &'a [u8],
    /// Its score.
    pub score: f64,
    /// The offset of its first byte.
    pub start: usize,
    /// The offset after its score.
    pub end: usize,
}

/// Iterates over a packed sorted set.
pub fn packed_members(packed: &[u8]) -> impl Iterator<Item = PackedZsetMember<'_>> + Clone {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= packed.len() {
            return None;
        }
        let start = at;
        let (member, score_at) = read_part(packed, at);
        let (score, end) = read_score(packed, score_at);
        at = end;
        Some(PackedZsetMember { member, score, start, end })
    })
}

fn read_score(packed: &[u8], at: usize) -> (f64, usize) {
    match read_varint(packed, at) {
        (0, at) => {
            let bytes = packed.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            (bytes.map_or(0.0, f64::from_le_bytes), (at + 8).min(packed.len()))
        }
        (n, at) => (unzigzag(n as u64 - 1) as f64, at),
    }
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// The integer that equals a score, if the short form can hold it.
fn as_small_integer(score: f64) -> Option<i64> {
    const LIMIT: f64 = (1u64 << 53) as f64;
    let integer = score as i64;
    (integer as f64 == score && score.abs() < LIMIT).then_some(integer)
}

/// Appends one member in packed form.
pub fn pack_member(out: &mut Vec<u8>, member: &[u8], score: f64) {
    put_part(out, member);
    if let Some(n) = as_small_integer(score) {
        put_varint_to(out, ((n << 1 ^ n >> 63) as u64 + 1) as usize);
    } else {
        out.push(0);
        out.extend_from_slice(&score.to_le_bytes());
    }
}

/// Packs members that are given in any order. O(n log n).
pub fn pack_all(mut members: Vec<(Vec<u8>, f64)>) -> Vec<u8> {
    members.sort_unstable_by(|a, b| compare((a.1, &a.0), (b.1, &b.0)));
    let mut packed = Vec::new();
    members.iter().for_each(|(member, score)| pack_member(&mut packed, member, *score));
    packed
}

/// Finds a member. O(members).
#[inline]
pub fn packed_find<'a>(packed: &'a [u8], member: &[u8]) -> Option<PackedZsetMember<'a>> {
    let same = |m: &PackedZsetMember<'_>| {
        m.member.len() == member.len() && m.member.last() == member.last() && m.member == member
    };
    packed_members(packed).find(same)
}

/// Whether a packed sorted set has at most `entries` members, and none longer than `longest` bytes.
pub fn packed_fits(packed: &[u8], entries: usize, longest: usize) -> bool {
    packed_members(packed).enumerate().all(|(at, m)| at < entries && m.member.len() <= longest)
}

/// Whether the bytes are a packed sorted set: whole members in ascending order, whose scores are not NaN.
pub fn check_packed(bytes: &[u8]) -> bool {
    let (mut at, mut before) = (0, None);
    while at < bytes.len() {
        let Some((len, start)) = get_varint(bytes, at) else { return false };
        let Some(end) = start.checked_add(len).filter(|end| *end < bytes.len()) else { return false };
        let Some((n, behind)) = get_varint(bytes, end) else { return false };
        let whole = if n == 0 { behind + 8 } else { behind };
        if whole > bytes.len() {
            return false;
        }
        let (score, _) = read_score(bytes, end);
        let this = (score, &bytes[start..end]);
        if score.is_nan() || before.is_some_and(|before| compare(before, this).is_ge()) {
            return false;
        }
        (at, before) = (whole, Some(this));
    }
    true
}
