//! Sizes by AWS's published rules, to the byte as its item limit measures them.
//!
//! Names and strings count their UTF-8 bytes, binaries theirs, null and boolean one. A number counts one byte, one for
//! each two digits before and after the point (zeros at either end left out), and one if it is negative. Lists and
//! maps count three bytes and one for each entry; sets only their members. An item is its names and values.

use super::number::digit_count;
use super::{AttributeValue, AttributeValueRef, ItemError, ItemLimits, ItemRef, Number};

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

impl AttributeValueRef<'_> {
    /// Size in bytes by AWS's rules, without the attribute's name.
    pub fn size(&self) -> usize {
        match self {
            Self::S(bytes) | Self::B(bytes) => bytes.len(),
            Self::N(number) => number.size(),
            Self::Bool(_) | Self::Null => 1,
            Self::Ss(set) | Self::Ns(set) | Self::Bs(set) => set.iter().map(|value| value.size()).sum(),
            Self::L(list) => 3 + list.iter().map(|value| 1 + value.size()).sum::<usize>(),
            Self::M(map) => 3 + map.entries_size(1),
        }
    }

    /// A lower bound of the size: the digits of numbers are not counted, all else is.
    pub fn least_size(&self) -> usize {
        if let Self::N(_) = self { 1 } else { self.size() }
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
        self.attributes().entries_size(0)
    }

    /// Checks the item against the limit on its size.
    ///
    /// # Errors
    /// [`ItemError::ItemTooLarge`].
    pub fn check_size(&self, limits: &ItemLimits) -> Result<(), ItemError> {
        // No value counts more than three times its stored bytes (a small number in a list counts that much), so a
        // small item need not be measured.
        if self.as_bytes().len() * 4 < limits.max_item_bytes || self.size() <= limits.max_item_bytes {
            return Ok(());
        }
        Err(ItemError::ItemTooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Item;
    use crate::item::stored::tests::any_value;
    use proptest::prelude::*;

    #[test]
    fn items_count_names_values_and_containers() {
        let json = r#"{"s":"hello","n":27,"l":[1,"ab"],"m":{"k":true},"z":null}"#;
        let item = crate::item::item_from_plain_json(json.as_bytes(), 31).unwrap();
        let size = (1 + 5) + (1 + 2) + (1 + 3 + (1 + 2) + (1 + 2)) + (1 + 3 + (1 + 1 + 1)) + (1 + 1);
        assert_eq!(item.view().size(), size);
        let limits = |max_item_bytes| ItemLimits { max_item_bytes, ..ItemLimits::DYNAMODB };
        assert_eq!(item.view().check_size(&limits(size)), Ok(()));
        assert_eq!(item.view().check_size(&limits(size - 1)), Err(ItemError::ItemTooLarge));
    }

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

    proptest! {
        #[test]
        fn nothing_counts_more_than_three_times_its_stored_bytes(value in any_value()) {
            let item = Item::from_map([(&"a".to_owned(), &value)]).unwrap();
            prop_assert!(item.view().size() <= 3 * item.as_bytes().len());
        }
    }
}
