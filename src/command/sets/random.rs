//! SRANDMEMBER, and random members for SPOP.

use super::set_at;
use crate::command::draw::{Bound, distinct, drawn_count};
use crate::command::{Cx, Outcome, fail};
use crate::env::Random;
use crate::value::parted::Numbered;
use crate::value::set::{Ints, Member, Members, SetRef};
use smallvec::SmallVec;

/// The members of a set by number. The value is on the stack for one command.
#[allow(clippy::large_enum_variant)]
pub(super) enum ByNumber<'a> {
    Ints(Ints<'a>),
    Packed(SmallVec<[Member<'a>; 32]>),
    Big(Numbered<'a, Members>),
}

impl<'a> ByNumber<'a> {
    pub(super) fn of(set: SetRef<'a>) -> Self {
        match set {
            SetRef::Ints(ints) => Self::Ints(ints),
            SetRef::Packed(_) => Self::Packed(set.iter().collect()),
            SetRef::Big(big) => Self::Big(big.numbered()),
        }
    }

    pub(super) fn at(&self, number: usize) -> Option<Member<'a>> {
        match self {
            Self::Ints(ints) => ints.at(number).map(Member::Int),
            Self::Packed(members) => members.get(number).copied(),
            Self::Big(numbered) => numbered.at(number).map(Member::Text),
        }
    }
}

/// A random member. Expected O(1) for a large set, O(members) for a compact one.
pub(super) fn any<'a>(set: SetRef<'a>, random: &mut Random) -> Option<Member<'a>> {
    match set {
        SetRef::Big(big) => big.any(|bound| random.below(bound)).map(Member::Text),
        SetRef::Ints(_) | SetRef::Packed(_) => {
            let number = random.below(set.len().max(1) as u64) as usize;
            set.iter().nth(number)
        }
    }
}

pub(super) fn srandmember(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match args {
        [_, key] => {
            let mut random = Random::seeded(cx.server.random());
            match set_at(cx.tx, key)?.and_then(|set| any(set, &mut random)) {
                Some(member) => member.with(|name| cx.out.bulk(name)),
                None => cx.out.null(),
            }
            Ok(())
        }
        [_, key, count] => several(cx, key, count),
        _ => Err(fail::SYNTAX),
    }
}

fn several(cx: &mut Cx<'_, '_>, key: &[u8], count: &[u8]) -> Outcome {
    let count = drawn_count(count)?;
    let Some(set) = set_at(cx.tx, key)?.filter(|_| count != 0) else {
        cx.out.array(0);
        return Ok(());
    };
    let (members, len) = (ByNumber::of(set), set.len());
    let mut random = Random::seeded(cx.server.random());
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let bound = Bound::of(cx.settings, cx.out);
    let out = &mut *cx.out;
    out.array(if count < 0 { wanted } else { wanted.min(len) });
    let mut show = |number: usize| {
        bound.check(out)?;
        members.at(number).into_iter().for_each(|member| member.with(|name| out.bulk(name)));
        Ok(())
    };
    if count < 0 {
        return (0..wanted).try_for_each(|_| show(random.below(len as u64) as usize));
    }
    if wanted >= len {
        return (0..len).try_for_each(show);
    }
    distinct(len, wanted, &mut random, show)
}
