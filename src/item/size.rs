//! Sizes by AWS's published rules, to the byte as its item limit measures them.
//!
//! Names and strings count their UTF-8 bytes, binaries theirs, null and boolean one. A number counts one byte, one for
//! each two digits before and after the point (zeros at either end left out), and one if it is negative. Lists and
//! maps count three bytes and one for each entry; sets only their members. An item is its names and values.

use super::number::digit_count;
use super::{AttributeValue, ItemRef, Number, ValueRef};

impl Number {
    /// Size in bytes by AWS's rules.
    pub fn size(self) -> usize {
        let (negative, coefficient, exponent) = self.parts();
        if coefficient == 0 {
            return 1;
        }
        let digits = digit_count(coefficient) as i32;
        let whole = if exponent >= 0 { digits } else { (digits + exponent).max(0) };
        1 + usize::from(negative) + (whole as usize).div_ceil(2) + ((digits - whole) as usize).div_ceil(2)
    }
}

impl ValueRef<'_> {
    /// Size in bytes by AWS's rules, without the attribute's name.
    pub fn size(&self) -> usize {
        match self {
            Self::S(bytes) | Self::B(bytes) => bytes.len(),
            Self::N(number) => number.size(),
            Self::Bool(_) | Self::Null => 1,
            Self::Ss(set) | Self::Ns(set) | Self::Bs(set) => set.iter().map(|value| value.size()).sum(),
            Self::L(list) => 3 + list.iter().map(|value| 1 + value.size()).sum::<usize>(),
            Self::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + value.size()).sum::<usize>(),
        }
    }
}

impl AttributeValue {
    /// Size in bytes by AWS's rules, without the attribute's name.
    pub fn size(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::B(bytes) => bytes.len(),
            Self::N(number) => number.size(),
            Self::Bool(_) | Self::Null => 1,
            Self::Ss(set) => set.iter().map(String::len).sum(),
            Self::Ns(set) => set.iter().map(|number| number.size()).sum(),
            Self::Bs(set) => set.iter().map(Vec::len).sum(),
            Self::L(list) => 3 + list.iter().map(|value| 1 + value.size()).sum::<usize>(),
            Self::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + value.size()).sum::<usize>(),
        }
    }
}

impl ItemRef<'_> {
    /// Size of the item in bytes by AWS's rules; linear in the item.
    pub fn size(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.size()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_digits_on_both_sides_of_the_point() {
        for (text, size) in [
            ("0", 1),
            ("1", 2),
            ("27", 2),
            ("-27", 3),
            ("461", 3),
            ("100", 2),
            ("1786461547", 6),
            ("1.5", 3),
            ("1000.5", 4),
            ("0.001", 2),
            ("-0.0012", 3),
            ("1E+125", 2),
            ("12345678901234567890123456789012345678", 20),
        ] {
            assert_eq!(text.parse::<Number>().unwrap().size(), size, "{text}");
        }
    }
}
