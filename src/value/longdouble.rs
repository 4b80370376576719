//! The arithmetic of `INCRBYFLOAT` and `HINCRBYFLOAT`: x87's 80-bit floating point. Redis computes with it on its main
//! platform, so sums have the same digits.
#![deny(clippy::indexing_slicing)]

use super::ValueError;
use rustc_apfloat::ieee::X87DoubleExtended;
use rustc_apfloat::{Float as _, Round};
use std::fmt::{self, Write as _};

/// Redis does not accept longer texts as numbers.
const MAX_TEXT_LEN: usize = 5 * 1024 - 1;
/// Digits after the point in the text of a result.
const DECIMALS: u32 = 17;

/// A number of x87's extended precision: 64 bits of mantissa, 15 of exponent. Never not-a-number.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct LongDouble(X87DoubleExtended);

impl LongDouble {
    /// Zero.
    pub const ZERO: Self = Self(X87DoubleExtended::ZERO);

    /// Reads a number as C's `strtold` does, the whole text and nothing before or behind: decimal or hexadecimal, with
    /// or without exponent, or infinity. `None` for not-a-number, for numbers that are too large or too close to zero,
    /// and for texts of 5 KiB or more.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_TEXT_LEN)?;
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let magnitude = if digits.eq_ignore_ascii_case("inf") || digits.eq_ignore_ascii_case("infinity") {
            X87DoubleExtended::INFINITY
        } else {
            parse_magnitude(digits)?
        };
        Some(Self(if negative { -magnitude } else { magnitude }))
    }

    /// The sum, rounded to the nearest; nothing if it would be infinite or not a number.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let sum = (self.0 + other.0).value;
        sum.is_finite().then_some(Self(sum))
    }

    /// The difference, rounded to the nearest; nothing if it would be infinite or not a number.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let difference = (self.0 - other.0).value;
        difference.is_finite().then_some(Self(difference))
    }

    /// The greatest number that is not infinite.
    #[must_use]
    pub fn greatest() -> Self {
        Self(X87DoubleExtended::largest())
    }

    /// The least number that is not infinite.
    #[must_use]
    pub fn least() -> Self {
        Self(-X87DoubleExtended::largest())
    }

    /// Whether this is not an infinity.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self.0.is_finite()
    }
}

/// Reads a number without sign.
fn parse_magnitude(digits: &str) -> Option<X87DoubleExtended> {
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (body, radix, mark) = match hexadecimal {
        Some(body) => (body, 16, ['p', 'P']),
        None => (digits, 10, ['e', 'E']),
    };
    let (mantissa, exponent) = match body.split_once(mark) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let well_formed = |part: &str| part.chars().all(|digit| digit.is_digit(radix));
    if whole.len() + fraction.len() == 0 || !well_formed(whole) || !well_formed(fraction) {
        return None;
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
    }
    if whole.bytes().chain(fraction.bytes()).all(|digit| digit == b'0') {
        return Some(X87DoubleExtended::ZERO);
    }
    let exponent = exponent.unwrap_or("0");
    let plain = if radix == 16 {
        format!("0x{whole}.{fraction}p{exponent}")
    } else {
        format!("{whole}.{fraction}e{exponent}")
    };
    let value = X87DoubleExtended::from_str_r(&plain, Round::NearestTiesToEven).ok()?.value;
    (value.is_finite() && !value.is_zero()).then_some(value)
}

/// At most 17 digits after the point, rounded half to even from the exact value, without zeros at the end: what Redis
/// stores and answers.
impl fmt::Display for LongDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.to_bits();
        let negative = self.0.is_negative();
        if !self.is_finite() {
            return f.write_str(if negative { "-inf" } else { "inf" });
        }
        let mantissa = bits as u64;
        let exponent = ((bits >> 64) & 0x7FFF) as i32;
        // The value is the mantissa times two to this power.
        let power = exponent.max(1) - 16383 - 63;
        let (whole, fraction) = if power >= 0 {
            (shifted_decimal(mantissa, power.unsigned_abs()), 0)
        } else {
            let scaled = round_shift(u128::from(mantissa) * 10u128.pow(DECIMALS), power.unsigned_abs());
            let one = 10u128.pow(DECIMALS);
            ((scaled / one).to_string(), scaled % one)
        };
        // Redis drops the sign only if the text would be "-0".
        if negative && !(whole == "0" && fraction == 0) {
            f.write_str("-")?;
        }
        f.write_str(&whole)?;
        if fraction > 0 {
            let digits = format!("{fraction:0width$}", width = DECIMALS as usize);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        Ok(())
    }
}

/// `n` divided by two to the `power`, rounded half to even.
fn round_shift(n: u128, power: u32) -> u128 {
    if power > 127 {
        return 0;
    }
    let quotient = n >> power;
    let rest = n & ((1 << power) - 1);
    let half = 1u128 << (power - 1);
    quotient + u128::from(rest > half || (rest == half && quotient & 1 == 1))
}

/// The decimal digits of `n` times two to the `power`. O(power squared).
fn shifted_decimal(n: u64, power: u32) -> String {
    if power <= 64 {
        return (u128::from(n) << power).to_string();
    }
    // Groups of nine decimal digits, the lowest first, doubled 32 bits at a time.
    const GROUP: u64 = 1_000_000_000;
    let mut groups: Vec<u64> = vec![n % GROUP, n / GROUP % GROUP, n / GROUP / GROUP];
    let mut left = power;
    while left > 0 {
        let step = left.min(32);
        let mut carry = 0;
        for group in &mut groups {
            let value = (*group << step) + carry;
            *group = value % GROUP;
            carry = value / GROUP;
        }
        while carry > 0 {
            groups.push(carry % GROUP);
            carry /= GROUP;
        }
        left -= step;
    }
    let mut groups = groups.into_iter().rev().skip_while(|&group| group == 0);
    let mut out = groups.next().unwrap_or(0).to_string();
    for group in groups {
        // Writing to a string cannot fail.
        let _ = write!(out, "{group:09}");
    }
    out
}

/// `INCRBYFLOAT`: the text to store and to return. `current` is the key's string, if there is one.
///
/// # Errors
/// [`ValueError::NotFloat`] if either text is no number, [`ValueError::FloatOverflow`] if the sum is none.
pub fn incr_by_float(current: Option<&[u8]>, increment: &[u8]) -> Result<String, ValueError> {
    let current = current.map_or(Some(LongDouble::ZERO), LongDouble::parse).ok_or(ValueError::NotFloat)?;
    let increment = LongDouble::parse(increment).ok_or(ValueError::NotFloat)?;
    let sum = current.checked_add(increment).ok_or(ValueError::FloatOverflow)?;
    Ok(sum.to_string())
}

/// `HINCRBYFLOAT`: the text to store and to return. `current` is the field's value, if there is one.
/// [`parse_hash_increment`] checks the increment before the key is read.
///
/// # Errors
/// [`ValueError::HashNotFloat`] if the field's value is no number, [`ValueError::FloatOverflow`] if the sum is none.
pub fn hash_incr_by_float(current: Option<&[u8]>, increment: LongDouble) -> Result<String, ValueError> {
    let current =
        current.map_or(Some(LongDouble::ZERO), LongDouble::parse).ok_or(ValueError::HashNotFloat)?;
    let sum = current.checked_add(increment).ok_or(ValueError::FloatOverflow)?;
    Ok(sum.to_string())
}

/// The increment of `HINCRBYFLOAT`. It is checked before the key is read.
///
/// # Errors
/// [`ValueError::NotFloat`] if it is no number, [`ValueError::FloatNotFinite`] if it is infinite.
pub fn parse_hash_increment(text: &[u8]) -> Result<LongDouble, ValueError> {
    let increment = LongDouble::parse(text).ok_or(ValueError::NotFloat)?;
    if increment.is_finite() { Ok(increment) } else { Err(ValueError::FloatNotFinite) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn add(a: &str, b: &str) -> String {
        incr_by_float(Some(a.as_bytes()), b.as_bytes()).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn sums_have_redis_digits() {
        assert_eq!(add("3.0e3", "200"), "3200");
        assert_eq!(add("10.50", "0.1"), "10.6");
        assert_eq!(add("5.0e3", "2.0e2"), "5200");
        assert_eq!(add("1", "-1.1"), "-0.1");
        assert_eq!(add("-0.1", "0.1"), "0");
        assert_eq!(add("1e-18", "0"), "0");
        assert_eq!(add("-1e-18", "0"), "0");
        assert_eq!(add("1e-17", "0"), "0.00000000000000001");
        assert_eq!(add("3.00", "1e-20"), "3");
        assert_eq!(add("9223372036854775807", "9223372036854775807"), "18446744073709551614");
        assert_eq!(add("0x10", "0x.8"), "16.5");
        assert_eq!(add("1e25", "0"), "10000000000000000000000000");
        assert_eq!(add("1e4932", "0").len(), 4933);
    }

    #[test]
    fn what_is_no_number() {
        let long = "1".repeat(MAX_TEXT_LEN + 1);
        for bad in [
            "",
            " 1",
            "1 ",
            "nan",
            "-nan",
            "1e",
            "e1",
            ".",
            "0x",
            "0x.",
            "1.2.3",
            "1e5000",
            "1e-5000",
            "--1",
            "+-1",
            "1e+",
            "1_0",
            "0x1p",
            "1p3",
            "infinit",
            "1e99999999999999999999",
            "1\0",
            &long,
        ] {
            assert_eq!(LongDouble::parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(LongDouble::parse(b"\xff"), None);
        for good in ["0e99999999999", "1.", ".5", "+1", "INF", "-Infinity", "0x1P-3", "0X1.8", &long[1..4933]]
        {
            assert!(LongDouble::parse(good.as_bytes()).is_some(), "{good:?}");
        }
        assert_eq!(incr_by_float(None, b"inf"), Err(ValueError::FloatOverflow));
        assert_eq!(incr_by_float(Some(b"inf"), b"-inf"), Err(ValueError::FloatOverflow));
        assert_eq!(add("1.1e4932", "1.1e4932"), ValueError::FloatOverflow.to_string());
        assert_eq!(parse_hash_increment(b"-inf"), Err(ValueError::FloatNotFinite));
        assert_eq!(hash_incr_by_float(Some(b"x"), LongDouble::ZERO), Err(ValueError::HashNotFloat));
        assert_eq!(hash_incr_by_float(None, LongDouble::ZERO), Ok("0".into()));
    }

    proptest! {
        /// Whole numbers of the mantissa's width are exact, also when multiplied by a power of two.
        #[test]
        fn large_whole_numbers_are_exact(n in any::<u64>(), power in 0u32..200) {
            let text = shifted_decimal(n, power);
            let mut doubled = n.to_string();
            for _ in 0..power {
                let mut carry = 0;
                let mut digits: Vec<u8> = doubled.bytes().rev().map(|digit| {
                    let value = (digit - b'0') * 2 + carry;
                    carry = value / 10;
                    b'0' + value % 10
                }).collect();
                if carry > 0 {
                    digits.push(b'0' + carry);
                }
                digits.reverse();
                doubled = String::from_utf8(digits).expect("digits");
            }
            prop_assert_eq!(&text, &doubled);
            prop_assert_eq!(add(&text, "0"), text);
        }

        /// Every double is exact in extended precision, and the standard formatter is exact, too.
        #[test]
        fn doubles_are_printed_exactly(value in any::<f64>()) {
            prop_assume!(value.is_finite() && value.abs() < 1e300);
            let exact = format!("{value:.17}");
            let trimmed = exact.trim_end_matches('0').trim_end_matches('.');
            let expected = if trimmed == "-0" { "0" } else { trimmed };
            prop_assert_eq!(add(&format!("{value:.1100}"), "0"), expected);
        }
    }
}
