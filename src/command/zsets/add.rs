//! ZADD and ZINCRBY.

use super::zset_at;
use crate::command::{Cx, Fail, Outcome, eq, fail, parse_float};
use crate::effect::{List, ZsetChange, score_bytes};
use crate::engine::Classes;
use ahash::AHashMap;
use smallvec::SmallVec;

/// From this number of changed members on, an index finds members that are named again.
const MANY: usize = 16;

const NAN: Fail = Fail::new("ERR resulting score is not a number (NaN)");

#[derive(Clone, Copy, Default)]
struct Options {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    ch: bool,
    incr: bool,
}

impl Options {
    /// Reads the options after the key. Returns the arguments after them too.
    fn read<'a, 'b>(mut args: &'a [&'b [u8]], incr: bool) -> Result<(Self, &'a [&'b [u8]]), Fail> {
        let mut options = Self { incr, ..Self::default() };
        while let [word, rest @ ..] = args {
            match word {
                word if eq(word, "nx") => options.nx = true,
                word if eq(word, "xx") => options.xx = true,
                word if eq(word, "ch") => options.ch = true,
                word if eq(word, "incr") => options.incr = true,
                word if eq(word, "gt") => options.gt = true,
                word if eq(word, "lt") => options.lt = true,
                _ => break,
            }
            args = rest;
        }
        if args.is_empty() || !args.len().is_multiple_of(2) {
            return Err(fail::SYNTAX);
        }
        if options.nx && options.xx {
            return Err(Fail::new("ERR XX and NX options at the same time are not compatible"));
        }
        if options.nx && (options.gt || options.lt) || options.gt && options.lt {
            return Err(Fail::new("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        if options.incr && args.len() > 2 {
            return Err(Fail::new("ERR INCR option supports a single increment-element pair"));
        }
        Ok((options, args))
    }

    /// The new score of a member with the score `current`; `None` if the member is left as it is.
    fn score(self, current: Option<f64>, given: f64) -> Result<Option<f64>, Fail> {
        let Some(current) = current else { return Ok((!self.xx).then_some(given)) };
        if self.nx {
            return Ok(None);
        }
        let score = if self.incr { current + given } else { given };
        if score.is_nan() {
            return Err(NAN);
        }
        let refused = self.lt && score >= current || self.gt && score <= current;
        Ok((!refused).then_some(score))
    }
}

/// The members that change, each once, with their new scores.
#[derive(Default)]
struct Changes<'a> {
    list: SmallVec<[(&'a [u8], f64); 4]>,
    /// The positions of members in the list, if there are many.
    index: AHashMap<&'a [u8], usize>,
}

impl<'a> Changes<'a> {
    fn find(&self, member: &[u8]) -> Option<usize> {
        if self.index.is_empty() {
            self.list.iter().position(|(other, _)| *other == member)
        } else {
            self.index.get(member).copied()
        }
    }

    fn set(&mut self, at: Option<usize>, member: &'a [u8], score: f64) {
        if let Some(at) = at {
            self.list[at].1 = score;
            return;
        }
        self.list.push((member, score));
        if self.list.len() >= MANY {
            if self.index.is_empty() {
                self.index.extend(self.list.iter().enumerate().map(|(at, (member, _))| (*member, at)));
            } else {
                self.index.insert(member, self.list.len() - 1);
            }
        }
    }

    fn apply(&self, cx: &mut Cx<'_, '_>, key: &[u8]) {
        let scores: SmallVec<[[u8; 8]; 4]> = self.list.iter().map(|(_, score)| score_bytes(*score)).collect();
        let members = self.list.iter().zip(&scores);
        let pairs: SmallVec<[&[u8]; 8]> =
            members.flat_map(|((member, _), score)| [*member, &score[..]]).collect();
        cx.tx.apply(ZsetChange::Set { pairs: List::Slices(&pairs) }.on(cx.db(), key));
    }
}

pub(in crate::command) fn zadd(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    add(cx, args, false)
}

pub(super) fn zincrby(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    add(cx, args, true)
}

fn add(cx: &mut Cx<'_, '_>, args: &[&[u8]], incr: bool) -> Outcome {
    let key = args[1];
    let (options, pairs) = Options::read(&args[2..], incr)?;
    // All scores are read before anything is changed.
    let given: SmallVec<[f64; 4]> =
        pairs.iter().step_by(2).map(|score| parse_float(score)).collect::<Result<_, _>>()?;
    let set = zset_at(cx.tx, key)?;
    let (mut changes, mut added, mut updated, mut last) = (Changes::default(), 0, 0, None);
    for (given, member) in given.into_iter().zip(pairs.iter().skip(1).step_by(2)) {
        let pending = if pairs.len() > 2 { changes.find(member) } else { None };
        let current = match pending {
            Some(at) => Some(changes.list[at].1),
            None => set.and_then(|set| set.score(member)),
        };
        last = options.score(current, given)?;
        let Some(score) = last else { continue };
        match current {
            None => added += 1,
            Some(current) if current == score => continue,
            Some(_) => updated += 1,
        }
        changes.set(pending, member, score);
    }
    if added + updated > 0 {
        let before = cx.tx.changes();
        changes.apply(cx, key);
        cx.tx.count_changes(before, added + updated);
        cx.tell(Classes::ZSET, if options.incr { "zincr" } else { "zadd" }, key);
    }
    match (options.incr, last) {
        (true, Some(score)) => cx.out.double(score),
        (true, None) => cx.out.null(),
        (false, _) => cx.out.int((if options.ch { added + updated } else { added }) as i64),
    }
    Ok(())
}
