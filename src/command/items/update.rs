//! ITEM.UPDATE: changes attributes by clauses, by an update expression, or by both.

use super::ArgWords;
use super::expressions::{set_once, update_of};
use super::show::View;
use super::target::Target;
use super::write::{Clauses, Expiry, Returns, refused, show, ttl_attribute};
use crate::command::fail::{self, Fail};
use crate::command::prepared::ahead;
use crate::command::{Cx, Outcome, Preparation, Reading, eq};
use crate::expr::{Action, Actions, BoundCondition, BoundUpdate, Operand, Path, SetValue, ValueTerm};
use crate::item::{
    AttrType, AttributeValue, EncodedValue, Item, ItemError, ItemLimits, ItemRef, Number, TableSchema,
    encode_typed, split_suffix,
};
use crate::ops::{self, OpError, Write};
use std::rc::Rc;

/// How ITEM.UPDATE is read ahead.
pub(super) const AHEAD: Preparation =
    Preparation { read: |with, args| ahead(with, args, Update::read), keys: None };

/// An ITEM.UPDATE that was read.
struct Update {
    target: Target,
    changes: BoundUpdate,
    condition: Option<Rc<BoundCondition>>,
    returns: Option<Returns>,
    /// The item's deadline, if it is relative to the transaction's time.
    expires: Option<Expiry>,
    view: View,
}

impl Update {
    fn read(with: &Reading<'_>, args: &[&[u8]]) -> Result<Self, Fail> {
        let mut words = ArgWords::new(&args[1..]);
        let target = Target::read(with, &mut words)?;
        let (schema, limits) = (&target.table.schema, &target.limits);
        let mut clauses = Clauses::default();
        let (mut actions, mut expression) = (Actions::new(), None);
        while let Some(word) = words.next() {
            match word {
                _ if eq(word, "SET") => {
                    pairs(&mut words, &mut actions, |name, text| set(schema, name, text, limits))?;
                }
                _ if eq(word, "INCR") => {
                    pairs(&mut words, &mut actions, |name, text| increment(schema, name, text))?;
                }
                _ if eq(word, "ADD") => {
                    pairs(&mut words, &mut actions, |name, text| add(schema, name, text, limits))?;
                }
                _ if eq(word, "REMOVE") => {
                    for name in words.counted(1)? {
                        actions.push(Action::Remove(Path::attribute(attribute(name)?)));
                    }
                }
                _ if eq(word, "EXPR") => set_once(&mut expression, words.text()?)?,
                _ if clauses.read(word, &mut words, "item.update")? => {}
                _ => return Err(fail::SYNTAX),
            }
        }
        if let Some(expires) = clauses.expires {
            let seconds = expires.seconds(with.now)?;
            let value = Operand::literal(&AttributeValue::N(Number::from(seconds)))?;
            actions.push(Action::Set(Path::attribute(ttl_attribute(&target)?), SetValue::Operand(value)));
        }
        let mut binder = clauses.placeholders.binder(limits)?;
        let changes = update_of(&mut binder, expression, actions)?;
        changes.check_keys(schema)?;
        let condition = clauses.bind(&mut binder, &target)?;
        binder.finish()?;
        let Clauses { returns, view, expires, .. } = clauses;
        let expires = expires.filter(|expires| expires.is_relative());
        Ok(Self { target, changes, condition, returns, expires, view })
    }

    /// Computes the deadline from the transaction's time, because the request may have been read earlier.
    fn count_from(&mut self, now: u64) -> Outcome {
        if let Some(expires) = self.expires {
            let value = EncodedValue::new(&AttributeValue::N(Number::from(expires.seconds(now)?)))?;
            self.changes.set_literal(ttl_attribute(&self.target)?, value);
        }
        Ok(())
    }
}

/// ITEM.UPDATE table pk [sk] [SET n a v ...] [INCR n a d ...] [ADD n a set ...] [REMOVE n a ...] [EXPR update]
/// [IF expr] [EX s|PX ms|EXAT ts] [RETURN OLD|NEW|UPDATED] [FORMAT f]
pub(super) fn update(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let mut update = cx.request(args, Update::read)?;
    update.count_from(cx.tx.now())?;
    // It is not taken apart, because that would copy it.
    let Update { target, changes, condition, returns, view, .. } = &update;
    if !changes.only_takes_away() {
        cx.need_memory()?;
    }
    let at = target.at(condition.as_deref(), *returns == Some(Returns::Old));
    let written = match ops::write(cx.tx, &Write::Update(at, Some(changes), &target.limits)) {
        Ok(written) => written,
        Err(error) => return refused(cx, error),
    };
    match returns {
        None => cx.out.ok(),
        Some(Returns::Old) => return show(cx, view, written.old.as_ref()),
        Some(Returns::New) => return show(cx, view, written.new.as_ref()),
        Some(Returns::Updated) => {
            let new = written.new.as_ref().map_or(ItemRef::EMPTY, Item::view);
            return show(cx, view, Some(&changes.touched().apply(new)?));
        }
    }
    Ok(())
}

fn attribute(name: &[u8]) -> Result<&str, Fail> {
    let name =
        std::str::from_utf8(name).map_err(|_| Fail::new("VALIDATION an attribute's name must be UTF-8"))?;
    crate::item::check_name(name.as_bytes())?;
    Ok(name)
}

/// Adds the action for each name and value of a clause.
fn pairs(
    words: &mut ArgWords<'_, '_>,
    actions: &mut Actions,
    action: impl Fn(&str, &[u8]) -> Result<Action, Fail>,
) -> Result<(), Fail> {
    for pair in words.counted(2)?.chunks_exact(2) {
        let [name, text] = pair else { continue };
        actions.push(action(attribute(name)?, text)?);
    }
    Ok(())
}

fn typed<'n>(
    schema: &TableSchema,
    name: &'n str,
    text: &[u8],
    limits: &ItemLimits,
) -> Result<(&'n str, EncodedValue), OpError> {
    limits.check_text(text).map_err(|_| OpError::UpdateTooLarge)?;
    Ok(encode_typed(name, text, |name| schema.declared_type(name), limits.max_depth)?)
}

fn set(schema: &TableSchema, name: &str, text: &[u8], limits: &ItemLimits) -> Result<Action, Fail> {
    let (name, value) = typed(schema, name, text, limits)?;
    Ok(Action::Set(Path::attribute(name), SetValue::Operand(Operand::Value(ValueTerm::Literal(value)))))
}

fn adding(name: &str, value: EncodedValue) -> Action {
    Action::Add(Path::attribute(name), ValueTerm::Literal(value))
}

fn increment(schema: &TableSchema, name: &str, text: &[u8]) -> Result<Action, Fail> {
    let (base, _) = split_suffix(name);
    let number = AttributeValue::N(Number::from_text(text).map_err(ItemError::from)?);
    if schema.declared_type(base).is_some_and(|declared| declared != AttrType::N) {
        return Err(not_addable(base));
    }
    Ok(adding(base, EncodedValue::new(&number)?))
}

fn add(schema: &TableSchema, name: &str, text: &[u8], limits: &ItemLimits) -> Result<Action, Fail> {
    let (base, value) = typed(schema, name, text, limits)?;
    match value.view().attr_type() {
        AttrType::N | AttrType::Ss | AttrType::Ns | AttrType::Bs => Ok(adding(base, value)),
        _ => Err(not_addable(base)),
    }
}

fn not_addable(name: &str) -> Fail {
    Fail::text(format!(
        "VALIDATION attribute {name}: INCR takes a number, ADD a set: give its type, as in {name}:ss"
    ))
}
