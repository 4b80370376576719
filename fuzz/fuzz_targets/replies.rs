//! A server's bytes: any bytes are decoded or refused, with the same result byte by byte as in one piece.
#![no_main]

use itemory::resp::{ReplyDecoder, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = ReplyDecoder::default().decode(data);
    let mut pieces = ReplyDecoder::default();
    let mut last = Ok(None);
    for end in 0..=data.len().min(512) {
        last = pieces.decode(&data[..end]);
        if !matches!(last, Ok(None)) {
            break;
        }
    }
    if data.len() <= 512 || !matches!(last, Ok(None)) {
        assert_eq!(comparable(&last), comparable(&whole));
    }
});

/// The result as text, because NaN does not equal itself, but its text does.
fn comparable<E: std::fmt::Debug>(result: &Result<Option<(Value, usize)>, E>) -> String {
    format!("{result:?}")
}
