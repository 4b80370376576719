//! Exact addition and subtraction of [`Number`]s, and the mean.
//!
//! A sum that needs more than 38 significant digits is refused rather than rounded, as `DynamoDB` does. So 128-bit
//! integers suffice. Coefficients have no trailing zeros. If the operands' exponents differ, the sum's last digit is at
//! the smaller exponent and is not zero. So if an aligned coefficient does not fit 128 bits, the sum has more than 38
//! digits.

use super::number::{MAX_DIGITS, Number, NumberError, digit_count};

impl Number {
    /// `self + other`, exactly.
    ///
    /// # Errors
    /// When the sum has more than 38 significant digits or leaves the range.
    pub fn checked_add(self, other: Self) -> Result<Self, NumberError> {
        if let (Some(a), Some(b)) = (self.as_i64(), other.as_i64())
            && let Some(sum) = a.checked_add(b)
        {
            return Ok(Self::from(sum));
        }
        let (a_negative, a, a_exponent) = self.parts();
        let (b_negative, b, b_exponent) = other.parts();
        if a == 0 {
            return Ok(other);
        }
        if b == 0 {
            return Ok(self);
        }
        let exponent = a_exponent.min(b_exponent);
        let align = |coefficient: u128, from: i32| {
            10_u128.checked_pow((from - exponent) as u32).and_then(|scale| coefficient.checked_mul(scale))
        };
        let (Some(a), Some(b)) = (align(a, a_exponent), align(b, b_exponent)) else {
            return Err(NumberError::TooManyDigits);
        };
        let (negative, sum) = if a_negative == b_negative {
            (a_negative, a.checked_add(b).ok_or(NumberError::TooManyDigits)?)
        } else if a >= b {
            (a_negative, a - b)
        } else {
            (b_negative, b - a)
        };
        Self::from_parts(negative, sum, exponent)
    }

    /// `self - other`, exactly.
    ///
    /// # Errors
    /// As [`Number::checked_add`].
    pub fn checked_sub(self, other: Self) -> Result<Self, NumberError> {
        self.checked_add(-other)
    }

    /// `self / count` rounded half to even at 38 significant digits; `None` for a count of zero or a quotient below
    /// the range.
    pub fn mean_of(self, count: u64) -> Option<Self> {
        if count == 0 {
            return None;
        }
        let (negative, coefficient, mut exponent) = self.parts();
        let divisor = u128::from(count);
        let (mut quotient, mut remainder) = (coefficient / divisor, coefficient % divisor);
        while remainder != 0 && (quotient == 0 || digit_count(quotient) < MAX_DIGITS) {
            // The remainder is below 2^64, so ten times it fits.
            remainder *= 10;
            quotient = quotient * 10 + remainder / divisor;
            remainder %= divisor;
            exponent -= 1;
        }
        let twice = remainder * 2;
        if twice > divisor || (twice == divisor && quotient % 2 == 1) {
            quotient += 1;
        }
        Self::from_parts(negative, quotient, exponent).ok()
    }
}

impl std::ops::Neg for Number {
    type Output = Self;

    fn neg(self) -> Self {
        let (negative, coefficient, exponent) = self.parts();
        // The negative of a valid number is valid; zero stays zero.
        Self::from_parts(!negative, coefficient, exponent).unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::number::tests::any_number;
    use proptest::prelude::*;

    fn n(text: &str) -> Number {
        text.parse().unwrap()
    }

    /// Schoolbook addition on digit strings, as an independent model: signed digits at one exponent.
    fn model_add(a: Number, b: Number) -> Option<String> {
        const SHIFT: i32 = 170;
        let expand = |number: Number| {
            let (negative, coefficient, exponent) = number.parts();
            let mut digits = vec![0_i32; 310];
            for (i, byte) in coefficient.to_string().bytes().rev().enumerate() {
                digits[i + (exponent + SHIFT) as usize] =
                    i32::from(byte - b'0') * if negative { -1 } else { 1 };
            }
            digits
        };
        let mut sum: Vec<i32> = expand(a).iter().zip(expand(b)).map(|(x, y)| x + y).collect();
        let negative = sum.iter().rev().find(|d| **d != 0).is_some_and(|d| *d < 0);
        if negative {
            for digit in &mut sum {
                *digit = -*digit;
            }
        }
        let mut carry = 0;
        for digit in &mut sum {
            let value = *digit + carry;
            *digit = value.rem_euclid(10);
            carry = value.div_euclid(10);
        }
        let Some(first) = sum.iter().position(|d| *d != 0) else { return Some("0".into()) };
        let last = sum.iter().rposition(|d| *d != 0).unwrap();
        if last - first + 1 > 38 || last as i32 - SHIFT > 125 || (last as i32) - SHIFT < -130 {
            return None;
        }
        let digits: String = sum[first..=last].iter().rev().map(|d| char::from(b'0' + *d as u8)).collect();
        Some(n(&format!("{}{digits}e{}", if negative { "-" } else { "" }, first as i32 - SHIFT)).to_string())
    }

    #[test]
    fn sums_are_exact_or_refused() {
        for (a, b, sum) in [
            ("0.3", "-0.1", "0.2"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("1e38", "-1", "99999999999999999999999999999999999999"),
            (
                "95000000000000000000000000000000000000",
                "95000000000000000000000000000000000000",
                "190000000000000000000000000000000000000",
            ),
            ("1000000000000000000", "1e50", "100000000000000000000000000000001000000000000000000"),
            ("1.5", "-1.5", "0"),
        ] {
            assert_eq!(n(a).checked_add(n(b)).unwrap().to_string(), sum);
        }
        assert_eq!(n("1e50").checked_add(n("1")), Err(NumberError::TooManyDigits));
        assert_eq!(
            n("9.9999999999999999999999999999999999999E+125").checked_add(n("1E+125")),
            Err(NumberError::Overflow)
        );
        assert_eq!(n("1E-130").checked_sub(n("1.1E-130")), Err(NumberError::Underflow));
        assert_eq!(n("5").checked_sub(n("7")).unwrap(), n("-2"));
    }

    #[test]
    fn means_round_half_to_even() {
        assert_eq!(n("10").mean_of(4).unwrap(), n("2.5"));
        assert_eq!(n("1").mean_of(3).unwrap().to_string(), format!("0.{}", "3".repeat(38)));
        assert_eq!(n("2").mean_of(3).unwrap().to_string(), format!("0.{}7", "6".repeat(37)));
        assert_eq!(n("-9").mean_of(3).unwrap(), n("-3"));
        assert_eq!(n("0").mean_of(7).unwrap(), n("0"));
        assert_eq!(n("1").mean_of(0), None);
        assert_eq!(
            n("99999999999999999999999999999999999999").mean_of(2).unwrap().to_string(),
            "50000000000000000000000000000000000000"
        );
    }

    proptest! {
        #[test]
        fn addition_agrees_with_the_schoolbook(a in any_number(), b in any_number()) {
            prop_assert_eq!(a.checked_add(b).ok().map(|sum| sum.to_string()), model_add(a, b));
            prop_assert_eq!(a.checked_add(b).ok(), b.checked_add(a).ok());
        }

        #[test]
        fn subtraction_undoes_addition(a in any_number(), b in any_number()) {
            if let Ok(sum) = a.checked_add(b) {
                prop_assert_eq!(sum.checked_sub(b), Ok(a));
            }
        }
    }
}
