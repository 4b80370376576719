//! ZSCAN.

use super::zset_at;
use crate::command::{Cx, Outcome, ScanOptions, parse_cursor};
use crate::text::{format_f64, glob_match};
use crate::value::digest::percent_17g;
use crate::value::zset::ZsetRef;

/// Returns a packed sorted set as a whole. A larger set is walked in an order that depends only on its members, so that
/// a member whose score changes meanwhile is not missed.
pub(super) fn zscan(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let cursor = parse_cursor(args[2])?;
    let out = &mut *cx.out;
    let Some(set) = zset_at(cx.tx, args[1])? else {
        out.array(2);
        out.bulk(b"0");
        out.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse_set(&args[3..])?;
    let (found, next) = match set {
        ZsetRef::Packed(_) => (set.iter().collect(), 0),
        ZsetRef::Big(big) => {
            let walk = big.walk(cursor, options.count);
            (walk.found, walk.next)
        }
    };
    out.array(2);
    out.bulk(itoa::Buffer::new().format(next).as_bytes());
    let begun = out.begin_deferred();
    let mut count = 0;
    for (member, score) in found {
        if options.pattern.is_some_and(|pattern| !glob_match(pattern, member)) {
            continue;
        }
        out.bulk(member);
        // As in Redis a score is a text here, in the large form with 17 significant digits.
        match set {
            ZsetRef::Packed(_) => out.bulk(format_f64(score).as_bytes()),
            ZsetRef::Big(_) => out.bulk(percent_17g(score).as_bytes()),
        }
        count += 2;
    }
    out.end_array(begun, count);
    Ok(())
}
