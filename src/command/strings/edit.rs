//! Parts of strings. The log gets only the bytes that change.

use super::{check_len, str_of};
use crate::command::fail;
use crate::command::{Cx, Outcome, parse_int};
use crate::effect::StringChange;
use crate::engine::Classes;

pub(super) fn append(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, more) = (args[1], args[2]);
    let Some(len) = cx.string(key)?.map(<[u8]>::len) else {
        cx.tx.apply(StringChange::Set { value: more, expire: None }.on(cx.db(), key));
        cx.tell(Classes::STRING, "append", key);
        cx.out.len_int(more.len());
        return Ok(());
    };
    check_len(cx, len as u64, more.len())?;
    cx.tx.apply(StringChange::Splice { at: len, bytes: more }.on(cx.db(), key));
    cx.tell(Classes::STRING, "append", key);
    cx.out.len_int(len + more.len());
    Ok(())
}

pub(super) fn strlen(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let len = cx.string(args[1])?.map_or(0, <[u8]>::len);
    cx.out.len_int(len);
    Ok(())
}

pub(super) fn getrange(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (start, end) = (parse_int(args[2])?, parse_int(args[3])?);
    match cx.tx.entry(args[1]) {
        None => cx.out.bulk(b""),
        Some(entry) => cx.out.bulk(range(str_of(entry)?, start, end)),
    }
    Ok(())
}

/// The bytes from `start` to `end` inclusive; negative numbers count from the end. As in Redis an `end` before the
/// first byte counts as the first, unless both are negative and `start` is greater.
fn range(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    if start < 0 && end < 0 && start > end {
        return b"";
    }
    let place = |at: i64| {
        if at < 0 { bytes.len().saturating_sub(at.unsigned_abs() as usize) } else { at as usize }
    };
    let (start, end) = (place(start), place(end).min(bytes.len().saturating_sub(1)));
    bytes.get(start..=end).unwrap_or_default()
}

pub(super) fn setrange(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, bytes) = (args[1], args[3]);
    let at = u64::try_from(parse_int(args[2])?).map_err(|_| fail::OFFSET_RANGE)?;
    let len = cx.string(key)?.map_or(0, <[u8]>::len);
    if bytes.is_empty() {
        cx.out.len_int(len);
        return Ok(());
    }
    check_len(cx, at, bytes.len())?;
    let at = at as usize;
    cx.tx.apply(StringChange::Splice { at, bytes }.on(cx.db(), key));
    cx.tell(Classes::STRING, "setrange", key);
    cx.out.len_int(len.max(at + bytes.len()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::range;
    use crate::command::testing::Harness;
    use proptest::prelude::*;

    #[test]
    fn only_what_changes_is_there_and_the_rest_stays() {
        let mut t = Harness::new();
        assert_eq!(t.run("setrange k 3 abc"), ":6");
        assert_eq!(t.run("append k def"), ":9");
        assert_eq!(t.run("setrange k 0 xy"), ":9");
        assert_eq!(t.run("get k"), r#""xy\x00abcdef""#);
        assert_eq!(t.run("setrange k 0 \"\""), ":9");
        assert_eq!(t.run("setrange none 0 \"\""), ":0");
        assert_eq!(t.run("get none"), "nil");
    }

    #[test]
    fn only_the_changed_bytes_are_logged() {
        let mut t = Harness::new();
        t.run("setrange k 99999 x");
        t.run("set s v");
        for line in [
            "setrange k 50000 abc",
            "append k abc",
            "setbit k 70000 1",
            "bitfield k set u16 70003 -1 incrby i64 13 1",
            "setrange new 100000 abc",
            "setbit new2 800000 1",
        ] {
            let record = t.record(line);
            assert!(record.len() < 40, "{line}: {} bytes", record.len());
        }
        for line in
            ["setbit k 0 0", "setrange k 7 \"\"", "setrange none 7 \"\"", "set s w nx", "getex s persist"]
        {
            assert_eq!(t.record(line), b"", "{line}");
        }
    }

    #[test]
    fn lengths_are_limited_by_proto_max_bulk_len() {
        let mut t = Harness::new();
        let refused = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
        t.configure("proto-max-bulk-len", "1mb");
        assert_eq!(t.run("setrange k 1048575 x"), ":1048576");
        assert_eq!(t.run("append k x"), refused);
        assert_eq!(t.run("setrange k 1048576 x"), refused);
        assert_eq!(t.run("setrange k 9223372036854775807 x"), refused);
        assert_eq!(t.run("strlen k"), ":1048576");
        t.configure("proto-max-bulk-len", "9000gb");
        assert_eq!(t.run("setrange k 4294967296 x"), refused, "what a record can hold is a limit, too");
    }

    proptest! {
        #[test]
        fn ranges_are_slices(bytes in prop::collection::vec(any::<u8>(), 0..20),
                             start in -25i64..25, end in -25i64..25) {
            let len = bytes.len() as i64;
            let place = |at: i64| if at < 0 { (at + len).max(0) } else { at };
            let wrong_way = start < 0 && end < 0 && start > end;
            let expected: Vec<u8> = (0..len)
                .filter(|at| !wrong_way && *at >= place(start) && *at <= place(end))
                .map(|at| bytes[at as usize])
                .collect();
            prop_assert_eq!(range(&bytes, start, end), &expected);
        }
    }
}
