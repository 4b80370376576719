use proptest::prelude::*;

use crate::resp::*;

fn one(text: &str) -> Value {
    let values = ReplyDecoder::decode_all(text.as_bytes()).unwrap();
    assert_eq!(values.len(), 1, "{text:?}");
    values.into_iter().next().unwrap()
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

#[test]
fn every_type() {
    assert_eq!(one("+OK\r\n"), Value::Simple(b"OK".to_vec()));
    assert_eq!(one("+\r\n"), Value::Simple(vec![]));
    assert_eq!(one("-ERR x\r\n"), Value::Error(b"ERR x".to_vec()));
    assert_eq!(one("!5\r\nERR x\r\n"), Value::Error(b"ERR x".to_vec()));
    assert_eq!(one(":-7\r\n"), Value::Int(-7));
    assert_eq!(one("$0\r\n\r\n"), bulk(""));
    assert_eq!(one("$4\r\na\r\nb\r\n"), bulk("a\r\nb"));
    assert_eq!(one("$-1\r\n"), Value::NullBulk);
    assert_eq!(one("*-1\r\n"), Value::NullArray);
    assert_eq!(one("_\r\n"), Value::Null);
    assert_eq!(one("#t\r\n"), Value::Bool(true));
    assert_eq!(one(",1.5\r\n"), Value::Double(1.5));
    assert_eq!(one(",-inf\r\n"), Value::Double(f64::NEG_INFINITY));
    assert!(matches!(one(",nan\r\n"), Value::Double(value) if value.is_nan()));
    assert_eq!(one("(123456789012345678901\r\n"), Value::BigNumber(b"123456789012345678901".to_vec()));
    assert_eq!(one("=7\r\ntxt:abc\r\n"), Value::Verbatim { format: *b"txt", text: b"abc".to_vec() });
    assert_eq!(one("*0\r\n"), Value::Array(vec![]));
    assert_eq!(one("~2\r\n:1\r\n:1\r\n"), Value::Set(vec![Value::Int(1), Value::Int(1)]));
    assert_eq!(one(">1\r\n+x\r\n"), Value::Push(vec![Value::Simple(b"x".to_vec())]));
    assert_eq!(
        one("%2\r\n_\r\n*1\r\n*0\r\n_\r\n%0\r\n"),
        Value::Map(vec![
            (Value::Null, Value::Array(vec![Value::Array(vec![])])),
            (Value::Null, Value::Map(vec![]))
        ])
    );
}

#[test]
fn attributes_are_dropped() {
    assert_eq!(one("|1\r\n+a\r\n*1\r\n:1\r\n*2\r\n|0\r\n:1\r\n|1\r\n:1\r\n:2\r\n:3\r\n"), {
        Value::Array(vec![Value::Int(1), Value::Int(3)])
    });
}

#[test]
fn malformed() {
    for text in [
        "x\r\n",
        "\r\n",
        ":x\r\n",
        "$x\r\n",
        "$-2\r\n",
        "*-2\r\n",
        "#x\r\n",
        "$1\r\nabc",
        "*?\r\n",
        "%-1\r\n",
        "_x\r\n",
    ] {
        assert!(ReplyDecoder::decode_all(text.as_bytes()).is_err(), "{text:?}");
    }
    assert_eq!(ReplyDecoder::decode_all(b"+OK\r\n:1"), Err(ReplyError::Malformed(7)));
}

#[test]
fn depth_is_limited() {
    let deep = |depth: usize| format!("{}:1\r\n", "*1\r\n".repeat(depth));
    assert!(ReplyDecoder::decode_all(deep(128).as_bytes()).is_ok());
    assert_eq!(ReplyDecoder::decode_all(deep(129).as_bytes()), Err(ReplyError::TooDeep(128)));
    assert_eq!(ReplyDecoder::decode_all(deep(1_000_000).as_bytes()), Err(ReplyError::TooDeep(128)));
}

#[test]
fn a_count_alone_allocates_little() {
    assert_eq!(ReplyDecoder::default().decode(b"*4000000000\r\n"), Ok(None));
    assert!(ReplyDecoder::default().decode(b"*4294967296\r\n").is_err());
}

proptest! {
    #[test]
    fn replies_in_pieces(cut in 0usize..60) {
        let data = b"%1\r\n$3\r\nabc\r\n*2\r\n,1.5\r\n=7\r\ntxt:abc\r\n+OK\r\n";
        let mut decoder = ReplyDecoder::default();
        let cut = cut.min(data.len());
        let first = decoder.decode(&data[..cut]).unwrap();
        let (value, used) = match first {
            Some(found) => found,
            None => decoder.decode(data).unwrap().unwrap(),
        };
        prop_assert_eq!(used, data.len() - 5);
        prop_assert_eq!(vec![value], ReplyDecoder::decode_all(&data[..used]).unwrap());
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(data: Vec<u8>) {
        let _ = ReplyDecoder::decode_all(&data);
    }
}

#[test]
fn replies_are_written_again_as_they_were() {
    let resp3 =
        b"%1\r\n+k\r\n~2\r\n:1\r\n,1.5\r\n*3\r\n_\r\n#t\r\n=5\r\ntxt:x\r\n-ERR x\r\n>1\r\n+p\r\n(-12\r\n";
    let values = ReplyDecoder::decode_all(resp3).unwrap();
    let mut again = Reply::new(Proto::V3);
    values.iter().for_each(|value| again.value(value));
    assert_eq!(&*again.since(0), resp3);
    let mut older = Reply::new(Proto::V2);
    values.iter().for_each(|value| older.value(value));
    let resp2 = b"*2\r\n+k\r\n*2\r\n:1\r\n$3\r\n1.5\r\n*3\r\n$-1\r\n:1\r\n$1\r\nx\r\n-ERR x\r\n*1\r\n+p\r\n$3\r\n-12\r\n";
    assert_eq!(&*older.since(0), resp2);
}
