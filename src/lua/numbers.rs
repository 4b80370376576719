//! Numbers as C's library reads and writes them.

use std::io::Write as _;

/// Appends a number as `%.{digits}g` writes it.
pub(super) fn write_g(out: &mut Vec<u8>, number: f64, digits: usize) {
    if number.is_nan() {
        out.extend_from_slice(if number.is_sign_negative() { b"-nan" } else { b"nan" });
        return;
    }
    if number.is_infinite() {
        out.extend_from_slice(if number < 0.0 { b"-inf" } else { b"inf" });
        return;
    }
    let scientific = format!("{:.*e}", digits - 1, number);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let without_zeros = |text: &str| {
        let cut = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
        cut.to_owned()
    };
    // Writing to a vector does not fail.
    let _ = if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{}e{sign}{:02}", without_zeros(mantissa), exponent.unsigned_abs())
    } else {
        let behind = (digits as i32 - 1 - exponent).max(0) as usize;
        write!(out, "{}", without_zeros(&format!("{number:.behind$}")))
    };
}

/// Reads the number at the front of a text as `strtod` does, without blanks before it: decimal, hexadecimal, infinite
/// or none. Gives it with its length.
pub(super) fn parse_prefix(text: &[u8]) -> Option<(f64, usize)> {
    let negative = text.first() == Some(&b'-');
    let begin = usize::from(negative);
    let rest = text.get(begin..)?;
    let signed = |number: f64| if negative { -number } else { number };
    let word = |word: &[u8]| rest.get(..word.len()).is_some_and(|text| text.eq_ignore_ascii_case(word));
    for (name, number) in [(&b"infinity"[..], f64::INFINITY), (b"inf", f64::INFINITY), (b"nan", f64::NAN)] {
        if word(name) {
            return Some((signed(number), begin + name.len()));
        }
    }
    if word(b"0x") {
        let digits = rest[2..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits > 0 {
            let digit = |byte: &u8| f64::from(char::from(*byte).to_digit(16).unwrap_or(0));
            let number = rest[2..2 + digits].iter().fold(0.0, |sum, byte| sum * 16.0 + digit(byte));
            return Some((signed(number), begin + 2 + digits));
        }
        return Some((signed(0.0), begin + 1));
    }
    let count =
        |from: usize| rest.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = count(0);
    let mut end = whole;
    if rest.get(end) == Some(&b'.') {
        let fraction = count(end + 1);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if end == 0 {
        return None;
    }
    if matches!(rest.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
        let exponent = count(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    let number: f64 = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    Some((signed(number), begin + end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_in_c() {
        for (number, digits, text) in [
            (0.0, 14, "0"),
            (-0.0, 14, "-0"),
            (1.0, 14, "1"),
            (0.1, 14, "0.1"),
            (1e15, 14, "1e+15"),
            (123_456_789_012_345.0, 14, "1.2345678901234e+14"),
            (0.0001, 14, "0.0001"),
            (0.00001, 14, "1e-05"),
            (1e100, 14, "1e+100"),
            (2.5, 1, "2"),
            (99.9, 2, "1e+02"),
            (1.0 / 3.0, 3, "0.333"),
            (f64::INFINITY, 14, "inf"),
            (f64::NEG_INFINITY, 14, "-inf"),
            (f64::MIN_POSITIVE, 14, "2.2250738585072e-308"),
        ] {
            let mut out = Vec::new();
            write_g(&mut out, number, digits);
            assert_eq!(String::from_utf8(out).unwrap(), text, "{number:?} {digits}");
        }
    }

    #[test]
    fn numbers_are_read_as_in_c() {
        for (text, number, len) in [
            ("12,", 12.0, 2),
            ("-1.5e3]", -1500.0, 6),
            ("1.", 1.0, 2),
            ("1e", 1.0, 1),
            ("1e+", 1.0, 1),
            ("-.5", -0.5, 3),
            ("0x1Fg", 31.0, 4),
            ("0x", 0.0, 1),
            ("-inf", f64::NEG_INFINITY, 4),
            ("Infinity!", f64::INFINITY, 8),
            ("01", 1.0, 2),
        ] {
            assert_eq!(parse_prefix(text.as_bytes()), Some((number, len)), "{text}");
        }
        for text in ["", "-", ".", "-.", "e5", "x", "--1"] {
            assert_eq!(parse_prefix(text.as_bytes()), None, "{text}");
        }
        assert!(parse_prefix(b"nan").unwrap().0.is_nan());
    }
}
