use bytes::Bytes;
use proptest::prelude::*;

use crate::resp::*;

/// A step on a reply and on its model, which is one vector.
#[derive(Debug, Clone)]
enum Step {
    Bulk(usize),
    Int(i64),
    Fmt(usize),
    Double(f64),
    Simple(usize),
    /// An aggregate of unknown length with so many integers, behind a string of so many bytes.
    Deferred(usize, usize),
    /// A string of so many bytes that is dropped again.
    Dropped(usize),
    /// A chain that was written elsewhere, with strings of these lengths.
    Appended(Vec<usize>),
    /// A string of so many bytes that others hold too.
    Shared(usize),
    /// The same behind a short reply, both dropped again.
    DroppedShared(usize),
    /// A chain with such a string, between two others.
    AppendedShared(usize),
    /// So many thousandths of the present bytes are sent.
    Sent(usize),
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![0..100usize, 0..5000usize, 60_000..70_000usize, 0..200_000usize]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => length().prop_map(Step::Bulk),
        2 => any::<i64>().prop_map(Step::Int),
        1 => (0..2000usize).prop_map(Step::Fmt),
        1 => any::<f64>().prop_map(Step::Double),
        1 => length().prop_map(Step::Simple),
        2 => (0..3000usize, length()).prop_map(|(count, bytes)| Step::Deferred(count, bytes)),
        1 => length().prop_map(Step::Dropped),
        1 => proptest::collection::vec(length(), 0..4).prop_map(Step::Appended),
        1 => length().prop_map(Step::Shared),
        1 => length().prop_map(Step::DroppedShared),
        1 => length().prop_map(Step::AppendedShared),
        2 => (0..=1000usize).prop_map(Step::Sent),
    ]
}

fn text(len: usize) -> Vec<u8> {
    let mut text = b"abcdefghijklmnopqrstuvw".repeat(len / 23 + 1);
    text.truncate(len);
    text
}

fn bulk(len: usize) -> Vec<u8> {
    [format!("${len}\r\n").as_bytes(), &text(len), b"\r\n"].concat()
}

fn appended(reply: &mut Reply, step: &Step) -> Vec<u8> {
    match step {
        Step::Bulk(len) => {
            reply.bulk(&text(*len));
            bulk(*len)
        }
        Step::Int(n) => {
            reply.int(*n);
            format!(":{n}\r\n").into_bytes()
        }
        Step::Fmt(width) => {
            reply.bulk_fmt(format_args!("{:>1$}", "x", *width));
            let shown = format!("{:>1$}", "x", *width);
            format!("${}\r\n{shown}\r\n", shown.len()).into_bytes()
        }
        Step::Double(n) => {
            let mut shown = Vec::new();
            write_f64(&mut shown, *n);
            reply.double(*n);
            [format!("${}\r\n", shown.len()).as_bytes(), &shown, b"\r\n"].concat()
        }
        Step::Simple(len) => {
            reply.simple(text(*len));
            [b"+", &text(*len)[..], b"\r\n"].concat()
        }
        Step::Deferred(count, bytes) => {
            let begun = reply.begin_deferred();
            reply.bulk(&text(*bytes));
            (0..*count).for_each(|_| reply.int(7));
            reply.end_array(begun, count + 1);
            [format!("*{}\r\n", count + 1).as_bytes(), &bulk(*bytes), &b":7\r\n".repeat(*count)].concat()
        }
        Step::Dropped(len) => {
            let mark = reply.len();
            reply.bulk(&text(*len));
            reply.error("ERR dropped");
            reply.truncate(mark);
            Vec::new()
        }
        Step::Appended(lens) => {
            let mut other = Reply::new(Proto::V2);
            lens.iter().for_each(|len| other.bulk(&text(*len)));
            reply.append(other.take());
            lens.iter().flat_map(|len| bulk(*len)).collect()
        }
        Step::Shared(len) => {
            reply.share(Bytes::from(bulk(*len)));
            bulk(*len)
        }
        Step::DroppedShared(len) => {
            let mark = reply.len();
            reply.int(1);
            reply.share(Bytes::from(bulk(*len)));
            reply.truncate(mark + 2);
            reply.truncate(mark);
            Vec::new()
        }
        Step::AppendedShared(len) => {
            let mut other = Reply::new(Proto::V2);
            other.int(1);
            other.share(Bytes::from(bulk(*len)));
            other.int(2);
            reply.append(other.take());
            [b":1\r\n", &bulk(*len)[..], b":2\r\n"].concat()
        }
        Step::Sent(_) => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Steps write, drop and send in any order. Every byte comes out once and in order, and marks stay valid. The chain
    /// holds the bytes that were not sent, and at most the rest of a chunk.
    #[test]
    fn a_chain_is_a_queue_of_bytes_that_holds_little_else(steps in proptest::collection::vec(step(), 1..25)) {
        let (mut reply, mut model, mut sent) = (Reply::new(Proto::V2), Vec::new(), 0);
        for step in &steps {
            let mark = reply.len();
            let bytes = appended(&mut reply, step);
            let largest = bytes.len();
            prop_assert_eq!(&*reply.since(mark), &bytes[..]);
            prop_assert_eq!(reply.is_error_at(mark), false);
            model.extend_from_slice(&bytes);
            prop_assert_eq!(reply.len(), model.len());
            let mut chain = reply.take();
            if let Step::Sent(part) = step {
                let upto = sent + (model.len() - sent) * part / 1000;
                let mut got = Vec::new();
                chain.pieces(upto).for_each(|piece| got.extend_from_slice(piece));
                prop_assert_eq!(&got[..], &model[sent..upto]);
                chain.advance(got.len());
                sent = upto;
            }
            prop_assert_eq!(chain.head(), sent);
            prop_assert_eq!(chain.is_empty(), sent == model.len());
            let unsent = model.len() - sent;
            let slack = chain.pieces(usize::MAX).next().map_or(0, |piece| piece.len().max(200_100 + 64 * 1024));
            prop_assert!(chain.held() <= unsent * 2 + slack + largest, "{} held of {unsent}", chain.held());
            if unsent == 0 {
                prop_assert_eq!(chain.held(), 0);
            }
            reply = Reply::onto(chain, Proto::V2);
        }
    }

    /// The chain never holds more than the limit, except for the spare room of a chunk. After it has exceeded the limit
    /// it holds nothing, and marks stay valid.
    #[test]
    fn a_chain_that_overran_holds_nothing(most in 1..300_000usize, steps in proptest::collection::vec(step(), 1..40)) {
        let mut reply = Reply::limited(Proto::V2, most);
        let mut written = 0;
        for step in &steps {
            let mark = reply.len();
            written += appended(&mut reply, step).len();
            prop_assert!(reply.len() >= mark, "a length that shrinks");
            let overran = reply.overran();
            prop_assert!(overran || reply.since(mark).len() == reply.len() - mark);
            prop_assert!(!overran || reply.since(mark).is_empty());
            let chain = reply.take();
            prop_assert!(chain.held() <= most + 64 * 1024, "{} held", chain.held());
            prop_assert!(!overran || chain.held() == 0 && chain.is_empty());
            reply = Reply::onto(chain, Proto::V2);
        }
        // The last chunk may have room for more.
        prop_assert!(reply.overran() || written <= most + 64 * 1024, "{written} written");
    }
}

/// Nothing is copied to make room: a large value has a chunk of its own, small ones share one.
#[test]
fn small_replies_lie_in_one_piece_and_large_ones_are_not_moved() {
    let mut reply = Reply::new(Proto::V2);
    (0..1000).for_each(|_| reply.bulk(b"0123456789012345678901234567890123456789"));
    assert_eq!(reply.take().pieces(usize::MAX).count(), 1);
    for _ in 0..10 {
        reply.bulk(&text(1_000_000));
    }
    let chain = reply.take();
    assert_eq!(chain.pieces(usize::MAX).count(), 10);
    assert!(chain.held() < 10_001_000, "{}", chain.held());
}

/// The limit is checked when a chunk grows. A limit that is smaller than a chunk is exceeded also by bytes in the
/// chunk's spare room.
#[test]
fn a_limit_that_is_smaller_than_a_chunk_is_exceeded_by_the_first_byte_above_it() {
    let mut seen_in_spare_room = 0;
    for most in (1..64 * 1024).step_by(997) {
        let mut reply = Reply::limited(Proto::V2, most);
        let mut written = 0;
        while !reply.overran() && written < most + 32 * 1024 {
            reply.raw(b"ten bytes.");
            written += 10;
            assert_eq!(reply.is_above_limit(), written > most, "{written} bytes of {most}");
            seen_in_spare_room += usize::from(reply.is_above_limit() && !reply.overran());
        }
    }
    assert!(seen_in_spare_room > 0);
}

/// Disowned bytes leave a chain as it was before them, unless the chain lost other bytes with them.
#[test]
fn what_is_disowned_counts_for_nothing() {
    let mut reply = Reply::limited(Proto::V2, 1000);
    for _ in 0..3 {
        let mark = reply.len();
        reply.bulk(&text(2000));
        reply.bulk(&text(2000));
        assert!(reply.overran());
        reply.disown(mark);
        assert!(!reply.overran() && reply.is_empty());
        reply.ok();
        let mut chain = reply.take();
        assert_eq!(chain.pieces(usize::MAX).collect::<Vec<_>>(), [b"+OK\r\n"]);
        chain.advance(5);
        reply = Reply::onto(chain, Proto::V2);
    }
    reply.ok();
    let mark = reply.len();
    reply.bulk(&text(2000));
    reply.disown(mark);
    assert!(reply.overran(), "the first reply is lost");
    assert!(Reply::new(Proto::V2).apart().is_none());
}
