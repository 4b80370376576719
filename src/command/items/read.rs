//! Reading one item.

use super::Words;
use super::expressions::{Placeholders, fields, set_once};
use super::show::{Format, View};
use super::target::Target;
use crate::command::{Cx, Outcome, eq, fail};

/// ITEM.GET table pk [sk] [FIELDS n a ...] [NAMES json] [FORMAT f]
pub(super) fn get(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let mut words = Words::new(&args[1..]);
    let target = Target::read(cx, &mut words)?;
    let mut view = View::default();
    if words.peek().is_some() {
        let (mut names, mut placeholders) = (None, Placeholders::default());
        while let Some(word) = words.next() {
            if eq(word, "FIELDS") {
                set_once(&mut names, words.counted(1)?)?;
            } else if eq(word, "FORMAT") {
                view.format = Format::read(&mut words)?;
            } else if !placeholders.read(word, &mut words)? {
                return Err(fail::SYNTAX);
            }
        }
        let mut binder = placeholders.binder(target.limits.max_depth)?;
        view.fields = names.map(|names| fields(&mut binder, names)).transpose()?;
        binder.finish()?;
    }
    match cx.tx.item(&target.table, &target.keys) {
        Some(item) => view.item(cx.out, item)?,
        None => cx.out.null(),
    }
    Ok(())
}
