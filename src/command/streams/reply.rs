//! Writes entries of streams into replies.

use crate::command::element::element;
use crate::resp::Reply;
use crate::value::stream::{StreamEntry, StreamId};

/// Writes an identifier.
pub(super) fn id(out: &mut Reply, id: StreamId) {
    out.bulk(&id.text());
}

/// Writes an entry: its identifier, and its fields and values in turn.
pub(super) fn entry(out: &mut Reply, entry: &StreamEntry<'_>) {
    out.array(2);
    parts(out, entry);
}

/// Writes an entry that was pending: also for how many ms it was idle, and how often it had been delivered.
pub(super) fn claimed(out: &mut Reply, entry: &StreamEntry<'_>, idle_ms: u64, deliveries: u64) {
    out.array(4);
    parts(out, entry);
    out.int(idle_ms as i64);
    out.int(deliveries as i64);
}

fn parts(out: &mut Reply, entry: &StreamEntry<'_>) {
    id(out, entry.id);
    let fields = entry.fields.clone();
    out.array(fields.len() * 2);
    for (field, value) in fields {
        element(out, field);
        element(out, value);
    }
}

/// Writes at most `count` entries, all if `count` is 0.
pub(super) fn entries<'s>(out: &mut Reply, entries: impl Iterator<Item = StreamEntry<'s>>, count: usize) {
    let begun = out.begin_deferred();
    let mut len = 0;
    for found in entries.take(if count == 0 { usize::MAX } else { count }) {
        entry(out, &found);
        len += 1;
    }
    out.end_array(begun, len);
}

/// Writes a number, or nil for `None`.
pub(super) fn maybe_number(out: &mut Reply, number: Option<u64>) {
    match number {
        Some(number) => out.int(number as i64),
        None => out.null(),
    }
}
