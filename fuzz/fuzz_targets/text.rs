//! Quoting, numbers and glob patterns.
#![no_main]

use itemory::text::{
    format_f64, glob_match, glob_match_nocase, parse_f64, parse_i64_strict, parse_memory, repr, split_words,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    assert_eq!(split_words(repr(data).as_bytes()), Ok(vec![data.to_vec()]));
    if let Ok(words) = split_words(data) {
        let line = words.iter().map(|word| repr(word)).collect::<Vec<_>>().join(" ");
        assert_eq!(split_words(line.as_bytes()), Ok(words));
    }
    if let Some(integer) = parse_i64_strict(data) {
        assert_eq!(integer.to_string().as_bytes(), data);
    }
    if let Some(double) = parse_f64(data) {
        assert_eq!(parse_f64(format_f64(double).as_bytes()), Some(double));
    }
    let _ = parse_memory(data);
    let at = data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len() / 2);
    let (pattern, text) = data.split_at(at);
    if glob_match(pattern, text) && !pattern.contains(&b'[') {
        assert!(glob_match_nocase(pattern, text));
    }
});
