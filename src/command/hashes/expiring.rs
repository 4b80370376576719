//! Commands that read or write fields together with their deadlines: HGETDEL, HGETEX, HSETEX.

use super::expire::tell_deadline;
use super::fields::{
    FIELDS_MISMATCH, FieldTtlUnit, NO_FIELDS, NUMBER_NOT_POSITIVE, Names, counted_fields, each_once,
    field_count, only_fields,
};
use super::{delete_fields, hash_at};
use crate::command::{Cx, Fail, Outcome, eq};
use crate::effect::{FieldExpire, HashChange, List};

pub(super) fn hgetdel(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let key = args[1];
    hash_at(cx.tx, key)?;
    let names = only_fields(&args[2..])?;
    cx.out.array(names.len());
    let mut gone = Names::new();
    for part in each_once(names) {
        let hit = show(cx, key, part, |_| true)?;
        if !hit.is_empty() {
            cx.tx.apply(HashChange::Delete { fields: List::Slices(&hit) }.on(cx.db(), key));
            gone.extend(hit);
        }
    }
    if !gone.is_empty() {
        cx.tell_fields("hdel", key, gone.iter().copied());
        cx.tx.tell_if_gone(cx.db(), key);
    }
    Ok(())
}

/// Writes the values of fields, nil for a field that does not exist. Returns the names of the existing fields for whose
/// deadline (0 is none) `take` is true.
fn show<'a>(
    cx: &mut Cx<'_, '_>,
    key: &[u8],
    names: &[&'a [u8]],
    take: impl Fn(u64) -> bool,
) -> Result<Names<'a>, Fail> {
    let now = cx.tx.now();
    let hash = hash_at(cx.tx, key)?;
    let mut taken = Names::new();
    for name in names {
        match hash.and_then(|hash| hash.get(name, now)) {
            None => cx.out.null(),
            Some(field) => {
                cx.out.bulk(field.value);
                if take(field.expire) {
                    taken.push(*name);
                }
            }
        }
    }
    Ok(taken)
}

/// What a command does with the deadlines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldTtl {
    /// No option was given: HGETEX leaves deadlines as they are, HSETEX removes them.
    Unsaid,
    /// PERSIST or KEEPTTL.
    Word,
    /// A deadline in ms since the epoch, which may have passed.
    At(u64),
}

pub(super) fn hgetex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, now) = (args[1], cx.tx.now());
    hash_at(cx.tx, key)?;
    let (ttl, names) = read_hgetex(&args[2..], now)?;
    cx.out.array(names.len());
    let mut all = Names::new();
    for part in each_once(names) {
        let hit = show(cx, key, part, |expire| ttl != FieldTtl::Word || expire != 0)?;
        if hit.is_empty() {
            continue;
        }
        let (db, fields) = (cx.db(), List::Slices(&hit));
        match ttl {
            FieldTtl::Unsaid => {}
            FieldTtl::Word => cx.tx.apply(HashChange::Expire { fields, at: 0 }.on(db, key)),
            FieldTtl::At(at) if at <= now => cx.tx.apply(HashChange::Delete { fields }.on(db, key)),
            FieldTtl::At(at) => cx.tx.apply(HashChange::Expire { fields, at }.on(db, key)),
        }
        all.extend(hit);
    }
    if !all.is_empty() {
        match ttl {
            FieldTtl::Unsaid => {}
            FieldTtl::Word => cx.tell_fields("hpersist", key, all.iter().copied()),
            FieldTtl::At(at) => tell_deadline(cx, key, at, &all),
        }
    }
    Ok(())
}

/// Reads HGETEX's arguments, in any order.
pub(super) fn read_hgetex<'a, 'b>(
    args: &'a [&'b [u8]],
    now: u64,
) -> Result<(FieldTtl, &'a [&'b [u8]]), Fail> {
    const ONE: Fail = Fail::new("ERR Only one of EX, PX, EXAT, PXAT or PERSIST arguments can be specified");
    let mut ttl = FieldTtl::Unsaid;
    let mut names: Option<&[&[u8]]> = None;
    let mut rest = args;
    while let [word, tail @ ..] = rest {
        rest = tail;
        if names.is_none() && eq(word, "fields") {
            let (these, tail) = counted_fields(tail, &NUMBER_NOT_POSITIVE)?;
            (names, rest) = (Some(these), tail);
        } else if eq(word, "persist") {
            ttl = once(ttl, FieldTtl::Word, ONE)?;
        } else if let Some(unit) = FieldTtlUnit::of_word(word) {
            let [time, tail @ ..] = tail else { return Err(Fail::new("ERR missing expire time")) };
            once(ttl, FieldTtl::Word, ONE)?;
            (ttl, rest) = (FieldTtl::At(unit.deadline(time, now, "hgetex")?), tail);
        } else {
            return Err(if names.is_some() { FIELDS_MISMATCH } else { NO_FIELDS });
        }
    }
    Ok((ttl, names.ok_or(NO_FIELDS)?))
}

fn once(before: FieldTtl, new: FieldTtl, twice: Fail) -> Result<FieldTtl, Fail> {
    if before == FieldTtl::Unsaid { Ok(new) } else { Err(twice) }
}

/// The arguments of HSETEX.
pub(super) struct SetEx<'a, 'b> {
    pub(super) ttl: FieldTtl,
    /// FXX: all fields must exist; FNX: none may.
    pub(super) fields_exist: Option<bool>,
    /// XX: the key must exist; NX: it must not.
    pub(super) key_exists: Option<bool>,
    /// Names and values in turn.
    pub(super) pairs: &'a [&'b [u8]],
}

pub(super) fn hsetex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, now) = (args[1], cx.tx.now());
    let options = SetEx::read(&args[2..], now)?;
    let hash = hash_at(cx.tx, key)?;
    let exists = |name: &&[u8]| hash.is_some_and(|hash| hash.get(name, now).is_some());
    let mut names = options.pairs.iter().step_by(2);
    let fields_fit = match options.fields_exist {
        None => true,
        Some(true) => names.clone().all(exists),
        Some(false) => !names.clone().any(exists),
    };
    if !fields_fit || options.key_exists.is_some_and(|wanted| wanted != hash.is_some()) {
        cx.out.int(0);
        return Ok(());
    }
    let pairs = options.pairs;
    match options.ttl {
        // A field that is set with a passed deadline is removed at once.
        FieldTtl::At(at) if at <= now => {
            if names.clone().any(exists) {
                let gone: Names<'_> = names.by_ref().copied().collect();
                delete_fields(cx, key, &gone);
            }
        }
        FieldTtl::At(at) => {
            set(cx, key, pairs, FieldExpire::At(at));
            cx.tell_fields("hexpire", key, names.copied());
        }
        FieldTtl::Word => set(cx, key, pairs, FieldExpire::Keep),
        FieldTtl::Unsaid => set(cx, key, pairs, FieldExpire::Clear),
    }
    cx.out.int(1);
    Ok(())
}

fn set(cx: &mut Cx<'_, '_>, key: &[u8], pairs: &[&[u8]], expire: FieldExpire) {
    cx.tx.apply(HashChange::Set { pairs: List::Slices(pairs), expire }.on(cx.db(), key));
    cx.tell_fields("hset", key, pairs.iter().step_by(2).copied());
}

impl<'a, 'b> SetEx<'a, 'b> {
    /// Reads the arguments after the key, in any order.
    pub(super) fn read(args: &'a [&'b [u8]], now: u64) -> Result<Self, Fail> {
        const ONE: Fail =
            Fail::new("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
        const ONE_FIELDS: Fail = Fail::new("ERR Only one of FXX or FNX arguments can be specified");
        const ONE_KEY: Fail = Fail::new("ERR Only one of XX or NX arguments can be specified");
        let mut options = Self { ttl: FieldTtl::Unsaid, fields_exist: None, key_exists: None, pairs: &[] };
        let mut rest = args;
        while let [word, tail @ ..] = rest {
            rest = tail;
            if options.pairs.is_empty() && eq(word, "fields") {
                let [number, tail @ ..] = tail else { return Err(Fail::arity("hsetex")) };
                if tail.len() < 2 {
                    return Err(Fail::arity("hsetex"));
                }
                let count = field_count(number, &Fail::new("ERR invalid number of fields"))?;
                let pairs = count.checked_mul(2).and_then(|n| tail.split_at_checked(n));
                (options.pairs, rest) = pairs.ok_or_else(|| Fail::arity("hsetex"))?;
            } else if eq(word, "fxx") || eq(word, "fnx") {
                set_once(&mut options.fields_exist, eq(word, "fxx"), ONE_FIELDS)?;
            } else if eq(word, "xx") || eq(word, "nx") {
                set_once(&mut options.key_exists, eq(word, "xx"), ONE_KEY)?;
            } else if eq(word, "keepttl") {
                options.ttl = once(options.ttl, FieldTtl::Word, ONE)?;
            } else if let Some(unit) = FieldTtlUnit::of_word(word) {
                once(options.ttl, FieldTtl::Word, ONE)?;
                let [time, tail @ ..] = tail else { return Err(Fail::new("ERR missing expire time")) };
                (options.ttl, rest) = (FieldTtl::At(unit.deadline(time, now, "hsetex")?), tail);
            } else {
                return Err(Fail::about("ERR unknown argument: ", &word[..word.len().min(128)], ""));
            }
        }
        if options.pairs.is_empty() { Err(Fail::new("ERR missing FIELDS argument")) } else { Ok(options) }
    }
}

fn set_once(option: &mut Option<bool>, value: bool, twice: Fail) -> Result<(), Fail> {
    if option.replace(value).is_some() { Err(twice) } else { Ok(()) }
}
