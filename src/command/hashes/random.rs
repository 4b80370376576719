//! HRANDFIELD.

use super::hash_at;
use crate::command::draw::{Bound, distinct, drawn_count};
use crate::command::{Cx, Fail, Outcome, eq, fail};
use crate::env::Random;
use crate::value::hash::{BigHash, FieldRef, HashPart, HashRef};
use crate::value::parted::Numbered;
use smallvec::SmallVec;

/// The live fields of a hash by number. The value is on the stack for one command.
#[allow(clippy::large_enum_variant)]
enum Live<'a> {
    /// A large hash of which no field has expired.
    Big(&'a BigHash, Numbered<'a, HashPart>),
    List(SmallVec<[FieldRef<'a>; 32]>),
}

/// The large hash, if none of its fields has expired.
fn all_live(hash: HashRef<'_>, now: u64) -> Option<&BigHash> {
    match hash {
        HashRef::Big(big) if big.deadline().is_none_or(|at| at > now) => Some(big),
        _ => None,
    }
}

impl<'a> Live<'a> {
    fn of(hash: HashRef<'a>, now: u64) -> Self {
        match all_live(hash, now) {
            Some(big) => Self::Big(big, big.numbered()),
            None => Self::List(hash.live(now).collect()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Big(big, _) => big.len(),
            Self::List(list) => list.len(),
        }
    }

    fn at(&self, index: usize) -> Option<FieldRef<'a>> {
        match self {
            Self::Big(_, numbered) => numbered.at(index),
            Self::List(list) => list.get(index).copied(),
        }
    }

    fn any(&self, random: &mut Random) -> Option<FieldRef<'a>> {
        self.at(random.below(self.len() as u64) as usize)
    }
}

pub(super) fn hrandfield(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if args.len() > 2 {
        return with_count(cx, args);
    }
    let Some(hash) = hash_at(cx.tx, args[1])? else {
        cx.out.null();
        return Ok(());
    };
    let mut random = Random::seeded(cx.server.random());
    let now = cx.tx.now();
    let field = match all_live(hash, now) {
        Some(big) => big.any(|bound| random.below(bound)),
        None => Live::of(hash, now).any(&mut random),
    };
    match field {
        Some(field) => cx.out.bulk(field.name),
        None => cx.out.null(),
    }
    Ok(())
}

fn with_count(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let count = drawn_count(args[2])?;
    let values = match args[3..] {
        [] => false,
        [word] if eq(word, "withvalues") => true,
        _ => return Err(fail::SYNTAX),
    };
    if values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Fail::new("ERR value is out of range"));
    }
    let hash = hash_at(cx.tx, args[1])?;
    let Some(hash) = hash.filter(|_| count != 0) else {
        cx.out.array(0);
        return Ok(());
    };
    let live = Live::of(hash, cx.tx.now());
    let mut random = Random::seeded(cx.server.random());
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let mut show = Show { bound: Bound::of(cx.settings, cx.out), out: cx.out, values };
    if count < 0 {
        show.header(wanted);
        return (0..wanted).filter_map(|_| live.any(&mut random)).try_for_each(|field| show.field(field));
    }
    show.header(wanted.min(live.len()));
    if wanted >= live.len() {
        return (0..live.len()).filter_map(|i| live.at(i)).try_for_each(|field| show.field(field));
    }
    distinct(live.len(), wanted, &mut random, |i| live.at(i).map_or(Ok(()), |field| show.field(field)))
}

/// Writes fields, with their values if asked for: as pairs in RESP3, in turn in RESP2.
struct Show<'o> {
    out: &'o mut crate::resp::Reply,
    bound: Bound,
    values: bool,
}

impl Show<'_> {
    fn header(&mut self, fields: usize) {
        self.out.array(if self.values && !self.out.is_resp3() { fields * 2 } else { fields });
    }

    fn field(&mut self, field: FieldRef<'_>) -> Outcome {
        self.bound.check(self.out)?;
        if self.values && self.out.is_resp3() {
            self.out.array(2);
        }
        self.out.bulk(field.name);
        if self.values {
            self.out.bulk(field.value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Harness;

    #[test]
    fn expired_fields_are_never_drawn() {
        for threshold in ["1", "512"] {
            let mut t = Harness::new();
            t.configure("hash-max-listpack-entries", threshold);
            t.run("hset h a 1 b 2 c 3");
            t.run("hpexpire h 10 fields 2 a b");
            t.advance(10);
            for _ in 0..20 {
                assert_eq!(t.run("hrandfield h"), r#""c""#);
            }
            assert_eq!(t.run("hrandfield h 5 withvalues"), r#"["c" "3"]"#);
            assert_eq!(t.run("hrandfield h -2"), r#"["c" "c"]"#);
        }
    }

    #[test]
    fn a_negative_count_costs_bounded_memory() {
        let mut t = Harness::new();
        t.configure("proto-max-bulk-len", "1mb");
        t.run("hset h a 1");
        let reply = t.run("hrandfield h -4000000000000000000 withvalues");
        assert_eq!(reply, "-ERR reply exceeds maximum allowed size (proto-max-bulk-len)");
    }
}
