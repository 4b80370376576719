//! Integers and memory sizes.

/// Parses a decimal `i64` that is written in its only canonical form.
///
/// `None` for a `+`, leading zeros, `-0`, blanks, anything after the last digit, and numbers out of range. By these
/// rules Redis decides whether a string is an integer. Parsing and formatting again gives the same bytes.
#[inline]
pub fn parse_i64_strict(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let magnitude = match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] => magnitude(digits)?,
        _ => return None,
    };
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Parses a decimal `u64` in canonical form, by the rules of [`parse_i64_strict`] without a sign.
#[inline]
pub fn parse_u64_strict(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] => magnitude(text),
        _ => None,
    }
}

#[inline]
fn magnitude(digits: &[u8]) -> Option<u64> {
    // Nineteen digits always fit; only a twentieth can overflow and needs the checked arithmetic.
    if digits.len() > 20 {
        return None;
    }
    let mut value = 0u64;
    for (index, &byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = if index < 19 {
            value * 10 + u64::from(digit)
        } else {
            value.checked_mul(10)?.checked_add(u64::from(digit))?
        };
    }
    Some(value)
}

/// Parses a size in bytes with Redis's units: none or `b`, `k` (1000), `kb` (1024), `m`, `mb`, `g`, `gb`, in any case.
///
/// `None` for a negative number, a missing number, an unknown unit or a result above `u64::MAX`.
pub fn parse_memory(text: &[u8]) -> Option<u64> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for byte in digits {
        value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
    }
    value.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strict_integers_have_one_spelling() {
        for good in ["0", "7", "-1", "1234567890123456789", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(parse_i64_strict(good.as_bytes()), Some(good.parse().unwrap()), "{good}");
        }
        for bad in [
            "",
            "-",
            "-0",
            "00",
            "01",
            "-01",
            "+1",
            " 1",
            "1 ",
            "1a",
            "0x1",
            "1.0",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999999999",
        ] {
            assert_eq!(parse_i64_strict(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_u64_strict(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64_strict(b"18446744073709551616"), None);
        assert_eq!(parse_u64_strict(b"-1"), None);
        assert_eq!(parse_u64_strict(b"01"), None);
    }

    #[test]
    fn memory_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1", 1),
            ("007", 7),
            ("1b", 1),
            ("1k", 1000),
            ("2KB", 2048),
            ("3m", 3_000_000),
            ("1mB", 1 << 20),
            ("1g", 1_000_000_000),
            ("1GB", 1 << 30),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_memory(text.as_bytes()), Some(bytes), "{text}");
        }
        for bad in
            ["", "b", "kb", "-1", "1 kb", "1tb", "1.5gb", "18446744073709551616", "18446744073709551615kb"]
        {
            assert_eq!(parse_memory(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_integer_is_read_back(value: i64) {
            prop_assert_eq!(parse_i64_strict(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn accepted_text_is_canonical(text in "[-+]?[0-9]{0,21}") {
            let expected = text.parse::<i64>().ok().filter(|value| value.to_string() == text);
            prop_assert_eq!(parse_i64_strict(text.as_bytes()), expected);
        }
    }
}
