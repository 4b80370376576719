//! Ranges of sort keys, made from conditions.
//!
//! A table's sort key stands alone as [`super::put_key`] writes it. An index's key attributes are self-delimiting, and
//! an entry's key has more bytes behind them. So in an index a value selects all keys that begin with its encoding.

use std::ops::Bound;

use super::AttributeValueRef;
use super::keys::{KeyBytes, prefix_end, put_key, put_key_part, put_key_part_prefix};

/// How the sort keys of a collection are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// One attribute, or none: a table.
    Table,
    /// Self-delimiting attributes with a suffix: an index.
    Index,
}

/// A condition on one sort key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortCondition<'a> {
    /// Equal.
    Eq(AttributeValueRef<'a>),
    /// Less.
    Lt(AttributeValueRef<'a>),
    /// Less or equal.
    Le(AttributeValueRef<'a>),
    /// Greater.
    Gt(AttributeValueRef<'a>),
    /// Greater or equal.
    Ge(AttributeValueRef<'a>),
    /// From the first to the second, both included.
    Between(AttributeValueRef<'a>, AttributeValueRef<'a>),
    /// A string or binary that begins with this one.
    BeginsWith(AttributeValueRef<'a>),
}

/// Encoded sort keys between two bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortRange {
    /// Where it begins.
    pub lower: Bound<KeyBytes>,
    /// Where it ends.
    pub upper: Bound<KeyBytes>,
}

impl SortRange {
    /// Every sort key.
    pub const ALL: Self = Self { lower: Bound::Unbounded, upper: Bound::Unbounded };

    /// True when `key` lies in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        let above = match &self.lower {
            Bound::Included(lower) => key >= lower.as_slice(),
            Bound::Excluded(lower) => key > lower.as_slice(),
            Bound::Unbounded => true,
        };
        above
            && match &self.upper {
                Bound::Included(upper) => key <= upper.as_slice(),
                Bound::Excluded(upper) => key < upper.as_slice(),
                Bound::Unbounded => true,
            }
    }

    /// True when no key can lie in it.
    pub fn is_empty(&self) -> bool {
        match (&self.lower, &self.upper) {
            (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
            (
                Bound::Included(lower) | Bound::Excluded(lower),
                Bound::Included(upper) | Bound::Excluded(upper),
            ) => lower >= upper,
            _ => false,
        }
    }

    /// The keys whose first attributes equal `equal` and whose next one satisfies `condition`. `None` when a value is
    /// of a type that no key has.
    pub fn new(
        form: KeyForm,
        equal: &[AttributeValueRef<'_>],
        condition: Option<SortCondition<'_>>,
    ) -> Option<Self> {
        let mut prefix = KeyBytes::new();
        for value in equal {
            match form {
                KeyForm::Table => put_key(&mut prefix, value),
                KeyForm::Index => put_key_part(&mut prefix, value),
            }
            .then_some(())?;
        }
        let Some(condition) = condition else {
            return Some(match form {
                KeyForm::Table if equal.is_empty() => Self::ALL,
                KeyForm::Table => {
                    Self { lower: Bound::Included(prefix.clone()), upper: Bound::Included(prefix) }
                }
                KeyForm::Index => Self::beginning_with(prefix),
            });
        };
        match form {
            KeyForm::Table => Self::table(condition),
            KeyForm::Index => Self::index(&prefix, condition),
        }
    }

    fn beginning_with(prefix: KeyBytes) -> Self {
        let upper = prefix_end(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self { lower: Bound::Included(prefix), upper }
    }

    fn table(condition: SortCondition<'_>) -> Option<Self> {
        use Bound::{Excluded, Included, Unbounded};
        let key = |value: &AttributeValueRef<'_>| {
            let mut out = KeyBytes::new();
            put_key(&mut out, value).then_some(out)
        };
        let (lower, upper) = match condition {
            SortCondition::Eq(v) => (Included(key(&v)?), Included(key(&v)?)),
            SortCondition::Lt(v) => (Unbounded, Excluded(key(&v)?)),
            SortCondition::Le(v) => (Unbounded, Included(key(&v)?)),
            SortCondition::Gt(v) => (Excluded(key(&v)?), Unbounded),
            SortCondition::Ge(v) => (Included(key(&v)?), Unbounded),
            SortCondition::Between(low, high) => (Included(key(&low)?), Included(key(&high)?)),
            SortCondition::BeginsWith(v) => {
                return Some(Self::beginning_with(KeyBytes::from_slice(v.as_bytes()?)));
            }
        };
        Some(Self { lower, upper })
    }

    fn index(prefix: &KeyBytes, condition: SortCondition<'_>) -> Option<Self> {
        use Bound::Included;
        let part = |value: &AttributeValueRef<'_>| {
            let mut out = prefix.clone();
            put_key_part(&mut out, value).then_some(out)
        };
        let before = |key: KeyBytes| Bound::Excluded(key);
        let after = |key: &KeyBytes| prefix_end(key).map_or(Bound::Unbounded, Bound::Excluded);
        let from_after = |key: &KeyBytes| prefix_end(key).map(Included);
        let start = Included(prefix.clone());
        let end = after(prefix);
        let (lower, upper) = match condition {
            SortCondition::Eq(v) => return Some(Self::beginning_with(part(&v)?)),
            SortCondition::Lt(v) => (start, before(part(&v)?)),
            SortCondition::Le(v) => (start, after(&part(&v)?)),
            SortCondition::Gt(v) => (from_after(&part(&v)?)?, end),
            SortCondition::Ge(v) => (Included(part(&v)?), end),
            SortCondition::Between(low, high) => (Included(part(&low)?), after(&part(&high)?)),
            SortCondition::BeginsWith(v) => {
                let mut from = prefix.clone();
                put_key_part_prefix(&mut from, v.as_bytes()?);
                return Some(Self::beginning_with(from));
            }
        };
        Some(Self { lower, upper })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Number;
    use proptest::prelude::*;

    fn holds<T: Ord>(condition: usize, key: &T, low: &T, high: &T) -> bool {
        match condition {
            0 => key == low,
            1 => key < low,
            2 => key <= low,
            3 => key > low,
            4 => key >= low,
            _ => key >= low && key <= high,
        }
    }

    fn condition<'a>(
        which: usize,
        low: AttributeValueRef<'a>,
        high: AttributeValueRef<'a>,
    ) -> SortCondition<'a> {
        match which {
            0 => SortCondition::Eq(low),
            1 => SortCondition::Lt(low),
            2 => SortCondition::Le(low),
            3 => SortCondition::Gt(low),
            4 => SortCondition::Ge(low),
            _ => SortCondition::Between(low, high),
        }
    }

    proptest! {
        #[test]
        fn ranges_select_what_the_conditions_say(
            which in 0_usize..6, first in 0_i64..3, wanted in 0_i64..3,
            key in "[\\x00ab]{0,3}", low in "[\\x00ab]{0,3}", high in "[\\x00ab]{0,3}",
        ) {
            let s = |text: &'_ str| text.as_bytes().to_vec();
            let (key, low, high) = (s(&key), s(&low), s(&high));
            let expected = holds(which, &key, &low, &high);
            let condition = condition(which, AttributeValueRef::S(&low), AttributeValueRef::S(&high));
            let table = SortRange::new(KeyForm::Table, &[], Some(condition)).unwrap();
            prop_assert_eq!(table.contains(&key), expected);
            prop_assert!(!(table.is_empty() && expected));

            let mut entry = KeyBytes::new();
            put_key_part(&mut entry, &AttributeValueRef::N(Number::from(first)));
            put_key_part(&mut entry, &AttributeValueRef::S(&key));
            entry.extend_from_slice(b"\x00suffix");
            let equal = [AttributeValueRef::N(Number::from(wanted))];
            let index = SortRange::new(KeyForm::Index, &equal, Some(condition)).unwrap();
            prop_assert_eq!(index.contains(&entry), first == wanted && expected);
            let all = SortRange::new(KeyForm::Index, &equal, None).unwrap();
            prop_assert_eq!(all.contains(&entry), first == wanted);
        }

        #[test]
        fn prefixes_select_what_begins_with_them(key: Vec<u8>, prefix in prop::collection::vec(any::<u8>(), 0..2)) {
            let begins = SortCondition::BeginsWith(AttributeValueRef::B(&prefix));
            let table = SortRange::new(KeyForm::Table, &[], Some(begins)).unwrap();
            prop_assert_eq!(table.contains(&key), key.starts_with(&prefix));
            let mut entry = KeyBytes::new();
            put_key_part(&mut entry, &AttributeValueRef::B(&key));
            entry.push(7);
            let index = SortRange::new(KeyForm::Index, &[], Some(begins)).unwrap();
            prop_assert_eq!(index.contains(&entry), key.starts_with(&prefix));
        }
    }

    #[test]
    fn values_that_are_no_keys_have_no_range() {
        assert_eq!(
            SortRange::new(KeyForm::Table, &[], Some(SortCondition::Eq(AttributeValueRef::Null))),
            None
        );
        assert_eq!(SortRange::new(KeyForm::Table, &[], None), Some(SortRange::ALL));
    }
}
