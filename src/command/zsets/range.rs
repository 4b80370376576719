//! ZRANGE, ZRANGESTORE and the older forms.

use super::bounds::Bounds;
use super::{Stored, show, zset_at};
use crate::command::{Cx, Fail, Outcome, eq, fail, parse_int};
use crate::value::zset::{ZsetMembers, ZsetRef};

/// What a range's bounds are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Member,
}

/// The form of a command: what its name fixes of a range.
#[derive(Clone, Copy)]
struct Form {
    by: Option<By>,
    backward: Option<bool>,
    stores: bool,
}

/// A range with its options.
struct Range<'a> {
    bounds: Bounds<'a>,
    backward: bool,
    offset: i64,
    /// All if it is negative.
    limit: i64,
    scores: bool,
}

impl<'a> Range<'a> {
    /// Reads `min max [option ...]`.
    fn read(args: &[&'a [u8]], form: Form) -> Result<Self, Fail> {
        let (mut by, mut backward, mut scores) = (form.by, form.backward, false);
        let (mut offset, mut limit) = (0, -1);
        let mut rest = &args[2..];
        while let [word, tail @ ..] = rest {
            rest = tail;
            match (word, tail) {
                (word, _) if !form.stores && eq(word, "withscores") => scores = true,
                (word, [from, count, tail @ ..]) if eq(word, "limit") => {
                    (offset, limit, rest) = (parse_int(from)?, parse_int(count)?, tail);
                }
                (word, _) if backward.is_none() && eq(word, "rev") => backward = Some(true),
                (word, _) if by.is_none() && eq(word, "bylex") => by = Some(By::Member),
                (word, _) if by.is_none() && eq(word, "byscore") => by = Some(By::Score),
                _ => return Err(fail::SYNTAX),
            }
        }
        let (by, backward) = (by.unwrap_or(By::Rank), backward.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(Fail::new(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if by == By::Rank {
            // Only `LIMIT <any> -1` is allowed with a range by rank; as in Redis it has no effect.
            offset = 0;
        }
        if scores && by == By::Member {
            return Err(Fail::new("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let (low, high) = if backward && by != By::Rank { (args[1], args[0]) } else { (args[0], args[1]) };
        let bounds = match by {
            By::Rank => Bounds::ranks(low, high)?,
            By::Score => Bounds::scores(low, high)?,
            By::Member => Bounds::members(low, high)?,
        };
        Ok(Self { bounds, backward, offset, limit, scores })
    }

    /// The number of members in the range, and the members.
    fn members<'s>(&self, set: ZsetRef<'s>) -> (usize, ZsetMembers<'s>) {
        let (start, end) = self.bounds.resolve(set, self.backward);
        // A negative offset skips all members.
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX).min(end - start);
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let count = limit.min(end - start - offset);
        let first = if self.backward { (end - offset).saturating_sub(1) } else { start + offset };
        (count, set.range(first, count, self.backward))
    }
}

const ANY: Form = Form { by: None, backward: None, stores: false };

pub(super) fn zrange(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    range(cx, args, ANY)
}

pub(super) fn zrevrange(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    range(cx, args, Form { by: Some(By::Rank), backward: Some(true), ..ANY })
}

pub(super) fn zrangebyscore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    range(cx, args, Form { by: Some(By::Score), backward: Some(false), ..ANY })
}

pub(super) fn zrevrangebyscore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    range(cx, args, Form { by: Some(By::Score), backward: Some(true), ..ANY })
}

pub(super) fn zrangebylex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    range(cx, args, Form { by: Some(By::Member), backward: Some(false), ..ANY })
}

pub(super) fn zrevrangebylex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    range(cx, args, Form { by: Some(By::Member), backward: Some(true), ..ANY })
}

fn range(cx: &mut Cx<'_, '_>, args: &[&[u8]], form: Form) -> Outcome {
    let range = Range::read(&args[2..], form)?;
    match zset_at(cx.tx, args[1])? {
        None => cx.out.array(0),
        Some(set) => {
            let (len, members) = range.members(set);
            show::members(cx.out, len, members, range.scores);
        }
    }
    Ok(())
}

pub(super) fn zrangestore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let range = Range::read(&args[3..], Form { stores: true, ..ANY })?;
    let stored = zset_at(cx.tx, args[2])?.map_or_else(Stored::default, |set| {
        let members = range.members(set).1;
        if range.backward {
            let members: Vec<_> = members.collect();
            return Stored::of(members.into_iter().rev());
        }
        Stored::of(members)
    });
    stored.put(cx, args[1], "zrangestore")
}
