//! Expressions in clauses: `IF` and `WHERE`, the placeholders of `NAMES` and `VALUES`, and the paths of `FIELDS`.

use super::target::Target;
use super::words::{ArgWords, as_text};
use crate::command::fail::{self, Fail};
use crate::expr::{
    Actions, Binder, BoundCondition, BoundProjection, BoundUpdate, ExprCache, ExprError, ExprKind,
    ExprLimits, ParseOptions, ParsedUpdate,
};
use crate::item::{
    AttrType, AttributeValue, ItemError, ItemLimits, TableSchema, plain_value, read_json, typed_value,
};
use serde_json::Value as Json;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::LazyLock;

/// Parsed expressions by their text.
pub(super) static CACHE: LazyLock<ExprCache> = LazyLock::new(|| ExprCache::new(ParseOptions::HUMAN, 4096));

/// The placeholders that a command defines.
#[derive(Default, Clone, Copy)]
pub(super) struct Placeholders<'a> {
    names: Option<&'a [u8]>,
    values: Option<&'a [u8]>,
}

impl<'a> Placeholders<'a> {
    /// Reads the clause if `word` begins NAMES or VALUES; false if not.
    pub(super) fn read(&mut self, word: &[u8], words: &mut ArgWords<'a, '_>) -> Result<bool, Fail> {
        let slot = match word {
            _ if word.eq_ignore_ascii_case(b"NAMES") => &mut self.names,
            _ if word.eq_ignore_ascii_case(b"VALUES") => &mut self.values,
            _ => return Ok(false),
        };
        set_once(slot, words.need()?)?;
        Ok(true)
    }

    /// The binder with these placeholders. Neither text may be longer than an item.
    pub(super) fn binder(&self, limits: &ItemLimits) -> Result<Binder, Fail> {
        if self.names.is_none() && self.values.is_none() {
            return Ok(Binder::empty(ExprLimits::HUMAN));
        }
        [self.names, self.values].into_iter().flatten().try_for_each(|text| limits.check_text(text))?;
        let mut names = Vec::new();
        for (key, name) in members("NAMES", self.names)? {
            let Json::String(name) = name else {
                return Err(Fail::new("VALIDATION NAMES must be a JSON object of strings"));
            };
            names.push((key, name));
        }
        let mut values = Vec::new();
        for (key, json) in members("VALUES", self.values)? {
            let value = value_of(&json, limits.max_depth)
                .map_err(|error| ExprError::BadValue { key: key.clone(), error })?;
            values.push((key, value));
        }
        Ok(Binder::new(names, values, ExprLimits::HUMAN)?)
    }
}

/// Sets a clause that may be given only once.
///
/// # Errors
/// The clause was given before.
pub(super) fn set_once<T>(slot: &mut Option<T>, value: T) -> Result<(), Fail> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(fail::SYNTAX),
    }
}

fn members(clause: &str, text: Option<&[u8]>) -> Result<serde_json::Map<String, Json>, Fail> {
    let Some(text) = text else { return Ok(serde_json::Map::new()) };
    match read_json(text) {
        Ok(Json::Object(map)) => Ok(map),
        Err(error @ ItemError::TooManyValues) => Err(error.into()),
        _ => Err(Fail::text(format!("VALIDATION {clause} must be a JSON object"))),
    }
}

/// The value of a JSON object with one of AWS's type tags as its only name, else of plain JSON.
fn value_of(json: &Json, max_depth: usize) -> Result<AttributeValue, ItemError> {
    let tagged = match json {
        Json::Object(map) => map.len() == 1 && map.keys().all(|tag| AttrType::from_tag(tag).is_some()),
        _ => false,
    };
    if tagged { typed_value(json, max_depth) } else { plain_value(json, max_depth) }
}

/// Binds a condition or filter, and checks that it uses the table's keys as scalars.
pub(super) fn condition(
    binder: &mut Binder,
    kind: ExprKind,
    text: &str,
    schema: &TableSchema,
) -> Result<BoundCondition, Fail> {
    let parsed = CACHE.condition(text).map_err(|reason| ExprError::Invalid { kind, reason })?;
    let bound = binder.condition(kind, &parsed)?;
    bound.check_key_paths(schema)?;
    Ok(bound)
}

/// A condition that was bound, and its table.
struct Known {
    table: u32,
    text: Box<[u8]>,
    bound: Rc<BoundCondition>,
}

/// The last conditions without placeholders that a thread bound.
struct Recent {
    /// The version of the tables for which they were bound.
    of: (u64, u64),
    known: Vec<Known>,
    next: usize,
}

/// How many conditions a thread remembers, and the longest text of one in bytes.
const RECENT: usize = 16;
const LONGEST: usize = 256;

thread_local! {
    static LAST: RefCell<Recent> = const { RefCell::new(Recent { of: (0, 0), known: Vec::new(), next: 0 }) };
}

/// The condition of a write on a table's item, bound and checked. A thread reuses a condition without placeholders that
/// it bound lately, because such a condition depends only on its text and the table.
pub(super) fn guard(binder: &mut Binder, text: &[u8], target: &Target) -> Result<Rc<BoundCondition>, Fail> {
    let (table, of) = (&target.table, target.version);
    let mut bind = || condition(binder, ExprKind::Condition, as_text(text)?, &table.schema).map(Rc::new);
    if text.len() > LONGEST {
        return bind();
    }
    LAST.with_borrow_mut(|last| {
        if last.of != of {
            (last.of, last.next) = (of, 0);
            last.known.clear();
        }
        if let Some(known) = last.known.iter().find(|known| known.table == table.id && *known.text == *text) {
            return Ok(Rc::clone(&known.bound));
        }
        let bound = bind()?;
        if !bound.has_placeholders() {
            let known = Known { table: table.id, text: text.into(), bound: Rc::clone(&bound) };
            match last.known.get_mut(last.next) {
                Some(place) => *place = known,
                None => last.known.push(known),
            }
            last.next = (last.next + 1) % RECENT;
        }
        Ok(bound)
    })
}

/// Binds an update: the actions of an expression, and `actions`.
///
/// # Errors
/// There are none, or they do not fit.
pub(super) fn update_of(
    binder: &mut Binder,
    expression: Option<&str>,
    actions: Actions,
) -> Result<BoundUpdate, Fail> {
    let Some(text) = expression else {
        if actions.is_empty() {
            return Err(fail::SYNTAX);
        }
        return Ok(binder.own_update(ParsedUpdate::literal(actions))?);
    };
    let kind = ExprKind::Update;
    let parsed = CACHE.update(text).map_err(|reason| ExprError::Invalid { kind, reason })?;
    if actions.is_empty() {
        return Ok(binder.update(&parsed)?);
    }
    let mut all = ParsedUpdate::clone(&parsed);
    all.root.extend(actions);
    Ok(binder.own_update(all)?)
}

/// Binds the paths of `FIELDS`: names of attributes, which may have any characters, or document paths if one of the
/// names has a dot or a bracket or begins with `#`.
pub(super) fn fields(binder: &mut Binder, names: &[&[u8]]) -> Result<BoundProjection, Fail> {
    let mut texts = Vec::with_capacity(names.len());
    for name in names {
        texts.push(std::str::from_utf8(name).map_err(|_| Fail::new("VALIDATION text must be UTF-8"))?);
    }
    if !texts.iter().any(|text| text.contains(['.', '[', '#'])) {
        return Ok(BoundProjection::attributes(texts));
    }
    let kind = ExprKind::Projection;
    let parsed = CACHE.projection(&texts.join(", ")).map_err(|reason| ExprError::Invalid { kind, reason })?;
    Ok(binder.projection(&parsed)?)
}
