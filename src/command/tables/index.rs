//! Secondary indexes: `TABLE.INDEX ADD` and `DROP`, the INDEX clause of `TABLE.CREATE`, and the indexes in
//! `TABLE.DESCRIBE`.

use super::template::find;
use super::words::{attribute, key_attr};
use crate::command::fail::{self, Fail};
use crate::command::items::ArgWords;
use crate::command::{Cx, Outcome, eq};
use crate::engine::{Index, Table};
use crate::item::{IndexSchema, IndexStatus, KeyAttr, KeySchema, Projection};
use crate::ops;
use crate::resp::Reply;
use std::sync::atomic::Ordering::Relaxed;

/// TABLE.INDEX ADD t name [PK a type ...] [SK b type ...] [PROJECT ALL|KEYS|n a ...] [LOCAL]
pub(super) fn add(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let table = find(cx, args[2])?;
    let mut words = ArgWords::new(&args[3..]);
    let index = definition(&mut words)?;
    if words.next().is_some() {
        return Err(fail::SYNTAX);
    }
    ops::add_index(cx.tx, &table, complete(index, &table.schema.keys)?)?;
    cx.out.ok();
    Ok(())
}

/// TABLE.INDEX DROP t name
pub(super) fn drop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let table = find(cx, args[2])?;
    ops::drop_index(cx.tx, &table, &String::from_utf8_lossy(args[3]))?;
    cx.out.ok();
    Ok(())
}

/// Refuses an unknown subcommand of TABLE.INDEX.
pub(super) fn unknown(_cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    Err(Fail::unknown_sub("table.index", args[1]))
}

/// Reads an index's name and its clauses, up to a word that begins none of them.
pub(super) fn definition(words: &mut ArgWords<'_, '_>) -> Result<IndexSchema, Fail> {
    let name = words.text()?.to_owned();
    let (mut pk, mut sk, mut projection, mut local) = (Vec::new(), Vec::new(), None, false);
    loop {
        match words.peek() {
            Some(word) if eq(word, "PK") => pk.push(key(words)?),
            Some(word) if eq(word, "SK") => sk.push(key(words)?),
            Some(word) if eq(word, "PROJECT") && projection.is_none() => projection = Some(project(words)?),
            Some(word) if eq(word, "LOCAL") && !local => {
                words.next();
                local = true;
            }
            _ => break,
        }
    }
    let projection = projection.unwrap_or(Projection::All);
    Ok(IndexSchema { name, local, pk, sk, projection, space: 0, status: IndexStatus::Active })
}

fn key(words: &mut ArgWords<'_, '_>) -> Result<KeyAttr, Fail> {
    words.next();
    key_attr(words)
}

fn project(words: &mut ArgWords<'_, '_>) -> Result<Projection, Fail> {
    words.next();
    if words.take("ALL") {
        return Ok(Projection::All);
    }
    if words.take("KEYS") {
        return Ok(Projection::KeysOnly);
    }
    let mut names = Vec::new();
    for name in words.counted(1)? {
        let name = attribute(&mut ArgWords::new(&[name]))?;
        if names.contains(&name) {
            return Err(Fail::new("VALIDATION an attribute is named twice behind PROJECT"));
        }
        names.push(name);
    }
    Ok(Projection::Include(names))
}

/// Fills in the partition key of a local index, which is the table's if it is not named.
///
/// # Errors
/// A global index has no partition key.
pub(super) fn complete(mut index: IndexSchema, table: &KeySchema) -> Result<IndexSchema, Fail> {
    if index.local && index.pk.is_empty() {
        index.pk = vec![table.pk.clone()];
    }
    if index.pk.is_empty() {
        return Err(Fail::new("VALIDATION an index needs a partition key: PK name type"));
    }
    Ok(index)
}

/// Writes the member `indexes` of a table's description.
pub(super) fn show_all(out: &mut Reply, table: &Table) {
    out.bulk(b"indexes");
    out.array(table.indexes.len());
    table.indexes.iter().for_each(|index| show(out, index));
}

fn show(out: &mut Reply, index: &Index) {
    let schema = &index.schema;
    let creating = schema.status == IndexStatus::Creating;
    out.map(if creating { 9 } else { 8 });
    out.bulk(b"name");
    out.bulk(schema.name.as_bytes());
    for (role, attrs) in [(&b"pk"[..], &schema.pk), (b"sk", &schema.sk)] {
        out.bulk(role);
        out.array(attrs.len());
        for attr in attrs {
            out.array(2);
            out.bulk(attr.name.as_bytes());
            out.bulk(attr.key_type.tag().as_bytes());
        }
    }
    out.bulk(b"project");
    match &schema.projection {
        Projection::All => out.bulk(b"ALL"),
        Projection::KeysOnly => out.bulk(b"KEYS"),
        Projection::Include(names) => {
            out.array(names.len());
            names.iter().for_each(|name| out.bulk(name.as_bytes()));
        }
    }
    out.bulk(b"local");
    out.int(i64::from(schema.local));
    out.bulk(b"status");
    out.bulk(if creating { b"CREATING" } else { b"ACTIVE" });
    if creating {
        out.bulk(b"seen");
        out.int(index.build.seen.load(Relaxed) as i64);
    }
    out.bulk(b"items");
    out.int(index.counts.items.load(Relaxed) as i64);
    out.bulk(b"bytes");
    out.int(index.counts.bytes.load(Relaxed) as i64);
}
