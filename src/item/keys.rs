//! Keys as bytes whose order under `memcmp` is the order of their values.
//!
//! A string or binary that stands alone, or last, is its own bytes. In a key of several attributes each is made
//! self-delimiting: a zero byte is written `00 FF`, and `00 00` ends it. A number is self-delimiting in any place:
//!
//! ```text
//! zero      80
//! positive  head { pair + 1 } 00      pairs of decimal digits, the first one not zero, a last odd digit padded
//! negative  the same with every byte inverted
//! head      with 0.d1d2... * 10^E:  A0+E for E in 0..=60,  E0 E-61 above,  90 E+129 below
//! ```
//! The type is not stored; the schema has it.

use smallvec::SmallVec;

use super::bytes::Reader;
use super::number::digit_count;
use super::{AttributeValue, AttributeValueRef, ItemError, KeyType, Number};

/// An encoded key; short ones need no allocation.
pub type KeyBytes = SmallVec<[u8; 40]>;

const ZERO: u8 = 0x80;
const BELOW_ONE: u8 = 0x90;
const SMALL: u8 = 0xA0;
const LARGE: u8 = 0xE0;
const SMALL_TOP: i32 = 60;
const LOWEST: i32 = -129;

/// Appends a key attribute that stands alone or last. False, and nothing appended, for types that cannot be keys.
pub fn put_key(out: &mut KeyBytes, value: &AttributeValueRef<'_>) -> bool {
    match value {
        AttributeValueRef::S(bytes) | AttributeValueRef::B(bytes) => out.extend_from_slice(bytes),
        AttributeValueRef::N(number) => put_number(out, *number),
        _ => return false,
    }
    true
}

/// Appends a key attribute in self-delimiting form. False, and nothing appended, for types that cannot be keys.
pub fn put_key_part(out: &mut KeyBytes, value: &AttributeValueRef<'_>) -> bool {
    match value {
        AttributeValueRef::S(bytes) | AttributeValueRef::B(bytes) => {
            for &byte in *bytes {
                out.push(byte);
                if byte == 0 {
                    out.push(0xFF);
                }
            }
            out.extend_from_slice(&[0, 0]);
        }
        AttributeValueRef::N(number) => put_number(out, *number),
        _ => return false,
    }
    true
}

/// Appends the common first bytes of all [`put_key_part`] forms of strings or binaries that begin with `prefix`.
pub fn put_key_part_prefix(out: &mut KeyBytes, prefix: &[u8]) {
    for &byte in prefix {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
}

fn put_number(out: &mut KeyBytes, number: Number) {
    let (negative, coefficient, exponent) = number.parts();
    if coefficient == 0 {
        out.push(ZERO);
        return;
    }
    let flip = if negative { 0xFF } else { 0 };
    let scale = digit_count(coefficient) as i32 + exponent;
    if scale < 0 {
        out.extend_from_slice(&[BELOW_ONE ^ flip, (scale - LOWEST) as u8 ^ flip]);
    } else if scale <= SMALL_TOP {
        out.push((SMALL + scale as u8) ^ flip);
    } else {
        out.extend_from_slice(&[LARGE ^ flip, (scale - SMALL_TOP - 1) as u8 ^ flip]);
    }
    let mut text = itoa::Buffer::new();
    let digits = match u64::try_from(coefficient) {
        Ok(small) => text.format(small),
        Err(_) => text.format(coefficient),
    };
    for pair in digits.as_bytes().chunks(2) {
        let digit = |at: usize| pair.get(at).map_or(0, |byte| byte - b'0');
        out.push((digit(0) * 10 + digit(1) + 1) ^ flip);
    }
    out.push(flip);
}

/// Reads back a key that [`put_key`] wrote.
///
/// # Errors
/// When the bytes are not such a key.
pub fn read_key(key_type: KeyType, bytes: &[u8]) -> Result<AttributeValue, ItemError> {
    match key_type {
        KeyType::S => Ok(AttributeValue::S(utf8(bytes)?)),
        KeyType::B => Ok(AttributeValue::B(bytes.to_vec())),
        KeyType::N => {
            let mut rest = bytes;
            let value = read_key_part(key_type, &mut rest)?;
            if rest.is_empty() { Ok(value) } else { Err(corrupt("bytes are left over")) }
        }
    }
}

/// The text that a command has for a key that [`put_key`] wrote; `None` if the bytes are not such a key.
pub fn key_text(key_type: KeyType, bytes: &[u8]) -> Option<Vec<u8>> {
    match key_type {
        KeyType::S | KeyType::B => Some(bytes.to_vec()),
        KeyType::N => Some(text_of_key(&read_key(key_type, bytes).ok()?)),
    }
}

/// The text that a command has for a key; numbers have their canonical form.
pub fn text_of_key(value: &AttributeValue) -> Vec<u8> {
    match value {
        AttributeValue::S(text) => text.as_bytes().to_vec(),
        AttributeValue::B(bytes) => bytes.clone(),
        AttributeValue::N(number) => {
            let mut text = Vec::with_capacity(24);
            number.write_text(&mut text);
            text
        }
        _ => Vec::new(),
    }
}

/// Reads back a key attribute that [`put_key_part`] wrote and moves `bytes` past it.
///
/// # Errors
/// When the bytes do not begin with one.
pub fn read_key_part(key_type: KeyType, bytes: &mut &[u8]) -> Result<AttributeValue, ItemError> {
    let mut reader = Reader::new(bytes);
    let value = match key_type {
        KeyType::S => AttributeValue::S(utf8(&read_escaped(&mut reader)?)?),
        KeyType::B => AttributeValue::B(read_escaped(&mut reader)?),
        KeyType::N => {
            let number = read_number(&mut reader).ok_or(corrupt("a number is damaged"))?;
            let mut again = KeyBytes::new();
            put_number(&mut again, number);
            // A number is accepted only in its canonical form.
            if !bytes.starts_with(&again) || bytes.len() - reader.rest().len() != again.len() {
                return Err(corrupt("a number is not in its one form"));
            }
            AttributeValue::N(number)
        }
    };
    *bytes = reader.rest();
    Ok(value)
}

/// The bytes behind a key attribute that [`put_key_part`] wrote.
pub(super) fn skip_key_part(key_type: KeyType, bytes: &[u8]) -> Option<&[u8]> {
    match key_type {
        KeyType::S | KeyType::B => {
            let mut at = 0;
            loop {
                at += bytes.get(at..)?.iter().position(|byte| *byte == 0)? + 2;
                if bytes.get(at - 1)? == &0 {
                    return bytes.get(at..);
                }
            }
        }
        KeyType::N => {
            let head = *bytes.first()?;
            if head == ZERO {
                return bytes.get(1..);
            }
            let flip = if head < ZERO { 0xFF } else { 0 };
            let start = if matches!(head ^ flip, BELOW_ONE | LARGE) { 2 } else { 1 };
            let end = bytes.get(start..)?.iter().position(|byte| *byte == flip)?;
            bytes.get(start + end + 1..)
        }
    }
}

fn read_escaped(reader: &mut Reader<'_>) -> Result<Vec<u8>, ItemError> {
    let mut out = Vec::new();
    loop {
        match reader.byte().ok_or(corrupt("the end mark is missing"))? {
            0 => match reader.byte() {
                Some(0) => return Ok(out),
                Some(0xFF) => out.push(0),
                _ => return Err(corrupt("a zero byte is not escaped")),
            },
            byte => out.push(byte),
        }
    }
}

fn read_number(reader: &mut Reader<'_>) -> Option<Number> {
    let head = reader.byte()?;
    if head == ZERO {
        return Some(Number::ZERO);
    }
    let negative = head < ZERO;
    let flip = if negative { 0xFF } else { 0 };
    let scale = match head ^ flip {
        BELOW_ONE => i32::from(reader.byte()? ^ flip) + LOWEST,
        LARGE => i32::from(reader.byte()? ^ flip) + SMALL_TOP + 1,
        head => i32::from(head.checked_sub(SMALL)?),
    };
    let (mut coefficient, mut digits) = (0_u128, 0);
    loop {
        let pair = reader.byte()? ^ flip;
        if pair == 0 {
            break;
        }
        coefficient = coefficient.checked_mul(100)?.checked_add(u128::from(pair - 1))?;
        digits += 2;
    }
    Number::from_parts(negative, coefficient, scale - digits).ok()
}

/// The least key that is greater than every key with this prefix; `None` when there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<KeyBytes> {
    let last = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut end = KeyBytes::from_slice(prefix.get(..=last)?);
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}

fn utf8(bytes: &[u8]) -> Result<String, ItemError> {
    String::from_utf8(bytes.to_vec()).map_err(|_| corrupt("a string is not UTF-8"))
}

fn corrupt(reason: &'static str) -> ItemError {
    ItemError::Corrupt { what: "key", reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::number::tests::any_number;
    use proptest::prelude::*;

    fn key(value: &AttributeValueRef<'_>) -> KeyBytes {
        let mut out = KeyBytes::new();
        assert!(put_key(&mut out, value));
        out
    }

    fn part(value: &AttributeValueRef<'_>) -> KeyBytes {
        let mut out = KeyBytes::new();
        assert!(put_key_part(&mut out, value));
        out
    }

    #[test]
    fn numbers_are_short_and_ordered() {
        assert_eq!(key(&AttributeValueRef::N(Number::from(7))).len(), 3);
        assert_eq!(key(&AttributeValueRef::N(Number::from(1_700_000_000_123))).len(), 9);
        let texts = [
            "-9.9E+125",
            "-1E+61",
            "-1E+60",
            "-100",
            "-12",
            "-1.23",
            "-1.2",
            "-1",
            "-0.1",
            "-0.01",
            "-1E-130",
            "0",
            "1E-130",
            "0.01",
            "0.0999",
            "0.1",
            "1",
            "1.2",
            "1.23",
            "2",
            "10",
            "11",
            "100",
            "1E+59",
            "1E+60",
            "1E+61",
            "9.9E+125",
        ];
        let keys: Vec<KeyBytes> =
            texts.iter().map(|t| key(&AttributeValueRef::N(t.parse().unwrap()))).collect();
        for pair in keys.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
    }

    #[test]
    fn prefix_ends() {
        assert_eq!(prefix_end(b"ab").unwrap().as_slice(), b"ac");
        assert_eq!(prefix_end(b"a\xFF").unwrap().as_slice(), b"b");
        assert_eq!(prefix_end(b"\xFF\xFF"), None);
        assert_eq!(prefix_end(b""), None);
    }

    proptest! {
        #[test]
        fn number_keys_order_as_numbers_and_read_back(a in any_number(), b in any_number()) {
            let (x, y) = (key(&AttributeValueRef::N(a)), key(&AttributeValueRef::N(b)));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(read_key(KeyType::N, &x).unwrap(), AttributeValue::N(a));
        }

        #[test]
        fn composite_keys_order_as_tuples(
            a in (prop::collection::vec(0_u8..3, 0..5), any_number(), "[\\x00ab]{0,3}"),
            b in (prop::collection::vec(0_u8..3, 0..5), any_number(), "[\\x00ab]{0,3}"),
        ) {
            let encode = |(bytes, number, text): &(Vec<u8>, Number, String)| {
                let mut out = part(&AttributeValueRef::B(bytes));
                out.extend(part(&AttributeValueRef::N(*number)));
                out.extend(part(&AttributeValueRef::S(text.as_bytes())));
                out
            };
            let (x, y) = (encode(&a), encode(&b));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            let mut rest = x.as_slice();
            prop_assert_eq!(read_key_part(KeyType::B, &mut rest).unwrap(), AttributeValue::B(a.0.clone()));
            prop_assert_eq!(read_key_part(KeyType::N, &mut rest).unwrap(), AttributeValue::N(a.1));
            prop_assert_eq!(read_key_part(KeyType::S, &mut rest).unwrap(), AttributeValue::S(a.2.clone()));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn a_prefix_selects_what_begins_with_it(text in "[\\x00-c]{0,4}", prefix in "[\\x00-c]{0,2}") {
            let mut from = KeyBytes::new();
            put_key_part_prefix(&mut from, prefix.as_bytes());
            let whole = part(&AttributeValueRef::S(text.as_bytes()));
            prop_assert_eq!(whole.starts_with(&from), text.starts_with(&prefix));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            for key_type in [KeyType::S, KeyType::N, KeyType::B] {
                if let Ok(value) = read_key(key_type, &bytes) {
                    let encoded = crate::item::EncodedValue::new(&value).unwrap();
                    let again = key(&encoded.view());
                    prop_assert_eq!(again.as_slice(), bytes.as_slice());
                }
                let _ = read_key_part(key_type, &mut bytes.as_slice());
            }
        }
    }
}
