//! LMOVE, RPOPLPUSH and LMPOP: move an element between lists, and take elements from the first list of several that
//! exists.

use super::{End, drop_some, list_at, outermost, push, show_some};
use crate::command::element::element;
use crate::command::{Cx, Fail, Outcome, eq, fail, parse_int};
use crate::engine::EFFECT_BYTES;

pub(super) fn lmove(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (from, to) = (End::parse(args[3])?, End::parse(args[4])?);
    answer_move(cx, (args[1], from), (args[2], to))
}

pub(super) fn rpoplpush(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    answer_move(cx, (args[1], End::Right), (args[2], End::Left))
}

fn answer_move(cx: &mut Cx<'_, '_>, source: (&[u8], End), target: (&[u8], End)) -> Outcome {
    if !move_one(cx, source, target)? {
        cx.out.null();
    }
    Ok(())
}

/// Moves an element from an end of a list to an end of another list or of the same one, and answers with it. If there
/// is no element, returns false and writes no reply.
pub(super) fn move_one(
    cx: &mut Cx<'_, '_>,
    source: (&[u8], End),
    target: (&[u8], End),
) -> Result<bool, Fail> {
    let ((from, from_end), (to, to_end)) = (source, target);
    let Some(list) = list_at(cx.tx, from)? else { return Ok(false) };
    let Some(value) = outermost(list, from_end).map(|found| found.into_vec()) else { return Ok(false) };
    list_at(cx.tx, to)?;
    cx.tx.ask(value.len() + from.len() + to.len() + 2 * EFFECT_BYTES)?;
    let before = cx.tx.changes();
    // The element is added before it is removed. If both lists are one, a list with one element does not vanish in
    // between.
    push(cx, to, to_end, &[&value]);
    drop_some(cx, from, from_end, 1);
    cx.tx.count_changes(before, 1);
    cx.out.bulk(&value);
    Ok(true)
}

/// The keys from whose first existing list elements are taken, the end, and the number of elements.
pub(super) struct Taking<'a, 'b> {
    pub(super) keys: &'a [&'b [u8]],
    pub(super) end: End,
    pub(super) count: usize,
}

impl<'a, 'b> Taking<'a, 'b> {
    /// Reads `numkeys key [key ...] <LEFT | RIGHT> [COUNT count]`.
    pub(super) fn parse(args: &'a [&'b [u8]]) -> Result<Self, Fail> {
        let [number, rest @ ..] = args else { return Err(fail::SYNTAX) };
        let number = parse_positive(number, "ERR numkeys should be greater than 0")?;
        let (keys, rest) = rest.split_at_checked(number).ok_or(fail::SYNTAX)?;
        let [end, options @ ..] = rest else { return Err(fail::SYNTAX) };
        let end = End::parse(end)?;
        let count = match options {
            [] => 1,
            [word, count, more @ ..] if eq(word, "count") => {
                // As in Redis, a wrong number is told before what follows it.
                let count = parse_positive(count, "ERR count should be greater than 0")?;
                more.is_empty().then_some(count).ok_or(fail::SYNTAX)?
            }
            _ => return Err(fail::SYNTAX),
        };
        Ok(Self { keys, end, count })
    }

    /// Takes elements from the first list that exists, and answers with its name and the elements. If none exists,
    /// returns false and writes no reply.
    pub(super) fn take(&self, cx: &mut Cx<'_, '_>) -> Result<bool, Fail> {
        for key in self.keys {
            let Some(list) = list_at(cx.tx, key)? else { continue };
            let count = self.count.min(list.len());
            cx.out.array(2);
            cx.out.bulk(key);
            show_some(cx.out, list, self.end, count);
            drop_some(cx, key, self.end, count);
            return Ok(true);
        }
        Ok(false)
    }
}

fn parse_positive(arg: &[u8], wrong: &'static str) -> Result<usize, Fail> {
    let number = parse_int(arg).ok().filter(|number| *number > 0);
    number.and_then(|number| usize::try_from(number).ok()).ok_or(Fail::new(wrong))
}

pub(super) fn lmpop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if !Taking::parse(&args[1..])?.take(cx)? {
        cx.out.null_array();
    }
    Ok(())
}

/// Takes one element from the first list that exists, and answers with its name and the element. If none exists,
/// returns false and writes no reply.
pub(super) fn take_one(cx: &mut Cx<'_, '_>, keys: &[&[u8]], end: End) -> Result<bool, Fail> {
    for key in keys {
        let Some(found) = list_at(cx.tx, key)?.and_then(|list| outermost(list, end)) else { continue };
        cx.out.array(2);
        cx.out.bulk(key);
        element(cx.out, found);
        drop_some(cx, key, end, 1);
        return Ok(true);
    }
    Ok(false)
}
