//! Tests that the fast lane decodes what the general decoder decodes; used by property tests and the fuzzer.

use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::types::RangeFrame;

use super::{Batch, Decoder, InputLimits, ProtocolError};

/// Commands as owned arguments, and the error that ended the stream, if one did.
type Decoded = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

/// Feeds `data` to the fast lane in reads that end at `cuts`, and gives all commands and the error, if any.
///
/// `max_commands` bounds each call, as the session does.
pub fn decode_in_pieces(data: &[u8], cuts: &[usize], limits: &InputLimits, max_commands: usize) -> Decoded {
    let mut decoder = Decoder::new();
    let mut batch = Batch::new();
    let mut commands = Vec::new();
    let mut buffer: Vec<u8> = Vec::new();
    let mut cuts: Vec<usize> = cuts.iter().map(|&cut| cut.min(data.len())).collect();
    cuts.push(data.len());
    cuts.sort_unstable();
    let mut fed = 0;
    for cut in cuts {
        buffer.extend_from_slice(data.get(fed..cut).unwrap_or_default());
        fed = cut;
        loop {
            let result = decoder.decode(&mut buffer, limits, &mut batch, max_commands);
            for &command in &batch.commands {
                commands.push(batch.args_of(command).iter().map(|span| span.of(&buffer).to_vec()).collect());
            }
            buffer.drain(..batch.consumed);
            match result {
                Err(error) => return (commands, Some(error)),
                Ok(()) if batch.commands.is_empty() => break,
                Ok(()) => {}
            }
        }
    }
    (commands, None)
}

/// The general decoder is asked only about data with at most so many marks, because it recurses into nested arrays
/// without a limit.
const MAX_MARKS: usize = 2000;

/// The commands at the front of `data` that the general decoder reads as arrays of at least one bulk string.
fn general(data: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut commands = Vec::new();
    let mut rest = data;
    if memchr::memchr_iter(b'*', data).count() > MAX_MARKS {
        return commands;
    }
    while rest.first() == Some(&b'*') {
        let Ok(Some((RangeFrame::Array(frames), used))) = decode_range(rest) else { break };
        let args: Option<Vec<Vec<u8>>> = frames
            .iter()
            .map(|frame| match frame {
                RangeFrame::BulkString((start, end)) => rest.get(*start..*end).map(<[u8]>::to_vec),
                _ => None,
            })
            .collect();
        let Some(args) = args.filter(|args| !args.is_empty()) else { break };
        commands.push(args);
        rest = rest.get(used..).unwrap_or_default();
    }
    commands
}

/// How many of the first `commands` stand in `data` with all their numbers in the one form that Redis accepts.
///
/// The general decoder also accepts others (`+1`, `01`); behind the first such header the two decoders may differ.
fn canonical_prefix(data: &[u8], commands: &[Vec<Vec<u8>>]) -> usize {
    let mut at = 0;
    for (index, args) in commands.iter().enumerate() {
        let mut encoded = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            encoded.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            encoded.extend_from_slice(arg);
            encoded.extend_from_slice(b"\r\n");
        }
        if data.get(at..at + encoded.len()) != Some(encoded.as_slice()) {
            return index;
        }
        at += encoded.len();
    }
    commands.len()
}

/// Checks two things for any bytes: the fast lane gives the same commands and error however the bytes are cut, and
/// these commands are those of the general decoder. For the fuzzer and the property tests.
///
/// # Panics
/// If one of the two does not hold, which is a bug.
pub fn decode_equals_oracle(data: &[u8], cuts: &[usize]) {
    for authenticated in [true, false] {
        let limits =
            InputLimits { max_bulk: 1 << 20, max_inline: 256, authenticated, ..InputLimits::default() };
        let whole = decode_in_pieces(data, &[], &limits, usize::MAX);
        for max_commands in [1, 3, usize::MAX] {
            let pieces = decode_in_pieces(data, cuts, &limits, max_commands);
            assert_eq!(whole, pieces, "cut at {cuts:?}, {max_commands} at a time");
        }
        if authenticated {
            let expected = general(data);
            let comparable = canonical_prefix(data, &expected);
            for (index, command) in expected.iter().take(comparable).enumerate() {
                assert_eq!(
                    whole.0.get(index),
                    Some(command),
                    "command {index} differs from the general decoder's"
                );
            }
        }
    }
}
