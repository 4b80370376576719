//! LMOVEM: moves several elements between the ends of two lists, or of one.

use super::{End, drop_some, list_at, push_told_as};
use crate::command::{Cx, Fail, Outcome, eq, fail, parse_int};
use crate::engine::EFFECT_BYTES;
use crate::value::listpack::ListpackEntry;

/// The order in which elements arrive at the target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// OBO: each element is moved before the next one, so elements that go from one end to the same end are reversed.
    OneByOne,
    /// BULK: the elements keep the order that they have in the source.
    AsTheyAre,
}

/// How many elements are moved, and in which order.
pub(super) struct Amount {
    count: usize,
    /// EXACTLY: nothing is moved unless there are that many.
    exact: bool,
    order: Order,
}

impl Amount {
    /// Reads `[<COUNT count | EXACTLY exactly> <OBO | BULK>]`.
    pub(super) fn parse(args: &[&[u8]]) -> Result<Self, Fail> {
        let [word, count, order] = args else {
            let one = Self { count: 1, exact: false, order: Order::OneByOne };
            return if args.is_empty() { Ok(one) } else { Err(fail::SYNTAX) };
        };
        let exact = eq(word, "exactly");
        if !exact && !eq(word, "count") {
            return Err(fail::SYNTAX);
        }
        let order = match order {
            word if eq(word, "obo") => Order::OneByOne,
            word if eq(word, "bulk") => Order::AsTheyAre,
            _ => return Err(fail::SYNTAX),
        };
        let count = parse_int(count).ok().filter(|count| *count > 0);
        let wrong =
            if exact { "ERR exactly should be greater than 0" } else { "ERR count should be greater than 0" };
        let count = count.and_then(|count| usize::try_from(count).ok()).ok_or(Fail::new(wrong))?;
        Ok(Self { count, exact, order })
    }

    /// The length from which on a list has what is to be moved.
    pub(super) fn least(&self) -> usize {
        if self.exact { self.count } else { 1 }
    }
}

/// What moves where.
pub(super) struct Moving<'a> {
    pub(super) from: (&'a [u8], End),
    pub(super) to: (&'a [u8], End),
    pub(super) amount: Amount,
}

impl<'a> Moving<'a> {
    /// Reads `source destination <LEFT | RIGHT> <LEFT | RIGHT>`; `amount` are the arguments of the amount.
    pub(super) fn parse(args: &[&'a [u8]], amount: &[&[u8]]) -> Result<Self, Fail> {
        let (from, to) = (End::parse(args[3])?, End::parse(args[4])?);
        Ok(Self { from: (args[1], from), to: (args[2], to), amount: Amount::parse(amount)? })
    }

    /// Moves the elements, and answers with them as they stand in the target. If the source does not have what is to be
    /// moved, returns false and writes no reply.
    pub(super) fn run(&self, cx: &mut Cx<'_, '_>) -> Result<bool, Fail> {
        let ((from, from_end), (to, to_end)) = (self.from, self.to);
        let Some(list) = list_at(cx.tx, from)? else { return Ok(false) };
        let len = list.len();
        if len < self.amount.least() {
            return Ok(false);
        }
        list_at(cx.tx, to)?;
        let count = self.amount.count.min(len);
        let first = if from_end == End::Left { 0 } else { len - count };
        let mut values: Vec<Vec<u8>> =
            list.iter_from(first).take(count).map(ListpackEntry::into_vec).collect();
        if self.amount.order == Order::OneByOne && from_end == to_end {
            values.reverse();
        }
        let bytes = values.iter().map(|value| value.len() + ELEMENT_BYTES).sum::<usize>();
        cx.tx.ask(bytes + from.len() + to.len() + 2 * EFFECT_BYTES)?;
        cx.out.array(count);
        values.iter().for_each(|value| cx.out.bulk(value));
        let before = cx.tx.changes();
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        if from == to && from_end == to_end && count < len {
            // What is added first would be what is removed. Other elements remain, so the list does not vanish.
            drop_some(cx, from, from_end, count);
            push_in_order(cx, to, to_end, values, to_end);
        } else if from == to && from_end == to_end {
            // All elements go to where they are. They are added at the other end, so the list does not vanish.
            push_in_order(cx, to, to_end.other(), values, to_end);
            drop_some(cx, from, from_end, count);
        } else {
            push_in_order(cx, to, to_end, values, to_end);
            drop_some(cx, from, from_end, count);
        }
        cx.tx.count_changes(before, count as u64);
        Ok(true)
    }
}

/// Adds elements at an end so that they stand there in the order in which they are given. The event says `told`.
fn push_in_order(cx: &mut Cx<'_, '_>, key: &[u8], end: End, mut values: Vec<&[u8]>, told: End) {
    // The last of several elements that are added at the front becomes the first.
    if end == End::Left {
        values.reverse();
    }
    push_told_as(cx, key, end, &values, told);
}

/// The most bytes that an element takes in an effect besides its own.
const ELEMENT_BYTES: usize = 10;

pub(super) fn lmovem(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let moving = Moving::parse(args, &args[5..])?;
    if !moving.run(cx)? {
        cx.out.null_array();
    }
    Ok(())
}
