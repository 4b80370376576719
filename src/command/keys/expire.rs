//! Deadlines of keys: EXPIRE, TTL, PERSIST and their relatives.

use crate::command::{Cx, Fail, Outcome, eq, parse_int};
use crate::effect::Effect;
use crate::engine::Classes;
use crate::store::Entry;

#[derive(Clone, Copy, Default)]
pub(super) struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(words: &[&[u8]]) -> Result<Self, Fail> {
        let mut c = Self::default();
        for word in words {
            match word {
                w if eq(w, "nx") => c.nx = true,
                w if eq(w, "xx") => c.xx = true,
                w if eq(w, "gt") => c.gt = true,
                w if eq(w, "lt") => c.lt = true,
                w => return Err(Fail::about("ERR Unsupported option ", w, "")),
            }
        }
        if c.nx && (c.xx || c.gt || c.lt) {
            return Err(Fail::new("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if c.gt && c.lt {
            return Err(Fail::new("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(c)
    }

    /// Whether the conditions allow `at` in place of the current deadline. No deadline counts as later than any.
    pub(super) fn allow(self, current: Option<u64>, at: i64) -> bool {
        match current {
            None => !self.xx && !self.gt,
            Some(now) => !(self.nx || self.gt && at <= now as i64 || self.lt && at >= now as i64),
        }
    }
}

/// The form in which a command gives a time: milliseconds of its unit, whether it is absolute, and the command's name.
#[derive(Clone, Copy)]
pub(super) struct Time {
    unit: i64,
    absolute: bool,
    name: &'static str,
}

impl Time {
    pub(super) const EXPIRE: Self = Self { unit: 1000, absolute: false, name: "expire" };
    pub(super) const PEXPIRE: Self = Self { unit: 1, absolute: false, name: "pexpire" };
    pub(super) const EXPIREAT: Self = Self { unit: 1000, absolute: true, name: "expireat" };
    pub(super) const PEXPIREAT: Self = Self { unit: 1, absolute: true, name: "pexpireat" };

    /// Reads the conditions and the deadline in ms since the epoch.
    pub(super) fn read(self, args: &[&[u8]], now: i64) -> Result<(Conditions, i64), Fail> {
        let conditions = Conditions::parse(&args[3..])?;
        let base = if self.absolute { 0 } else { now };
        let at = parse_int(args[2])?.checked_mul(self.unit).and_then(|ms| ms.checked_add(base));
        Ok((conditions, at.ok_or_else(|| Fail::invalid_expire(self.name))?))
    }
}

/// Sets a deadline.
pub(super) fn set(cx: &mut Cx<'_, '_>, args: &[&[u8]], time: Time) -> Outcome {
    let key = args[1];
    let now = cx.tx.now() as i64;
    let (conditions, at) = time.read(args, now)?;
    let Some(current) = cx.tx.entry(key).map(Entry::expire) else {
        cx.out.int(0);
        return Ok(());
    };
    if !conditions.allow(current, at) {
        cx.out.int(0);
        return Ok(());
    }
    let db = cx.db();
    if at <= now {
        cx.tx.apply(Effect::Delete { db, key });
        cx.tell(Classes::GENERIC, "del", key);
    } else {
        cx.tx.apply(Effect::Expire { db, key, at: Some(at as u64) });
        cx.tell(Classes::GENERIC, "expire", key);
    }
    cx.out.int(1);
    Ok(())
}

pub(super) fn persist(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let there = cx.tx.entry(args[1]).is_some_and(|entry| entry.expire().is_some());
    if there {
        cx.tx.apply(Effect::Expire { db: cx.db(), key: args[1], at: None });
        cx.tell(Classes::GENERIC, "persist", args[1]);
    }
    cx.out.int(i64::from(there));
    Ok(())
}

/// Answers with `of` of the deadline and the time; -2 if there is no key, -1 if it has no deadline.
fn tell(cx: &mut Cx<'_, '_>, key: &[u8], of: impl FnOnce(i64, i64) -> i64) -> Outcome {
    cx.tx.set_no_touch(true);
    let now = cx.tx.now() as i64;
    let reply = match cx.tx.entry(key).map(Entry::expire) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => of(at as i64, now),
    };
    cx.out.int(reply);
    Ok(())
}

pub(super) fn ttl(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    tell(cx, args[1], |at, now| (at - now + 500) / 1000)
}

pub(super) fn pttl(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    tell(cx, args[1], |at, now| at - now)
}

pub(super) fn expiretime(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    tell(cx, args[1], |at, _| ((at as u64 + 500) / 1000) as i64)
}

pub(super) fn pexpiretime(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    tell(cx, args[1], |at, _| at)
}
