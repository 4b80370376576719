//! SINTER, SUNION, SDIFF and their relatives.

use super::set_at;
use crate::command::{Cx, Fail, Outcome, eq, fail};
use crate::effect::List;
use crate::engine::{Classes, Renewal, Tx};
use crate::text::parse_i64_strict;
use crate::value::hll::Registers;
use crate::value::packed::put_part;
use crate::value::set::{Member, SetRef, packed_members};
use ahash::AHashSet;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::ControlFlow;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Inter,
    Union,
    Diff,
}

/// The sets of several keys, in the keys' order; `None` for a missing key.
type Sets<'a> = SmallVec<[Option<SetRef<'a>>; 8]>;

fn sets_at<'t>(tx: &'t Tx<'_>, keys: &[&[u8]]) -> Result<Sets<'t>, Fail> {
    keys.iter().map(|key| set_at(tx, key)).collect()
}

impl Op {
    /// Calls `visit` with each member of the result until it returns `Break`.
    fn each<'a>(self, sets: &Sets<'a>, visit: impl FnMut(Member<'a>) -> ControlFlow<()>) {
        // It does not matter whether `visit` has broken off.
        let _ = match self {
            Self::Inter => inter(sets, visit),
            Self::Union => union(sets, visit),
            Self::Diff => diff(sets, visit),
        };
    }
}

/// A set in which members are looked up.
enum Lookup<'a> {
    /// The set itself has an index, or few members.
    Set(SetRef<'a>),
    /// An index of a set that has none.
    Index(AHashSet<&'a [u8]>),
}

impl<'a> Lookup<'a> {
    /// Prepares for so many lookups. A packed set is searched from its beginning for each, so it gets an index if that
    /// is less work.
    fn of(set: SetRef<'a>, lookups: usize) -> Self {
        /// To enter a member into an index takes as long as to pass over so many members in a search.
        const INDEXED: usize = 8;
        match set {
            SetRef::Packed(packed) if lookups.min(set.len()) > 2 * INDEXED => {
                Self::Index(packed_members(packed).map(|member| member.name).collect())
            }
            _ => Self::Set(set),
        }
    }

    fn contains(&self, name: &[u8]) -> bool {
        match self {
            Self::Set(set) => set.contains(name),
            Self::Index(names) => names.contains(name),
        }
    }
}

/// Visits the intersection. O(size of the smallest set * sets).
fn inter<'a>(sets: &Sets<'a>, mut visit: impl FnMut(Member<'a>) -> ControlFlow<()>) -> ControlFlow<()> {
    let Some(mut sets) = sets.iter().copied().collect::<Option<SmallVec<[SetRef<'a>; 8]>>>() else {
        return ControlFlow::Continue(());
    };
    sets.sort_by_key(SetRef::len);
    let Some((smallest, others)) = sets.split_first() else { return ControlFlow::Continue(()) };
    let others: SmallVec<[Lookup<'a>; 4]> =
        others.iter().map(|set| Lookup::of(*set, smallest.len())).collect();
    let everywhere = |name: &[u8]| others.iter().all(|set| set.contains(name));
    smallest.iter().filter(|member| member.with(everywhere)).try_for_each(&mut visit)
}

/// Visits the union. O(members). Members that the largest set lacks are remembered, so that each is visited once.
fn union<'a>(sets: &Sets<'a>, mut visit: impl FnMut(Member<'a>) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut sets: SmallVec<[SetRef<'a>; 8]> = sets.iter().flatten().copied().collect();
    sets.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let Some((largest, others)) = sets.split_first() else { return ControlFlow::Continue(()) };
    largest.iter().try_for_each(&mut visit)?;
    let mut seen: AHashSet<Cow<'a, [u8]>> = AHashSet::new();
    let largest = Lookup::of(*largest, others.iter().map(SetRef::len).sum());
    for member in others.iter().flat_map(SetRef::iter) {
        if !member.with(|name| largest.contains(name)) && seen.insert(member.bytes()) {
            visit(member)?;
        }
    }
    ControlFlow::Continue(())
}

/// Visits the difference. O(members), or O(size of the first set * sets) if that is less.
fn diff<'a>(sets: &Sets<'a>, mut visit: impl FnMut(Member<'a>) -> ControlFlow<()>) -> ControlFlow<()> {
    let Some((Some(first), others)) = sets.split_first() else { return ControlFlow::Continue(()) };
    let mut others: SmallVec<[SetRef<'a>; 8]> = others.iter().flatten().copied().collect();
    others.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let (first_len, all) = (first.len(), others.iter().map(SetRef::len).sum::<usize>());
    // A lookup takes about as long as adding a member to a set.
    if first_len.saturating_mul(others.len()) / 2 <= first_len + all {
        let others: SmallVec<[Lookup<'a>; 4]> =
            others.iter().map(|set| Lookup::of(*set, first_len)).collect();
        let nowhere = |name: &[u8]| !others.iter().any(|set| set.contains(name));
        return first.iter().filter(|member| member.with(nowhere)).try_for_each(&mut visit);
    }
    let removed: AHashSet<Cow<'a, [u8]>> = others.iter().flat_map(SetRef::iter).map(Member::bytes).collect();
    first.iter().filter(|member| !removed.contains(&member.bytes())).try_for_each(&mut visit)
}

fn show(cx: &mut Cx<'_, '_>, op: Op, keys: &[&[u8]]) -> Outcome {
    let sets = sets_at(cx.tx, keys)?;
    let out = &mut *cx.out;
    let begun = out.begin_deferred();
    let mut count = 0;
    op.each(&sets, |member| {
        member.with(|name| out.bulk(name));
        count += 1;
        ControlFlow::Continue(())
    });
    out.end_set(begun, count);
    Ok(())
}

/// Stores the result. The log gets its members, because they depend on which elements had expired.
fn store(cx: &mut Cx<'_, '_>, op: Op, args: &[&[u8]], event: &'static str) -> Outcome {
    let to = args[1];
    let sets = sets_at(cx.tx, &args[2..])?;
    let (mut bytes, mut count) = (Vec::new(), 0);
    op.each(&sets, |member| {
        member.with(|name| put_part(&mut bytes, name));
        count += 1;
        ControlFlow::Continue(())
    });
    drop(sets);
    let members = List::Packed { bytes: &bytes, count };
    let old = cx.replaced_type(cx.tx.db, to);
    let changed = cx.tx.put_set(to, members, None, Renewal::Overwritten)?;
    match (count, changed) {
        (0, true) => cx.tell(Classes::GENERIC, "del", to),
        (0, false) => {}
        _ => {
            cx.tell_replaced(cx.tx.db, to, old, "set");
            cx.tell(Classes::SET, event, to);
        }
    }
    cx.out.len_int(count);
    Ok(())
}

pub(super) fn sinter(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    show(cx, Op::Inter, &args[1..])
}

pub(super) fn sunion(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    show(cx, Op::Union, &args[1..])
}

pub(super) fn sdiff(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    show(cx, Op::Diff, &args[1..])
}

pub(super) fn sinterstore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    store(cx, Op::Inter, args, "sinterstore")
}

pub(super) fn sunionstore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    store(cx, Op::Union, args, "sunionstore")
}

pub(super) fn sdiffstore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    store(cx, Op::Diff, args, "sdiffstore")
}

/// `numkeys key ... [LIMIT limit]`, for unions also APPROX. A limit of 0 means no limit.
struct Counting<'a, 'b> {
    keys: &'a [&'b [u8]],
    limit: usize,
    approximate: bool,
}

fn counted_keys<'a, 'b>(op: Op, args: &'a [&'b [u8]]) -> Result<Counting<'a, 'b>, Fail> {
    let count = parse_i64_strict(args[1]).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    let count = count.ok_or(Fail::new("ERR numkeys should be greater than 0"))?;
    let (keys, mut rest) = args[2..]
        .split_at_checked(count)
        .ok_or(Fail::new("ERR Number of keys can't be greater than number of args"))?;
    let mut counting = Counting { keys, limit: 0, approximate: false };
    loop {
        rest = match rest {
            [] => return Ok(counting),
            [word, value, more @ ..] if eq(word, "limit") => {
                let number = parse_i64_strict(value).and_then(|n| usize::try_from(n).ok());
                counting.limit = number.ok_or(Fail::new("ERR LIMIT can't be negative"))?;
                more
            }
            [word, more @ ..] if op == Op::Union && eq(word, "approx") => {
                counting.approximate = true;
                more
            }
            _ => return Err(fail::SYNTAX),
        };
    }
}

pub(super) fn sintercard(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    count(cx, Op::Inter, args)
}

pub(super) fn sdiffcard(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    count(cx, Op::Diff, args)
}

pub(super) fn sunioncard(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    count(cx, Op::Union, args)
}

fn count(cx: &mut Cx<'_, '_>, op: Op, args: &[&[u8]]) -> Outcome {
    let Counting { keys, limit, approximate } = counted_keys(op, args)?;
    let sets = sets_at(cx.tx, keys)?;
    if approximate {
        let mut registers = Registers::default();
        for member in sets.iter().flatten().flat_map(SetRef::iter) {
            member.with(|name| registers.add(name));
        }
        let estimate = registers.count() as usize;
        cx.out.len_int(if limit == 0 { estimate } else { estimate.min(limit) });
        return Ok(());
    }
    let mut count = 0;
    op.each(&sets, |_| {
        count += 1;
        if count == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    cx.out.len_int(count);
    Ok(())
}
