//! HSCAN.

use super::hash_at;
use crate::command::{Cx, Outcome, ScanOptions, parse_cursor};
use crate::text::glob_match;
use crate::value::hash::{FieldRef, HashRef};

/// Returns a packed hash, or a view of an item, as a whole. A larger hash is walked by position.
pub(super) fn hscan(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let cursor = parse_cursor(args[2])?;
    let now = cx.tx.now();
    let out = &mut *cx.out;
    let Some(hash) = hash_at(cx.tx, args[1])? else {
        out.array(2);
        out.bulk(b"0");
        out.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse_hash(&args[3..])?;
    out.array(2);
    let step = match hash {
        HashRef::Packed(..) => None,
        // A view's hash is made of the item at each call, so its order may differ between calls and a cursor would be
        // void.
        HashRef::Big(_) if cx.tx.has_stand_ins() => None,
        HashRef::Big(big) => Some((big, big.step(cursor, options.count))),
    };
    out.bulk(itoa::Buffer::new().format(step.map_or(0, |(_, step)| step.next())).as_bytes());
    let begun = out.begin_deferred();
    let mut count = 0;
    let mut show = |field: FieldRef<'_>| {
        if options.pattern.is_some_and(|pattern| !glob_match(pattern, field.name)) {
            return;
        }
        out.bulk(field.name);
        count += 1;
        if !options.novalues {
            out.bulk(field.value);
            count += 1;
        }
    };
    match step {
        None => hash.each_live(now, show),
        Some((big, step)) => big.live_in(step, now).for_each(&mut show),
    }
    out.end_array(begun, count);
    Ok(())
}
