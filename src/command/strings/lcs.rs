//! LCS.

use crate::command::fail::{self, Fail};
use crate::command::{Cx, Outcome, eq, parse_int};
use crate::value::lcs::{LcsIndexes, lcs as subsequence, lcs_indexes, lcs_len};

struct Options {
    len: bool,
    idx: bool,
    min_match_len: usize,
    with_match_len: bool,
}

fn parse(args: &[&[u8]]) -> Result<Options, Fail> {
    let mut options = Options { len: false, idx: false, min_match_len: 0, with_match_len: false };
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        if eq(word, "LEN") {
            options.len = true;
        } else if eq(word, "IDX") {
            options.idx = true;
        } else if eq(word, "WITHMATCHLEN") {
            options.with_match_len = true;
        } else if eq(word, "MINMATCHLEN") {
            let least = parse_int(rest.next().ok_or(fail::SYNTAX)?)?;
            options.min_match_len = usize::try_from(least).unwrap_or(0);
        } else {
            return Err(fail::SYNTAX);
        }
    }
    if options.len && options.idx {
        return Err(Fail::new("ERR If you want both the length and indexes, please just use IDX."));
    }
    Ok(options)
}

pub(super) fn lcs(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let string =
        |key| cx.string(key).map_err(|_| Fail::new("ERR The specified keys must contain string values"));
    let (a, b) = (string(args[1])?.unwrap_or_default(), string(args[2])?.unwrap_or_default());
    let options = parse(&args[3..])?;
    let most = cx.settings.proto_max_bulk_len;
    let failed = |error: crate::value::ValueError| Fail::text(error.to_string());
    if options.idx {
        let found = lcs_indexes(a, b, options.min_match_len, most).map_err(failed)?;
        show(cx, &found, options.with_match_len);
    } else if options.len {
        let len = lcs_len(a, b, most).map_err(failed)?;
        cx.out.len_int(len);
    } else {
        let text = subsequence(a, b, most).map_err(failed)?;
        cx.out.bulk(&text);
    }
    Ok(())
}

fn show(cx: &mut Cx<'_, '_>, found: &LcsIndexes, with_match_len: bool) {
    cx.out.map(2);
    cx.out.bulk(b"matches");
    cx.out.array(found.matches.len());
    for stretch in &found.matches {
        cx.out.array(2 + usize::from(with_match_len));
        for (first, last) in [stretch.first, stretch.second] {
            cx.out.array(2);
            cx.out.len_int(first);
            cx.out.len_int(last);
        }
        if with_match_len {
            cx.out.len_int(stretch.match_len());
        }
    }
    cx.out.bulk(b"len");
    cx.out.len_int(found.len);
}
