//! Reading one item, or several by their keys.

use super::Words;
use super::expressions::{Placeholders, fields, set_once};
use super::show::{Format, View};
use super::target::{Target, limits, table};
use crate::command::fail::{self, Fail};
use crate::command::{Cx, Outcome, eq};
use crate::item::ItemLimits;

/// ITEM.GET table pk [sk] [FIELDS n a ...] [NAMES json] [FORMAT f]
pub(super) fn get(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let mut words = Words::new(&args[1..]);
    let target = Target::read(&cx.reading(), &mut words)?;
    let mut view = View::default();
    if words.peek().is_some() {
        view = read_view(&mut words, &target.limits)?;
    }
    match cx.tx.item(&target.table, &target.keys) {
        Some(item) => view.item(cx.out, item)?,
        None => cx.out.null(),
    }
    Ok(())
}

fn read_view(words: &mut Words<'_, '_>, limits: &ItemLimits) -> Result<View, Fail> {
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

/// ITEM.MGET table numkeys pk [sk] ... [FIELDS n a ...] [NAMES json] [FORMAT f]
pub(super) fn mget(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let mut words = Words::new(&args[1..]);
    let table = table(&cx.reading(), words.need()?)?;
    let limits = limits(cx.settings);
    let size = table.schema.keys.attrs().count();
    let texts = words.counted(size)?;
    let view = read_view(&mut words, &limits)?;
    let mut all = Vec::with_capacity(texts.len() / size);
    for text in texts.chunks_exact(size) {
        all.push(table.schema.text_keys(text[0], text.get(1).copied(), &limits)?);
    }
    cx.out.array(all.len());
    for keys in &all {
        match cx.tx.item(&table, keys) {
            Some(item) => view.item(cx.out, item)?,
            None => cx.out.null(),
        }
    }
    Ok(())
}
