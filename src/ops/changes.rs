//! Change streams of tables: enabling, disabling, and reading the records as DynamoDB Streams shows them.

use crate::engine::{Table, Tx};
use crate::item::{StreamEnd, StreamPlace, StreamSpan, StreamView, TableSchema};
use crate::value::stream::{StreamEntry, StreamId};
use std::borrow::Cow;

/// Changes a schema so that the table's changes are recorded from now on. The caller holds every shard.
pub fn enable_stream(tx: &Tx<'_>, table: &Table, schema: &mut TableSchema, view: StreamView) {
    disable_stream(tx, table, schema);
    let last = schema.streams.last().map_or(0, |span| span.since_ms);
    let since_ms = tx.now().max(last + 1);
    schema.streams.push(StreamSpan { view, since_ms, after: tx.last_place(table), end: None });
}

/// Changes a schema so that the table's changes are not recorded any more. Existing records stay until they are too
/// old. The caller holds every shard.
pub fn disable_stream(tx: &Tx<'_>, table: &Table, schema: &mut TableSchema) {
    if let Some(span) = schema.streams.last_mut().filter(|span| span.end.is_none()) {
        span.end = Some(StreamEnd { at_ms: tx.now(), through: tx.last_place(table) });
    }
    let kept = |span: &StreamSpan| !tx.engine().is_stream_over(span, tx.now());
    schema.streams.retain(kept);
}

/// One record of a change stream.
pub struct ChangeRecord<'s> {
    /// Its place.
    pub place: StreamPlace,
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub event: Cow<'s, [u8]>,
    /// The item's keys as JSON with DynamoDB's type tags.
    pub keys: Cow<'s, [u8]>,
    /// The item after the change, as JSON.
    pub new: Option<Cow<'s, [u8]>>,
    /// The item before the change, as JSON.
    pub old: Option<Cow<'s, [u8]>>,
    /// Its size in bytes by DynamoDB's rules.
    pub size: u64,
    /// Whether the item was removed because it had expired.
    pub by_ttl: bool,
}

impl<'s> ChangeRecord<'s> {
    fn read(entry: StreamEntry<'s>) -> Option<Self> {
        let (mut event, mut keys) = (None, None);
        let (mut new, mut old, mut size, mut by_ttl) = (None, None, 0, false);
        for (name, value) in entry.fields {
            match &*name.bytes() {
                b"event" => event = Some(value.bytes()),
                b"keys" => keys = Some(value.bytes()),
                b"new" => new = Some(value.bytes()),
                b"old" => old = Some(value.bytes()),
                b"size" => size = u64::try_from(value.int()?).ok()?,
                b"by" => by_ttl = true,
                _ => {}
            }
        }
        let place = (entry.id.ms, entry.id.seq);
        Some(Self { place, event: event?, keys: keys?, new, old, size, by_ttl })
    }
}

/// Which records of a span a table's stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanExtent {
    /// The place of the first record that still exists.
    pub first: Option<StreamPlace>,
    /// The stream's last place or, for a span that has ended, the last place that its records may have. The record
    /// there may belong to an earlier span.
    pub last: StreamPlace,
    /// The place of the last record that is gone because it was too old, or 0.
    pub trimmed: StreamPlace,
}

fn id((ms, seq): StreamPlace) -> StreamId {
    StreamId::new(ms, seq)
}

/// The greatest identifier that a record of the span has or may get.
fn last_of(span: &StreamSpan) -> StreamId {
    span.end.map_or(StreamId::MAX, |end| id(end.through))
}

/// The extent of a span. The caller holds the stream's shard.
pub fn span_extent(tx: &Tx<'_>, table: &Table, span: &StreamSpan) -> SpanExtent {
    let last = span.end.map_or_else(|| tx.last_place(table), |end| end.through);
    let Some(stream) = tx.change_stream_of(table) else {
        return SpanExtent { first: None, last, trimmed: last };
    };
    let first = change_records(tx, table, span, span.after).next().map(|record| record.place);
    let trimmed = stream.max_deleted_id();
    SpanExtent { first, last, trimmed: (trimmed.ms, trimmed.seq) }
}

/// The records of a span after a place, ascending. The caller holds the stream's shard.
pub fn change_records<'t>(
    tx: &'t Tx<'_>,
    table: &Table,
    span: &StreamSpan,
    after: StreamPlace,
) -> impl Iterator<Item = ChangeRecord<'t>> + use<'t> {
    let last = last_of(span);
    let start = id(after.max(span.after)).next();
    let stream = tx.change_stream_of(table).zip(start);
    stream
        .into_iter()
        .flat_map(move |(stream, start)| stream.range(start, last))
        .filter_map(ChangeRecord::read)
}
