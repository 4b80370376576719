//! ITEM.QUERY: reads a range of one partition's items.

use super::ArgWords;
use super::aggregate::Aggregate;
use super::expressions::{Placeholders, condition, fields, set_once};
use super::index::{IndexClause, SortClause, key_value, reads_whole, roots, sort_range};
use super::show::{Format, View};
use super::target::{self, limits, table};
use crate::command::fail::{self, Fail};
use crate::command::prepared::ahead;
use crate::command::{Cx, ItemKey, Outcome, Preparation, Reading, eq};
use crate::config::Settings;
use crate::engine::{LocalTable, ReadSource, Table, Tables, Tx};
use crate::expr::{BoundCondition, ExprKind};
use crate::item::{
    ItemError, ItemKeys, ItemLimits, ItemRef, KeyAttr, KeyBytes, SortRange, put_key, read_key,
};
use crate::ops;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The clauses of a query, as the client wrote them.
#[derive(Default)]
struct Clauses<'a, 'b> {
    /// The conditions on sort key attributes, in their order.
    sort: Vec<SortClause<'a>>,
    index: Option<IndexClause<'a, 'b>>,
    filter: Option<&'a str>,
    descending: bool,
    limit: Option<usize>,
    cursor: Option<&'a [u8]>,
    fields: Option<&'b [&'a [u8]]>,
    aggregate: Option<Aggregate>,
    format: Format,
    placeholders: Placeholders<'a>,
}

impl<'a, 'b> Clauses<'a, 'b> {
    fn read(words: &mut ArgWords<'a, 'b>, table: &Table) -> Result<Self, Fail> {
        let mut this = Self::default();
        while let Some(word) = words.next() {
            match word {
                _ if eq(word, "SK") => this.sort.push(SortClause::read(words)?),
                _ if eq(word, "INDEX") => set_once(&mut this.index, IndexClause::read(words, table)?)?,
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

/// Finds the partition key in its stored form, whose shard is locked.
pub(super) fn partition_key(tables: &Tables, args: &[&[u8]], visit: &mut dyn FnMut(ItemKey<'_>)) {
    let [_, table, first, clauses @ ..] = args else { return };
    if !clauses.iter().any(|word| eq(word, "INDEX")) {
        return target::partition_key(tables, args, visit);
    }
    let Some(table) = tables.local(table) else { return };
    let Ok(clauses) = Clauses::read(&mut ArgWords::new(clauses), &table) else { return };
    let Some(index) = &clauses.index else { return target::partition_key(tables, args, visit) };
    let Some(found) = table.index(index.name) else { return };
    if let Ok(key) = index.partition(found, first, &ItemLimits::UNLIMITED) {
        visit(ItemKey { arg: 2, table: found.schema.space, key: &key });
    }
}

/// How ITEM.QUERY is read ahead.
pub(super) const AHEAD: Preparation =
    Preparation { read: |with, args| ahead(with, args, Request::read), keys: None };

/// An ITEM.QUERY that was read.
struct Request {
    table: LocalTable,
    /// The position of the index in the table's list of indexes.
    index: Option<usize>,
    partition: KeyBytes,
    range: SortRange,
    descending: bool,
    limit: usize,
    start: Option<KeyBytes>,
    filter: Option<BoundCondition>,
    whole: bool,
    aggregate: Option<Aggregate>,
    view: View,
}

impl Request {
    fn read(with: &Reading<'_>, args: &[&[u8]]) -> Result<Self, Fail> {
        let mut words = ArgWords::new(&args[1..]);
        let table = table(with, words.need()?)?;
        let (schema, limits) = (&table.schema, limits(with.settings));
        let first = words.need()?;
        let clauses = Clauses::read(&mut words, &table)?;
        let index =
            clauses.index.as_ref().map(|index| ops::readable_index(&table, index.name)).transpose()?;
        let partition = match (&clauses.index, index) {
            (Some(clause), Some(index)) => clause.partition(index, first, &limits)?,
            _ => partition(&schema.keys.pk, first, &limits)?,
        };
        let from = ReadSource { table: &table, index };
        let range = sort_range(&clauses.sort, &from)?;
        let mut binder = clauses.placeholders.binder(&limits)?;
        let filter =
            clauses.filter.map(|text| condition(&mut binder, ExprKind::Filter, text, schema)).transpose()?;
        let fields = clauses.fields.map(|names| fields(&mut binder, names)).transpose()?;
        binder.finish()?;
        let start = clauses.cursor.map(|text| read_cursor(text, &from, &partition)).transpose()?;
        let aggregated = clauses.aggregate.as_ref().and_then(Aggregate::attribute);
        let whole = reads_whole(&from, roots(fields.as_ref()).chain(aggregated), filter.as_ref())?;
        Ok(Self {
            index: from.index_number(),
            partition,
            range,
            descending: clauses.descending,
            limit: clauses.limit.unwrap_or(usize::MAX),
            start,
            filter,
            whole,
            aggregate: clauses.aggregate,
            view: View { format: clauses.format, fields },
            table,
        })
    }
}

/// ITEM.QUERY table pk [SK ...] [INDEX name [pk ...]] [WHERE expr] [DESC] [LIMIT n] [CURSOR c] [FIELDS n a ...]
/// [COUNT | SUM|MIN|MAX|AVG a] [FORMAT f]
pub(super) fn query(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let request = cx.request(args, Request::read)?;
    let query = ops::Query {
        from: ReadSource::numbered(&request.table, request.index),
        partition: &request.partition,
        range: &request.range,
        descending: request.descending,
        start: request.start.as_deref(),
        limit: request.limit,
        max_bytes: if request.aggregate.is_some() { usize::MAX } else { page_bytes(cx.settings) },
        filter: request.filter.as_ref(),
        whole: request.whole,
    };
    if let Some(aggregate) = &request.aggregate {
        return aggregate.reply(cx, &query);
    }
    let cursor = |keys: &ItemKeys| URL_SAFE_NO_PAD.encode(&keys.sk);
    show_page(cx, &request.view, &cursor, |tx, show| ops::query(tx, &query, show))
}

/// The most bytes of items in one reply.
pub(super) fn page_bytes(settings: &Settings) -> usize {
    usize::try_from(settings.item_max_page_size).unwrap_or(usize::MAX)
}

/// Replies with a page: the items that `read` shows, their number, the number of items that were looked at, and the
/// cursor from which the next page begins.
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

/// The sort key in a cursor that a query gave out.
fn read_cursor(text: &[u8], from: &ReadSource<'_>, partition: &[u8]) -> Result<KeyBytes, Fail> {
    let read = || {
        let keys = &from.table.schema.keys;
        let entry = ItemKeys {
            pk: KeyBytes::from_slice(partition),
            sk: KeyBytes::from_vec(URL_SAFE_NO_PAD.decode(text).ok()?),
        };
        let own = from.index.map(|index| index.schema.item_keys(keys, &entry));
        let own = own.unwrap_or_else(|| Some(entry.clone()))?;
        match &keys.sk {
            Some(attr) => drop(read_key(attr.key_type, &own.sk).ok()?),
            None => (from.index.is_some() && own.sk.is_empty()).then_some(())?,
        }
        Some(entry.sk)
    };
    read().ok_or(Fail::new("VALIDATION invalid cursor"))
}
