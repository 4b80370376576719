//! Tests bit operations and the longest common subsequence against a real redis-server.

use crate::harness::{Client, Server, Value};
use itemory::value::bits::{
    BitOp, BitUnit, FieldOverflow, FieldType, bitcount, bitop, bitpos, parse_bit_offset, read_field,
    write_field,
};
use itemory::value::lcs::{lcs, lcs_indexes, lcs_len};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;

fn run<S: Strategy>(
    cases: u32,
    strategy: &S,
    case: impl Fn(&mut Client, S::Value) -> Result<(), TestCaseError>,
) {
    let server = Server::referee(&[]);
    let client = RefCell::new(server.client());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(strategy, |value| case(&mut client.borrow_mut(), value)).unwrap();
}

fn set(client: &mut Client, key: &str, bytes: &[u8]) {
    assert!(client.call(&[b"SET", key.as_bytes(), bytes]).is_ok());
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => Just(0u8), 4 => Just(0xFF), 1 => any::<u8>()];
    (prop_oneof![Just(0u8), Just(0xFF)], 0usize..30, vec(byte, 0..12))
        .prop_map(|(fill, count, bytes)| [vec![fill; count], bytes].concat())
}

fn index() -> impl Strategy<Value = i64> {
    prop_oneof![10 => -45i64..45, 10 => -350i64..350, 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

#[test]
fn counting_and_finding() {
    let unit = prop_oneof![Just(BitUnit::Byte), Just(BitUnit::Bit)];
    run(1500, &(text(), any::<bool>(), index(), index(), unit), |client, (bytes, bit, start, end, unit)| {
        set(client, "k", &bytes);
        let (from, to) = (start.to_string(), end.to_string());
        let name = if unit == BitUnit::Bit { "BIT" } else { "BYTE" };
        let theirs = client.call(&["BITCOUNT", "k", &from, &to, name]);
        prop_assert_eq!(theirs, Value::Int(bitcount(&bytes, Some((start, end, unit))) as i64));
        prop_assert_eq!(client.run("BITCOUNT k"), Value::Int(bitcount(&bytes, None) as i64));
        let bit_text = if bit { "1" } else { "0" };
        let reply = |found: Option<u64>| Value::Int(found.map_or(-1, |at| at as i64));
        let theirs = client.call(&["BITPOS", "k", bit_text, &from, &to, name]);
        prop_assert_eq!(theirs, reply(bitpos(&bytes, bit, start, Some(end), unit)));
        let theirs = client.call(&["BITPOS", "k", bit_text, &from]);
        prop_assert_eq!(theirs, reply(bitpos(&bytes, bit, start, None, BitUnit::Byte)));
        let theirs = client.call(&["BITPOS", "k", bit_text]);
        prop_assert_eq!(theirs, reply(bitpos(&bytes, bit, 0, None, BitUnit::Byte)));
        Ok(())
    });
}

#[test]
fn combining() {
    let name = proptest::sample::select(vec!["AND", "or", "Xor", "NOT"]);
    run(500, &(name, vec(text(), 1..5)), |client, (name, texts)| {
        let op = BitOp::parse(name.as_bytes()).unwrap();
        let mut args = vec!["BITOP".to_owned(), name.to_owned(), "to".to_owned()];
        for (at, bytes) in texts.iter().enumerate() {
            set(client, &format!("k{at}"), bytes);
            args.push(format!("k{at}"));
        }
        let theirs = client.call(&args);
        if let Err(error) = op.check_sources(texts.len()) {
            prop_assert_eq!(theirs.text(), error);
            return Ok(());
        }
        let ours = bitop(op, &texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        prop_assert_eq!(theirs, Value::Int(ours.len() as i64));
        prop_assert_eq!(client.run("GET to").bytes().unwrap_or_default(), ours);
        Ok(())
    });
}

#[test]
fn fields() {
    let kind = prop_oneof![
        (1u8..=64).prop_map(|bits| format!("i{bits}")),
        (1u8..=63).prop_map(|bits| format!("u{bits}"))
    ];
    let offset =
        prop_oneof![(0u32..200).prop_map(|n| n.to_string()), (0u32..5).prop_map(|n| format!("#{n}"))];
    let value = prop_oneof![any::<i64>(), -300i64..300, Just(i64::MAX), Just(i64::MIN)];
    let overflow = proptest::sample::select(vec!["WRAP", "sat", "FAIL"]);
    let step = (any::<bool>(), kind, offset, value, overflow);
    run(400, &(text(), vec(step, 1..8)), |client, (mut bytes, steps)| {
        set(client, "k", &bytes);
        for (increment, kind_text, offset_text, value, overflow_text) in steps {
            let kind = FieldType::parse(kind_text.as_bytes()).unwrap();
            let offset = parse_bit_offset(offset_text.as_bytes(), Some(kind), 1 << 29).unwrap();
            let overflow = FieldOverflow::parse(overflow_text.as_bytes()).unwrap();
            let before = read_field(&bytes, kind, offset);
            let stored =
                if increment { kind.increment(before, value, overflow) } else { kind.set(value, overflow) };
            if let Some(stored) = stored {
                bytes.resize(bytes.len().max(kind.needed_len(offset) as usize), 0);
                write_field(&mut bytes, kind, offset, stored);
            }
            let ours =
                stored.map_or(Value::NullBulk, |stored| Value::Int(if increment { stored } else { before }));
            let verb = if increment { "INCRBY" } else { "SET" };
            let value = value.to_string();
            let theirs = client.call(&[
                "BITFIELD",
                "k",
                "OVERFLOW",
                overflow_text,
                verb,
                &kind_text,
                &offset_text,
                &value,
            ]);
            prop_assert_eq!(theirs, Value::Array(vec![ours]));
            // In Redis a write that fails has lengthened the string with zeros.
            let stored = client.run("GET k").bytes().unwrap();
            prop_assert_eq!(&stored[..bytes.len()], &bytes[..]);
            prop_assert!(stored[bytes.len()..].iter().all(|byte| *byte == 0));
        }
        Ok(())
    });
}

#[test]
fn longest_common_subsequences() {
    const LIMIT: u64 = 512 << 20;
    let text = || prop_oneof![vec(0x61u8..0x64, 0..150), vec(any::<u8>(), 0..150), vec(0x61u8..0x70, 0..700)];
    run(300, &(text(), text(), 0usize..4), |client, (a, b, min)| {
        set(client, "a", &a);
        set(client, "b", &b);
        prop_assert_eq!(client.run("LCS a b LEN"), Value::Int(lcs_len(&a, &b, LIMIT).unwrap() as i64));
        prop_assert_eq!(client.run("LCS a b"), Value::Bulk(lcs(&a, &b, LIMIT).unwrap()));
        let theirs = client.call(&["LCS", "a", "b", "IDX", "WITHMATCHLEN", "MINMATCHLEN", &min.to_string()]);
        let ours = lcs_indexes(&a, &b, min, LIMIT).unwrap();
        let int = |n: usize| Value::Int(n as i64);
        let pair = |(from, to): (usize, usize)| Value::Array(vec![int(from), int(to)]);
        let matches = ours.matches.iter().map(|stretch| {
            Value::Array(vec![pair(stretch.first), pair(stretch.second), int(stretch.match_len())])
        });
        let name = |text: &str| Value::Bulk(text.as_bytes().to_vec());
        let ours = vec![name("matches"), Value::Array(matches.collect()), name("len"), int(ours.len)];
        prop_assert_eq!(theirs, Value::Array(ours));
        Ok(())
    });
    let server = Server::referee(&[]);
    let client = &mut server.client();
    let long = vec![b'x'; 20_000];
    set(client, "long", &long);
    assert_eq!(client.run("LCS long long LEN").text(), lcs_len(&long, &long, LIMIT).unwrap_err().to_string());
}
