//! Commands that create, change, describe, list and drop tables.

use super::fail::{self, Fail};
use super::items::{ArgWords, missing};
use super::spec::*;
use super::{Cx, Outcome, eq};
use crate::engine::Table;
use crate::item::{KeyAttr, KeyType, StreamSpan, TableSchema};
use crate::ops;
use template::StreamSetting;
use words::{attribute, declarations, key_attr, stream_view};

mod index;
#[cfg(test)]
mod index_tests;
mod template;
#[cfg(test)]
mod tests;
mod words;

/// The flags of a command that locks shards itself, unless it is part of a transaction.
const APART: u64 = flag::WRITE | flag::WHOLE | flag::LONG;
const CHANGE: u64 = flag::WRITE | flag::ALL_SHARDS;

const fn table(spec: Spec, complexity: &'static str, summary: &'static str, syntax: &'static str) -> Spec {
    spec.doc("table", "0.1.0", complexity, summary, syntax)
}

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    table(
        spec("table.create", -4, APART | flag::DENYOOM, create),
        "O(1)",
        "Creates a table.",
        "table PK name [type] [SK name [type]] [TTL name] [KEYSPACE template] \
         [STREAM <KEYS | NEW | OLD | BOTH>] \
         [ATTR name type [ATTR name type ...]] \
         [INDEX name [PK name [type] [PK name [type] ...]] [SK name [type] [SK name [type] ...]] \
         [PROJECT <ALL | KEYS | count name [name ...]>] [LOCAL]]",
    ),
    table(
        spec("table.alter", -3, APART | flag::DENYOOM | flag::WEIGHS, alter),
        "O(1)",
        "Changes a table's TTL attribute, its change stream and the declared types of attributes. What is stored stays as it is.",
        "table [TTL name | NOTTL] [KEYSPACE template | NOKEYSPACE] \
         [STREAM <KEYS | NEW | OLD | BOTH> | NOSTREAM] [ATTR name type [name type ...]] [NOATTR count name [name ...]]",
    ),
    table(
        spec(
            "table.describe",
            2,
            flag::READONLY | flag::FAST | flag::ALL_SHARDS | flag::DESPITE_CLOSED,
            describe,
        ),
        "O(1)",
        "Returns a table's definition, and how many items it holds and how large they are.",
        "table",
    ),
    table(
        spec("table.list", -1, flag::READONLY | flag::ALL_SHARDS | flag::DESPITE_CLOSED, list),
        "O(N log N) where N is the number of tables.",
        "Returns the names of the tables in their order.",
        "[CURSOR cursor] [COUNT count]",
    ),
    table(
        spec("table.drop", 2, CHANGE, drop_table).categories(&["dangerous"]),
        "O(1), the memory is given back in the background.",
        "Drops a table with all its items.",
        "table",
    ),
    table(
        spec("table.index", -2, CHANGE, index::unknown).subs(INDEX),
        "Depends on the subcommand.",
        "A container for the commands on secondary indexes.",
        "",
    ),
];

const INDEX: &[Spec] = &[
    table(
        spec("add", -5, CHANGE | flag::DENYOOM, index::add),
        "O(1), the items that are there are entered in the background.",
        "Adds a secondary index to a table.",
        "table name [PK name [type] [PK name [type] ...]] [SK name [type] [SK name [type] ...]] \
         [PROJECT <ALL | KEYS | count name [name ...]>] [LOCAL]",
    ),
    table(
        spec("drop", 4, CHANGE, index::drop),
        "O(1), the memory is given back in the background.",
        "Drops a secondary index.",
        "table name",
    ),
    table(spec("help", 2, flag::LOADING | flag::STALE, super::help::help), "O(1)", "Prints this help.", ""),
];

/// TABLE.CREATE t PK id S [SK at N] [TTL attr] [KEYSPACE template] [STREAM KEYS|NEW|OLD|BOTH] [ATTR name type ...]
/// [INDEX name ...]
fn create(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let mut words = ArgWords::new(&args[1..]);
    let name = table_name(words.need()?)?;
    let schema = schema(&mut words)?;
    template::create(cx, name, &schema)?;
    cx.out.ok();
    Ok(())
}

fn table_name(name: &[u8]) -> Result<&str, Fail> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    std::str::from_utf8(name)
        .ok()
        .filter(|name| (1..=255).contains(&name.len()) && name.as_bytes().iter().all(allowed))
        .ok_or(Fail::new("VALIDATION a table's name is 1 to 255 of the characters a-z A-Z 0-9 _ . -"))
}

fn schema(words: &mut ArgWords<'_, '_>) -> Result<TableSchema, Fail> {
    let (mut pk, mut sk) = (None, None);
    let mut schema = TableSchema::new(KeyAttr::new("", KeyType::S), None);
    while let Some(word) = words.next() {
        match word {
            _ if eq(word, "PK") && pk.is_none() => pk = Some(key_attr(words)?),
            _ if eq(word, "SK") && sk.is_none() => sk = Some(key_attr(words)?),
            _ if eq(word, "TTL") && schema.ttl.is_none() => schema.ttl = Some(attribute(words)?),
            _ if eq(word, "KEYSPACE") && schema.template.is_none() => {
                schema.template = Some(words.text()?.to_owned());
            }
            _ if eq(word, "STREAM") && schema.streams.is_empty() => {
                schema.streams.push(StreamSpan::new(stream_view(words)?));
            }
            _ if eq(word, "ATTR") => declarations(&mut schema, words)?,
            _ if eq(word, "INDEX") => schema.indexes.push(index::definition(words)?),
            _ => return Err(fail::SYNTAX),
        }
    }
    schema.keys.pk = pk.ok_or(Fail::new("VALIDATION a table needs a partition key: PK name type"))?;
    schema.keys.sk = sk;
    for index in std::mem::take(&mut schema.indexes) {
        schema.indexes.push(index::complete(index, &schema.keys)?);
    }
    Ok(schema)
}

/// TABLE.ALTER t [TTL attr | NOTTL] [KEYSPACE template | NOKEYSPACE] [STREAM KEYS|NEW|OLD|BOTH | NOSTREAM] [ATTR name
/// type ...] [NOATTR n name ...]
fn alter(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let memory = cx.need_memory();
    template::alter(cx, args[1], |schema| {
        let (altered, stream) = altered(schema, &args[2..])?;
        if stream.adds_to(schema) {
            memory.clone()?;
        }
        Ok((altered, stream))
    })?;
    cx.out.ok();
    Ok(())
}

/// The schema after the options of TABLE.ALTER, except for the change stream, and the change of the latter.
fn altered(schema: &TableSchema, words: &[&[u8]]) -> Result<(TableSchema, StreamSetting), Fail> {
    let mut schema = schema.clone();
    let mut words = ArgWords::new(words);
    let (mut ttl, mut template, mut stream) = (None, None, StreamSetting::Unsaid);
    while let Some(word) = words.next() {
        match word {
            _ if eq(word, "TTL") && ttl.is_none() => ttl = Some(Some(attribute(&mut words)?)),
            _ if eq(word, "NOTTL") && ttl.is_none() => ttl = Some(None),
            _ if eq(word, "KEYSPACE") && template.is_none() => {
                template = Some(Some(words.text()?.to_owned()));
            }
            _ if eq(word, "NOKEYSPACE") && template.is_none() => template = Some(None),
            _ if eq(word, "STREAM") && stream == StreamSetting::Unsaid => {
                stream = StreamSetting::On(stream_view(&mut words)?);
            }
            _ if eq(word, "NOSTREAM") && stream == StreamSetting::Unsaid => stream = StreamSetting::Off,
            _ if eq(word, "ATTR") => declarations(&mut schema, &mut words)?,
            _ if eq(word, "NOATTR") => {
                for name in words.counted(1)? {
                    let removed = std::str::from_utf8(name).ok().and_then(|name| schema.attrs.remove(name));
                    removed.ok_or(Fail::new("VALIDATION the attribute is not declared"))?;
                }
            }
            _ => return Err(fail::SYNTAX),
        }
    }
    if let Some(ttl) = ttl {
        schema.ttl = ttl;
    }
    if let Some(template) = template {
        schema.template = template;
    }
    Ok((schema, stream))
}

/// TABLE.DESCRIBE t
fn describe(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let table =
        cx.tx.engine().tables.get_any(args[1]).ok_or_else(|| missing(&cx.tx.engine().tables, args[1]))?;
    show(cx, &table);
    Ok(())
}

fn show(cx: &mut Cx<'_, '_>, table: &Table) {
    use std::sync::atomic::Ordering::Relaxed;
    let (out, schema) = (&mut *cx.out, &table.schema);
    out.map(12);
    out.bulk(b"name");
    out.bulk(table.name.as_bytes());
    for (role, attr) in [(&b"pk"[..], Some(&schema.keys.pk)), (b"sk", schema.keys.sk.as_ref())] {
        out.bulk(role);
        match attr {
            Some(attr) => {
                out.array(2);
                out.bulk(attr.name.as_bytes());
                out.bulk(attr.key_type.tag().as_bytes());
            }
            None => out.null(),
        }
    }
    out.bulk(b"ttl");
    match &schema.ttl {
        Some(name) => out.bulk(name.as_bytes()),
        None => out.null(),
    }
    out.bulk(b"keyspace");
    match &schema.template {
        Some(template) => out.bulk(template.as_bytes()),
        None => out.null(),
    }
    out.bulk(b"stream");
    match schema.stream() {
        Some(span) => out.bulk(span.view.short_name().as_bytes()),
        None => out.null(),
    }
    out.bulk(b"status");
    out.bulk(if schema.lifting { b"lifting" } else { b"active" });
    out.bulk(b"attributes");
    out.map(schema.attrs.len());
    for (name, declared) in &schema.attrs {
        out.bulk(name.as_bytes());
        out.bulk(declared.tag().as_bytes());
    }
    index::show_all(out, table);
    out.bulk(b"created");
    out.int(table.created as i64);
    out.bulk(b"items");
    out.int(table.counts.items.load(Relaxed) as i64);
    out.bulk(b"bytes");
    out.int(table.counts.bytes.load(Relaxed) as i64);
}

/// TABLE.LIST [CURSOR c] [COUNT n]
fn list(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let mut words = ArgWords::new(&args[1..]);
    let (mut after, mut count) = (&b""[..], 100);
    while let Some(word) = words.next() {
        match word {
            _ if eq(word, "CURSOR") => after = words.need()?,
            _ if eq(word, "COUNT") => count = words.positive()?,
            _ => return Err(fail::SYNTAX),
        }
    }
    let tables = cx.tx.engine().tables.list();
    let from = tables.partition_point(|table| table.name.as_bytes() <= after);
    let page = &tables[from..tables.len().min(from.saturating_add(count))];
    let out = &mut *cx.out;
    out.map(2);
    out.bulk(b"tables");
    out.array(page.len());
    page.iter().for_each(|table| out.bulk(table.name.as_bytes()));
    out.bulk(b"cursor");
    match page.last() {
        // The cursor is the name of the last table that was shown.
        Some(last) if from + page.len() < tables.len() => out.bulk(last.name.as_bytes()),
        _ => out.null(),
    }
    Ok(())
}

/// TABLE.DROP t
fn drop_table(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    ops::drop_table(cx.tx, args[1])?;
    cx.out.ok();
    Ok(())
}
