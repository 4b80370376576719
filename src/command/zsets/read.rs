//! ZSCORE, ZRANK, ZCARD, ZCOUNT and their relatives.

use super::bounds::{lex_bounds, score_bounds};
use super::zset_at;
use crate::command::{Cx, Fail, Outcome, eq, fail};
use crate::value::zset::Cut;

pub(super) fn zscore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match zset_at(cx.tx, args[1])?.and_then(|set| set.score(args[2])) {
        Some(score) => cx.out.double(score),
        None => cx.out.null(),
    }
    Ok(())
}

pub(super) fn zmscore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let set = zset_at(cx.tx, args[1])?;
    cx.out.array(args.len() - 2);
    for member in &args[2..] {
        match set.and_then(|set| set.score(member)) {
            Some(score) => cx.out.double(score),
            None => cx.out.null(),
        }
    }
    Ok(())
}

pub(super) fn zcard(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let set = zset_at(cx.tx, args[1])?;
    cx.out.len_int(set.map_or(0, |set| set.len()));
    Ok(())
}

pub(super) fn zrank(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    rank(cx, args, "zrank", false)
}

pub(super) fn zrevrank(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    rank(cx, args, "zrevrank", true)
}

fn rank(cx: &mut Cx<'_, '_>, args: &[&[u8]], command: &str, backward: bool) -> Outcome {
    let with_score = match args[3..] {
        [] => false,
        [word] if eq(word, "withscore") => true,
        [_] => return Err(fail::SYNTAX),
        _ => return Err(Fail::arity(command)),
    };
    let set = zset_at(cx.tx, args[1])?;
    let Some((set, (rank, score))) = set.and_then(|set| Some((set, set.rank(args[2])?))) else {
        if with_score {
            cx.out.null_array();
        } else {
            cx.out.null();
        }
        return Ok(());
    };
    if with_score {
        cx.out.array(2);
    }
    cx.out.len_int(if backward { set.len() - 1 - rank } else { rank });
    if with_score {
        cx.out.double(score);
    }
    Ok(())
}

pub(super) fn zcount(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let bounds = score_bounds(args[2], args[3])?;
    count(cx, args[1], &bounds)
}

pub(super) fn zlexcount(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let bounds = lex_bounds(args[2], args[3])?;
    count(cx, args[1], &bounds)
}

fn count(cx: &mut Cx<'_, '_>, key: &[u8], (low, high): &(Cut<'_>, Cut<'_>)) -> Outcome {
    let set = zset_at(cx.tx, key)?;
    cx.out.len_int(set.map_or(0, |set| set.partition(high).saturating_sub(set.partition(low))));
    Ok(())
}
