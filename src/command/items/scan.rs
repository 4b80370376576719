//! ITEM.SCAN: reads a whole table.

use super::ArgWords;
use super::expressions::{Placeholders, condition, fields, set_once};
use super::index::{reads_whole, roots};
use super::query::{page_bytes, show_page};
use super::show::{Format, View};
use super::target::{limits, table};
use crate::command::fail::{self, Fail};
use crate::command::prepared::ahead;
use crate::command::{Cx, Outcome, Preparation, Reading, eq, parse_int};
use crate::engine::{LocalTable, ReadSource};
use crate::expr::{BoundCondition, ExprKind};
use crate::item::{ItemKeys, KeyBytes};
use crate::ops::{self, Segment};
use crate::value::packed::{get_varint, put_part};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The most segments, as in DynamoDB.
const MAX_SEGMENTS: i64 = 1_000_000;

/// How ITEM.SCAN is read ahead.
pub(super) const AHEAD: Preparation =
    Preparation { read: |with, args| ahead(with, args, Request::read), keys: None };

/// An ITEM.SCAN that was read.
struct Request {
    table: LocalTable,
    /// The position of the index in the table's list of indexes.
    index: Option<usize>,
    segment: Segment,
    limit: usize,
    start: Option<ItemKeys>,
    filter: Option<BoundCondition>,
    whole: bool,
    view: View,
}

impl Request {
    fn read(with: &Reading<'_>, args: &[&[u8]]) -> Result<Self, Fail> {
        let mut words = ArgWords::new(&args[1..]);
        let table = table(with, words.need()?)?;
        let limits = limits(with.settings);
        let (mut part, mut filter, mut limit, mut cursor, mut names) = (None, None, None, None, None);
        let mut index = None;
        let (mut view, mut placeholders) = (View::default(), Placeholders::default());
        while let Some(word) = words.next() {
            match word {
                _ if eq(word, "INDEX") => {
                    set_once(&mut index, ops::readable_index(&table, words.need()?)?)?;
                }
                _ if eq(word, "SEGMENT") => set_once(&mut part, segment(&mut words)?)?,
                _ if eq(word, "WHERE") => set_once(&mut filter, words.text()?)?,
                _ if eq(word, "LIMIT") => set_once(&mut limit, words.positive()?)?,
                _ if eq(word, "CURSOR") => set_once(&mut cursor, words.need()?)?,
                _ if eq(word, "FIELDS") => set_once(&mut names, words.counted(1)?)?,
                _ if eq(word, "FORMAT") => view.format = Format::read(&mut words)?,
                _ if placeholders.read(word, &mut words)? => {}
                _ => return Err(fail::SYNTAX),
            }
        }
        let mut binder = placeholders.binder(&limits)?;
        let filter =
            filter.map(|text| condition(&mut binder, ExprKind::Filter, text, &table.schema)).transpose()?;
        view.fields = names.map(|names| fields(&mut binder, names)).transpose()?;
        binder.finish()?;
        let from = ReadSource { table: &table, index };
        Ok(Self {
            index: from.index_number(),
            segment: part.unwrap_or(Segment::WHOLE),
            limit: limit.unwrap_or(usize::MAX),
            start: cursor.map(|text| read_cursor(text, &from)).transpose()?,
            whole: reads_whole(&from, roots(view.fields.as_ref()), filter.as_ref())?,
            filter,
            view,
            table,
        })
    }
}

/// ITEM.SCAN table [INDEX name] [SEGMENT k n] [WHERE expr] [LIMIT n] [CURSOR c] [FIELDS n a ...] [FORMAT f]
pub(super) fn scan(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let request = cx.request(args, Request::read)?;
    let scan = ops::Scan {
        from: ReadSource::numbered(&request.table, request.index),
        segment: request.segment,
        start: request.start.as_ref(),
        limit: request.limit,
        max_bytes: page_bytes(cx.settings),
        filter: request.filter.as_ref(),
        whole: request.whole,
    };
    show_page(cx, &request.view, &write_cursor, |tx, show| ops::scan(tx, &scan, show))
}

fn segment(words: &mut ArgWords<'_, '_>) -> Result<Segment, Fail> {
    let (number, total) = (parse_int(words.need()?)?, parse_int(words.need()?)?);
    if !(1..=MAX_SEGMENTS).contains(&total) || !(0..total).contains(&number) {
        return Err(Fail::new("ERR SEGMENT takes a number from 0 and how many there are, at most 1000000"));
    }
    Ok(Segment { number: number as u32, total: total as u32 })
}

fn write_cursor(keys: &ItemKeys) -> String {
    let mut bytes = Vec::new();
    put_part(&mut bytes, &keys.pk);
    bytes.extend_from_slice(&keys.sk);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The keys in a cursor that a scan gave out.
fn read_cursor(text: &[u8], from: &ReadSource<'_>) -> Result<ItemKeys, Fail> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (len, at) = get_varint(&bytes, 0)?;
        let end = at.checked_add(len)?;
        let (pk, sk) = (bytes.get(at..end)?, bytes.get(end..)?);
        let keys = ItemKeys { pk: KeyBytes::from_slice(pk), sk: KeyBytes::from_slice(sk) };
        let schema = &from.table.schema;
        let own = from.index.map(|index| index.schema.item_keys(&schema.keys, &keys));
        let own = own.unwrap_or_else(|| Some(keys.clone()))?;
        (schema.keys.sk.is_some() || own.sk.is_empty()).then_some(())?;
        schema.keys_to_map(&own).ok()?;
        Some(keys)
    };
    read().ok_or(Fail::new("VALIDATION invalid cursor"))
}
