//! Hash commands that write, on keys that are views of items: each updates the item. Commands that only read run on a
//! stand-in, a hash made of the item.

use super::expiring::{FieldTtl, SetEx, read_hgetex};
use super::fields::only_fields;
use super::{expire, expiring};
use crate::command::views::{Subject, as_read, fit};
use crate::command::{Cx, Fail, Outcome, fail, parse_int};
use crate::expr::{Action, Binder, ExprLimits, Operand, ParsedUpdate, Path, SetValue, ValueTerm};
use crate::item::{AttrType, AttributeValue, EncodedValue, Item, ItemError, ItemRef, Number};
use crate::ops::Write;
use crate::text::parse_i64_strict;
use crate::value::longdouble::{hash_incr_by_float, parse_hash_increment};
use ahash::{AHashMap, AHashSet};
use smallvec::SmallVec;

const NO_DEADLINE: &str = "its fields have no deadlines of their own";

/// The name of the attribute that a field's name stands for.
fn attribute(name: &[u8]) -> Result<&str, Fail> {
    let name = std::str::from_utf8(name).map_err(|_| ItemError::NameNotUtf8)?;
    crate::item::check_name(name.as_bytes())?;
    Ok(name)
}

/// Updates the item by actions. Without actions the item is created if it does not exist.
fn update(cx: &mut Cx<'_, '_>, subject: &Subject, actions: Vec<Action>) -> Result<Option<Item>, Fail> {
    let bound = if actions.is_empty() {
        None
    } else {
        Some(Binder::empty(ExprLimits::HUMAN).own_update(ParsedUpdate::literal(actions.into()))?)
    };
    Ok(subject.write(cx, |at| Write::Update(at, bound.as_ref(), &subject.limits))?.new)
}

fn setting(name: &str, value: &AttributeValue) -> Result<Action, Fail> {
    Ok(Action::Set(Path::attribute(name), SetValue::Operand(Operand::literal(value)?)))
}

/// If a command names more fields than this, a map or set of names is built, so that the cost stays linear.
const FEW: usize = 32;

/// The types of an item's attributes, looked up by commands that name some of them.
enum Fields<'i> {
    Few(Option<ItemRef<'i>>),
    Many(AHashMap<&'i [u8], AttrType>),
}

impl<'i> Fields<'i> {
    fn of(item: Option<ItemRef<'i>>, named: usize) -> Self {
        match item {
            Some(item) if named > FEW => {
                Self::Many(item.iter().map(|(name, value)| (name, value.attr_type())).collect())
            }
            item => Self::Few(item),
        }
    }

    fn type_of(&self, name: &[u8]) -> Option<AttrType> {
        match self {
            Self::Few(item) => item.and_then(|item| item.get(name)).map(|value| value.attr_type()),
            Self::Many(types) => types.get(name).copied(),
        }
    }
}

/// A set of names.
#[derive(Default)]
struct Names<'n> {
    first: SmallVec<[&'n [u8]; FEW]>,
    more: AHashSet<&'n [u8]>,
}

impl<'n> Names<'n> {
    /// Adds a name; false if the set has it already.
    fn insert(&mut self, name: &'n [u8]) -> bool {
        if self.first.contains(&name) {
            return false;
        }
        if self.first.len() < FEW {
            self.first.push(name);
            return true;
        }
        self.more.insert(name)
    }
}

/// Sets fields; of a field that is given twice the last value counts. Returns how many are new.
fn set_fields(
    cx: &mut Cx<'_, '_>,
    subject: &Subject,
    (key, pairs): (&[u8], &[&[u8]]),
) -> Result<usize, Fail> {
    let schema = &subject.table.schema;
    let item = subject.item(cx);
    let fields = Fields::of(item, pairs.len() / 2);
    let mut names = Names::default();
    let (mut actions, mut created) = (Vec::with_capacity(pairs.len() / 2), 0);
    for pair in pairs.chunks_exact(2).rev() {
        let [name, text] = pair else { continue };
        let known = attribute(name)?;
        let current = fields.type_of(name);
        let is_key = schema.check_key_field(&subject.keys, name, Some(text)).map_err(fit)?;
        let value = if is_key {
            None
        } else {
            Some(schema.field_value(known, text, current, subject.limits.max_depth).map_err(fit)?)
        };
        if !names.insert(name) {
            continue;
        }
        created += usize::from(current.is_none());
        if let Some(value) = value {
            actions.push(setting(known, &value)?);
        }
    }
    if item.is_none() || !actions.is_empty() {
        update(cx, subject, actions)?;
    }
    cx.tell_fields("hset", key, pairs.iter().step_by(2).copied());
    Ok(created)
}

pub(super) fn hset(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let created = set_pairs(cx, args, "hset")?;
    cx.out.len_int(created);
    Ok(())
}

pub(super) fn hmset(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    set_pairs(cx, args, "hmset")?;
    cx.out.ok();
    Ok(())
}

fn set_pairs(cx: &mut Cx<'_, '_>, args: &[&[u8]], command: &str) -> Result<usize, Fail> {
    if !args.len().is_multiple_of(2) {
        return Err(Fail::arity(command));
    }
    let subject = Subject::of(cx, args[1])?;
    set_fields(cx, &subject, (args[1], &args[2..]))
}

pub(super) fn hsetnx(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let subject = Subject::of(cx, args[1])?;
    let there = subject.item(cx).is_some_and(|item| item.get(args[2]).is_some());
    if !there {
        set_fields(cx, &subject, (args[1], &args[2..]))?;
    }
    cx.out.int(i64::from(!there));
    Ok(())
}

/// Removes those of the fields that the item has, and returns their number.
fn remove_fields(
    cx: &mut Cx<'_, '_>,
    subject: &Subject,
    (key, names): (&[u8], &[&[u8]]),
) -> Result<usize, Fail> {
    for name in names {
        subject.table.schema.check_key_field(&subject.keys, name, None).map_err(fit)?;
    }
    let Some(item) = subject.item(cx) else { return Ok(0) };
    let fields = Fields::of(Some(item), names.len());
    let (mut gone, mut actions) = (Names::default(), Vec::with_capacity(names.len()));
    let mut told = Vec::with_capacity(names.len());
    for name in names {
        if fields.type_of(name).is_some() && gone.insert(name) {
            told.push(*name);
            actions.push(Action::Remove(Path::attribute(attribute(name)?)));
        }
    }
    let removed = actions.len();
    if removed > 0 {
        update(cx, subject, actions)?;
        cx.tell_fields("hdel", key, told.into_iter());
    }
    Ok(removed)
}

pub(super) fn hdel(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let subject = Subject::of(cx, args[1])?;
    let removed = remove_fields(cx, &subject, (args[1], &args[2..]))?;
    cx.out.len_int(removed);
    Ok(())
}

/// A field with a counter. If the attribute is a text it stays a text, else the change is an addition to a number.
enum Counted {
    Text(Vec<u8>, AttrType),
    Number(Option<Number>),
}

fn counted(cx: &Cx<'_, '_>, subject: &Subject, name: &[u8], wrong: Fail) -> Result<Counted, Fail> {
    let schema = &subject.table.schema;
    schema.check_key_field(&subject.keys, name, None).map_err(fit)?;
    let declared = schema.declared_type(attribute(name)?).filter(|t| *t != AttrType::N);
    let value = subject.item(cx).and_then(|item| item.get(name));
    match (value.map(|value| value.to_owned_value()), declared) {
        (None, None) => Ok(Counted::Number(None)),
        (None, Some(declared)) => Ok(Counted::Text(b"0".to_vec(), declared)),
        (Some(AttributeValue::N(number)), _) => Ok(Counted::Number(Some(number))),
        (Some(AttributeValue::S(text)), _) => Ok(Counted::Text(text.into_bytes(), AttrType::S)),
        (Some(AttributeValue::B(bytes)), _) => Ok(Counted::Text(bytes, AttrType::B)),
        _ => Err(wrong),
    }
}

fn set_text(cx: &mut Cx<'_, '_>, subject: &Subject, name: &[u8], text: &[u8], kept: AttrType) -> Outcome {
    let (name, depth) = (attribute(name)?, subject.limits.max_depth);
    let value = subject.table.schema.field_value(name, text, Some(kept), depth).map_err(fit)?;
    update(cx, subject, vec![setting(name, &value)?])?;
    Ok(())
}

fn add(cx: &mut Cx<'_, '_>, subject: &Subject, name: &[u8], by: Number) -> Outcome {
    let by = EncodedValue::new(&AttributeValue::N(by))?;
    update(cx, subject, vec![Action::Add(Path::attribute(attribute(name)?), ValueTerm::Literal(by))])?;
    Ok(())
}

pub(super) fn hincrby(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    const WRONG: Fail = Fail::new("ERR hash value is not an integer");
    let by = parse_int(args[3])?;
    let subject = Subject::of(cx, args[1])?;
    let field = counted(cx, &subject, args[2], WRONG)?;
    let old = match &field {
        Counted::Number(None) => 0,
        Counted::Number(Some(number)) => number.as_i64().ok_or(WRONG)?,
        Counted::Text(text, _) => parse_i64_strict(text).ok_or(WRONG)?,
    };
    let new = old.checked_add(by).ok_or(fail::OVERFLOW)?;
    match field {
        Counted::Number(_) => add(cx, &subject, args[2], by.into())?,
        Counted::Text(_, kept) => set_text(cx, &subject, args[2], new.to_string().as_bytes(), kept)?,
    }
    cx.tell_fields("hincrby", args[1], std::iter::once(args[2]));
    cx.out.int(new);
    Ok(())
}

pub(super) fn hincrbyfloat(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let failed = |error: crate::value::ValueError| Fail::text(error.to_string());
    let by = parse_hash_increment(args[3]).map_err(failed)?;
    let subject = Subject::of(cx, args[1])?;
    let sum = match counted(cx, &subject, args[2], Fail::new("ERR hash value is not a float"))? {
        Counted::Number(old) => {
            let by = Number::from_text(args[3]).map_err(ItemError::from)?;
            let sum = old.unwrap_or(Number::ZERO).checked_add(by).map_err(ItemError::from)?;
            add(cx, &subject, args[2], by)?;
            sum.to_string()
        }
        Counted::Text(text, kept) => {
            let sum = hash_incr_by_float(Some(&text), by).map_err(failed)?;
            set_text(cx, &subject, args[2], sum.as_bytes(), kept)?;
            sum
        }
    };
    cx.tell_fields("hincrbyfloat", args[1], std::iter::once(args[2]));
    cx.out.bulk(sum.as_bytes());
    Ok(())
}

pub(super) fn hgetdel(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let subject = Subject::of(cx, args[1])?;
    let names = only_fields(&args[2..])?;
    for name in names {
        subject.table.schema.check_key_field(&subject.keys, name, None).map_err(fit)?;
    }
    show_once(cx, &subject, names);
    remove_fields(cx, &subject, (args[1], names))?;
    Ok(())
}

/// Writes the values of fields that are about to be removed; nil for a name that was given before.
fn show_once(cx: &mut Cx<'_, '_>, subject: &Subject, names: &[&[u8]]) {
    let mut text = Vec::new();
    cx.out.array(names.len());
    for (at, name) in names.iter().enumerate() {
        let item = cx.tx.item(&subject.table, &subject.keys).unwrap_or(ItemRef::EMPTY);
        match item.get(name).filter(|_| !names[..at].contains(name)) {
            None => cx.out.null(),
            Some(value) => {
                text.clear();
                value.write_field(&mut text);
                cx.out.bulk(&text);
            }
        }
    }
}

pub(super) fn hgetex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (ttl, _) = read_hgetex(&args[2..], cx.tx.now())?;
    if matches!(ttl, FieldTtl::At(_)) {
        return Err(Subject::of(cx, args[1])?.refuses(args[1], NO_DEADLINE));
    }
    // No field of an item has a deadline that the command could remove.
    as_read(cx, args, expiring::hgetex)
}

pub(super) fn hsetex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let options = SetEx::read(&args[2..], cx.tx.now())?;
    let subject = Subject::of(cx, args[1])?;
    if matches!(options.ttl, FieldTtl::At(_)) {
        return Err(subject.refuses(args[1], NO_DEADLINE));
    }
    let item = subject.item(cx);
    let exists = |name: &&[u8]| item.is_some_and(|item| item.get(name).is_some());
    let mut names = options.pairs.iter().step_by(2);
    let fields_fit = match options.fields_exist {
        None => true,
        Some(true) => names.all(exists),
        Some(false) => !names.any(exists),
    };
    let fits = fields_fit && options.key_exists.is_none_or(|wanted| wanted == item.is_some());
    if fits {
        set_fields(cx, &subject, (args[1], options.pairs))?;
    }
    cx.out.int(i64::from(fits));
    Ok(())
}

/// Refuses HEXPIRE and its relatives.
pub(super) fn no_deadlines(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    Err(Subject::of(cx, args[1])?.refuses(args[1], NO_DEADLINE))
}

pub(super) fn hpersist(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    as_read(cx, args, expire::hpersist)
}
