//! GEODIST, GEOHASH and GEOPOS.

use super::args::parse_unit;
use crate::command::zsets::zset_at;
use crate::command::{Cx, Outcome, fail};
use crate::resp::Reply;
use crate::value::geo::Coordinates;
use std::fmt::{self, Display, Formatter};

/// Degrees with up to 17 digits behind the point.
struct Degrees(f64);

impl Display for Degrees {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = format!("{:.17}", self.0);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Writes a position as an array of longitude and latitude.
pub(super) fn write_position(out: &mut Reply, position: Coordinates) {
    out.array(2);
    out.double_fmt(Degrees(position.longitude));
    out.double_fmt(Degrees(position.latitude));
}

/// Writes a distance. It is a bulk string in RESP3 too.
pub(super) fn write_distance(out: &mut Reply, distance: f64) {
    out.bulk_fmt(format_args!("{distance:.4}"));
}

pub(super) fn distance(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let unit = match args[4..] {
        [] => 1.0,
        [unit] => parse_unit(unit)?,
        _ => return Err(fail::SYNTAX),
    };
    let set = zset_at(cx.tx, args[1])?;
    let at = |member| set.and_then(|set| set.score(member)).map(Coordinates::from_score);
    match at(args[2]).zip(at(args[3])) {
        Some((from, to)) => write_distance(cx.out, from.distance(to) / unit),
        None => cx.out.null(),
    }
    Ok(())
}

pub(super) fn hash(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    each(cx, args, |out, position| out.bulk(&position.to_text()), Reply::null)
}

pub(super) fn position(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    each(cx, args, write_position, Reply::null_array)
}

/// Replies with an array of one element for each member: `write` writes a position, and `nothing` is for members that
/// are not in the sorted set.
fn each(
    cx: &mut Cx<'_, '_>,
    args: &[&[u8]],
    write: impl Fn(&mut Reply, Coordinates),
    nothing: impl Fn(&mut Reply),
) -> Outcome {
    let set = zset_at(cx.tx, args[1])?;
    cx.out.array(args.len() - 2);
    for member in &args[2..] {
        match set.and_then(|set| set.score(member)) {
            Some(score) => write(cx.out, Coordinates::from_score(score)),
            None => nothing(cx.out),
        }
    }
    Ok(())
}
