//! Doubles in text.

use std::fmt::Write as _;

/// Appends the shortest text that reads back as `value`, in Redis 7.2's form for scores.
///
/// Integers below 2^62 are written plainly; otherwise `17.5`, `0.000001`, `1e-7`, `1.5e+300`; `inf`, `-inf`, `nan`;
/// `-0` for the negative zero.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"nan");
    } else if value.is_infinite() {
        out.extend_from_slice(if value < 0.0 { b"-inf" } else { b"inf" });
    } else if value == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
    } else if let Some(integer) = as_integer(value) {
        out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    } else {
        write_digits(out, value);
    }
}

/// [`write_f64`] as an owned string.
pub fn format_f64(value: f64) -> String {
    let mut out = Vec::with_capacity(24);
    write_f64(&mut out, value);
    String::from_utf8_lossy(&out).into_owned()
}

/// The integer that `value` is, if it is one and its magnitude is at most 2^62.
fn as_integer(value: f64) -> Option<i64> {
    const LIMIT: f64 = (i64::MAX / 2) as f64;
    if !(-LIMIT..=LIMIT).contains(&value) {
        return None;
    }
    let integer = value as i64;
    ((integer as f64).to_bits() == value.to_bits()).then_some(integer)
}

/// The digits of a positive `value` with as few decimals as possible, and their number. `None` if it needs more than
/// four, or is 1e11 or more.
///
/// Different texts of at most fifteen digits stand for different doubles. So the text that reads back as `value` (the
/// correctly rounded division checks that) is the shortest.
fn short_decimal(value: f64) -> Option<(u64, i32)> {
    if value >= 1e11 {
        return None;
    }
    [(10.0, 1), (100.0, 2), (1000.0, 3), (10_000.0, 4)].into_iter().find_map(|(power, decimals)| {
        let scaled = (value * power + 0.5) as u64;
        ((scaled as f64 / power).to_bits() == value.to_bits()).then_some((scaled, decimals))
    })
}

/// A buffer on the stack for the standard formatter.
struct Digits {
    bytes: [u8; 32],
    len: usize,
}

impl std::fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Writes a finite value that is no integer below 2^62.
fn write_digits(out: &mut Vec<u8>, value: f64) {
    if value < 0.0 {
        out.push(b'-');
    }
    if let Some((scaled, decimals)) = short_decimal(value.abs()) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(scaled).as_bytes();
        layout(out, digits, digits.len() as i32 - 1 - decimals, value < 0.0);
    } else {
        write_shortest(out, value);
    }
}

/// The general way, some six times slower.
fn write_shortest(out: &mut Vec<u8>, value: f64) {
    let mut text = Digits { bytes: [0; 32], len: 0 };
    // The longest shortest form has seventeen digits, a point and a four-byte exponent: it always fits.
    let _ = write!(text, "{:e}", value.abs());
    let text = text.bytes.get(..text.len).unwrap_or_default();
    let (mantissa, exponent) = match text.iter().position(|&byte| byte == b'e') {
        Some(at) => text.split_at(at),
        None => (text, &text[text.len()..]),
    };
    let exponent: i32 = std::str::from_utf8(exponent.get(1..).unwrap_or_default())
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    let mut digits = [0u8; 24];
    let mut count = 0usize;
    for (slot, &byte) in digits.iter_mut().zip(mantissa.iter().filter(|&&byte| byte != b'.')) {
        *slot = byte;
        count += 1;
    }
    layout(out, digits.get(..count).unwrap_or_default(), exponent, value < 0.0);
}

/// Writes `digits`, the first of which has the weight `10^exponent`: without an exponent if that is short enough.
fn layout(out: &mut Vec<u8>, digits: &[u8], exponent: i32, negative: bool) {
    let count = digits.len() as i32;
    // The value is the digits as an integer, times 10^scale.
    let scale = exponent - (count - 1);
    if scale >= 0 && exponent.abs() < count + 7 {
        out.extend_from_slice(digits);
        out.resize(out.len() + scale as usize, b'0');
    } else if scale < 0 && (scale > -7 || exponent.abs() < 4) {
        if exponent < 0 {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + (-exponent - 1) as usize, b'0');
            out.extend_from_slice(digits);
        } else {
            let (whole, fraction) = digits.split_at((exponent + 1) as usize);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
    } else {
        let kept = digits.get(..digits.len().min(18 - usize::from(negative))).unwrap_or(digits);
        if let [first, rest @ ..] = kept {
            out.push(*first);
            if !rest.is_empty() {
                out.push(b'.');
                out.extend_from_slice(rest);
            }
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        out.extend_from_slice(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
    }
}

/// Parses a double as Redis does for scores and increments: the whole text, no blanks, no NaN.
///
/// Accepts decimals, exponents, `inf`/`infinity` with a sign and in any case, and C's hexadecimal floats. A value out
/// of range is refused, even if it is only so small that it would become zero.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    parse(text, false)
}

/// Parses a whole text as C's `strtod` does, as Redis does for bounds of scores: blanks may precede the number, an
/// empty text is 0, a zero byte ends the text, and a value out of range becomes an infinity or 0. NaN is refused.
pub fn parse_strtod(text: &[u8]) -> Option<f64> {
    let text = &text[..memchr::memchr(0, text).unwrap_or(text.len())];
    if text.is_empty() {
        return Some(0.0);
    }
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    parse(&text[blanks..], true)
}

/// A whole number of so few digits that a double represents it exactly; `None` for any other text.
#[inline]
fn small_whole(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !(1..=15).contains(&digits.len()) {
        return None;
    }
    let mut number = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    let number = number as f64;
    Some(if negative { -number } else { number })
}

/// Parses a double. With `wide`, a value out of range becomes the nearest double, an infinity or 0.
fn parse(text: &[u8], wide: bool) -> Option<f64> {
    if let Some(number) = small_whole(text) {
        return Some(number);
    }
    let text = std::str::from_utf8(text).ok()?;
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let bytes = rest.as_bytes();
    let magnitude = match bytes {
        [b'0', b'x' | b'X', ..] => hexadecimal(&bytes[2..], wide)?,
        [b'0'..=b'9' | b'.', ..] => {
            let value: f64 = rest.parse().ok()?;
            let zero = bytes
                .iter()
                .take_while(|byte| !matches!(byte, b'e' | b'E'))
                .all(|byte| matches!(byte, b'0' | b'.'));
            if !wide && (value.is_infinite() || (value == 0.0 && !zero)) {
                return None;
            }
            value
        }
        _ if rest.eq_ignore_ascii_case("inf") || rest.eq_ignore_ascii_case("infinity") => f64::INFINITY,
        _ => return None,
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// The digits of a C hexadecimal float behind its `0x`. Digits beyond the 60th bit only mark the value as inexact.
fn hexadecimal(bytes: &[u8], wide: bool) -> Option<f64> {
    let split = bytes.iter().position(|byte| matches!(byte, b'p' | b'P'));
    let (digits, exponent) = match split {
        Some(at) => (bytes.get(..at)?, std::str::from_utf8(bytes.get(at + 1..)?).ok()?.parse::<i64>().ok()?),
        None => (bytes, 0),
    };
    let (mut mantissa, mut shift, mut seen, mut point) = (0u64, 0i64, false, false);
    for &byte in digits {
        if byte == b'.' && !point {
            point = true;
            continue;
        }
        let digit = u64::from(char::from(byte).to_digit(16)?);
        seen = true;
        if mantissa >> 58 == 0 {
            mantissa = mantissa << 4 | digit;
            shift -= if point { 4 } else { 0 };
        } else {
            mantissa |= u64::from(digit != 0);
            shift += if point { 0 } else { 4 };
        }
    }
    if !seen {
        return None;
    }
    let power = exponent.checked_add(shift)?.clamp(-2000, 2000) as i32;
    let value = mantissa as f64 * 2f64.powi(power / 2) * 2f64.powi(power - power / 2);
    (wide || value.is_finite() && (value != 0.0 || mantissa == 0)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scores_are_written_as_redis_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-3.25, "-3.25"),
            (0.1, "0.1"),
            (3.2, "3.2"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "1e-7"),
            (0.000_012_5, "1.25e-5"),
            (0.000_000_012_5, "1.25e-8"),
            (123_456.789, "123456.789"),
            (1e17, "100000000000000000"),
            (1e18, "1000000000000000000"),
            (1e19, "1e+19"),
            (1.5e300, "1.5e+300"),
            (-1.7e-300, "-1.7e-300"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (12_345_678_901_234_567_890.0, "12345678901234567000"),
            // Halfway between two shortest texts, the larger one is taken.
            (-1_106_814_039_811_380.0 - 0.25, "-1106814039811380.3"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            (4_611_686_018_427_387_904.0, "4611686018427387904"),
            (9_223_372_036_854_775_808.0, "9223372036854776000"),
        ] {
            assert_eq!(format_f64(value), text);
        }
    }

    #[test]
    fn scores_are_read_as_redis_does() {
        for (text, value) in [
            ("1", 1.0),
            ("-1.5", -1.5),
            ("+1.", 1.0),
            (".5", 0.5),
            ("1e3", 1000.0),
            ("0x10", 16.0),
            ("-0x1.8p1", -3.0),
            ("0x.8", 0.5),
            ("inf", f64::INFINITY),
            ("+Inf", f64::INFINITY),
            ("-INFINITY", f64::NEG_INFINITY),
            ("0e5", 0.0),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
        for bad in [
            "", "-", "+", ".", " 1", "1 ", "1a", "nan", "-nan", "1e400", "1e-400", "0x", "0x.", "0x1p5000",
            "--1", "infi", "1_0", "e5",
        ] {
            assert_eq!(parse_f64(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn bounds_are_read_as_c_does() {
        for (text, value) in [
            ("", Some(0.0)),
            ("\0x", Some(0.0)),
            ("1\0x", Some(1.0)),
            (" \t1", Some(1.0)),
            ("1 ", None),
            (" ", None),
            ("1e400", Some(f64::INFINITY)),
            ("-1e400", Some(f64::NEG_INFINITY)),
            ("1e-400", Some(0.0)),
            ("0x10", Some(16.0)),
            ("nan", None),
            ("(1", None),
        ] {
            assert_eq!(parse_strtod(text.as_bytes()), value, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn few_decimals_are_written_as_by_the_general_way(scaled in 1u64..20_000_000_000_000_000, decimals in 0..7) {
            let value = scaled as f64 / 10f64.powi(decimals);
            if value.fract() == 0.0 {
                return Ok(());
            }
            let (mut short, mut general) = (Vec::new(), Vec::new());
            write_digits(&mut short, value);
            write_shortest(&mut general, value);
            prop_assert_eq!(String::from_utf8(short), String::from_utf8(general));
        }

        #[test]
        fn small_scores_are_written_as_by_the_general_way(scaled in 1u64..2_000_000, decimals in 0..7) {
            let value = scaled as f64 / 10f64.powi(decimals);
            if value.fract() == 0.0 {
                return Ok(());
            }
            let (mut short, mut general) = (Vec::new(), Vec::new());
            write_digits(&mut short, -value);
            write_shortest(&mut general, value);
            prop_assert_eq!(String::from_utf8_lossy(&short).strip_prefix('-').map(str::to_owned), String::from_utf8(general).ok());
        }

        #[test]
        fn what_is_written_is_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite() && (value == 0.0 || value.is_normal()));
            prop_assert_eq!(parse_f64(format_f64(value).as_bytes()), Some(value));
        }
    }
}
