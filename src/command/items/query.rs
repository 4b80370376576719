//! Reading a range of one partition's items.

use super::Words;
use super::aggregate::Aggregate;
use super::expressions::{Placeholders, condition, fields, set_once};
use super::show::{Format, View};
use super::target::{limits, table};
use crate::command::fail::{self, Fail};
use crate::command::{Cx, Outcome, eq};
use crate::config::Settings;
use crate::engine::Tx;
use crate::expr::ExprKind;
use crate::item::{
    ItemError, ItemKeys, ItemLimits, ItemRef, KeyAttr, KeyBytes, KeyForm, KeySchema, KeyType, SortCondition,
    SortRange, ValueRef, put_key, read_key,
};
use crate::ops;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The clauses of a query, as they were written.
#[derive(Default)]
struct Clauses<'a, 'b> {
    range: Option<SortRange>,
    filter: Option<&'a str>,
    descending: bool,
    limit: Option<usize>,
    cursor: Option<&'a [u8]>,
    fields: Option<&'b [&'a [u8]]>,
    aggregate: Option<Aggregate<'a>>,
    format: Format,
    placeholders: Placeholders<'a>,
}

impl<'a, 'b> Clauses<'a, 'b> {
    fn read(words: &mut Words<'a, 'b>, keys: &KeySchema) -> Result<Self, Fail> {
        let mut this = Self::default();
        while let Some(word) = words.next() {
            match word {
                _ if eq(word, "SK") => set_once(&mut this.range, sort_range(words, keys)?)?,
                _ if eq(word, "WHERE") => set_once(&mut this.filter, words.text()?)?,
                _ if eq(word, "DESC") => this.descending = true,
                _ if eq(word, "LIMIT") => set_once(&mut this.limit, words.positive()?)?,
                _ if eq(word, "CURSOR") => set_once(&mut this.cursor, words.need()?)?,
                _ if eq(word, "FIELDS") => set_once(&mut this.fields, words.counted(1)?)?,
                _ if eq(word, "FORMAT") => this.format = Format::read(words)?,
                _ if this.placeholders.read(word, words)? => {}
                _ => {
                    let aggregate = Aggregate::read(word, words)?.ok_or(fail::SYNTAX)?;
                    set_once(&mut this.aggregate, aggregate)?;
                }
            }
        }
        Ok(this)
    }
}

/// ITEM.QUERY table pk [SK ...] [WHERE expr] [DESC] [LIMIT n] [CURSOR c] [FIELDS n a ...] [COUNT | SUM|MIN|MAX|AVG a]
/// [FORMAT f]
pub(super) fn query(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let mut words = Words::new(&args[1..]);
    let table = table(cx, words.need()?)?;
    let (schema, limits) = (&table.schema, limits(cx.settings));
    let partition = partition(&schema.keys.pk, words.need()?, &limits)?;
    let clauses = Clauses::read(&mut words, &schema.keys)?;
    let mut binder = clauses.placeholders.binder(limits.max_depth)?;
    let filter =
        clauses.filter.map(|text| condition(&mut binder, ExprKind::Filter, text, schema)).transpose()?;
    let fields = clauses.fields.map(|names| fields(&mut binder, names)).transpose()?;
    binder.finish()?;
    let start = clauses.cursor.map(|text| read_cursor(text, &schema.keys)).transpose()?;
    let query = ops::Query {
        table: &table,
        partition: &partition,
        range: clauses.range.as_ref().unwrap_or(&SortRange::ALL),
        descending: clauses.descending,
        start: start.as_deref(),
        limit: clauses.limit.unwrap_or(usize::MAX),
        max_bytes: if clauses.aggregate.is_some() { usize::MAX } else { page_bytes(cx.settings) },
        filter: filter.as_ref(),
    };
    if let Some(aggregate) = &clauses.aggregate {
        return aggregate.reply(cx, &query);
    }
    let view = View { format: clauses.format, fields };
    let cursor = |keys: &ItemKeys| URL_SAFE_NO_PAD.encode(&keys.sk);
    show_page(cx, &view, &cursor, |tx, show| ops::query(tx, &query, show))
}

/// Bytes of items in one reply.
pub(super) fn page_bytes(settings: &Settings) -> usize {
    usize::try_from(settings.item_max_page_size).unwrap_or(usize::MAX)
}

/// Replies with a page: the items that `read` shows, how many, how many were looked at, and where to go on.
pub(super) fn show_page(
    cx: &mut Cx<'_, '_>,
    view: &View,
    cursor: &dyn Fn(&ItemKeys) -> String,
    read: impl FnOnce(&Tx<'_>, &mut dyn FnMut(ItemRef<'_>)) -> ops::Page,
) -> Outcome {
    let out = &mut *cx.out;
    out.map(4);
    out.bulk(b"items");
    let begun = out.begin_deferred();
    let mut failed = None;
    let page = read(cx.tx, &mut |item| {
        if let Err(error) = view.item(out, item) {
            failed = Some(error);
        }
    });
    out.end_array(begun, page.count);
    out.bulk(b"count");
    out.len_int(page.count);
    out.bulk(b"scanned");
    out.len_int(page.scanned);
    out.bulk(b"cursor");
    match page.last.filter(|_| page.more) {
        Some(last) => out.bulk(cursor(&last).as_bytes()),
        None => out.null(),
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn partition(attr: &KeyAttr, text: &[u8], limits: &ItemLimits) -> Result<KeyBytes, ItemError> {
    let value = key_value(attr, text)?;
    if value.size() > limits.max_partition_key_bytes {
        return Err(ItemError::PartitionKeyTooLong(limits.max_partition_key_bytes));
    }
    let mut key = KeyBytes::new();
    put_key(&mut key, &value);
    Ok(key)
}

fn key_value<'t>(attr: &KeyAttr, text: &'t [u8]) -> Result<ValueRef<'t>, ItemError> {
    let value = attr.value_of_text(text)?;
    if value.as_bytes().is_some_and(<[u8]>::is_empty) {
        return Err(ItemError::EmptyKey { name: attr.name.clone(), key_type: attr.key_type });
    }
    Ok(value)
}

/// Reads the condition behind `SK`.
fn sort_range(words: &mut Words<'_, '_>, keys: &KeySchema) -> Result<SortRange, Fail> {
    let Some(attr) = &keys.sk else { return Err(Fail::new("VALIDATION the table has no sort key")) };
    let operator = words.need()?;
    let mut value = || -> Result<_, Fail> { Ok(key_value(attr, words.need()?)?) };
    let condition = match operator {
        b"=" => SortCondition::Eq(value()?),
        b"<" => SortCondition::Lt(value()?),
        b"<=" => SortCondition::Le(value()?),
        b">" => SortCondition::Gt(value()?),
        b">=" => SortCondition::Ge(value()?),
        _ if eq(operator, "BETWEEN") => SortCondition::Between(value()?, value()?),
        _ if eq(operator, "PREFIX") && attr.key_type == KeyType::N => {
            return Err(Fail::new("VALIDATION PREFIX needs a sort key of type S or B"));
        }
        _ if eq(operator, "PREFIX") => SortCondition::BeginsWith(value()?),
        _ => return Err(fail::SYNTAX),
    };
    SortRange::new(KeyForm::Table, &[], Some(condition)).ok_or(fail::SYNTAX)
}

/// The sort key in a cursor that a query gave out.
fn read_cursor(text: &[u8], keys: &KeySchema) -> Result<KeyBytes, Fail> {
    let invalid = Fail::new("VALIDATION invalid cursor");
    let Some(attr) = &keys.sk else { return Err(invalid) };
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid.clone())?;
    read_key(attr.key_type, &bytes).map_err(|_| invalid)?;
    Ok(KeyBytes::from_vec(bytes))
}
