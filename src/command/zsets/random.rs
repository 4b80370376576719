//! ZRANDMEMBER.

use super::{show, zset_at};
use crate::command::draw::{Bound, distinct, drawn_count};
use crate::command::{Cx, Fail, Outcome, eq, fail};
use crate::env::Random;
use crate::value::zset::ZsetRef;

pub(super) fn zrandmember(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if args.len() > 2 {
        return with_count(cx, args);
    }
    let mut random = Random::seeded(cx.server.random());
    match zset_at(cx.tx, args[1])?.and_then(|set| any(set, set.len(), &mut random)) {
        Some((member, _)) => cx.out.bulk(member),
        None => cx.out.null(),
    }
    Ok(())
}

/// A random member of a set with `len` members. O(log n), in the packed form O(n).
fn any<'s>(set: ZsetRef<'s>, len: usize, random: &mut Random) -> Option<(&'s [u8], f64)> {
    set.range(random.below(len as u64) as usize, 1, false).next()
}

fn with_count(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let count = drawn_count(args[2])?;
    let scores = match args[3..] {
        [] => false,
        [word] if eq(word, "withscores") => true,
        _ => return Err(fail::SYNTAX),
    };
    if scores && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Fail::new("ERR value is out of range"));
    }
    let Some(set) = zset_at(cx.tx, args[1])?.filter(|_| count != 0) else {
        cx.out.array(0);
        return Ok(());
    };
    let mut random = Random::seeded(cx.server.random());
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    // A packed set is read once into a list.
    let listed: Vec<(&[u8], f64)> = match set {
        ZsetRef::Packed(_) => set.iter().collect(),
        ZsetRef::Big(_) => Vec::new(),
    };
    let len = set.len();
    let at = |rank: usize| listed.get(rank).copied().or_else(|| set.range(rank, 1, false).next());
    let out = &mut *cx.out;
    let bound = Bound::of(cx.settings, out);
    if count > 0 && wanted >= len {
        show::members(out, len, set.iter(), scores);
        return Ok(());
    }
    show::header(out, wanted, scores);
    let mut one = |rank: usize| {
        bound.check(out)?;
        if let Some((member, score)) = at(rank) {
            show::member(out, member, score, scores);
        }
        Ok(())
    };
    if count < 0 {
        return (0..wanted).try_for_each(|_| one(random.below(len as u64) as usize));
    }
    distinct(len, wanted, &mut random, one)
}
