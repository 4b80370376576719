use proptest::prelude::*;

use crate::resp::*;

fn written(proto: Proto, write: impl FnOnce(&mut Reply)) -> String {
    let mut reply = Reply::new(proto);
    write(&mut reply);
    String::from_utf8(reply.since(0).into_owned()).unwrap()
}

/// Checks what both versions write.
fn both(write: impl Fn(&mut Reply), resp2: &str, resp3: &str) {
    assert_eq!(written(Proto::V2, &write), resp2);
    assert_eq!(written(Proto::V3, &write), resp3);
}

#[test]
fn scalars() {
    both(Reply::ok, "+OK\r\n", "+OK\r\n");
    both(Reply::queued, "+QUEUED\r\n", "+QUEUED\r\n");
    both(|r| r.simple("a\r\nb"), "+a  b\r\n", "+a  b\r\n");
    both(|r| r.error("\r\nERR a\nb\r\n"), "-ERR a b\r\n", "-ERR a b\r\n");
    both(|r| r.error(""), "-\r\n", "-\r\n");
    both(|r| r.error("\n\r"), "-\r\n", "-\r\n");
    both(|r| r.int(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n");
    both(|r| r.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n");
    both(|r| r.bulk(b"a\r\nb"), "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n");
    both(|r| r.bulk_int(-12), "$3\r\n-12\r\n", "$3\r\n-12\r\n");
    both(|r| r.bulk_fmt(format_args!("{:>12}", "x")), "$12\r\n           x\r\n", "$12\r\n           x\r\n");
    both(Reply::null, "$-1\r\n", "_\r\n");
    both(Reply::null_array, "*-1\r\n", "_\r\n");
    both(|r| r.bool(true), ":1\r\n", "#t\r\n");
    both(|r| r.bool(false), ":0\r\n", "#f\r\n");
    both(|r| r.double(3.5), "$3\r\n3.5\r\n", ",3.5\r\n");
    both(|r| r.double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    both(|r| r.double(f64::NAN), "$3\r\nnan\r\n", ",nan\r\n");
    both(|r| r.verbatim("txt", b"abc"), "$3\r\nabc\r\n", "=7\r\ntxt:abc\r\n");
    both(|r| r.big_number(b"123"), "$3\r\n123\r\n", "(123\r\n");
}

#[test]
fn aggregates() {
    both(|r| r.array(0), "*0\r\n", "*0\r\n");
    both(|r| r.map(600), "*1200\r\n", "%600\r\n");
    both(|r| r.set(3), "*3\r\n", "~3\r\n");
    both(|r| r.push(3), "*3\r\n", ">3\r\n");
}

#[test]
fn deferred_lengths() {
    for count in [0, 1, 9, 10, 11, 99, 100, 1000, 12_345] {
        let body = ":7\r\n".repeat(count);
        let write = |end: fn(&mut Reply, Deferred, usize)| {
            move |reply: &mut Reply| {
                reply.ok();
                let begun = reply.begin_deferred();
                (0..count).for_each(|_| reply.int(7));
                end(reply, begun, count);
                reply.ok();
            }
        };
        let framed = |mark: char, len: usize| format!("+OK\r\n{mark}{len}\r\n{body}+OK\r\n");
        both(write(Reply::end_array), &framed('*', count), &framed('*', count));
        both(write(Reply::end_map), &framed('*', count * 2), &framed('%', count));
    }
}

#[test]
fn deferred_lengths_nest() {
    let text = written(Proto::V2, |reply| {
        let outer = reply.begin_deferred();
        for _ in 0..11 {
            let inner = reply.begin_deferred();
            (0..10).for_each(|_| reply.int(1));
            reply.end_array(inner, 10);
        }
        reply.end_array(outer, 11);
    });
    let inner = format!("*10\r\n{}", ":1\r\n".repeat(10));
    assert_eq!(text, format!("*11\r\n{}", inner.repeat(11)));
}

#[test]
fn marks() {
    let mut reply = Reply::new(Proto::V2);
    reply.ok();
    let mark = reply.len();
    reply.error("ERR x");
    assert!(reply.is_error_at(mark) && !reply.is_error_at(0) && !reply.is_error_at(99));
    reply.truncate(mark);
    assert_eq!(&*reply.since(0), b"+OK\r\n");
    assert_eq!(reply.take().end(), 5);
    assert!(reply.is_empty());
}

#[test]
fn every_small_integer() {
    for value in -1100..1100 {
        both(|r| r.int(value), &format!(":{value}\r\n"), &format!(":{value}\r\n"));
    }
}

proptest! {
    #[test]
    fn replies_are_read_back(number: i64, bytes: Vec<u8>, double: f64, text in "[ -~]{0,40}") {
        let mut reply = Reply::new(Proto::V3);
        reply.map(3);
        reply.int(number);
        reply.bulk(&bytes);
        reply.double(double);
        reply.verbatim("mkd", &bytes);
        reply.simple(&text);
        reply.error(&text);
        let bytes_value = Value::Bulk(bytes.clone());
        let expected = Value::Map(vec![
            (Value::Int(number), bytes_value),
            (Value::Double(double), Value::Verbatim { format: *b"mkd", text: bytes }),
            (Value::Simple(text.clone().into_bytes()), Value::Error(text.into_bytes())),
        ]);
        prop_assert_eq!(ReplyDecoder::decode_all(&reply.since(0)), Ok(vec![expected]));
    }
}
