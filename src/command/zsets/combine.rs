//! ZUNION, ZINTER, ZDIFF, their STORE forms, and ZINTERCARD.

use super::source::Source;
use super::{Stored, show};
use crate::command::{Cx, Fail, Outcome, eq, fail, parse_int};
use crate::engine::Tx;
use crate::text::{parse_f64, parse_i64_strict};
use crate::value::zset::compare;
use ahash::AHashMap;
use smallvec::SmallVec;
use std::borrow::Cow;

/// The operation on the sources.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Union,
    Inter,
    Diff,
}

/// How a member's scores are combined.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
    /// The weights of the sources that have the member are added; its scores do not matter.
    Count,
}

impl Aggregate {
    /// What a source with a weight adds for a member with a score.
    fn share(self, weight: f64, score: f64) -> f64 {
        match self {
            Self::Sum | Self::Min | Self::Max => weight * score,
            Self::Count => weight,
        }
    }

    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Sum | Self::Count => number(one + other),
            Self::Min if other < one => other,
            Self::Max if other > one => other,
            Self::Min | Self::Max => one,
        }
    }
}

/// Replaces NaN by 0: opposite infinities were added, or an infinity was multiplied by 0.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// The kind of a command, which decides its options.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Members,
    ToStore,
    HowMany,
}

/// The arguments `numkeys key ... [option ...]`.
struct Request<'a> {
    keys: SmallVec<[(&'a [u8], f64); 8]>,
    aggregate: Aggregate,
    scores: bool,
    /// LIMIT of ZINTERCARD; 0 for no limit.
    limit: usize,
}

impl<'a> Request<'a> {
    fn keys(args: &[&'a [u8]], command: &str) -> Result<(Self, usize), Fail> {
        let number = parse_int(args[0])?;
        if number < 1 {
            return Err(Fail::text(format!("ERR at least 1 input key is needed for '{command}' command")));
        }
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let keys = args[1..].get(..number).ok_or(fail::SYNTAX)?;
        let keys = keys.iter().map(|key| (*key, 1.0)).collect();
        Ok((Self { keys, aggregate: Aggregate::Sum, scores: false, limit: 0 }, number))
    }

    /// Reads the options after the keys.
    fn options(&mut self, mut rest: &[&[u8]], op: Op, asks: Asks) -> Result<(), Fail> {
        let weighs = op != Op::Diff && asks != Asks::HowMany;
        while let [word, tail @ ..] = rest {
            rest = tail;
            if weighs && tail.len() >= self.keys.len() && eq(word, "weights") {
                for (key, weight) in self.keys.iter_mut().zip(tail) {
                    key.1 = parse_f64(weight)
                        .filter(|weight| !weight.is_nan())
                        .ok_or(Fail::new("ERR weight value is not a float"))?;
                }
                rest = &tail[self.keys.len()..];
                continue;
            }
            match tail {
                [how, tail @ ..] if weighs && eq(word, "aggregate") => {
                    rest = tail;
                    self.aggregate = match how {
                        how if eq(how, "sum") => Aggregate::Sum,
                        how if eq(how, "min") => Aggregate::Min,
                        how if eq(how, "max") => Aggregate::Max,
                        how if eq(how, "count") => Aggregate::Count,
                        _ => return Err(fail::SYNTAX),
                    };
                }
                _ if asks == Asks::Members && eq(word, "withscores") => self.scores = true,
                [limit, tail @ ..] if asks == Asks::HowMany && eq(word, "limit") => {
                    rest = tail;
                    let limit = parse_i64_strict(limit).and_then(|n| usize::try_from(n).ok());
                    self.limit = limit.ok_or(Fail::new("ERR LIMIT can't be negative"))?;
                }
                _ => return Err(fail::SYNTAX),
            }
        }
        Ok(())
    }
}

/// A member with its score.
type Scored<'t> = (Cow<'t, [u8]>, f64);

/// A source with its weight.
type Weighted<'t> = (Source<'t>, f64);

/// The members of a combination, in order.
fn combined<'t>(mut sources: SmallVec<[Weighted<'t>; 8]>, op: Op, aggregate: Aggregate) -> Vec<Scored<'t>> {
    // As in Redis, scores are added from the smallest source to the largest.
    if op != Op::Diff {
        sources.sort_by_key(|(source, _)| source.len());
    }
    let mut all = match op {
        Op::Union => union(&sources, aggregate),
        Op::Inter => {
            let mut found = Vec::new();
            each_common(&sources, aggregate, |member, score| {
                found.push((member, score));
                true
            });
            found
        }
        Op::Diff => difference(&sources),
    };
    all.sort_unstable_by(|a, b| compare((a.1, &a.0), (b.1, &b.0)));
    all
}

fn union<'t>(sources: &[Weighted<'t>], aggregate: Aggregate) -> Vec<Scored<'t>> {
    let mut scores: AHashMap<Cow<'t, [u8]>, f64> = AHashMap::new();
    for (source, weight) in sources {
        source.each(|member, score| {
            let score = number(aggregate.share(*weight, score));
            scores.entry(member).and_modify(|sum| *sum = aggregate.of(*sum, score)).or_insert(score);
            true
        });
    }
    scores.into_iter().collect()
}

/// Calls `visit` with each member that all sources have, until it returns false.
fn each_common<'t>(
    sources: &[Weighted<'t>],
    aggregate: Aggregate,
    mut visit: impl FnMut(Cow<'t, [u8]>, f64) -> bool,
) {
    let Some(((first, weight), others)) = sources.split_first() else { return };
    first.each(|member, score| {
        let mut score = number(aggregate.share(*weight, score));
        for (other, weight) in others {
            let Some(found) = other.score(&member) else { return true };
            score = aggregate.of(score, aggregate.share(*weight, found));
        }
        visit(member, score)
    });
}

fn difference<'t>(sources: &[Weighted<'t>]) -> Vec<Scored<'t>> {
    let Some(((first, _), others)) = sources.split_first() else { return Vec::new() };
    let mut left = Vec::new();
    first.each(|member, score| {
        if !others.iter().any(|(other, _)| other.score(&member).is_some()) {
            left.push((member, score));
        }
        true
    });
    left
}

/// Reads a command's arguments from the number of keys on, and finds its sources.
fn request<'a, 't>(
    tx: &'t Tx<'_>,
    args: &[&'a [u8]],
    op: Op,
    (asks, command): (Asks, &str),
) -> Result<(Request<'a>, SmallVec<[Weighted<'t>; 8]>), Fail> {
    let (mut request, number) = Request::keys(args, command)?;
    let mut sources: SmallVec<[Weighted<'t>; 8]> = SmallVec::new();
    for (key, _) in &request.keys {
        sources.push((Source::at(tx, key)?, 1.0));
    }
    request.options(&args[1 + number..], op, asks)?;
    sources.iter_mut().zip(&request.keys).for_each(|(source, key)| source.1 = key.1);
    Ok((request, sources))
}

fn show_combined(cx: &mut Cx<'_, '_>, args: &[&[u8]], op: Op, command: &str) -> Outcome {
    let (request, sources) = request(cx.tx, &args[1..], op, (Asks::Members, command))?;
    let members = combined(sources, op, request.aggregate);
    show::members(cx.out, members.len(), members.iter().map(|m| (&*m.0, m.1)), request.scores);
    Ok(())
}

fn store_combined(cx: &mut Cx<'_, '_>, args: &[&[u8]], op: Op, command: &'static str) -> Outcome {
    let (request, sources) = request(cx.tx, &args[2..], op, (Asks::ToStore, command))?;
    let members = combined(sources, op, request.aggregate);
    let stored = Stored::of(members.iter().map(|m| (&*m.0, m.1)));
    drop(members);
    stored.put(cx, args[1], command)
}

pub(super) fn zunion(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    show_combined(cx, args, Op::Union, "zunion")
}

pub(super) fn zinter(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    show_combined(cx, args, Op::Inter, "zinter")
}

pub(super) fn zdiff(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    show_combined(cx, args, Op::Diff, "zdiff")
}

pub(super) fn zunionstore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    store_combined(cx, args, Op::Union, "zunionstore")
}

pub(super) fn zinterstore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    store_combined(cx, args, Op::Inter, "zinterstore")
}

pub(super) fn zdiffstore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    store_combined(cx, args, Op::Diff, "zdiffstore")
}

pub(super) fn zintercard(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (request, mut sources) = request(cx.tx, &args[1..], Op::Inter, (Asks::HowMany, "zintercard"))?;
    sources.sort_by_key(|(source, _)| source.len());
    let mut count = 0;
    each_common(&sources, request.aggregate, |_, _| {
        count += 1;
        count != request.limit
    });
    cx.out.len_int(count);
    Ok(())
}
