//! ITEM.PUT, ITEM.DEL and ITEM.CHECK: write or check one item.

use super::ArgWords;
use super::expressions::{Placeholders, guard, set_once};
use super::show::{Format, View};
use super::target::Target;
use crate::command::fail::{self, Fail};
use crate::command::prepared::ahead;
use crate::command::{Cx, Outcome, Preparation, Reading, eq, parse_int};
use crate::expr::{Binder, BoundCondition};
use crate::item::{
    AttrType, AttributeValue, AttributeValueRef, Item, ItemBuilder, ItemError, Number, TableSchema,
    from_base64, parse_typed, plain_value, read_json,
};
use crate::ops::{self, OpError, Write};
use serde_json::Value as Json;
use std::any::Any;
use std::rc::Rc;

/// RETURN: what a write replies with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Returns {
    Old,
    New,
    Updated,
}

/// The clauses that all writes share.
#[derive(Default)]
pub(super) struct Clauses<'a> {
    pub(super) condition: Option<&'a [u8]>,
    pub(super) placeholders: Placeholders<'a>,
    pub(super) returns: Option<Returns>,
    pub(super) expires: Option<Expiry>,
    pub(super) view: View,
}

impl<'a> Clauses<'a> {
    /// Reads the clause if `word` begins one of these; false if not.
    pub(super) fn read(
        &mut self,
        word: &[u8],
        words: &mut ArgWords<'a, '_>,
        command: &'static str,
    ) -> Result<bool, Fail> {
        if eq(word, "IF") {
            set_once(&mut self.condition, words.need()?)?;
        } else if eq(word, "RETURN") {
            let returns = match words.need()? {
                word if eq(word, "OLD") => Returns::Old,
                word if eq(word, "NEW") => Returns::New,
                word if eq(word, "UPDATED") => Returns::Updated,
                _ => return Err(fail::SYNTAX),
            };
            set_once(&mut self.returns, returns)?;
        } else if eq(word, "FORMAT") {
            self.view.format = Format::read(words)?;
        } else if let Some(expires) = Expiry::read(word, words, command)? {
            set_once(&mut self.expires, expires)?;
        } else {
            return self.placeholders.read(word, words);
        }
        Ok(true)
    }

    /// Whether RETURN OLD was given, for commands that have no other RETURN.
    fn old_only(&self) -> Result<bool, Fail> {
        match self.returns {
            None => Ok(false),
            Some(Returns::Old) => Ok(true),
            Some(_) => Err(fail::SYNTAX),
        }
    }

    /// Binds the condition.
    pub(super) fn bind(
        &self,
        binder: &mut Binder,
        target: &Target,
    ) -> Result<Option<Rc<BoundCondition>>, Fail> {
        self.condition.map(|text| guard(binder, text, target)).transpose()
    }

    fn bind_alone(&self, target: &Target) -> Result<Option<Rc<BoundCondition>>, Fail> {
        let mut binder = self.placeholders.binder(&target.limits)?;
        let bound = self.bind(&mut binder, target)?;
        binder.finish()?;
        Ok(bound)
    }
}

/// Replies with an item, or nil for `None`.
pub(super) fn show(cx: &mut Cx<'_, '_>, view: &View, item: Option<&Item>) -> Outcome {
    match item {
        Some(item) => view.item(cx.out, item.view())?,
        None => cx.out.null(),
    }
    Ok(())
}

/// How a command is read ahead by `read`.
const fn ahead_by(read: fn(&Reading<'_>, &[&[u8]]) -> Option<Box<dyn Any>>) -> Preparation {
    Preparation { read, keys: None }
}

pub(super) const PUT: Preparation = ahead_by(|with, args| ahead(with, args, Put::read));
pub(super) const DELETE: Preparation = ahead_by(|with, args| ahead(with, args, Guarded::read_delete));
pub(super) const CHECK: Preparation = ahead_by(|with, args| ahead(with, args, Guarded::read_check));

/// An ITEM.PUT that was read.
struct Put {
    target: Target,
    item: Item,
    condition: Option<Rc<BoundCondition>>,
    return_old: bool,
    /// The item's deadline, if it is relative to the transaction's time, and the seconds that the item has for it.
    expires: Option<(Expiry, i64)>,
    view: View,
}

impl Put {
    fn read(with: &Reading<'_>, args: &[&[u8]]) -> Result<Self, Fail> {
        let mut words = ArgWords::new(&args[1..]);
        let target = Target::read(with, &mut words)?;
        let mut builder = ItemBuilder::new();
        put_keys(&mut builder, &target, &args[2..])?;
        let keys_again = if words.take("SET") {
            put_pairs(&mut builder, &target, words.counted(2)?)?
        } else if words.take("JSON") {
            put_document(&mut builder, &target, words.need()?)?
        } else {
            return Err(fail::SYNTAX);
        };
        let mut clauses = Clauses::default();
        while let Some(word) = words.next() {
            if !clauses.read(word, &mut words, "item.put")? {
                return Err(fail::SYNTAX);
            }
        }
        let return_old = clauses.old_only()?;
        let expires = clauses.expires.map(|expires| Ok::<_, Fail>((expires, expires.seconds(with.now)?)));
        let expires = expires.transpose()?;
        if let Some((_, seconds)) = expires {
            builder.put(ttl_attribute(&target)?, &AttributeValueRef::N(Number::from(seconds)))?;
        }
        let item = builder.finish();
        let check = keys_again || expires.is_some() || !target.table.schema.indexes.is_empty();
        target.check(&item, check)?;
        let condition = clauses.bind_alone(&target)?;
        let expires = expires.filter(|(expires, _)| expires.is_relative());
        Ok(Self { target, item, condition, return_old, expires, view: clauses.view })
    }

    /// Computes the deadline from the transaction's time, because the request may have been read earlier.
    fn count_from(&mut self, now: u64) -> Outcome {
        let Some((expires, read)) = self.expires else { return Ok(()) };
        let seconds = expires.seconds(now)?;
        if seconds == read {
            return Ok(());
        }
        let name = ttl_attribute(&self.target)?;
        let value = AttributeValueRef::N(Number::from(seconds));
        // Usually the new number takes as many bytes as the old one and is written in its place.
        if self.item.overwrite(name, &value) {
            return Ok(());
        }
        let mut builder = ItemBuilder::new();
        builder.copy(self.item.view(), |other| other != name.as_bytes())?.put(name, &value)?;
        self.item = builder.finish();
        self.target.check(&self.item, true)
    }
}

/// ITEM.PUT table pk [sk] (SET n a v ... | JSON doc) [IF expr] [EX s|PX ms|EXAT ts] [RETURN OLD] [FORMAT f]
pub(super) fn put(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let mut put = cx.request(args, Put::read)?;
    put.count_from(cx.tx.now())?;
    let Put { target, item, condition, return_old, view, .. } = put;
    match ops::write(cx.tx, &Write::Put(target.at(condition.as_deref(), return_old), &item)) {
        Ok(written) if return_old => return show(cx, &view, written.old.as_ref()),
        Ok(_) => cx.out.ok(),
        Err(error) => return refused(cx, error),
    }
    Ok(())
}

/// An ITEM.DEL or ITEM.CHECK that was read.
struct Guarded {
    target: Target,
    condition: Option<Rc<BoundCondition>>,
    return_old: bool,
    view: View,
}

impl Guarded {
    fn read(with: &Reading<'_>, args: &[&[u8]], command: &'static str) -> Result<Self, Fail> {
        let mut words = ArgWords::new(&args[1..]);
        let target = Target::read(with, &mut words)?;
        let mut clauses = Clauses::default();
        while let Some(word) = words.next() {
            if !clauses.read(word, &mut words, command)? {
                return Err(fail::SYNTAX);
            }
        }
        let return_old = clauses.old_only()?;
        if clauses.expires.is_some() {
            return Err(fail::SYNTAX);
        }
        let condition = clauses.bind_alone(&target)?;
        Ok(Self { target, condition, return_old, view: clauses.view })
    }

    fn read_delete(with: &Reading<'_>, args: &[&[u8]]) -> Result<Self, Fail> {
        Self::read(with, args, "item.del")
    }

    fn read_check(with: &Reading<'_>, args: &[&[u8]]) -> Result<Self, Fail> {
        let check = Self::read(with, args, "item.check")?;
        if check.return_old || check.condition.is_none() { Err(fail::SYNTAX) } else { Ok(check) }
    }
}

/// ITEM.DEL table pk [sk] [IF expr] [RETURN OLD] [FORMAT f]
pub(super) fn del(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Guarded { target, condition, return_old, view } = cx.request(args, Guarded::read_delete)?;
    match ops::write(cx.tx, &Write::Delete(target.at(condition.as_deref(), return_old))) {
        Ok(written) if return_old => return show(cx, &view, written.old.as_ref()),
        Ok(written) => cx.out.int(i64::from(written.existed)),
        Err(error) => return refused(cx, error),
    }
    Ok(())
}

/// ITEM.CHECK table pk [sk] IF expr
pub(super) fn check(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Guarded { target, condition, .. } = cx.request(args, Guarded::read_check)?;
    match ops::write(cx.tx, &Write::Check(target.at(condition.as_deref(), false))) {
        Ok(_) => cx.out.int(1),
        Err(error) => return refused(cx, error),
    }
    Ok(())
}

/// Replies to a write that was refused: nil if its condition did not hold, else the error.
pub(super) fn refused(cx: &mut Cx<'_, '_>, error: OpError) -> Outcome {
    match error {
        OpError::ConditionFailed(_) => {
            cx.tx.refuse();
            cx.out.null();
            Ok(())
        }
        error => Err(error.into()),
    }
}

/// Adds the key attributes to the item.
fn put_keys(builder: &mut ItemBuilder, target: &Target, texts: &[&[u8]]) -> Result<(), ItemError> {
    let keys = &target.table.schema.keys;
    let attrs = std::iter::once(&keys.pk).chain(&keys.sk);
    for (attr, text) in attrs.zip(texts) {
        builder.put(&attr.name, &attr.value_of_text(text)?)?;
    }
    Ok(())
}

/// Adds the attributes of name and value pairs to the item. Returns whether a key attribute is among them.
fn put_pairs(builder: &mut ItemBuilder, target: &Target, pairs: &[&[u8]]) -> Result<bool, Fail> {
    let mut keys = false;
    for pair in pairs.chunks_exact(2) {
        let [name, value] = pair else { continue };
        let name = std::str::from_utf8(name)
            .map_err(|_| Fail::new("VALIDATION an attribute's name must be UTF-8"))?;
        target.limits.check_text(value)?;
        let declared = |name: &str| target.table.schema.declared_type(name);
        let name = builder.put_text(name, value, declared, target.limits.max_depth)?;
        keys |= target.table.schema.keys.is_key(name.as_bytes());
    }
    Ok(keys)
}

/// Adds the attributes of a plain JSON document to the item; declared attributes take their declared type. Returns
/// whether a key attribute is among them.
fn put_document(builder: &mut ItemBuilder, target: &Target, text: &[u8]) -> Result<bool, Fail> {
    target.limits.check_text(text)?;
    let json = read_json(text)?;
    let Json::Object(map) = &json else {
        return Err(ItemError::Json("an item must be an object".to_owned()).into());
    };
    let mut keys = false;
    for (name, json) in map {
        let value = declared_value(&target.table.schema, name, json, target.limits.max_depth)?;
        builder.put_owned(name, &value)?;
        keys |= target.table.schema.keys.is_key(name.as_bytes());
    }
    Ok(keys)
}

/// The value of an attribute given in JSON. JSON has fewer types than items: if the attribute is declared, a string may
/// stand for a binary (in base64), and an array for a set.
fn declared_value(
    schema: &TableSchema,
    name: &str,
    json: &Json,
    max_depth: usize,
) -> Result<AttributeValue, ItemError> {
    let declared = schema.declared_type(name);
    match (declared, json) {
        (Some(AttrType::B), Json::String(text)) => Ok(AttributeValue::B(from_base64(text)?)),
        (Some(AttrType::Ss | AttrType::Ns | AttrType::Bs), Json::Array(_)) => {
            Ok(parse_typed(name, json.to_string().as_bytes(), |_| declared, max_depth)?.1)
        }
        _ => {
            let value = plain_value(json, max_depth)?;
            if declared.is_some_and(|declared| declared != value.attr_type()) {
                let reason = "the value's type is not the declared one";
                return Err(ItemError::BadText { name: name.to_owned(), reason });
            }
            Ok(value)
        }
    }
}

/// An item's deadline, as a clause gives it.
#[derive(Clone, Copy)]
pub(super) struct Expiry {
    /// In milliseconds, since the epoch or, if `relative` is set, since the transaction's time.
    millis: i64,
    relative: bool,
    command: &'static str,
}

impl Expiry {
    /// Reads the clause if `word` begins one of these.
    fn read(word: &[u8], words: &mut ArgWords<'_, '_>, command: &'static str) -> Result<Option<Self>, Fail> {
        let (per_second, relative) = match word {
            _ if eq(word, "EX") => (1, true),
            _ if eq(word, "PX") => (1000, true),
            _ if eq(word, "EXAT") => (1, false),
            _ => return Ok(None),
        };
        let given = parse_int(words.need()?)?;
        let millis = given.checked_mul(1000 / per_second).filter(|millis| *millis > 0);
        let millis = millis.ok_or_else(|| Fail::invalid_expire(command))?;
        Ok(Some(Self { millis, relative, command }))
    }

    /// Whether the deadline is relative to the transaction's time.
    pub(super) fn is_relative(self) -> bool {
        self.relative
    }

    /// The deadline in seconds since the epoch, rounded up, for a transaction at `now`, which is in ms. An item does
    /// not expire early.
    ///
    /// # Errors
    /// The deadline overflows.
    pub(super) fn seconds(self, now: u64) -> Result<i64, Fail> {
        let from = if self.relative { now as i64 } else { 0 };
        let millis = self.millis.checked_add(from).and_then(|ms| ms.checked_add(999));
        Ok(millis.ok_or_else(|| Fail::invalid_expire(self.command))? / 1000)
    }
}

pub(super) fn ttl_attribute(target: &Target) -> Result<&str, Fail> {
    target
        .table
        .schema
        .ttl
        .as_deref()
        .ok_or_else(|| Fail::text(format!("VALIDATION table '{}' has no TTL attribute", target.table.name)))
}
