//! ITEM.GET and ITEM.MGET: read one item, or several by their keys.

use super::ArgWords;
use super::expressions::{Placeholders, fields, set_once};
use super::show::{Format, View};
use super::target::{Target, limits, table};
use crate::command::fail::{self, Fail};
use crate::command::prepared::ahead;
use crate::command::{Cx, Outcome, Preparation, Reading, eq};
use crate::engine::LocalTable;
use crate::item::{ItemKeys, ItemLimits};

/// How ITEM.GET is read ahead.
pub(super) const GET: Preparation =
    Preparation { read: |with, args| ahead(with, args, Get::read), keys: None };
/// How ITEM.MGET is read ahead.
pub(super) const MGET: Preparation =
    Preparation { read: |with, args| ahead(with, args, GetMany::read), keys: None };

/// An ITEM.GET that was read.
struct Get {
    target: Target,
    view: View,
}

impl Get {
    fn read(with: &Reading<'_>, args: &[&[u8]]) -> Result<Self, Fail> {
        let mut words = ArgWords::new(&args[1..]);
        let target = Target::read(with, &mut words)?;
        let view = match words.peek() {
            Some(_) => read_view(&mut words, &target.limits)?,
            None => View::default(),
        };
        Ok(Self { target, view })
    }
}

/// ITEM.GET table pk [sk] [FIELDS n a ...] [NAMES json] [FORMAT f]
pub(super) fn get(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Get { target, view } = cx.request(args, Get::read)?;
    match cx.tx.item(&target.table, &target.keys) {
        Some(item) => view.item(cx.out, item)?,
        None => cx.out.null(),
    }
    Ok(())
}

fn read_view(words: &mut ArgWords<'_, '_>, limits: &ItemLimits) -> Result<View, Fail> {
    let mut view = View::default();
    let (mut names, mut placeholders) = (None, Placeholders::default());
    while let Some(word) = words.next() {
        if eq(word, "FIELDS") {
            set_once(&mut names, words.counted(1)?)?;
        } else if eq(word, "FORMAT") {
            view.format = Format::read(words)?;
        } else if !placeholders.read(word, words)? {
            return Err(fail::SYNTAX);
        }
    }
    let mut binder = placeholders.binder(limits)?;
    view.fields = names.map(|names| fields(&mut binder, names)).transpose()?;
    binder.finish()?;
    Ok(view)
}

/// An ITEM.MGET that was read.
struct GetMany {
    table: LocalTable,
    keys: Vec<ItemKeys>,
    view: View,
}

impl GetMany {
    fn read(with: &Reading<'_>, args: &[&[u8]]) -> Result<Self, Fail> {
        let mut words = ArgWords::new(&args[1..]);
        let table = table(with, words.need()?)?;
        let limits = limits(with.settings);
        let size = table.schema.keys.attrs().count();
        let texts = words.counted(size)?;
        let view = read_view(&mut words, &limits)?;
        let mut keys = Vec::with_capacity(texts.len() / size);
        for text in texts.chunks_exact(size) {
            keys.push(table.schema.text_keys(text[0], text.get(1).copied(), &limits)?);
        }
        Ok(Self { table, keys, view })
    }
}

/// ITEM.MGET table numkeys pk [sk] ... [FIELDS n a ...] [NAMES json] [FORMAT f]
pub(super) fn mget(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let GetMany { table, keys, view } = cx.request(args, GetMany::read)?;
    cx.out.array(keys.len());
    for keys in &keys {
        match cx.tx.item(&table, keys) {
            Some(item) => view.item(cx.out, item)?,
            None => cx.out.null(),
        }
    }
    Ok(())
}
