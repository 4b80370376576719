//! `Item`: an item as it is stored, one compact byte string; `ItemRef` reads it and `ItemBuilder` makes it.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::bytes::{is_utf8, put_block, put_varint, varint_len};
use super::codec::{HARD_MAX_DEPTH, ITEM_VERSION, put_owned, put_ref};
use super::value::check_name;
use super::view::{AttributeValueRef, Entries, MapRef, check_map};
use super::{AttributeValue, ItemError};

/// A borrowed item in stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRef<'a> {
    bytes: &'a [u8],
}

impl<'a> ItemRef<'a> {
    /// An item without attributes. It stands for an item that does not exist.
    pub const EMPTY: Self = Self { bytes: &[ITEM_VERSION, 0] };

    /// Stored bytes that this program wrote or [`decode_item`] accepted. Other bytes read as an item that lacks
    /// attributes.
    pub fn from_bytes_unchecked(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The stored bytes.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The attributes as a map.
    #[inline]
    pub fn attributes(&self) -> MapRef<'a> {
        self.bytes.get(1..).and_then(MapRef::read).unwrap_or(MapRef::EMPTY)
    }

    /// Number of attributes.
    pub fn len(&self) -> usize {
        self.attributes().len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of an attribute; nothing else is decoded.
    #[inline]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<AttributeValueRef<'a>> {
        self.attributes().get(name.as_ref())
    }

    /// Names and values, ascending by the names' bytes.
    pub fn iter(self) -> Entries<'a> {
        self.attributes().iter()
    }

    /// A copy in stored form.
    pub fn to_item(&self) -> Item {
        Item { bytes: self.bytes.into() }
    }

    /// A copy in owned form.
    pub fn to_map(&self) -> BTreeMap<String, AttributeValue> {
        self.attributes().to_owned_map()
    }
}

impl<'a> IntoIterator for ItemRef<'a> {
    type Item = (&'a [u8], AttributeValueRef<'a>);
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// An item in stored form. Equal items have equal bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Item {
    bytes: Vec<u8>,
}

impl Item {
    /// Takes stored bytes after checking them.
    ///
    /// # Errors
    /// As [`decode_item`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ItemError> {
        decode_item(&bytes, HARD_MAX_DEPTH)?;
        Ok(Self { bytes })
    }

    /// Takes bytes that this room made.
    pub(super) fn from_stored(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Encodes attributes.
    ///
    /// # Errors
    /// For empty sets, names of invalid length and nesting beyond [`HARD_MAX_DEPTH`].
    pub fn from_map<'m>(
        attributes: impl IntoIterator<Item = (&'m String, &'m AttributeValue)>,
    ) -> Result<Self, ItemError> {
        let mut builder = ItemBuilder::new();
        for (name, value) in attributes {
            builder.put_owned(name, value)?;
        }
        Ok(builder.finish())
    }

    /// The item as a view.
    #[inline]
    pub fn view(&self) -> ItemRef<'_> {
        ItemRef { bytes: &self.bytes }
    }

    /// The stored bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives an attribute another value, if the attribute exists and its value takes as many bytes. Returns whether it
    /// did.
    pub fn overwrite(&mut self, name: impl AsRef<[u8]>, value: &AttributeValueRef<'_>) -> bool {
        let mut encoded = Vec::new();
        put_ref(&mut encoded, value);
        let place = self.view().attributes().raw_entries().find(|(other, _)| *other == name.as_ref());
        let place = place.filter(|(_, old)| old.len() == encoded.len());
        let Some(begin) = place.map(|(_, old)| old.as_ptr().addr() - self.bytes.as_ptr().addr()) else {
            return false;
        };
        self.bytes[begin..begin + encoded.len()].copy_from_slice(&encoded);
        true
    }

    /// The stored bytes, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(self.view().iter().map(|(name, value)| (String::from_utf8_lossy(name), value)))
            .finish()
    }
}

/// Collects attributes in any order and puts them into stored form. Of several values for one name the last counts.
/// One scratch buffer serves all attributes.
#[derive(Debug, Default)]
pub struct ItemBuilder {
    scratch: Vec<u8>,
    /// Start of the name, start of the value, end of the value.
    spans: SmallVec<[(u32, u32, u32); 16]>,
}

impl ItemBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self { scratch: Vec::with_capacity(128), spans: SmallVec::new() }
    }

    /// Sets `name` to a value given as a view: a scalar, or a container of another item.
    ///
    /// # Errors
    /// For a name that is not 1 to 65535 bytes of UTF-8, or a string that is not UTF-8.
    pub fn put(
        &mut self,
        name: impl AsRef<[u8]>,
        value: &AttributeValueRef<'_>,
    ) -> Result<&mut Self, ItemError> {
        if let AttributeValueRef::S(text) = value
            && !is_utf8(text)
        {
            return Err(not_utf8(name.as_ref(), "a string must be UTF-8"));
        }
        self.put_with(name.as_ref(), |scratch| {
            put_ref(scratch, value);
            Ok(())
        })
    }

    /// Sets `name` to an owned value.
    ///
    /// # Errors
    /// For empty sets, names of invalid length and nesting beyond [`HARD_MAX_DEPTH`].
    pub fn put_owned(
        &mut self,
        name: impl AsRef<[u8]>,
        value: &AttributeValue,
    ) -> Result<&mut Self, ItemError> {
        self.put_with(name.as_ref(), |scratch| put_owned(scratch, value, HARD_MAX_DEPTH))
    }

    /// Copies those attributes of `item` for whose names `keep` is true, in stored form.
    ///
    /// # Errors
    /// When the items together exceed 4 GiB.
    pub fn copy(
        &mut self,
        item: ItemRef<'_>,
        mut keep: impl FnMut(&[u8]) -> bool,
    ) -> Result<&mut Self, ItemError> {
        for (name, value) in item.attributes().raw_entries() {
            if keep(name) {
                self.put_raw(name, |scratch| {
                    scratch.extend_from_slice(value);
                    Ok(())
                })?;
            }
        }
        Ok(self)
    }

    fn put_with(
        &mut self,
        name: &[u8],
        put: impl FnOnce(&mut Vec<u8>) -> Result<(), ItemError>,
    ) -> Result<&mut Self, ItemError> {
        check_name(name)?;
        if !is_utf8(name) {
            return Err(not_utf8(name, "a name must be UTF-8"));
        }
        self.put_raw(name, put)
    }

    fn put_raw(
        &mut self,
        name: &[u8],
        put: impl FnOnce(&mut Vec<u8>) -> Result<(), ItemError>,
    ) -> Result<&mut Self, ItemError> {
        let start = self.scratch.len();
        self.scratch.extend_from_slice(name);
        let middle = self.scratch.len();
        put(&mut self.scratch)?;
        match (u32::try_from(start), u32::try_from(middle), u32::try_from(self.scratch.len())) {
            (Ok(start), Ok(middle), Ok(end)) => self.spans.push((start, middle, end)),
            _ => return Err(ItemError::ItemTooLarge),
        }
        Ok(self)
    }

    /// The item.
    pub fn finish(mut self) -> Item {
        let scratch = &self.scratch;
        let part = |from: u32, to: u32| scratch.get(from as usize..to as usize).unwrap_or(&[]);
        let name = |span: &(u32, u32, u32)| part(span.0, span.1);
        if !self.spans.is_sorted_by(|a, b| name(a) < name(b)) {
            // The sort is stable, so of equal names the last one given comes last, and the reversed pass keeps that
            // one.
            self.spans.sort_by(|a, b| name(a).cmp(name(b)));
            self.spans.reverse();
            self.spans.dedup_by(|later, first| name(later) == name(first));
            self.spans.reverse();
        }
        let spans = &self.spans;
        let body: usize = spans.iter().map(|s| varint_len(u64::from(s.1 - s.0)) + (s.2 - s.0) as usize).sum();
        let mut bytes = Vec::with_capacity(1 + varint_len(spans.len() as u64) + body);
        bytes.push(ITEM_VERSION);
        put_varint(&mut bytes, spans.len() as u64);
        for span in spans {
            put_block(&mut bytes, name(span));
            bytes.extend_from_slice(part(span.1, span.2));
        }
        Item { bytes }
    }
}

/// Checks stored bytes of an item to the last one and gives access to them. Any bytes are either accepted or refused;
/// nothing is allocated and recursion is bounded by `max_depth`, at most [`HARD_MAX_DEPTH`].
///
/// # Errors
/// The first violation of the format.
pub fn decode_item(bytes: &[u8], max_depth: usize) -> Result<ItemRef<'_>, ItemError> {
    let (version, body) = bytes.split_first().ok_or(ItemError::corrupt_item("no bytes"))?;
    if *version != ITEM_VERSION {
        return Err(ItemError::corrupt_item("unknown format version"));
    }
    let map = MapRef::read(body).ok_or(ItemError::corrupt_item("the count is cut short"))?;
    check_map(map, max_depth.min(HARD_MAX_DEPTH))?;
    Ok(ItemRef::from_bytes_unchecked(bytes))
}

fn not_utf8(name: &[u8], reason: &'static str) -> ItemError {
    ItemError::BadText { name: String::from_utf8_lossy(name).into_owned(), reason }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use super::super::AttrType;
    use super::*;
    use crate::item::EncodedValue;
    use crate::item::number::tests::any_number;
    use proptest::prelude::*;

    /// Any value, nested a few levels, with short and long texts.
    pub(in crate::item) fn any_value() -> impl Strategy<Value = AttributeValue> {
        let text = || prop_oneof!["[a-c\u{e9}]{0,3}", "[x\u{1F600}]{120,140}"];
        let blob = || prop::collection::vec(any::<u8>(), 0..5);
        let leaf = prop_oneof![
            Just(AttributeValue::Null),
            any::<bool>().prop_map(AttributeValue::Bool),
            text().prop_map(AttributeValue::S),
            any_number().prop_map(AttributeValue::N),
            blob().prop_map(AttributeValue::B),
            prop::collection::btree_set(text(), 1..4).prop_map(AttributeValue::Ss),
            prop::collection::btree_set(any_number(), 1..4).prop_map(AttributeValue::Ns),
            prop::collection::btree_set(blob(), 1..4).prop_map(AttributeValue::Bs),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
                prop::collection::btree_map("[a-d]{1,2}", inner, 0..4).prop_map(AttributeValue::M),
            ]
        })
    }

    fn any_map() -> impl Strategy<Value = BTreeMap<String, AttributeValue>> {
        prop::collection::btree_map("[a-f]{1,3}", any_value(), 0..6)
    }

    #[test]
    fn the_format_is_what_the_drawing_says() {
        let mut builder = ItemBuilder::new();
        builder.put("b", &AttributeValueRef::N(7.into())).unwrap();
        builder.put("a", &AttributeValueRef::S(b"hi")).unwrap();
        builder.put("c", &AttributeValueRef::N((-1).into())).unwrap();
        builder.put("d", &AttributeValueRef::N("1.25".parse().unwrap())).unwrap();
        let item = builder.finish();
        assert_eq!(
            item.as_bytes(),
            [1, 4, 1, b'a', 0x82, b'h', b'i', 1, b'b', 0x47, 1, b'c', 6, 1, 1, b'd', 7, 3, 0xFA, 1]
        );
    }

    #[test]
    fn the_last_of_equal_names_counts() {
        let mut builder = ItemBuilder::new();
        for (name, value) in [("b", 1), ("a", 2), ("b", 3), ("a", 4), ("c", 5)] {
            builder.put(name, &AttributeValueRef::N(value.into())).unwrap();
        }
        let item = builder.finish();
        let map: Vec<_> = item.view().to_map().into_iter().collect();
        assert_eq!(map, [("a".into(), 4.into()), ("b".into(), 3.into()), ("c".into(), 5.into())]);
    }

    #[test]
    fn what_is_no_item_is_refused() {
        let mut builder = ItemBuilder::new();
        assert_eq!(builder.put("", &AttributeValueRef::Null).unwrap_err(), ItemError::EmptyName);
        assert!(builder.put(b"\xFF", &AttributeValueRef::Null).is_err());
        assert!(builder.put("a", &AttributeValueRef::S(b"\xFF")).is_err());
        let empty = AttributeValue::Ss(BTreeSet::new());
        assert_eq!(builder.put_owned("a", &empty).unwrap_err(), ItemError::EmptySet(AttrType::Ss));
        for bytes in [
            &[][..],
            &[2, 0],
            &[1],
            &[1, 1],
            &[1, 0, 0],
            &[1, 1, 0, 1],                         // empty name
            &[1, 2, 1, b'b', 1, 1, b'a', 1],       // out of order
            &[1, 2, 1, b'a', 1, 1, b'a', 1],       // twice
            &[1, 1, 1, b'a', 0],                   // unknown type
            &[1, 1, 1, b'a', 4, 1, b'x'],          // short string in the long form
            &[1, 1, 1, b'a', 6, 2],                // small number in the long form
            &[1, 1, 1, b'a', 7, 0, 2],             // integer as a decimal
            &[1, 1, 1, b'a', 8, 1, 0],             // empty set
            &[1, 1, 1, b'a', 8, 3, 2, 0x80, 0x80], // equal members
            &[1, 1, 1, b'a', 8, 2, 1, 0x41],       // a number in a set of strings
            &[1, 1, 1, b'a', 0x81, 0xFF],          // not UTF-8
        ] {
            assert!(decode_item(bytes, 32).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let mut deep = AttributeValue::Null;
        for _ in 0..32 {
            deep = AttributeValue::L(vec![deep]);
        }
        let item = Item::from_map([(&"a".to_owned(), &deep)]).unwrap();
        assert!(decode_item(item.as_bytes(), 32).is_ok());
        assert_eq!(decode_item(item.as_bytes(), 31), Err(ItemError::TooDeep));
        assert_eq!((deep.validate(32), deep.validate(31)), (Ok(()), Err(ItemError::TooDeep)));
    }

    proptest! {
        #[test]
        fn items_round_trip(map in any_map()) {
            let item = Item::from_map(&map).unwrap();
            let read = decode_item(item.as_bytes(), 32).unwrap();
            prop_assert_eq!(read.to_map(), map.clone());
            prop_assert_eq!(read.size(), map.iter().map(|(name, value)| name.len() + value.size()).sum::<usize>());
            for (name, value) in &map {
                let encoded = EncodedValue::new(value).unwrap();
                prop_assert_eq!(read.get(name), Some(encoded.view()));
                prop_assert_eq!(read.get(format!("{name}!")), None);
            }
            let mut copy = ItemBuilder::new();
            for (name, value) in read.iter().collect::<Vec<_>>().into_iter().rev() {
                copy.put(name, &value).unwrap();
            }
            prop_assert_eq!(copy.finish(), item);
        }

        #[test]
        fn bytes_are_equal_exactly_when_values_are(a in any_value(), b in any_value()) {
            prop_assert_eq!(EncodedValue::new(&a).unwrap() == EncodedValue::new(&b).unwrap(), a == b);
        }

        #[test]
        fn damaged_items_never_panic(map in any_map(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut bytes = Item::from_map(&map).unwrap().into_bytes();
            let index = at.index(bytes.len());
            bytes[index] = byte;
            if let Ok(item) = decode_item(&bytes, 32) {
                // Accepted bytes are in canonical form.
                let again = Item::from_map(&item.to_map()).unwrap();
                prop_assert_eq!(again.as_bytes(), bytes.as_slice());
            }
            let _ = ItemRef::from_bytes_unchecked(&bytes).to_map();
            bytes.truncate(cut.index(bytes.len()));
            let _ = ItemRef::from_bytes_unchecked(&bytes).to_map();
            // Damaged bytes may be a valid item after a cut. Sound bytes are not valid after a cut.
            let mut bytes = Item::from_map(&map).unwrap().into_bytes();
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(decode_item(&bytes, 32).is_err());
        }

        #[test]
        fn any_bytes_never_panic(mut bytes: Vec<u8>) {
            let _ = decode_item(&bytes, 32);
            let _ = ItemRef::from_bytes_unchecked(&bytes).to_map();
            bytes.insert(0, ITEM_VERSION);
            let _ = decode_item(&bytes, 32);
            let _ = ItemRef::from_bytes_unchecked(&bytes).size();
        }
    }
}
