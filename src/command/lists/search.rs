//! LPOS.

use super::list_at;
use crate::command::{Cx, Fail, Outcome, eq, fail, parse_int};
use crate::resp::Reply;
use crate::value::list::Needle;
use crate::value::listpack::ListpackEntry;

#[derive(Clone, Copy)]
struct Options {
    /// RANK: the number of the match that is shown first, counted from the end if it is negative.
    rank: i64,
    /// COUNT: the number of matches that are shown, 0 for all.
    count: Option<usize>,
    /// MAXLEN: the number of elements that are compared, 0 for all.
    most: usize,
}

impl Options {
    fn parse(args: &[&[u8]]) -> Result<Self, Fail> {
        let mut options = Self { rank: 1, count: None, most: 0 };
        for pair in args.chunks(2) {
            let [word, value] = *pair else { return Err(fail::SYNTAX) };
            if eq(word, "rank") {
                options.rank = parse_rank(value)?;
            } else if eq(word, "count") {
                let wrong = Fail::new("ERR COUNT can't be negative");
                options.count = Some(parse_size(value, &wrong)?);
            } else if eq(word, "maxlen") {
                options.most = parse_size(value, &Fail::new("ERR MAXLEN can't be negative"))?;
            } else {
                return Err(fail::SYNTAX);
            }
        }
        Ok(options)
    }
}

fn parse_rank(arg: &[u8]) -> Result<i64, Fail> {
    match parse_int(arg)? {
        i64::MIN => Err(Fail::new(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        )),
        0 => Err(Fail::new(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
        )),
        rank => Ok(rank),
    }
}

fn parse_size(arg: &[u8], wrong: &Fail) -> Result<usize, Fail> {
    usize::try_from(parse_int(arg).map_err(|_| wrong.clone())?).map_err(|_| wrong.clone())
}

pub(super) fn lpos(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let options = Options::parse(&args[3..])?;
    let needle = Needle::new(args[2]);
    let Some(list) = list_at(cx.tx, args[1])? else {
        if options.count.is_some() {
            cx.out.array(0);
        } else {
            cx.out.null();
        }
        return Ok(());
    };
    let len = list.len();
    if options.rank > 0 {
        answer(cx.out, options, (0..len).zip(list.iter_from(0)), needle);
    } else {
        answer(cx.out, options, (0..len).rev().zip(list.iter_back_from(usize::MAX)), needle);
    }
    Ok(())
}

/// Answers with the positions of matches among `elements`, in the order of `elements`.
fn answer<'l>(
    out: &mut Reply,
    options: Options,
    elements: impl Iterator<Item = (usize, ListpackEntry<'l>)>,
    needle: Needle<'_>,
) {
    let most = if options.most == 0 { usize::MAX } else { options.most };
    let passed = usize::try_from(options.rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let mut matches =
        elements.take(most).filter(|(_, found)| needle.is(*found)).map(|(at, _)| at).skip(passed);
    match options.count {
        None => match matches.next() {
            Some(at) => out.len_int(at),
            None => out.null(),
        },
        Some(count) => {
            let begun = out.begin_deferred();
            let mut found = 0;
            for at in matches.take(if count == 0 { usize::MAX } else { count }) {
                out.len_int(at);
                found += 1;
            }
            out.end_array(begun, found);
        }
    }
}
