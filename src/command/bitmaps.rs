//! Bitmaps: strings as arrays of bits and of small integers. The log gets only the bytes that change.

use super::fail::{self, Fail};
use super::spec::*;
use super::strings::{max_len, str_of};
use super::{Cx, Outcome, eq, parse_int};
use crate::effect::StringChange;
use crate::engine::{Classes, EFFECT_BYTES};
use crate::value::bits::{
    BitOp, BitUnit, FieldOverflow, FieldType, bitcount, bitpos, parse_bit_offset, read_field, write_field,
};
use smallvec::SmallVec;

const FIELD_KEY: &[KeySpec] = &[keys_at(1, 0, 1, &["RW", "access", "update", "variable_flags"])];
const COMBINED_KEYS: &[KeySpec] =
    &[keys_at(2, 0, 1, &["OW", "update"]), keys_at(3, -1, 1, &["RO", "access"])];

const WRITE: u64 = flag::WRITE | flag::DENYOOM;

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    spec("setbit", 4, WRITE, setbit).keys(ACCESS_UPDATE_KEY).doc(
        "bitmap",
        "2.2.0",
        "O(1)",
        "Sets or clears a bit of a key's string and returns what it was.",
        "key offset value",
    ),
    spec("getbit", 3, flag::READONLY | flag::FAST, getbit).keys(READ_KEY).doc(
        "bitmap",
        "2.2.0",
        "O(1)",
        "Returns a bit of a key's string.",
        "key offset",
    ),
    spec("bitcount", -2, flag::READONLY | flag::SIZED, count).keys(READ_KEY).doc(
        "bitmap",
        "2.6.0",
        "O(N)",
        "Counts the set bits of a key's string, or of a part of it.",
        "key [start end [BYTE | BIT]]",
    ),
    spec("bitpos", -3, flag::READONLY | flag::SIZED, pos).keys(READ_KEY).doc(
        "bitmap",
        "2.8.7",
        "O(N)",
        "Finds the first set or clear bit of a key's string, or of a part of it.",
        "key bit [start [end [BYTE | BIT]]]",
    ),
    spec("bitop", -4, WRITE | flag::COUNTED | flag::SIZED, op).keys(COMBINED_KEYS).doc(
        "bitmap",
        "2.6.0",
        "O(N)",
        "Combines strings bit by bit and stores the result.",
        "<AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey key [key ...]",
    ),
    spec("bitfield", -2, WRITE | flag::COUNTED, bitfield).keys(FIELD_KEY).doc(
        "bitmap",
        "3.2.0",
        "O(1) for each subcommand specified",
        "Reads and changes integers of any width in a key's string.",
        "key [<GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] \
         <SET encoding offset value | INCRBY encoding offset increment>> ...]",
    ),
    spec("bitfield_ro", -2, flag::READONLY | flag::FAST, bitfield_ro).keys(READ_KEY).doc(
        "bitmap",
        "6.0.0",
        "O(1) for each subcommand specified",
        "Reads integers of any width in a key's string.",
        "key [GET encoding offset [GET encoding offset ...]]",
    ),
];

const BAD_OFFSET: Fail = Fail::new("ERR bit offset is not an integer or out of range");
const BAD_BIT: Fail = Fail::new("ERR bit is not an integer or out of range");

fn offset_of(cx: &Cx<'_, '_>, text: &[u8], kind: Option<FieldType>) -> Result<u64, Fail> {
    parse_bit_offset(text, kind, max_len(cx)).ok_or(BAD_OFFSET)
}

fn setbit(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let key = args[1];
    let offset = offset_of(cx, args[2], None)?;
    let on = match parse_int(args[3]) {
        Ok(bit @ (0 | 1)) => bit == 1,
        _ => return Err(BAD_BIT),
    };
    let at = (offset / 8) as usize;
    let mask = 0x80u8 >> (offset % 8);
    let old = cx.string(key)?.and_then(|bytes| bytes.get(at)).copied();
    let byte = old.unwrap_or(0);
    let was = byte & mask != 0;
    if old.is_none() || was != on {
        let new = if on { byte | mask } else { byte & !mask };
        cx.tx.apply(StringChange::Splice { at, bytes: &[new] }.on(cx.db(), key));
        cx.tell(Classes::STRING, "setbit", key);
    }
    cx.out.int(i64::from(was));
    Ok(())
}

fn getbit(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let offset = offset_of(cx, args[2], None)?;
    let byte = cx.string(args[1])?.and_then(|bytes| bytes.get((offset / 8) as usize)).copied().unwrap_or(0);
    cx.out.int(i64::from(byte >> (7 - offset % 8) & 1));
    Ok(())
}

fn unit_of(word: &[u8]) -> Result<BitUnit, Fail> {
    match word {
        w if eq(w, "BIT") => Ok(BitUnit::Bit),
        w if eq(w, "BYTE") => Ok(BitUnit::Byte),
        _ => Err(fail::SYNTAX),
    }
}

fn count(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let range = match args[2..] {
        [] => None,
        [start, end] => Some((parse_int(start)?, parse_int(end)?, BitUnit::Byte)),
        [start, end, unit] => Some((parse_int(start)?, parse_int(end)?, unit_of(unit)?)),
        _ => return Err(fail::SYNTAX),
    };
    let set = cx.string(args[1])?.map_or(0, |bytes| bitcount(bytes, range));
    cx.out.int(set as i64);
    Ok(())
}

fn pos(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let bit = match parse_int(args[2])? {
        bit @ (0 | 1) => bit == 1,
        _ => return Err(Fail::new("ERR The bit argument must be 1 or 0.")),
    };
    let start = args.get(3).map_or(Ok(0), |text| parse_int(text))?;
    let unit = args.get(5).map_or(Ok(BitUnit::Byte), |word| unit_of(word))?;
    let end = args.get(4).map(|text| parse_int(text)).transpose()?;
    if args.len() > 6 {
        return Err(fail::SYNTAX);
    }
    let found = match cx.string(args[1])? {
        // A missing key counts as an endless row of zeros.
        None => (!bit).then_some(0),
        Some(bytes) => bitpos(bytes, bit, start, end, unit),
    };
    cx.out.int(found.map_or(-1, |at| at as i64));
    Ok(())
}

fn op(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let op = BitOp::parse(args[1]).ok_or(fail::SYNTAX)?;
    let (target, keys) = (args[2], &args[3..]);
    op.check_sources(keys.len()).map_err(Fail::new)?;
    for key in keys {
        cx.string(key)?;
    }
    let replaces = cx.tx.is_heard(Classes::GENERIC) && cx.tx.exists(target);
    let old = cx.replaced_type(cx.tx.db, target);
    let len = cx.tx.combine(op, target, keys)?;
    if len > 0 {
        cx.tell_replaced(cx.tx.db, target, old, "string");
        cx.tell(Classes::STRING, "set", target);
    } else if replaces {
        cx.tell(Classes::GENERIC, "del", target);
    }
    cx.out.len_int(len);
    Ok(())
}

/// What a step of BITFIELD does.
#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64),
    Increment(i64),
}

/// One step of BITFIELD.
#[derive(Clone, Copy)]
struct Step {
    action: Action,
    kind: FieldType,
    offset: u64,
    overflow: FieldOverflow,
}

type Steps = SmallVec<[Step; 8]>;

fn parse_steps(cx: &Cx<'_, '_>, args: &[&[u8]]) -> Result<Steps, Fail> {
    let mut steps = Steps::new();
    let mut overflow = FieldOverflow::Wrap;
    let mut rest = args;
    while let [word, tail @ ..] = rest {
        rest = match tail {
            [name, tail @ ..] if eq(word, "OVERFLOW") => {
                overflow =
                    FieldOverflow::parse(name).ok_or(Fail::new("ERR Invalid OVERFLOW type specified"))?;
                tail
            }
            [kind, offset, tail @ ..] if eq(word, "GET") => {
                let (kind, offset) = field_of(cx, kind, offset)?;
                steps.push(Step { action: Action::Get, kind, offset, overflow });
                tail
            }
            [kind, offset, value, tail @ ..] if eq(word, "SET") || eq(word, "INCRBY") => {
                let (kind, offset) = field_of(cx, kind, offset)?;
                let value = parse_int(value)?;
                let action = if eq(word, "SET") { Action::Set(value) } else { Action::Increment(value) };
                steps.push(Step { action, kind, offset, overflow });
                tail
            }
            _ => return Err(fail::SYNTAX),
        };
    }
    Ok(steps)
}

fn field_of(cx: &Cx<'_, '_>, kind: &[u8], offset: &[u8]) -> Result<(FieldType, u64), Fail> {
    let kind = FieldType::parse(kind).ok_or(Fail::new(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    ))?;
    Ok((kind, offset_of(cx, offset, Some(kind))?))
}

fn bitfield(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let steps = parse_steps(cx, &args[2..])?;
    run_steps(cx, args[1], &steps)
}

fn bitfield_ro(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let steps = parse_steps(cx, &args[2..])?;
    if steps.iter().any(|step| !matches!(step.action, Action::Get)) {
        return Err(Fail::new("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    run_steps(cx, args[1], &steps)
}

fn run_steps(cx: &mut Cx<'_, '_>, key: &[u8], steps: &[Step]) -> Outcome {
    // A BITFIELD that only reads counts as a lookup, as in Redis.
    let reads = steps.iter().all(|step| matches!(step.action, Action::Get));
    let found = if reads { cx.tx.entry(key) } else { cx.tx.look(key) };
    let len = found.map_or(Ok(0), |entry| str_of(entry).map(<[u8]>::len))?;
    // Before any step runs, the string is made long enough for all writes, even for those whose overflow fails.
    let writes = steps.iter().filter(|step| !matches!(step.action, Action::Get));
    let needed = writes.clone().map(|step| step.kind.needed_len(step.offset) as usize).max().unwrap_or(0);
    // Each change names the key anew, and one more makes the string longer.
    cx.tx.ask_record((writes.count() + 1) * (key.len() + EFFECT_BYTES))?;
    let before = cx.tx.changes();
    if needed > len {
        cx.tx.apply(StringChange::Splice { at: needed, bytes: b"" }.on(cx.db(), key));
    }
    let lengthened = cx.tx.changes();
    cx.out.array(steps.len());
    for step in steps {
        match run_step(cx, key, *step)? {
            Some(value) => cx.out.int(value),
            None => cx.out.null(),
        }
    }
    // The lengthening does not count as a change of its own if a step has changed the string.
    if cx.tx.changes() > lengthened {
        cx.tx.count_changes(before, cx.tx.changes() - lengthened);
    }
    if cx.tx.changes() > before {
        cx.tell(Classes::STRING, "setbit", key);
    }
    Ok(())
}

fn run_step(cx: &mut Cx<'_, '_>, key: &[u8], step: Step) -> Result<Option<i64>, Fail> {
    let Step { action, kind, offset, overflow } = step;
    let bytes = cx.tx.look(key).map_or(Ok(&[][..]), str_of)?;
    let old = read_field(bytes, kind, offset);
    let (new, shown) = match action {
        Action::Get => return Ok(Some(old)),
        Action::Set(value) => (kind.set(value, overflow), Some(old)),
        Action::Increment(by) => {
            let new = kind.increment(old, by, overflow);
            (new, new)
        }
    };
    let Some(new) = new else { return Ok(None) };
    if new == old {
        return Ok(shown);
    }
    let first = (offset / 8) as usize;
    let last = (kind.needed_len(offset) as usize).min(bytes.len());
    let mut window: SmallVec<[u8; 16]> = SmallVec::from_slice(bytes.get(first..last).unwrap_or_default());
    write_field(&mut window, kind, offset % 8, new);
    cx.tx.apply(StringChange::Splice { at: first, bytes: &window }.on(cx.db(), key));
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Harness;

    #[test]
    fn steps_see_what_the_ones_before_wrote() {
        let mut t = Harness::new();
        for (line, reply) in [
            ("bitfield k set u8 0 255 get u4 4 incrby u8 0 1 get u8 0", "[:0 :15 :0 :0]"),
            ("bitfield k set i64 #1 -2 get u1 127 get i5 123", "[:0 :0 :-2]"),
            ("bitfield k overflow sat incrby u2 1 9 overflow fail incrby u2 1 1 get u2 1", "[:3 nil :3]"),
            ("bitfield k set u63 129 1 get u1 191", "[:0 :1]"),
            ("strlen k", ":24"),
            ("bitfield_ro k get u1 191 get u8 10000", "[:1 :0]"),
            ("bitfield_ro k set u1 0 0", "-ERR BITFIELD_RO only supports the GET subcommand"),
            ("bitfield k get u8 4294967296", "-ERR bit offset is not an integer or out of range"),
            ("bitfield k set u8 0 1 set", "-ERR syntax error"),
            ("bitfield k", "[]"),
            ("bitfield none overflow fail incrby u2 30 4", "[nil]"),
            ("get none", "\"\\x00\\x00\\x00\\x00\""),
        ] {
            assert_eq!(t.run(line), reply, "{line}");
        }
    }

    #[test]
    fn arguments_are_checked_before_the_key_is_looked_at() {
        let mut t = Harness::new();
        for (line, reply) in [
            ("bitcount none 0 a", "-ERR value is not an integer or out of range"),
            ("bitcount none 0", "-ERR syntax error"),
            ("bitcount none 0 1 foo", "-ERR syntax error"),
            ("bitpos none 2", "-ERR The bit argument must be 1 or 0."),
            ("bitpos none 1 a", "-ERR value is not an integer or out of range"),
            ("bitpos none 0 1 2 bit", ":0"),
            ("bitpos none 1 1 2 bit 3", "-ERR syntax error"),
            ("bitop and d", "-ERR wrong number of arguments for 'bitop' command"),
            ("bitop nand d none", "-ERR syntax error"),
            ("setbit k 4294967296 1", "-ERR bit offset is not an integer or out of range"),
            ("setbit k 1 2", "-ERR bit is not an integer or out of range"),
        ] {
            assert_eq!(t.run(line), reply, "{line}");
        }
    }

    #[test]
    fn results_replace_the_target() {
        let mut t = Harness::new();
        t.run("mset a ab b a d old");
        assert_eq!(t.run("bitop xor d a b none"), ":2");
        assert_eq!(t.run("get d"), "\"\\x00b\"");
        assert_eq!(t.run("bitop and a a b"), ":2");
        assert_eq!(t.run("get a"), "\"a\\x00\"");
        assert_eq!(t.run("bitop or d none"), ":0");
        assert_eq!(t.run("get d"), "nil");
    }
}
