//! Deadlines of fields: the commands that set, read and remove them.

use super::fields::{
    FIELDS_MISMATCH, FieldTtlUnit, NO_FIELDS, Names, counted_fields, each_once, only_fields,
};
use super::hash_at;
use crate::command::{Cx, Fail, Outcome, eq};
use crate::effect::{HashChange, List};

/// The replies for one field.
const NO_FIELD: i64 = -2;
const NO_DEADLINE: i64 = -1;
const CONDITION_FAILED: i64 = 0;
const DONE: i64 = 1;
const DELETED: i64 = 2;

/// Condition on the present deadline under which a new one is set.
#[derive(Clone, Copy)]
enum Condition {
    Always,
    None,
    Any,
    Earlier,
    Later,
}

impl Condition {
    fn of_word(word: &[u8]) -> Option<Self> {
        let words = [("nx", Self::None), ("xx", Self::Any), ("gt", Self::Earlier), ("lt", Self::Later)];
        words.into_iter().find(|(w, _)| eq(word, w)).map(|(_, condition)| condition)
    }

    /// Whether `at` may replace the deadline `before`; 0 means no deadline, which counts as later than any.
    fn holds(self, before: u64, at: u64) -> bool {
        match self {
            Self::Always => true,
            Self::None => before == 0,
            Self::Any => before != 0,
            Self::Earlier => before != 0 && before < at,
            Self::Later => before == 0 || before > at,
        }
    }
}

pub(super) fn hexpire(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    expire(cx, args, FieldTtlUnit::SECONDS, "hexpire")
}

pub(super) fn hpexpire(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    expire(cx, args, FieldTtlUnit::MILLIS, "hpexpire")
}

pub(super) fn hexpireat(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    expire(cx, args, FieldTtlUnit::UNIX_SECONDS, "hexpireat")
}

pub(super) fn hpexpireat(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    expire(cx, args, FieldTtlUnit::UNIX_MILLIS, "hpexpireat")
}

fn expire(cx: &mut Cx<'_, '_>, args: &[&[u8]], unit: FieldTtlUnit, command: &str) -> Outcome {
    let key = args[1];
    let there = hash_at(cx.tx, key)?.is_some();
    let at = unit.deadline(args[2], cx.tx.now(), command)?;
    let (condition, names) = condition_and_fields(&args[3..])?;
    cx.out.array(names.len());
    if !there {
        for _ in names {
            cx.out.int(NO_FIELD);
        }
        return Ok(());
    }
    let mut hit = Names::new();
    for part in each_once(names) {
        hit.extend(expire_part(cx, key, at, condition, part)?);
    }
    if !hit.is_empty() {
        tell_deadline(cx, key, at, &hit);
    }
    Ok(())
}

/// Reads `[NX | XX | GT | LT] FIELDS numfields field ...`; the condition may also follow the fields.
fn condition_and_fields<'a, 'b>(args: &'a [&'b [u8]]) -> Result<(Condition, &'a [&'b [u8]]), Fail> {
    let mut condition = None;
    let mut names: Option<&[&[u8]]> = None;
    let mut rest = args;
    while let [word, tail @ ..] = rest {
        rest = tail;
        if names.is_none() && eq(word, "fields") {
            let wrong = Fail::new("ERR Parameter `numFields` should be greater than 0");
            let (these, tail) = counted_fields(tail, &wrong)?;
            (names, rest) = (Some(these), tail);
        } else if let (None, Some(found)) = (condition, Condition::of_word(word)) {
            condition = Some(found);
        } else {
            return Err(if names.is_some() { FIELDS_MISMATCH } else { NO_FIELDS });
        }
    }
    Ok((condition.unwrap_or(Condition::Always), names.ok_or(NO_FIELDS)?))
}

/// Publishes one event for all fields that got the deadline `at`: `hexpire`, or `hdel` if it has passed.
pub(super) fn tell_deadline(cx: &Cx<'_, '_>, key: &[u8], at: u64, names: &[&[u8]]) {
    if at <= cx.tx.now() {
        cx.tell_fields("hdel", key, names.iter().copied());
        cx.tx.tell_if_gone(cx.db(), key);
    } else {
        cx.tell_fields("hexpire", key, names.iter().copied());
    }
}

/// Gives fields a deadline, or removes them if it has passed. Returns the names of those that were changed.
fn expire_part<'a>(
    cx: &mut Cx<'_, '_>,
    key: &[u8],
    at: u64,
    condition: Condition,
    names: &[&'a [u8]],
) -> Result<Names<'a>, Fail> {
    let now = cx.tx.now();
    let hash = hash_at(cx.tx, key)?;
    let mut hit = Names::new();
    for name in names {
        let reply = match hash.and_then(|hash| hash.get(name, now)) {
            None => NO_FIELD,
            Some(field) if !condition.holds(field.expire, at) => CONDITION_FAILED,
            Some(_) => {
                hit.push(*name);
                if at <= now { DELETED } else { DONE }
            }
        };
        cx.out.int(reply);
    }
    let (db, fields) = (cx.db(), List::Slices(&hit));
    if hit.is_empty() {
        return Ok(hit);
    }
    if at <= now {
        cx.tx.apply(HashChange::Delete { fields }.on(db, key));
    } else {
        cx.tx.apply(HashChange::Expire { fields, at }.on(db, key));
    }
    Ok(hit)
}

pub(super) fn hpersist(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let key = args[1];
    hash_at(cx.tx, key)?;
    let names = only_fields(&args[2..])?;
    cx.out.array(names.len());
    let mut all = Names::new();
    for part in each_once(names) {
        let now = cx.tx.now();
        let hash = hash_at(cx.tx, key)?;
        let mut hit = Names::new();
        for name in part {
            let reply = match hash.and_then(|hash| hash.get(name, now)) {
                None => NO_FIELD,
                Some(field) if field.expire == 0 => NO_DEADLINE,
                Some(_) => {
                    hit.push(*name);
                    DONE
                }
            };
            cx.out.int(reply);
        }
        if !hit.is_empty() {
            cx.tx.apply(HashChange::Expire { fields: List::Slices(&hit), at: 0 }.on(cx.db(), key));
            all.extend(hit);
        }
    }
    if !all.is_empty() {
        cx.tell_fields("hpersist", key, all.iter().copied());
    }
    Ok(())
}

pub(super) fn httl(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    deadlines(cx, args, FieldTtlUnit::SECONDS)
}

pub(super) fn hpttl(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    deadlines(cx, args, FieldTtlUnit::MILLIS)
}

pub(super) fn hexpiretime(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    deadlines(cx, args, FieldTtlUnit::UNIX_SECONDS)
}

pub(super) fn hpexpiretime(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    deadlines(cx, args, FieldTtlUnit::UNIX_MILLIS)
}

fn deadlines(cx: &mut Cx<'_, '_>, args: &[&[u8]], unit: FieldTtlUnit) -> Outcome {
    let now = cx.tx.now();
    let hash = hash_at(cx.tx, args[1])?;
    let names = only_fields(&args[2..])?;
    let base = if unit.absolute { 0 } else { now };
    cx.out.array(names.len());
    for name in names {
        let reply = match hash.and_then(|hash| hash.get(name, now)) {
            None => NO_FIELD,
            Some(field) if field.expire == 0 => NO_DEADLINE,
            // Seconds are rounded up, as Redis does for fields; for keys it rounds to the nearest.
            Some(field) if unit.seconds => (field.expire - base).div_ceil(1000) as i64,
            Some(field) => (field.expire - base) as i64,
        };
        cx.out.int(reply);
    }
    Ok(())
}
