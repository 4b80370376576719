//! `Number`: a decimal of up to 38 significant digits, as `DynamoDB` has it.
//!
//! A magnitude lies between 1E-130 and 9.9999999999999999999999999999999999999E+125, or the number is zero. Every
//! number has exactly one representation, so that derived equality and hashing are numeric: `1`, `1.0` and `1E0`
//! are the same value. Numbers that fit 64 bits are kept as machine integers, which is what nearly all of them are.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Significant digits a number may have.
pub(super) const MAX_DIGITS: u32 = 38;
/// Largest exponent of the first significant digit.
const MAX_MAGNITUDE: i32 = 125;
/// Smallest exponent of the first significant digit.
const MIN_MAGNITUDE: i32 = -130;

/// Why a text or a result is not a number. The texts are the ones `DynamoDB` answers with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// The text was empty.
    #[error("The parameter cannot be converted to a numeric value")]
    Empty,
    /// The text is not a decimal number.
    #[error("The parameter cannot be converted to a numeric value: {0}")]
    NotNumeric(String),
    /// The magnitude is above 9.99...E+125.
    #[error("Number overflow. Attempting to store a number with magnitude larger than supported range")]
    Overflow,
    /// The magnitude is below 1E-130 and not zero.
    #[error("Number underflow. Attempting to store a number with magnitude smaller than supported range")]
    Underflow,
    /// More than 38 significant digits.
    #[error("Attempting to store more than 38 significant digits in a Number")]
    TooManyDigits,
}

/// A decimal number, exact to 38 significant digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number(Repr);

/// `Int` holds every integer that fits it; `Dec` the others, its coefficient without trailing zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Repr {
    Int(i64),
    Dec { coefficient: i128, exponent: i16 },
}

impl Number {
    /// Zero.
    pub const ZERO: Self = Self(Repr::Int(0));

    /// The number `±coefficient · 10^exponent`.
    ///
    /// # Errors
    /// When it has more than 38 significant digits or lies outside the range.
    pub fn from_parts(negative: bool, coefficient: u128, exponent: i32) -> Result<Self, NumberError> {
        if coefficient == 0 {
            return Ok(Self::ZERO);
        }
        let (coefficient, zeros) = strip_zeros(coefficient);
        let exponent = exponent.saturating_add(zeros);
        let digits = digit_count(coefficient);
        let magnitude = exponent.saturating_add(digits as i32 - 1);
        if magnitude > MAX_MAGNITUDE {
            return Err(NumberError::Overflow);
        }
        if magnitude < MIN_MAGNITUDE {
            return Err(NumberError::Underflow);
        }
        if digits > MAX_DIGITS {
            return Err(NumberError::TooManyDigits);
        }
        let signed = if negative { -(coefficient as i128) } else { coefficient as i128 };
        if (0..=18).contains(&exponent)
            && let Some(int) = signed.checked_mul(10_i128.pow(exponent as u32))
            && let Ok(int) = i64::try_from(int)
        {
            return Ok(Self(Repr::Int(int)));
        }
        Ok(Self(Repr::Dec { coefficient: signed, exponent: exponent as i16 }))
    }

    /// Sign, coefficient without trailing zeros, and exponent; zero is `(false, 0, 0)`.
    pub fn parts(self) -> (bool, u128, i32) {
        match self.0 {
            Repr::Int(0) => (false, 0, 0),
            Repr::Int(v) => {
                let (magnitude, zeros) = strip_zeros_of_u64(v.unsigned_abs());
                (v < 0, u128::from(magnitude), zeros)
            }
            Repr::Dec { coefficient, exponent } => {
                (coefficient < 0, coefficient.unsigned_abs(), i32::from(exponent))
            }
        }
    }

    /// The value as a 64-bit integer, when it is one.
    pub fn as_i64(self) -> Option<i64> {
        match self.0 {
            Repr::Int(v) => Some(v),
            Repr::Dec { .. } => None,
        }
    }

    /// The nearest double, if its shortest decimal text denotes exactly this number.
    pub fn as_f64(self) -> Option<f64> {
        let (_, coefficient, exponent) = self.parts();
        let double: f64 = self.to_string().parse().ok()?;
        // Up to 15 digits with small exponents always survive the round trip.
        if digit_count(coefficient) <= 15 && exponent.abs() <= 22 {
            return Some(double);
        }
        (Self::from_f64(double) == Some(self)).then_some(double)
    }

    /// The number that the shortest decimal text of `double` denotes; `None` for infinities, NaN and what lies
    /// outside the range.
    pub fn from_f64(double: f64) -> Option<Self> {
        if !double.is_finite() {
            return None;
        }
        format!("{double:e}").parse().ok()
    }

    /// True for every number below zero.
    pub fn is_negative(self) -> bool {
        match self.0 {
            Repr::Int(v) => v < 0,
            Repr::Dec { coefficient, .. } => coefficient < 0,
        }
    }

    /// Appends the canonical text: plain decimal notation without exponent, leading or trailing zeros.
    pub fn write_text(self, out: &mut Vec<u8>) {
        if let Repr::Int(v) = self.0 {
            out.extend_from_slice(itoa::Buffer::new().format(v).as_bytes());
            return;
        }
        let (negative, coefficient, exponent) = self.parts();
        if negative {
            out.push(b'-');
        }
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(coefficient).as_bytes();
        let point = digits.len() as i32 + exponent;
        if exponent >= 0 {
            out.extend_from_slice(digits);
            out.resize(out.len() + exponent as usize, b'0');
        } else if point > 0 {
            let (whole, fraction) = digits.split_at(point as usize);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(fraction);
        } else {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + point.unsigned_abs() as usize, b'0');
            out.extend_from_slice(digits);
        }
    }

    /// Parses a text given as bytes, as `FromStr` does.
    ///
    /// # Errors
    /// With the message `DynamoDB` has for it.
    pub fn from_text(text: &[u8]) -> Result<Self, NumberError> {
        if let Some(int) = parse_short_int(text) {
            return Ok(Self(Repr::Int(int)));
        }
        if text.is_empty() {
            return Err(NumberError::Empty);
        }
        let not_numeric = || NumberError::NotNumeric(String::from_utf8_lossy(text).into_owned());
        let (negative, rest) = split_sign(text);
        let (mantissa, exponent) = match rest.iter().position(|b| matches!(b, b'e' | b'E')) {
            Some(at) => {
                (&rest[..at], parse_exponent(rest.get(at + 1..).unwrap_or(&[])).ok_or_else(not_numeric)?)
            }
            None => (rest, 0),
        };
        let mantissa = Mantissa::parse(mantissa).ok_or_else(not_numeric)?;
        mantissa.into_number(negative, exponent)
    }
}

/// Digits of a text, trailing zeros counted apart.
struct Mantissa {
    coefficient: u128,
    /// Significant digits up to the last that is not zero. Above 38 of them `coefficient` is not meaningful.
    digits: i64,
    trailing_zeros: i64,
    fraction_digits: i64,
}

impl Mantissa {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut m = Self { coefficient: 0, digits: 0, trailing_zeros: 0, fraction_digits: 0 };
        let (mut any, mut point) = (false, false);
        for &byte in text {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    m.fraction_digits += i64::from(point);
                    m.push(byte - b'0');
                }
                b'.' if !point => point = true,
                _ => return None,
            }
        }
        any.then_some(m)
    }

    fn push(&mut self, digit: u8) {
        if digit == 0 {
            self.trailing_zeros += i64::from(self.digits > 0);
            return;
        }
        self.digits += self.trailing_zeros + 1;
        if self.digits <= i64::from(MAX_DIGITS) {
            self.coefficient =
                self.coefficient * 10_u128.pow(self.trailing_zeros as u32 + 1) + u128::from(digit);
        }
        self.trailing_zeros = 0;
    }

    fn into_number(self, negative: bool, exponent: i64) -> Result<Number, NumberError> {
        if self.digits == 0 {
            return Ok(Number::ZERO);
        }
        let exponent = exponent.saturating_add(self.trailing_zeros - self.fraction_digits);
        let magnitude = exponent.saturating_add(self.digits - 1);
        if magnitude > i64::from(MAX_MAGNITUDE) {
            Err(NumberError::Overflow)
        } else if magnitude < i64::from(MIN_MAGNITUDE) {
            Err(NumberError::Underflow)
        } else if self.digits > i64::from(MAX_DIGITS) {
            Err(NumberError::TooManyDigits)
        } else {
            Number::from_parts(negative, self.coefficient, exponent as i32)
        }
    }
}

/// Integers of at most 18 digits without a plus sign, the common case.
fn parse_short_int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0_i64;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(if negative { -value } else { value })
}

/// True for a minus sign, and what follows the sign.
fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    }
}

/// A signed exponent. Beyond eighteen digits it saturates; such exponents are out of range anyway.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.saturating_mul(10).saturating_add(i64::from(byte - b'0')).min(1 << 40);
    }
    Some(if negative { -value } else { value })
}

/// Decimal digits of a coefficient; zero has one.
pub(super) fn digit_count(coefficient: u128) -> u32 {
    // Nearly every coefficient fits 64 bits, whose arithmetic is much cheaper.
    match u64::try_from(coefficient) {
        Ok(small) => small.checked_ilog10().map_or(1, |log| log + 1),
        Err(_) => coefficient.ilog10() + 1,
    }
}

/// Strips the trailing zeros of a coefficient other than zero; also returns their number.
fn strip_zeros(mut coefficient: u128) -> (u128, i32) {
    let mut zeros = 0;
    loop {
        if let Ok(small) = u64::try_from(coefficient) {
            let (small, more) = strip_zeros_of_u64(small);
            return (u128::from(small), zeros + more);
        }
        if !coefficient.is_multiple_of(10) {
            return (coefficient, zeros);
        }
        coefficient /= 10;
        zeros += 1;
    }
}

fn strip_zeros_of_u64(mut coefficient: u64) -> (u64, i32) {
    let mut zeros = 0;
    while coefficient.is_multiple_of(10) && coefficient != 0 {
        coefficient /= 10;
        zeros += 1;
    }
    (coefficient, zeros)
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Repr::Int(value))
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_text(text.as_bytes())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(40);
        self.write_text(&mut text);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Repr::Int(a), Repr::Int(b)) = (self.0, other.0) {
            return a.cmp(&b);
        }
        let (a_negative, a, a_exponent) = self.parts();
        let (b_negative, b, b_exponent) = other.parts();
        let sign = |negative: bool, coefficient: u128| match (coefficient, negative) {
            (0, _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        let (a_sign, b_sign) = (sign(a_negative, a), sign(b_negative, b));
        if a_sign != b_sign || a_sign == 0 {
            return a_sign.cmp(&b_sign);
        }
        let (a_digits, b_digits) = (digit_count(a), digit_count(b));
        let magnitude = (a_digits as i32 + a_exponent).cmp(&(b_digits as i32 + b_exponent));
        // The magnitudes are equal, so the coefficients are compared after scaling them to the same number of digits,
        // at most 38.
        let by_size = magnitude.then_with(|| {
            let a = a * 10_u128.pow(b_digits.saturating_sub(a_digits));
            let b = b * 10_u128.pow(a_digits.saturating_sub(b_digits));
            a.cmp(&b)
        });
        if a_negative { by_size.reverse() } else { by_size }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn n(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn one_value_one_text() {
        for (text, canonical) in [
            ("0", "0"),
            ("-0", "0"),
            ("0e1000", "0"),
            ("000.000", "0"),
            ("1", "1"),
            ("1.0", "1"),
            ("1E0", "1"),
            ("+1", "1"),
            ("10e-1", "1"),
            (".5", "0.5"),
            ("5.", "5"),
            ("00042", "42"),
            ("-1.50", "-1.5"),
            ("1.5e2", "150"),
            ("1E+3", "1000"),
            ("123456789012345678901234567890.12345678", "123456789012345678901234567890.12345678"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775808", "9223372036854775808"),
            ("0.00001", "0.00001"),
        ] {
            assert_eq!(n(text).to_string(), canonical, "{text}");
        }
        assert_eq!(n("1E+100").to_string(), format!("1{}", "0".repeat(100)));
        assert_eq!(n("1E-130").to_string(), format!("0.{}1", "0".repeat(129)));
        assert_eq!(n("9.9999999999999999999999999999999999999E+125").to_string().len(), 126);
        assert_eq!(n(&format!("0.{}{}", "0".repeat(129), "1".repeat(38))).to_string().len(), 2 + 129 + 38);
    }

    #[test]
    fn refusals_carry_the_documented_texts() {
        for (text, message) in [
            ("", "The parameter cannot be converted to a numeric value"),
            ("x", "The parameter cannot be converted to a numeric value: x"),
            (" 1", "The parameter cannot be converted to a numeric value:  1"),
            ("1e", "The parameter cannot be converted to a numeric value: 1e"),
            (".", "The parameter cannot be converted to a numeric value: ."),
            ("-", "The parameter cannot be converted to a numeric value: -"),
            ("1.2.3", "The parameter cannot be converted to a numeric value: 1.2.3"),
            ("NaN", "The parameter cannot be converted to a numeric value: NaN"),
            ("0x5", "The parameter cannot be converted to a numeric value: 0x5"),
        ] {
            assert_eq!(text.parse::<Number>().unwrap_err().to_string(), message);
        }
        assert_eq!("1e126".parse::<Number>(), Err(NumberError::Overflow));
        assert_eq!("-1e126".parse::<Number>(), Err(NumberError::Overflow));
        assert_eq!("1e99999999999999999999".parse::<Number>(), Err(NumberError::Overflow));
        assert_eq!("9.9e-131".parse::<Number>(), Err(NumberError::Underflow));
        assert_eq!("1e-99999999999999999999".parse::<Number>(), Err(NumberError::Underflow));
        assert_eq!(
            "123456789012345678901234567890123456789".parse::<Number>(),
            Err(NumberError::TooManyDigits)
        );
        // Trailing zeros are not significant.
        assert!("123456789012345678901234567890123456780".parse::<Number>().is_ok());
        assert!("1.00000000000000000000000000000000000000000000000".parse::<Number>().is_ok());
    }

    #[test]
    fn doubles_only_where_they_say_the_same() {
        assert_eq!(n("0.1").as_f64(), Some(0.1));
        assert_eq!(n("12.34").as_f64(), Some(12.34));
        assert_eq!(n("1E+100").as_f64(), Some(1e100));
        assert_eq!(n("0.12345678901234567890").as_f64(), None);
        assert_eq!(Number::from_f64(1e-7), Some(n("0.0000001")));
        assert_eq!(Number::from_f64(f64::NAN), None);
        assert_eq!(Number::from_f64(1e200), None);
    }

    prop_compose! {
        /// Any valid number, with short and long coefficients and all exponents.
        pub(in crate::item) fn any_number()(
            negative: bool,
            coefficient in prop_oneof![0_u128..1000, 0_u128..1_000_000_000_000_000_000_000, 0..10_u128.pow(38)],
            exponent in prop_oneof![-3_i32..4, -130_i32..=87],
        ) -> Number {
            Number::from_parts(negative, coefficient, exponent).unwrap_or(Number::from(coefficient as i64))
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(number in any_number()) {
            prop_assert_eq!(n(&number.to_string()), number);
        }

        #[test]
        fn shifting_the_point_keeps_the_value(number in any_number(), shift in -20_i32..20) {
            let (negative, coefficient, exponent) = number.parts();
            let text = format!("{}{coefficient}{}e{}", if negative { "-" } else { "" },
                "0".repeat(shift.unsigned_abs() as usize), exponent - shift.abs());
            prop_assert_eq!(n(&text), number);
        }

        #[test]
        fn order_agrees_with_differences(a in any_number(), b in any_number()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
            let (x, y): (f64, f64) = (a.to_string().parse().unwrap(), b.to_string().parse().unwrap());
            if x < y {
                prop_assert_eq!(a.cmp(&b), Ordering::Less);
            }
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.eE]{0,60}") {
            let _ = text.parse::<Number>();
        }
    }
}
