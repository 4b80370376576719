//! SSCAN.

use super::set_at;
use crate::command::{Cx, Outcome, ScanOptions, parse_cursor};
use crate::text::glob_match;
use crate::value::set::SetRef;

/// Returns a compact set as a whole. A larger set is walked by position.
pub(super) fn sscan(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let cursor = parse_cursor(args[2])?;
    let out = &mut *cx.out;
    let Some(set) = set_at(cx.tx, args[1])? else {
        out.array(2);
        out.bulk(b"0");
        out.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse_set(&args[3..])?;
    let step = match set {
        SetRef::Big(big) => Some((big, big.step(cursor, options.count))),
        SetRef::Ints(_) | SetRef::Packed(_) => None,
    };
    out.array(2);
    out.bulk_fmt(step.map_or(0, |(_, step)| step.next()));
    let begun = out.begin_deferred();
    let mut count = 0;
    let mut show = |name: &[u8]| {
        if options.pattern.is_none_or(|pattern| glob_match(pattern, name)) {
            out.bulk(name);
            count += 1;
        }
    };
    match step {
        None => set.iter().for_each(|member| member.with(&mut show)),
        Some((big, step)) => big.in_step(step).for_each(&mut show),
    }
    out.end_array(begun, count);
    Ok(())
}
