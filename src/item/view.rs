//! Reads stored values in place and decodes only what is asked for.
//!
//! Views do not validate their bytes: at damaged bytes an iteration ends early, but a view never panics and never reads
//! outside. [`super::decode_item`] validates bytes.

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::{Reader, unzigzag};
use super::tag;
use super::{AttrType, AttributeValue, ItemError, Number};

/// A value inside stored bytes. Strings are UTF-8, given as bytes. Equal values of every type compare equal, because
/// each value has exactly one stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeValueRef<'a> {
    /// String, UTF-8.
    S(&'a [u8]),
    /// Number.
    N(Number),
    /// Binary.
    B(&'a [u8]),
    /// Boolean.
    Bool(bool),
    /// Null.
    Null,
    /// Map, ordered by name.
    M(MapRef<'a>),
    /// List.
    L(StoredList<'a>),
    /// Set of strings, ascending.
    Ss(StoredList<'a>),
    /// Set of numbers, ascending.
    Ns(StoredList<'a>),
    /// Set of binaries, ascending.
    Bs(StoredList<'a>),
}

impl<'a> AttributeValueRef<'a> {
    /// The value's type.
    pub fn attr_type(&self) -> AttrType {
        match self {
            Self::S(_) => AttrType::S,
            Self::N(_) => AttrType::N,
            Self::B(_) => AttrType::B,
            Self::Bool(_) => AttrType::Bool,
            Self::Null => AttrType::Null,
            Self::M(_) => AttrType::M,
            Self::L(_) => AttrType::L,
            Self::Ss(_) => AttrType::Ss,
            Self::Ns(_) => AttrType::Ns,
            Self::Bs(_) => AttrType::Bs,
        }
    }

    /// A copy in owned form; cost in proportion to the value.
    pub fn to_owned_value(&self) -> AttributeValue {
        match self {
            Self::S(text) => AttributeValue::S(text_of(text)),
            Self::N(number) => AttributeValue::N(*number),
            Self::B(bytes) => AttributeValue::B(bytes.to_vec()),
            Self::Bool(value) => AttributeValue::Bool(*value),
            Self::Null => AttributeValue::Null,
            Self::M(map) => AttributeValue::M(map.to_owned_map()),
            Self::L(list) => AttributeValue::L(list.iter().map(|v| v.to_owned_value()).collect()),
            Self::Ss(set) => {
                AttributeValue::Ss(set.iter().filter_map(|v| v.as_bytes().map(text_of)).collect())
            }
            Self::Ns(set) => AttributeValue::Ns(set.numbers()),
            Self::Bs(set) => {
                AttributeValue::Bs(set.iter().filter_map(|v| v.as_bytes().map(<[u8]>::to_vec)).collect())
            }
        }
    }

    /// The bytes of a string or binary.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::S(bytes) | Self::B(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number of a number.
    pub fn as_number(&self) -> Option<Number> {
        match self {
            Self::N(number) => Some(*number),
            _ => None,
        }
    }

    /// The next value of `reader`; `None` at damaged bytes.
    #[inline]
    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let first = reader.byte()?;
        if first >= tag::SHORT_S {
            return Some(Self::S(reader.take(usize::from(first - tag::SHORT_S))?));
        }
        if first >= tag::SMALL_N {
            return Some(Self::N(Number::from(i64::from(first - tag::SMALL_N))));
        }
        Some(match first {
            tag::NULL => Self::Null,
            tag::FALSE => Self::Bool(false),
            tag::TRUE => Self::Bool(true),
            tag::S => Self::S(reader.block()?),
            tag::B => Self::B(reader.block()?),
            tag::INT => Self::N(Number::from(unzigzag(reader.varint()?))),
            tag::DECIMAL => Self::N(read_decimal(reader)?),
            tag::SS => Self::Ss(StoredList::read(reader.block()?)?),
            tag::NS => Self::Ns(StoredList::read(reader.block()?)?),
            tag::BS => Self::Bs(StoredList::read(reader.block()?)?),
            tag::L => Self::L(StoredList::read(reader.block()?)?),
            tag::M => Self::M(MapRef::read(reader.block()?)?),
            _ => return None,
        })
    }
}

fn read_decimal(reader: &mut Reader<'_>) -> Option<Number> {
    let exponent = unzigzag(reader.varint()?);
    let coefficient = reader.varint_wide()?;
    Number::from_parts(coefficient & 1 == 1, coefficient >> 1, i32::try_from(exponent).ok()?).ok()
}

/// Moves `reader` past one value without looking inside it.
#[inline]
pub(super) fn skip(reader: &mut Reader<'_>) -> Option<()> {
    let first = reader.byte()?;
    if first >= tag::SHORT_S {
        reader.take(usize::from(first - tag::SHORT_S))?;
        return Some(());
    }
    match first {
        tag::NULL | tag::FALSE | tag::TRUE => {}
        _ if first >= tag::SMALL_N => {}
        tag::INT => {
            reader.varint()?;
        }
        tag::DECIMAL => {
            reader.varint()?;
            reader.varint_wide()?;
        }
        tag::S | tag::B | tag::SS | tag::NS | tag::BS | tag::L | tag::M => {
            reader.block()?;
        }
        _ => return None,
    }
    Some(())
}

/// Moves `reader` past one value and returns its size by AWS's rules. Short strings, which are most values, are passed
/// over.
#[inline]
pub(super) fn read_size(reader: &mut Reader<'_>) -> Option<usize> {
    match reader.rest().first() {
        Some(first) if *first >= tag::SHORT_S => {
            let len = usize::from(first - tag::SHORT_S);
            reader.take(1 + len).map(|_| len)
        }
        _ => AttributeValueRef::read(reader).map(|value| value.size()),
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The values of a list or a set in stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredList<'a> {
    count: usize,
    values: &'a [u8],
}

impl<'a> StoredList<'a> {
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let count = usize::try_from(reader.varint()?).ok()?;
        Some(Self { count, values: reader.rest() })
    }

    pub(super) fn body(&self) -> (usize, &'a [u8]) {
        (self.count, self.values)
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The value at `index`; skips those before it.
    pub fn get(&self, index: usize) -> Option<AttributeValueRef<'a>> {
        let mut reader = Reader::new(self.values);
        for _ in 0..index {
            skip(&mut reader)?;
        }
        AttributeValueRef::read(&mut reader)
    }

    /// The values in order.
    pub fn iter(self) -> Values<'a> {
        Values { left: self.count, reader: Reader::new(self.values) }
    }

    /// True when an equal value is among them; linear.
    pub fn contains(&self, wanted: &AttributeValueRef<'_>) -> bool {
        self.iter().any(|value| value == *wanted)
    }

    fn numbers(&self) -> BTreeSet<Number> {
        self.iter().filter_map(|v| v.as_number()).collect()
    }
}

impl<'a> IntoIterator for StoredList<'a> {
    type Item = AttributeValueRef<'a>;
    type IntoIter = Values<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Iterator over the values of a [`StoredList`].
#[derive(Clone, Debug)]
pub struct Values<'a> {
    left: usize,
    reader: Reader<'a>,
}

impl<'a> Iterator for Values<'a> {
    type Item = AttributeValueRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let value = AttributeValueRef::read(&mut self.reader);
        if value.is_none() {
            self.left = 0;
        }
        value
    }
}

/// The entries of a map, or of an item's top level, in stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapRef<'a> {
    count: usize,
    entries: &'a [u8],
}

impl<'a> MapRef<'a> {
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let count = usize::try_from(reader.varint()?).ok()?;
        Some(Self { count, entries: reader.rest() })
    }

    pub(super) const EMPTY: Self = Self { count: 0, entries: &[] };

    pub(super) fn body(&self) -> (usize, &'a [u8]) {
        (self.count, self.entries)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The value of `name`. Other names are passed over without decoding their values, up to those that begin with a
    /// greater byte.
    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<AttributeValueRef<'a>> {
        let mut reader = Reader::new(self.entries);
        for _ in 0..self.count {
            let here = reader.block()?;
            if here == name {
                return AttributeValueRef::read(&mut reader);
            }
            // The names' first bytes are enough to stop early, and cheaper to compare than whole names.
            if here.first() > name.first() {
                return None;
            }
            skip(&mut reader)?;
        }
        None
    }

    /// Names and values, ascending by the names' bytes.
    pub fn iter(self) -> Entries<'a> {
        Entries { left: self.count, reader: Reader::new(self.entries) }
    }

    /// Names and values in stored form, ascending by the names' bytes.
    pub(super) fn raw_entries(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut reader = Reader::new(self.entries);
        (0..self.count).map_while(move |_| {
            let name = reader.block()?;
            let from = reader.rest();
            skip(&mut reader)?;
            Some((name, from.get(..from.len() - reader.rest().len())?))
        })
    }

    /// The sum of the entries' sizes by AWS's rules, names included, and `more` for each entry.
    #[inline]
    pub(super) fn entries_size(self, more: usize) -> usize {
        let (mut reader, mut size) = (Reader::new(self.entries), 0);
        for _ in 0..self.count {
            let Some(name) = reader.block() else { break };
            let Some(value) = read_size(&mut reader) else { break };
            size += more + name.len() + value;
        }
        size
    }

    /// A copy in owned form.
    pub fn to_owned_map(&self) -> BTreeMap<String, AttributeValue> {
        self.iter().map(|(name, value)| (text_of(name), value.to_owned_value())).collect()
    }
}

impl<'a> IntoIterator for MapRef<'a> {
    type Item = (&'a [u8], AttributeValueRef<'a>);
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Iterator over the entries of a [`MapRef`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    left: usize,
    reader: Reader<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], AttributeValueRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let entry =
            self.reader.block().and_then(|name| Some((name, AttributeValueRef::read(&mut self.reader)?)));
        if entry.is_none() {
            self.left = 0;
        }
        entry
    }
}

/// Checks one stored value to the last byte: form, order, UTF-8, and at most `max_depth` levels of containers.
/// Allocates nothing.
pub(super) fn check_value(reader: &mut Reader<'_>, max_depth: usize) -> Result<(), ItemError> {
    let start = reader.rest();
    let value = AttributeValueRef::read(reader).ok_or(ItemError::corrupt_item("a value is cut short"))?;
    let first = start.first().copied().unwrap_or_default();
    let canonical = match value {
        AttributeValueRef::S(text) => {
            std::str::from_utf8(text).map_err(|_| ItemError::corrupt_item("a string is not UTF-8"))?;
            (text.len() < 128) == (first >= tag::SHORT_S)
        }
        AttributeValueRef::N(number) => match number.as_i64() {
            Some(0..=63) => (tag::SMALL_N..tag::SHORT_S).contains(&first),
            Some(_) => first == tag::INT,
            None => decimal_is_canonical(start, number),
        },
        _ => true,
    };
    if !canonical {
        return Err(ItemError::corrupt_item("a value is not in its one form"));
    }
    match value {
        AttributeValueRef::Ss(set) => check_set(set, AttrType::S),
        AttributeValueRef::Ns(set) => check_set(set, AttrType::N),
        AttributeValueRef::Bs(set) => check_set(set, AttrType::B),
        AttributeValueRef::L(_) | AttributeValueRef::M(_) if max_depth == 0 => Err(ItemError::TooDeep),
        AttributeValueRef::L(list) => {
            let mut inner = Reader::new(list.values);
            for _ in 0..list.count {
                check_value(&mut inner, max_depth - 1)?;
            }
            check_end(inner)
        }
        AttributeValueRef::M(map) => check_map(map, max_depth - 1),
        _ => Ok(()),
    }
}

fn decimal_is_canonical(start: &[u8], number: Number) -> bool {
    let mut reader = Reader::new(start);
    let (negative, coefficient, exponent) = number.parts();
    reader.byte() == Some(tag::DECIMAL)
        && reader.varint().map(unzigzag) == Some(i64::from(exponent))
        && reader.varint_wide() == Some((coefficient << 1) | u128::from(negative))
}

/// Checks the entries of a map whose values may hold `max_depth` more levels.
pub(super) fn check_map(map: MapRef<'_>, max_depth: usize) -> Result<(), ItemError> {
    let mut reader = Reader::new(map.entries);
    let mut last: Option<&[u8]> = None;
    for _ in 0..map.count {
        let name = reader.block().ok_or(ItemError::corrupt_item("a name is cut short"))?;
        super::value::check_name(name).map_err(|_| ItemError::corrupt_item("a name has no valid length"))?;
        std::str::from_utf8(name).map_err(|_| ItemError::corrupt_item("a name is not UTF-8"))?;
        if last.is_some_and(|last| last >= name) {
            return Err(ItemError::corrupt_item("names are out of order"));
        }
        last = Some(name);
        check_value(&mut reader, max_depth)?;
    }
    check_end(reader)
}

fn check_set(set: StoredList<'_>, member: AttrType) -> Result<(), ItemError> {
    if set.is_empty() {
        return Err(ItemError::corrupt_item("a set is empty"));
    }
    let mut reader = Reader::new(set.values);
    let mut last: Option<AttributeValueRef<'_>> = None;
    for _ in 0..set.count {
        let mut ahead = reader;
        check_value(&mut reader, 0)?;
        let value = AttributeValueRef::read(&mut ahead).filter(|value| value.attr_type() == member);
        let value = value.ok_or(ItemError::corrupt_item("a set has a member of another type"))?;
        let ascending = match (last, value) {
            (Some(AttributeValueRef::N(a)), AttributeValueRef::N(b)) => a < b,
            (Some(AttributeValueRef::S(a)), AttributeValueRef::S(b))
            | (Some(AttributeValueRef::B(a)), AttributeValueRef::B(b)) => a < b,
            _ => true,
        };
        if !ascending {
            return Err(ItemError::corrupt_item("set members are out of order"));
        }
        last = Some(value);
    }
    check_end(reader)
}

fn check_end(reader: Reader<'_>) -> Result<(), ItemError> {
    if reader.is_empty() { Ok(()) } else { Err(ItemError::corrupt_item("bytes are left over")) }
}
