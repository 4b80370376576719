//! Commands on keys of any type that write, if a key is a view of an item. Commands that only read run on a stand-in.

use super::copy::{SAME, copy_options, tell_renamed};
use super::expire::Time;
use crate::command::fail::{self, Fail};
use crate::command::views::{Subject, fit};
use crate::command::{Cx, Outcome};
use crate::effect::{Effect, FieldExpire, HashChange, List};
use crate::engine::{Classes, item_of_hash};
use crate::expr::{Action, Actions, Binder, ExprLimits, Operand, ParsedUpdate, Path, SetValue};
use crate::item::{AttributeValue, Item, ItemBuilder, ItemRef, Number};
use crate::ops::Write;
use crate::store::Entry;

pub(super) fn del(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let mut removed = 0;
    for key in &args[1..] {
        let there = if let Some(subject) = Subject::find(cx, key)? {
            subject.delete(cx)?
        } else {
            let there = cx.tx.exists(key);
            if there {
                cx.tx.apply(Effect::Delete { db: cx.db(), key });
            }
            there
        };
        if there {
            cx.tell(Classes::GENERIC, "del", key);
        }
        removed += i64::from(there);
    }
    cx.out.int(removed);
    Ok(())
}

/// Sets the item's TTL attribute.
pub(super) fn set_deadline(cx: &mut Cx<'_, '_>, args: &[&[u8]], time: Time) -> Outcome {
    let now = cx.tx.now() as i64;
    let (conditions, at) = time.read(args, now)?;
    let subject = Subject::of(cx, args[1])?;
    let Some(ttl) = subject.table.schema.ttl.clone() else {
        return Err(subject.refuses(args[1], "the table has no TTL attribute"));
    };
    let allowed = subject.item(cx).is_some() && conditions.allow(subject.deadline(cx), at);
    if allowed && at <= now {
        subject.delete(cx)?;
        cx.tell(Classes::GENERIC, "del", args[1]);
    } else if allowed {
        let value = AttributeValue::N(Number::from_millis(at as u64));
        let value = SetValue::Operand(Operand::literal(&value)?);
        update(cx, &subject, Action::Set(Path::attribute(ttl), value))?;
        cx.tell(Classes::GENERIC, "expire", args[1]);
    }
    cx.out.int(i64::from(allowed));
    Ok(())
}

fn update(cx: &mut Cx<'_, '_>, subject: &Subject, action: Action) -> Outcome {
    let actions = Actions::from_iter([action]);
    let changes = Binder::empty(ExprLimits::HUMAN).own_update(ParsedUpdate::literal(actions))?;
    subject.write(cx, |at| Write::Update(at, Some(&changes), &subject.limits))?;
    Ok(())
}

pub(super) fn persist(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let subject = Subject::of(cx, args[1])?;
    let there = subject.deadline(cx).is_some();
    if let (true, Some(ttl)) = (there, subject.table.schema.ttl.as_deref()) {
        update(cx, &subject, Action::Remove(Path::attribute(ttl)))?;
        cx.tell(Classes::GENERIC, "persist", args[1]);
    }
    cx.out.int(i64::from(there));
    Ok(())
}

pub(super) fn rename(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    rename_to(cx, args, true)?;
    cx.out.ok();
    Ok(())
}

pub(super) fn renamenx(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let done = rename_to(cx, args, false)?;
    cx.out.int(i64::from(done));
    Ok(())
}

fn rename_to(cx: &mut Cx<'_, '_>, args: &[&[u8]], replace: bool) -> Result<bool, Fail> {
    let (from, to) = (Place::of(cx, args[1])?, Place::of(cx, args[2])?);
    if !from.exists(cx) {
        return Err(fail::NO_KEY);
    }
    if args[1] == args[2] {
        return Ok(replace);
    }
    if !replace && to.exists(cx) {
        return Ok(false);
    }
    transfer(cx, &from, &to)?;
    match &from.subject {
        Some(subject) => drop(subject.delete(cx)?),
        None => cx.tx.apply(Effect::Delete { db: cx.db(), key: from.key }),
    }
    tell_renamed(cx, args[1], args[2]);
    Ok(true)
}

pub(super) fn copy(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (db, replace) = copy_options(cx, args)?;
    let (from, to) = (Place::of(cx, args[1])?, Place::of(cx, args[2])?);
    if db != cx.tx.db {
        // In another database a key with the name of a view is a plain key.
        return if from.subject.is_some() { Err(elsewhere(&from)) } else { super::copy::copy(cx, args) };
    }
    if args[1] == args[2] {
        return Err(SAME);
    }
    let done = from.exists(cx) && (replace || !to.exists(cx));
    if done {
        transfer(cx, &from, &to)?;
        cx.tell(Classes::GENERIC, "copy_to", args[2]);
    }
    cx.out.int(i64::from(done));
    Ok(())
}

pub(super) fn move_key(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let place = Place::of(cx, args[1])?;
    Err(elsewhere(&place))
}

/// Refuses RESTORE: a payload may have any type, and HSET writes fields of an item.
pub(super) fn restore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    Err(Subject::of(cx, args[1])?.refuses(args[1], "RESTORE makes keys only"))
}

fn elsewhere(place: &Place<'_>) -> Fail {
    match &place.subject {
        Some(subject) => subject.refuses(place.key, "items are in no other database"),
        None => fail::WRONG_TYPE,
    }
}

/// A key, and the item of which it is a view, if it is one.
struct Place<'k> {
    key: &'k [u8],
    subject: Option<Subject>,
}

impl<'k> Place<'k> {
    fn of(cx: &Cx<'_, '_>, key: &'k [u8]) -> Result<Self, Fail> {
        Ok(Self { key, subject: Subject::find(cx, key)? })
    }

    fn exists(&self, cx: &Cx<'_, '_>) -> bool {
        match &self.subject {
            Some(subject) => subject.item(cx).is_some(),
            None => cx.tx.exists(self.key),
        }
    }
}

/// Puts the value at `from` at `to`. At least one of them is an item.
fn transfer(cx: &mut Cx<'_, '_>, from: &Place<'_>, to: &Place<'_>) -> Outcome {
    match (&from.subject, &to.subject) {
        (Some(source), Some(target)) if source.table.id == target.table.id => {
            let item = same_item(cx, source, target)?;
            cx.tx.ask(record_bytes(item.as_bytes().len(), target, to.key))?;
            put(cx, target, &item)
        }
        (Some(source), None) => {
            cx.tx.stand_in(from.key, &source.table, &source.keys);
            let fields = fields_of(cx, from.key);
            cx.tx.forget_stand_ins();
            cx.tx.ask(record_bytes(fields.0.iter().map(Vec::len).sum(), source, from.key))?;
            make_hash(cx, to.key, &fields);
            Ok(())
        }
        (source, Some(target)) => {
            if let Some(source) = source {
                cx.tx.stand_in(from.key, &source.table, &source.keys);
            }
            let (schema, limits, now) = (&target.table.schema, &target.limits, cx.tx.now());
            let item = match cx.tx.entry(from.key) {
                Some(entry) if entry.value().hash().is_some() => {
                    item_of_hash(schema, &target.keys, entry, limits, now).map_err(fit)
                }
                Some(_) => Err(target.wrong_type(to.key)),
                None => Err(fail::NO_KEY),
            };
            cx.tx.forget_stand_ins();
            let item = item?;
            cx.tx.ask(record_bytes(item.as_bytes().len(), target, to.key))?;
            put(cx, target, &item)
        }
        (None, None) => Ok(()),
    }
}

/// An upper bound for the record of a transfer: the value that is put, its index entries, and what is removed.
fn record_bytes(value: usize, subject: &Subject, key: &[u8]) -> usize {
    (value + key.len() + 256) * (2 + subject.table.schema.indexes.len())
}

/// The source's item with the target's keys; both are in one table.
fn same_item(cx: &Cx<'_, '_>, source: &Subject, target: &Subject) -> Result<Item, Fail> {
    let schema = &target.table.schema;
    let mut builder = ItemBuilder::new();
    let item = source.item(cx).unwrap_or(ItemRef::EMPTY);
    builder.copy(item, |name| !schema.keys.is_key(name))?;
    for (name, value) in schema.keys_to_map(&target.keys)? {
        builder.put_owned(name, &value)?;
    }
    let item = builder.finish();
    schema.item_keys(&item.view(), &target.limits)?;
    schema.check_size(&item.view(), &target.limits)?;
    Ok(item)
}

fn put(cx: &mut Cx<'_, '_>, target: &Subject, item: &Item) -> Outcome {
    target.write(cx, |at| Write::Put(at, item))?;
    Ok(())
}

/// Names and values in turn, and the key's deadline.
type Fields = (Vec<Vec<u8>>, Option<u64>);

fn fields_of(cx: &Cx<'_, '_>, key: &[u8]) -> Fields {
    let Some(entry) = cx.tx.entry(key) else { return (Vec::new(), None) };
    let hash = entry.value().hash().into_iter().flat_map(|hash| hash.live(cx.tx.now()));
    (hash.flat_map(|field| [field.name.to_vec(), field.value.to_vec()]).collect(), Entry::expire(entry))
}

/// Puts a hash at a key, in place of any value there.
fn make_hash(cx: &mut Cx<'_, '_>, key: &[u8], (fields, deadline): &Fields) {
    let db = cx.db();
    if cx.tx.exists(key) {
        cx.tx.apply(Effect::Delete { db, key });
    }
    let pairs: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
    cx.tx.apply(HashChange::Set { pairs: List::Slices(&pairs), expire: FieldExpire::Clear }.on(db, key));
    if deadline.is_some() {
        cx.tx.apply(Effect::Expire { db, key, at: *deadline });
    }
}
