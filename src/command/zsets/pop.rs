//! ZPOPMIN, ZPOPMAX and ZMPOP: remove members from the ends.

use super::{delete_range, show, zset_at};
use crate::command::{Cx, Fail, Outcome, eq, fail};
use crate::text::parse_i64_strict;

/// An end of the order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Min,
    Max,
}

impl End {
    fn of_word(word: &[u8]) -> Result<Self, Fail> {
        match word {
            word if eq(word, "min") => Ok(Self::Min),
            word if eq(word, "max") => Ok(Self::Max),
            _ => Err(fail::SYNTAX),
        }
    }

    fn event(self) -> &'static str {
        match self {
            Self::Min => "zpopmin",
            Self::Max => "zpopmax",
        }
    }
}

/// The form in which the removed members are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PopReply {
    /// Members and scores in turn.
    Flat,
    /// Members with their scores, in pairs in RESP3.
    Pairs,
    /// The key, then one member and its score.
    KeyAndOne,
    /// The key, then members with their scores in pairs.
    KeyAndPairs,
}

/// Removes members from the first existing set of some keys and shows them. If none exists, returns false and writes no
/// reply.
pub(super) fn take(
    cx: &mut Cx<'_, '_>,
    keys: &[&[u8]],
    end: End,
    count: usize,
    form: PopReply,
) -> Result<bool, Fail> {
    for key in keys {
        let Some(set) = zset_at(cx.tx, key)? else { continue };
        let len = set.len();
        let count = count.min(len);
        let (first, range) = match end {
            End::Min => (0, (0, count)),
            End::Max => (len - 1, (len - count, len)),
        };
        let out = &mut *cx.out;
        let nested = form == PopReply::KeyAndPairs;
        match form {
            PopReply::Flat => out.array(count * 2),
            PopReply::Pairs => show::header(out, count, true),
            PopReply::KeyAndOne => {
                out.array(count * 2 + 1);
                out.bulk(key);
            }
            PopReply::KeyAndPairs => {
                out.array(2);
                out.bulk(key);
                out.array(count);
            }
        }
        for (member, score) in set.range(first, count, end == End::Max) {
            if nested || form == PopReply::Pairs && out.is_resp3() {
                out.array(2);
            }
            out.bulk(member);
            out.double(score);
        }
        delete_range(cx, key, range, len, end.event());
        return Ok(true);
    }
    Ok(false)
}

pub(super) fn zpopmin(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    pop(cx, args, End::Min)
}

pub(super) fn zpopmax(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    pop(cx, args, End::Max)
}

fn pop(cx: &mut Cx<'_, '_>, args: &[&[u8]], end: End) -> Outcome {
    let (count, form) = match args[2..] {
        [] => (1, PopReply::Flat),
        [count] => (
            parse_i64_strict(count).and_then(|n| usize::try_from(n).ok()).ok_or(fail::NOT_POSITIVE)?,
            PopReply::Pairs,
        ),
        _ => return Err(fail::SYNTAX),
    };
    if count == 0 {
        zset_at(cx.tx, args[1])?;
        cx.out.array(0);
    } else if !take(cx, &args[1..2], end, count, form)? {
        cx.out.array(0);
    }
    Ok(())
}

/// The arguments of ZMPOP from the number of keys on.
pub(super) struct Many<'a, 'b> {
    pub(super) keys: &'a [&'b [u8]],
    pub(super) end: End,
    pub(super) count: usize,
}

/// Reads a number above zero.
///
/// # Errors
/// `wrong` if it is none.
fn positive(arg: &[u8], wrong: &'static str) -> Result<usize, Fail> {
    let number = parse_i64_strict(arg).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    number.ok_or(Fail::new(wrong))
}

impl<'a, 'b> Many<'a, 'b> {
    pub(super) fn read(args: &'a [&'b [u8]]) -> Result<Self, Fail> {
        let number = positive(args[0], "ERR numkeys should be greater than 0")?;
        let (keys, rest) = args[1..].split_at_checked(number).ok_or(fail::SYNTAX)?;
        let [end, rest @ ..] = rest else { return Err(fail::SYNTAX) };
        let end = End::of_word(end)?;
        let count = match rest {
            [] => 1,
            [word, count, rest @ ..] if eq(word, "count") => {
                let count = positive(count, "ERR count should be greater than 0")?;
                if !rest.is_empty() {
                    return Err(fail::SYNTAX);
                }
                count
            }
            _ => return Err(fail::SYNTAX),
        };
        Ok(Self { keys, end, count })
    }
}

pub(super) fn zmpop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Many { keys, end, count } = Many::read(&args[1..])?;
    if !take(cx, keys, end, count, PopReply::KeyAndPairs)? {
        cx.out.null_array();
    }
    Ok(())
}
