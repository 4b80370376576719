//! The 38-digit number: a number that is read has one written form, and exact arithmetic can be reversed.
#![no_main]

use itemory::item::Number;
use libfuzzer_sys::fuzz_target;

fn text(number: Number) -> Vec<u8> {
    let mut out = Vec::new();
    number.write_text(&mut out);
    out
}

fuzz_target!(|data: &[u8]| {
    let (left, right) = data.split_at(data.iter().position(|&byte| byte == b' ').unwrap_or(data.len()));
    let Ok(left) = Number::from_text(left) else { return };
    assert_eq!(Number::from_text(&text(left)), Ok(left));
    let Ok(right) = Number::from_text(right.get(1..).unwrap_or_default()) else { return };
    if let Ok(sum) = left.checked_add(right) {
        assert_eq!(right.checked_add(left), Ok(sum));
        assert_eq!(Number::from_text(&text(sum)), Ok(sum));
    }
    let _ = left.checked_sub(right);
    assert_eq!(left.cmp(&right), right.cmp(&left).reverse());
});
