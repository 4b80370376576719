//! HyperLogLogs, which are strings. The log gets only the bytes that change.

use super::fail::{self, Fail};
use super::spec::*;
use super::{Cx, Outcome, eq};
use crate::effect::StringChange;
use crate::engine::{Classes, EFFECT_BYTES, Tx};
use crate::store::{Entry, ValueRef};
use crate::value::hll::{Corrupt, Encoding, Hll, HllRef, Registers, estimate_bytes, self_test, stale_change};

const CORRUPT: Fail = Fail::new("INVALIDOBJ Corrupted HLL object detected");
const NOT_ONE: Fail = Fail::new("WRONGTYPE Key is not a valid HyperLogLog string value.");

const MERGED_KEYS: &[KeySpec] =
    &[keys_at(1, 0, 1, &["RW", "access", "insert"]), keys_at(2, -1, 1, &["RO", "access"])];
const COUNTED_KEYS: &[KeySpec] = &[keys_at(1, -1, 1, &["RW", "access"])];
const DEBUGGED_KEY: &[KeySpec] = &[keys_at(2, 0, 1, &["RW", "access"])];

in_group!(hyperloglog, "hyperloglog");

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    hyperloglog(
        spec("pfadd", -2, flag::WRITE | flag::DENYOOM | flag::FAST, add).keys(INSERT_KEY),
        "2.8.9",
        "O(1) for each element.",
        "Adds elements to a HyperLogLog, which is made if it does not exist, and tells whether it changed.",
        "key [element [element ...]]",
    ),
    hyperloglog(
        spec("pfcount", -2, flag::READONLY | flag::COUNTED | flag::CACHES, count).keys(COUNTED_KEYS),
        "2.8.9",
        "O(1) for one key that has not changed since, else O(N) where N is the number of keys.",
        "Estimates how many different elements were added to one or any of several HyperLogLogs.",
        "key [key ...]",
    ),
    hyperloglog(
        spec("pfmerge", -2, flag::WRITE | flag::DENYOOM | flag::COUNTED, merge).keys(MERGED_KEYS),
        "2.8.9",
        "O(N) where N is the number of keys.",
        "Adds to a HyperLogLog what was added to others.",
        "destkey [sourcekey [sourcekey ...]]",
    ),
    hyperloglog(
        spec("pfdebug", 3, flag::WRITE | flag::DENYOOM | flag::ADMIN, debug).keys(DEBUGGED_KEY),
        "2.8.9",
        "O(1)",
        "Shows how a HyperLogLog is kept.",
        "subcommand key",
    ),
    hyperloglog(
        spec("pfselftest", 1, flag::ADMIN | flag::LONG, test),
        "2.8.9",
        "O(1)",
        "Tests the implementation of HyperLogLogs.",
        "",
    ),
];

impl From<Corrupt> for Fail {
    fn from(_: Corrupt) -> Self {
        CORRUPT
    }
}

/// The HyperLogLog of an entry; `None` if there is no entry.
///
/// # Errors
/// The entry is no string, or a string that is no HyperLogLog.
fn hll_of(entry: Option<&Entry>) -> Result<Option<HllRef<'_>>, Fail> {
    match entry.map(Entry::value) {
        None => Ok(None),
        Some(ValueRef::Str(bytes)) => HllRef::of(bytes).map(Some).ok_or(NOT_ONE),
        Some(_) => Err(fail::WRONG_TYPE),
    }
}

fn hll_at<'t>(tx: &'t Tx<'_>, key: &[u8]) -> Result<Option<HllRef<'t>>, Fail> {
    hll_of(tx.entry(key))
}

/// A copy of a HyperLogLog that can be changed; an empty one for `None`.
fn to_change(cx: &Cx<'_, '_>, hll: Option<HllRef<'_>>) -> Hll {
    let most = usize::try_from(cx.settings.hll_sparse_max_bytes).unwrap_or(usize::MAX);
    hll.map_or_else(|| Hll::empty(most), |hll| Hll::of(hll, most))
}

/// If at least so many unchanged bytes lie between two changed ones, the log gets two edits. If the key is longer, it
/// takes as many as the key has, because each edit names the key.
const GAP: usize = 24;
/// About what an effect that changes a register takes in the log, beside its key.
const REGISTER_EFFECT: usize = 16;

/// Puts new bytes in place of those at a key, which keeps its deadline: those alone that differ, where none is gone. As
/// in Redis it is a change, for those who watch the key, even if none differs.
fn put(cx: &mut Cx<'_, '_>, key: &[u8], new: &[u8]) -> Outcome {
    let (db, before) = (cx.db(), cx.tx.changes());
    let found = cx.tx.look(key);
    let expire = found.and_then(Entry::expire);
    let old = match found.map(Entry::value) {
        Some(ValueRef::Str(old)) if old.len() <= new.len() => Some(old),
        _ => None,
    };
    let changed = old.map(|old| changed_parts(old, new, GAP.max(key.len())));
    let whole = [(0, new.len()), (0, 0)];
    let parts = changed.as_deref().unwrap_or(&whole);
    cx.tx.ask(parts.iter().map(|(from, to)| to - from + key.len() + EFFECT_BYTES).sum())?;
    match changed {
        None => {
            cx.tx.apply(StringChange::Set { value: new, expire }.on(db, key));
            // After `Set` the encoding may be `embstr`. An edit of no bytes makes it `raw`, as in Redis.
            cx.tx.apply(StringChange::Splice { at: 0, bytes: b"" }.on(db, key));
        }
        Some(parts) => {
            for (from, to) in parts {
                cx.tx.apply(StringChange::Splice { at: from, bytes: &new[from..to] }.on(db, key));
            }
        }
    }
    cx.tx.count_changes(before, 1);
    Ok(())
}

/// The parts of a string in which it differs from a shorter one or one of its length; at least one, if of no bytes. So
/// many bytes that do not differ lie between two parts.
fn changed_parts(old: &[u8], new: &[u8], gap: usize) -> Vec<(usize, usize)> {
    let differs = |at: &usize| old.get(*at) != new.get(*at);
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for at in (0..new.len()).filter(differs) {
        match parts.last_mut() {
            Some((_, to)) if at - *to < gap => *to = at + 1,
            _ => parts.push((at, at + 1)),
        }
    }
    if parts.is_empty() {
        parts.push((0, 0));
    }
    parts
}

fn add(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let key = args[1];
    let found = hll_at(cx.tx, key)?;
    // Where the effects of registers would take more than all bytes, these are compared.
    let effects = (args.len() - 2).saturating_mul(key.len() + REGISTER_EFFECT);
    let changed = match found {
        Some(hll) if hll.encoding() == Encoding::Dense && effects <= hll.size() => {
            add_to_dense(cx, key, &args[2..])?
        }
        _ => {
            let (mut hll, mut changed) = (to_change(cx, found), found.is_none());
            for element in &args[2..] {
                changed |= hll.add(element)?;
            }
            if changed {
                hll.make_stale();
                put(cx, key, hll.bytes())?;
            }
            changed
        }
    };
    if changed {
        cx.tell(Classes::STRING, "pfadd", key);
    }
    cx.out.int(i64::from(changed));
    Ok(())
}

/// Adds elements to a dense HyperLogLog, one edit for each register that changes. Returns whether one changed.
fn add_to_dense(cx: &mut Cx<'_, '_>, key: &[u8], elements: &[&[u8]]) -> Result<bool, Fail> {
    let (db, before) = (cx.db(), cx.tx.changes());
    // One more says that the estimate is stale.
    cx.tx.ask((elements.len() + 1) * (key.len() + EFFECT_BYTES))?;
    for element in elements {
        let hll = hll_of(cx.tx.look(key))?;
        if let Some((at, bytes)) = hll.and_then(|hll| hll.dense_change(element)) {
            cx.tx.apply(StringChange::Splice { at, bytes: &bytes }.on(db, key));
        }
    }
    if cx.tx.changes() == before {
        return Ok(false);
    }
    if let Some((at, bytes)) = hll_of(cx.tx.look(key))?.and_then(stale_change) {
        cx.tx.apply(StringChange::Splice { at, bytes: &bytes }.on(db, key));
    }
    cx.tx.count_changes(before, 1);
    Ok(true)
}

fn count(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if let [_, key] = args {
        return count_one(cx, key);
    }
    let mut registers = Registers::default();
    for key in &args[1..] {
        if let Some(hll) = hll_at(cx.tx, key)? {
            registers.merge(hll)?;
        }
    }
    cx.out.int(registers.count() as i64);
    Ok(())
}

/// Answers with the estimate and keeps it in the string, as Redis does. For clients that watch the key that is a
/// change.
fn count_one(cx: &mut Cx<'_, '_>, key: &[u8]) -> Outcome {
    let Some(hll) = hll_at(cx.tx, key)? else {
        cx.out.int(0);
        return Ok(());
    };
    if let Some(cached) = hll.cached() {
        cx.out.int(cached as i64);
        return Ok(());
    }
    let estimate = hll.count()?;
    let (at, bytes) = estimate_bytes(estimate);
    cx.tx.apply(StringChange::Splice { at, bytes: &bytes }.on(cx.db(), key));
    cx.out.int(estimate as i64);
    Ok(())
}

fn merge(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (mut registers, mut dense) = (Registers::default(), false);
    for key in &args[1..] {
        if let Some(hll) = hll_at(cx.tx, key)? {
            dense |= hll.encoding() == Encoding::Dense;
            registers.merge(hll)?;
        }
    }
    let mut hll = to_change(cx, hll_of(cx.tx.look(args[1]))?);
    if dense {
        hll.make_dense()?;
    }
    for (index, value) in registers.all().iter().enumerate().filter(|(_, value)| **value != 0) {
        hll.raise(index, *value)?;
    }
    hll.make_stale();
    put(cx, args[1], hll.bytes())?;
    cx.tell(Classes::STRING, "pfadd", args[1]);
    cx.out.ok();
    Ok(())
}

fn debug(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (word, key) = (args[1], args[2]);
    let Some(hll) = hll_at(cx.tx, key)? else {
        return Err(Fail::new("ERR The specified key does not exist"));
    };
    let sparse = hll.encoding() == Encoding::Sparse;
    if eq(word, "getreg") {
        let mut registers = Registers::default();
        registers.merge(hll)?;
        make_dense(cx, key, sparse)?;
        cx.out.array(registers.all().len());
        registers.all().iter().for_each(|value| cx.out.int(i64::from(*value)));
    } else if eq(word, "decode") {
        if !sparse {
            return Err(Fail::new("ERR HLL encoding is not sparse"));
        }
        cx.out.bulk(hll.describe()?.as_bytes());
    } else if eq(word, "encoding") {
        cx.out.simple(if sparse { "sparse" } else { "dense" });
    } else if eq(word, "todense") {
        make_dense(cx, key, sparse)?;
        cx.out.int(i64::from(sparse));
    } else {
        let word = String::from_utf8_lossy(word);
        return Err(Fail::text(format!("ERR Unknown PFDEBUG subcommand '{word}'")));
    }
    Ok(())
}

/// Makes a sparse HyperLogLog dense.
fn make_dense(cx: &mut Cx<'_, '_>, key: &[u8], sparse: bool) -> Outcome {
    if sparse {
        let mut hll = to_change(cx, hll_of(cx.tx.look(key))?);
        hll.make_dense()?;
        put(cx, key, hll.bytes())?;
    }
    Ok(())
}

fn test(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    self_test().map_err(|reason| Fail::text(format!("TESTFAILED {reason}")))?;
    cx.out.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Harness;

    /// A change of several places names its key once for each, so a long key makes them one change.
    #[test]
    fn a_long_key_is_not_logged_many_times() {
        let mut h = Harness::new();
        let key = "k".repeat(5_000);
        let elements: Vec<String> = (0..200).map(|n| format!("e{n}")).collect();
        h.run(&format!("PFADD {key} {}", elements[..100].join(" ")));
        for before in ["PFDEBUG ENCODING", "PFDEBUG TODENSE"] {
            h.run(&format!("{before} {key}"));
            for line in [format!("PFADD {key} {}", elements.join(" ")), format!("PFMERGE {key} other")] {
                h.run(&format!("PFADD other {}", elements[50..150].join(" ")));
                let record = h.record(&line).len();
                assert!(record < 30_000, "{record} bytes");
            }
        }
    }
}
