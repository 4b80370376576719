use proptest::prelude::*;

use crate::resp::oracle::{decode_equals_oracle, decode_in_pieces};
use crate::resp::*;

type Commands = Vec<Vec<Vec<u8>>>;

fn decode(data: &[u8]) -> (Commands, Option<ProtocolError>) {
    decode_with(data, &InputLimits::default())
}

/// Decodes in one read, and checks that reads of one byte give the same.
fn decode_with(data: &[u8], limits: &InputLimits) -> (Commands, Option<ProtocolError>) {
    let whole = decode_in_pieces(data, &[], limits, usize::MAX);
    let bytewise: Vec<usize> = (0..data.len()).collect();
    assert_eq!(whole, decode_in_pieces(data, &bytewise, limits, 1), "{}", data.escape_ascii());
    whole
}

fn strings(words: &[&[u8]]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.to_vec()).collect()
}

fn commands(data: &[u8]) -> Commands {
    let (commands, error) = decode(data);
    assert_eq!(error, None, "{}", data.escape_ascii());
    commands
}

fn error(data: &[u8]) -> String {
    let (_, error) = decode(data);
    String::from_utf8_lossy(&error.expect("an error").text()).into_owned()
}

fn encode(commands: &Commands) -> Vec<u8> {
    let mut data = Vec::new();
    for args in commands {
        data.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        for arg in args {
            data.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            data.extend_from_slice(arg);
            data.extend_from_slice(b"\r\n");
        }
    }
    data
}

#[test]
fn arrays_of_bulk_strings() {
    assert_eq!(commands(b"*1\r\n$4\r\nPING\r\n"), [strings(&[b"PING"])]);
    assert_eq!(
        commands(b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n\r\n\0*\r\n*1\r\n$1\r\na\r\n"),
        [strings(&[b"SET", b"", b"\r\n\0*"]), strings(&[b"a"])]
    );
    for length in [9, 10, 99, 100, 999, 1000, 9999, 10_000, 99_999, 100_000, 1_000_000] {
        let expected = vec![vec![b"ECHO".to_vec(), vec![b'x'; length]]];
        let (found, error) = decode_in_pieces(&encode(&expected), &[7, 20, 500], &InputLimits::default(), 9);
        assert_eq!((found, error), (expected, None));
    }
    let many = vec![vec![b"x".to_vec(); 12_345]];
    assert_eq!(decode_in_pieces(&encode(&many), &[3, 60_000], &InputLimits::default(), 9).0, many);
}

#[test]
fn only_the_carriage_return_is_looked_at() {
    assert_eq!(commands(b"*1\rX$4\rYPINGZZ*1\r\n$1\r\na\r\n"), [strings(&[b"PING"]), strings(&[b"a"])]);
}

#[test]
fn empty_arrays_and_lines_are_skipped() {
    assert_eq!(commands(b"*0\r\n*-1\r\n*-99\r\n\r\n\n  \t\r\n*1\r\n$1\r\na\r\n"), [strings(&[b"a"])]);
    let mut decoder = Decoder::new();
    let mut batch = Batch::new();
    decoder.decode(&mut b"*0\r\n\r\n*1\r\n".to_vec(), &InputLimits::default(), &mut batch, 10).unwrap();
    assert_eq!((batch.consumed, batch.commands.len()), (6, 0));
}

#[test]
fn inline_commands() {
    assert_eq!(
        commands(b"PING\r\nset  a \"b\\x41 c\"\nget 'a\\'b'\r\n*1\r\n$1\r\na\r\n  x \r\n"),
        [
            strings(&[b"PING"]),
            strings(&[b"set", b"a", b"bA c"]),
            strings(&[b"get", b"a'b"]),
            strings(&[b"a"]),
            strings(&[b"x"])
        ]
    );
    // RESP3 frames other than arrays are words of an inline command.
    assert_eq!(commands(b"%1\r\n+OK\r\n:1\r\n"), [strings(&[b"%1"]), strings(&[b"+OK"]), strings(&[b":1"])]);
    assert_eq!(error(b"get \"a\r\n"), "ERR Protocol error: unbalanced quotes in request");
    assert_eq!(error(b"get 'a'b\r\n"), "ERR Protocol error: unbalanced quotes in request");
}

#[test]
fn inline_limit_counts_the_line() {
    let limits = InputLimits { max_inline: 8, ..InputLimits::default() };
    assert_eq!(decode_with(b"12345678\n", &limits).0, [strings(&[b"12345678"])]);
    assert_eq!(decode_with(b"12345678", &limits), (vec![], None));
    assert_eq!(decode_with(b"123456789", &limits).1, Some(ProtocolError::TooBigInline));
    assert_eq!(decode_with(b"123456789\n", &limits).1, Some(ProtocolError::TooBigInline));
    assert_eq!(decode_with(b"\0\r\n34567", &limits), (vec![], None));
    assert_eq!(decode_with(b"\0\r\n3456789", &limits).1, Some(ProtocolError::TooBigInline));
    assert_eq!(decode_with(b"*\0\r\n456789", &limits).1, Some(ProtocolError::TooBigMultibulkCount));
    assert_eq!(decode_with(b"*1\r\n$\0\r\n456789", &limits).1, Some(ProtocolError::TooBigBulkCount));
    assert_eq!(decode_with(b"*1\r\nABCDEFGHI", &limits).1, Some(ProtocolError::TooBigBulkCount));
}

#[test]
fn counts_and_lengths_out_of_range() {
    for count in
        ["3000000000", "2147483648", "", "x", "1x", "+1", "01", " 1", "-", "-0", "99999999999999999999"]
    {
        assert_eq!(
            error(format!("*{count}\r\n").as_bytes()),
            "ERR Protocol error: invalid multibulk length",
            "{count}"
        );
    }
    for length in ["-1", "", "x", "536870913", "00", "01", "000001", "3.0", "+3", "99999999999999999999"] {
        let data = format!("*2\r\n$1\r\na\r\n${length}\r\n");
        assert_eq!(error(data.as_bytes()), "ERR Protocol error: invalid bulk length", "{length}");
    }
    assert_eq!(commands(b"*2147483647\r\n$536870912\r\n"), Commands::new());
    let limits = InputLimits { max_bulk: 5, max_multibulk: 3, ..InputLimits::default() };
    assert_eq!(decode_with(b"*3\r\n", &limits).1, None);
    assert_eq!(decode_with(b"*4\r\n", &limits).1, Some(ProtocolError::InvalidMultibulkLength));
    assert_eq!(decode_with(b"*1\r\n$5\r\n", &limits).1, None);
    assert_eq!(decode_with(b"*1\r\n$6\r\nabcdef", &limits).1, Some(ProtocolError::InvalidBulkLength));
}

#[test]
fn arguments_must_be_bulk_strings() {
    assert_eq!(error(b"*1\r\n:1\r\n"), "ERR Protocol error: expected '$', got ':'");
    assert_eq!(error(b"*1\r\n*1\r\n"), "ERR Protocol error: expected '$', got '*'");
    assert_eq!(decode(b"*1\r\n\xff\r\n").1.unwrap().text(), b"ERR Protocol error: expected '$', got '\xff'");
    // The decoder looks at the byte only once its line has arrived.
    assert_eq!(commands(b"*1\r\n:1"), Commands::new());
}

#[test]
fn commands_before_an_error_are_delivered() {
    let mut data = b"*1\r\n$1\r\na\r\nb\r\n*2\r\n$1\r\nc\r\n!\r\n*1\r\n$1\r\nd\r\n".to_vec();
    let mut batch = Batch::new();
    let result = Decoder::new().decode(&mut data, &InputLimits::default(), &mut batch, 100);
    assert_eq!(result, Err(ProtocolError::ExpectedDollar(b'!')));
    assert_eq!((batch.commands.len(), batch.args.len(), batch.consumed), (2, 2, 14));
}

#[test]
fn unauthenticated_clients_are_kept_short() {
    let limits = InputLimits { authenticated: false, ..InputLimits::default() };
    assert_eq!(decode_with(b"*10\r\n", &limits).1, None);
    assert_eq!(decode_with(b"*11\r\n", &limits).1, Some(ProtocolError::UnauthenticatedMultibulkLength));
    assert_eq!(decode_with(b"*1\r\n$16384\r\n", &limits).1, None);
    assert_eq!(decode_with(b"*1\r\n$16385\r\n", &limits).1, Some(ProtocolError::UnauthenticatedBulkLength));
    // The command behind AUTH is decoded in a later call, when AUTH may have raised the limits.
    let mut data = b"*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n*11\r\n".to_vec();
    let mut batch = Batch::new();
    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode(&mut data, &limits, &mut batch, 100), Ok(()));
    assert_eq!(batch.commands.len(), 1);
    data.drain(..batch.consumed);
    assert_eq!(decoder.decode(&mut data, &InputLimits::default(), &mut batch, 100), Ok(()));
}

/// The limits for a command that is read at one go are those for one that comes in pieces.
#[test]
fn limits_hold_for_whole_commands() {
    let argument = |length: usize| encode(&vec![vec![b"ECHO".to_vec(), vec![b'x'; length]]]);
    let arguments = |count: usize| encode(&vec![vec![b"ECHO".to_vec(); count]]);
    let small = InputLimits { max_bulk: 50, max_multibulk: 3, ..InputLimits::default() };
    let early = InputLimits { authenticated: false, ..InputLimits::default() };
    for (allowed, beyond, limits, error) in [
        (argument(50), argument(51), &small, ProtocolError::InvalidBulkLength),
        (arguments(3), arguments(4), &small, ProtocolError::InvalidMultibulkLength),
        (argument(16_384), argument(16_385), &early, ProtocolError::UnauthenticatedBulkLength),
        (arguments(10), arguments(11), &early, ProtocolError::UnauthenticatedMultibulkLength),
    ] {
        let (found, none) = decode_with(&allowed, limits);
        assert_eq!((found.len(), none), (1, None), "{error:?}");
        assert_eq!(decode_with(&beyond, limits), (vec![], Some(error)));
    }
}

#[test]
fn max_commands_bounds_a_call() {
    let mut data = b"a\r\nb\r\nc\r\n".to_vec();
    let mut batch = Batch::new();
    let mut decoder = Decoder::new();
    decoder.decode(&mut data, &InputLimits::default(), &mut batch, 2).unwrap();
    assert_eq!((batch.commands.len(), batch.consumed), (2, 6));
    decoder.decode(&mut data, &InputLimits::default(), &mut batch, 0).unwrap();
    assert_eq!((batch.commands.len(), batch.consumed), (0, 0));
}

#[test]
fn a_length_alone_asks_for_little() {
    let mut decoder = Decoder::new();
    let mut batch = Batch::new();
    let limits = InputLimits::default();
    decoder.decode(&mut b"*2\r\n$1\r\na\r\n$10\r\n123".to_vec(), &limits, &mut batch, 9).unwrap();
    assert_eq!(decoder.wants(), 9);
    assert!(decoder.is_partial());
    decoder.decode(&mut b"*2\r\n$1\r\na\r\n$10\r\n1234567890\r\n".to_vec(), &limits, &mut batch, 9).unwrap();
    assert_eq!((decoder.wants(), decoder.is_partial()), (0, false));
    let mut data = b"*1\r\n$500000000\r\n".to_vec();
    decoder.decode(&mut data, &limits, &mut batch, 9).unwrap();
    assert_eq!(decoder.wants(), 64 * 1024);
    data.resize(1_000_000, b'x');
    decoder.decode(&mut data, &limits, &mut batch, 9).unwrap();
    assert_eq!(decoder.wants(), 1_000_000);
}

#[test]
fn partial_input_is_not_parsed_again() {
    // Were it, a byte in front that changed in the meantime would be noticed.
    let mut decoder = Decoder::new();
    let mut batch = Batch::new();
    let limits = InputLimits::default();
    let mut data = b"*3\r\n$1\r\na\r\n$2\r\nb".to_vec();
    decoder.decode(&mut data, &limits, &mut batch, 9).unwrap();
    data[..4].fill(b'#');
    data.extend_from_slice(b"b\r\n$1\r\nc\r\n");
    decoder.decode(&mut data, &limits, &mut batch, 9).unwrap();
    assert_eq!(batch.args.iter().map(|span| span.of(&data)).collect::<Vec<_>>(), [&b"a"[..], b"bb", b"c"]);
}

#[test]
fn what_was_searched_of_a_header_in_pieces_is_forgotten_with_its_command() {
    let mut decoder = Decoder::new();
    let mut batch = Batch::new();
    let limits = InputLimits::default();
    let mut data = b"*1".to_vec();
    decoder.decode(&mut data, &limits, &mut batch, 9).unwrap();
    assert!(decoder.is_partial());
    // Its first bytes are the end of a line.
    data.extend_from_slice(b"\r\n$4\r\nPING\r\n\r\nTIME\r\n");
    decoder.decode(&mut data, &limits, &mut batch, 9).unwrap();
    assert_eq!(batch.args.iter().map(|span| span.of(&data)).collect::<Vec<_>>(), [&b"PING"[..], b"TIME"]);
    assert_eq!((batch.consumed, decoder.is_partial()), (data.len(), false));
}

fn command_strategy() -> impl Strategy<Value = Commands> {
    let arg = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..12),
        1 => proptest::collection::vec(Just(b'v'), 90..1200),
        1 => Just(b"\r\n*1\r\n$1\r\n".to_vec()),
    ];
    proptest::collection::vec(proptest::collection::vec(arg, 1..14), 0..8)
}

proptest! {
    #[test]
    fn fast_lane_equals_general_decoder(commands in command_strategy(), cuts: Vec<proptest::sample::Index>) {
        let data = encode(&commands);
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
        decode_equals_oracle(&data, &cuts);
        let (found, error) = decode_in_pieces(&data, &cuts, &InputLimits::default(), 2);
        prop_assert_eq!((found, error), (commands, None));
    }

    #[test]
    fn damaged_streams_are_cut_invariant(
        commands in command_strategy(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), proptest::sample::select(&b"*$\r\n019-:\"' ax\0"[..])), 0..6),
        cuts: Vec<proptest::sample::Index>,
    ) {
        let mut data = encode(&commands);
        for (at, byte) in damage {
            if !data.is_empty() {
                let at = at.index(data.len());
                data[at] = byte;
            }
        }
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
        decode_equals_oracle(&data, &cuts);
    }

    #[test]
    fn inline_lines_are_cut_invariant(data in "([a-z \"'\\\\*$0-9]{0,12}\r?\n){0,6}", cuts: Vec<proptest::sample::Index>) {
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
        decode_equals_oracle(data.as_bytes(), &cuts);
    }
}
