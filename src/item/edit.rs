//! `ItemEditor`: makes an item from another one of which most attributes stay unchanged.

use smallvec::SmallVec;
use std::cmp::Ordering;

use super::bytes::{Reader, put_block, put_varint};
use super::codec::{HARD_MAX_DEPTH, ITEM_VERSION, put_owned, put_ref};
use super::value::check_name;
use super::view::{read_size, skip};
use super::{AttributeValue, AttributeValueRef, Item, ItemError, ItemRef};

/// The most bytes before the attributes of an item: its version and a varint of 64 bits.
const MOST_HEAD: usize = 11;

/// Makes an item from another one. The caller puts and removes attributes in ascending order of their names' bytes. The
/// attributes between are copied in runs, and no value of the other item is decoded. Cost in proportion to the item.
#[derive(Debug)]
pub struct ItemEditor<'a> {
    /// The attributes of the other item that are still to be copied; `left` is their number.
    rest: Reader<'a>,
    left: usize,
    /// The attributes so far.
    count: usize,
    /// The item so far, behind its version and the other item's count.
    bytes: Vec<u8>,
    head: usize,
    /// How many attributes the other item has.
    before: usize,
    /// Whether the other item's bytes turned out to be no item's.
    damaged: bool,
    /// By how many bytes the item is larger than the other one so far, by AWS's rules.
    growth: isize,
}

impl<'a> ItemEditor<'a> {
    /// Begins with `item`; the new item is expected to be about `room` bytes longer.
    pub fn new(item: ItemRef<'a>, room: usize) -> Self {
        let (before, entries) = item.attributes().body();
        let mut bytes = Vec::with_capacity(MOST_HEAD + entries.len() + room);
        bytes.push(ITEM_VERSION);
        put_varint(&mut bytes, before as u64);
        let head = bytes.len();
        let rest = Reader::new(entries);
        Self { rest, left: before, count: 0, bytes, head, before, damaged: false, growth: 0 }
    }

    /// Sets `name` to a value in stored form.
    ///
    /// # Errors
    /// For a name that is not 1 to 65535 bytes long.
    pub fn put(&mut self, name: &str, value: &AttributeValueRef<'_>) -> Result<(), ItemError> {
        self.begin(name)?;
        self.growth += value.size() as isize;
        put_ref(&mut self.bytes, value);
        Ok(())
    }

    /// Sets `name` to an owned value.
    ///
    /// # Errors
    /// For empty sets, names of invalid length and nesting beyond [`HARD_MAX_DEPTH`].
    pub fn put_owned(&mut self, name: &str, value: &AttributeValue) -> Result<(), ItemError> {
        self.begin(name)?;
        self.growth += value.size() as isize;
        put_owned(&mut self.bytes, value, HARD_MAX_DEPTH)
    }

    fn begin(&mut self, name: &str) -> Result<(), ItemError> {
        check_name(name.as_bytes())?;
        self.copy_up_to(name.as_bytes());
        put_block(&mut self.bytes, name.as_bytes());
        self.growth += name.len() as isize;
        self.count += 1;
        Ok(())
    }

    /// Leaves `name` out.
    pub fn remove(&mut self, name: &str) {
        self.copy_up_to(name.as_bytes());
    }

    /// Copies the attributes with smaller names, and skips one with this name.
    fn copy_up_to(&mut self, name: &[u8]) {
        let from = self.rest.rest();
        // `end` is behind the copied attributes, `next` behind the skipped one too.
        let (mut end, mut next) = (self.rest, self.rest);
        while self.left > 0 {
            let mut ahead = end;
            let order = ahead.block().map(|here| here.cmp(name));
            if order == Some(Ordering::Greater) {
                break;
            }
            let is_it = order == Some(Ordering::Equal);
            let passed = if is_it { read_size(&mut ahead) } else { skip(&mut ahead).map(|()| 0) };
            let (Some(_), Some(size)) = (order, passed) else {
                (self.left, self.damaged) = (0, true);
                break;
            };
            (self.left, next) = (self.left - 1, ahead);
            if is_it {
                self.growth -= (name.len() + size) as isize;
                break;
            }
            (self.count, end) = (self.count + 1, ahead);
        }
        let copied = from.len() - end.rest().len();
        self.bytes.extend_from_slice(from.get(..copied).unwrap_or_default());
        self.rest = next;
    }

    /// The item, and by how many bytes it is larger than the other one by AWS's rules.
    ///
    /// # Errors
    /// [`ItemError::Corrupt`], if the other item is not one by as many of its bytes as were looked at.
    pub fn finish(mut self) -> Result<(Item, isize), ItemError> {
        if self.left > 0 {
            self.bytes.extend_from_slice(self.rest.rest());
        }
        let count = self.count.checked_add(self.left).filter(|_| !self.damaged);
        let count = count.ok_or(ItemError::corrupt_item("its attributes end early"))?;
        if count != self.before {
            let mut written: SmallVec<[u8; MOST_HEAD]> = SmallVec::new();
            put_varint(&mut written, count as u64);
            self.bytes.splice(1..self.head, written);
        }
        Ok((Item::from_stored(self.bytes), self.growth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::stored::tests::any_value;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Map = BTreeMap<String, AttributeValue>;

    fn edited(before: &Map, changes: &BTreeMap<String, Option<AttributeValue>>, room: usize) -> Item {
        let item = Item::from_map(before).unwrap();
        let mut editor = ItemEditor::new(item.view(), room);
        for (at, (name, change)) in changes.iter().enumerate() {
            match change {
                None => editor.remove(name),
                // Both ways to give a value.
                Some(value) if at % 2 == 0 => editor.put_owned(name, value).unwrap(),
                Some(value) => {
                    editor.put(name, &crate::item::EncodedValue::new(value).unwrap().view()).unwrap();
                }
            }
        }
        let (after, growth) = editor.finish().unwrap();
        assert_eq!(growth, after.view().size() as isize - item.view().size() as isize);
        after
    }

    fn model(before: &Map, changes: &BTreeMap<String, Option<AttributeValue>>) -> Item {
        let mut after = before.clone();
        for (name, change) in changes {
            match change {
                None => drop(after.remove(name)),
                Some(value) => drop(after.insert(name.clone(), value.clone())),
            }
        }
        Item::from_map(&after).unwrap()
    }

    proptest! {
        #[test]
        fn an_edited_item_is_the_one_made_anew(
            before in prop::collection::btree_map("[a-f]{1,3}", any_value(), 0..8),
            changes in prop::collection::btree_map("[a-g]{1,3}", prop::option::of(any_value()), 0..5),
            room in 0_usize..64,
        ) {
            prop_assert_eq!(edited(&before, &changes, room), model(&before, &changes));
        }

        #[test]
        fn damaged_items_are_edited_without_panic(
            before in prop::collection::btree_map("[a-f]{1,3}", any_value(), 0..6),
            at: prop::sample::Index,
            byte: u8,
            name in "[a-g]{1,2}",
        ) {
            let mut bytes = Item::from_map(&before).unwrap().into_bytes();
            let index = at.index(bytes.len());
            bytes[index] = byte;
            let mut editor = ItemEditor::new(ItemRef::from_bytes_unchecked(&bytes), 0);
            editor.put(&name, &AttributeValueRef::Null).unwrap();
            editor.remove("zz");
            if let Ok((item, _)) = editor.finish() {
                drop(item.view().to_map());
            }
        }
    }

    #[test]
    fn a_damaged_item_is_an_error() {
        let whole =
            Item::from_map(&Map::from([("b".to_owned(), AttributeValue::from(1))])).unwrap().into_bytes();
        // As many attributes as can be written, and one that is cut.
        let mut counted = vec![ITEM_VERSION];
        put_varint(&mut counted, u64::MAX);
        for damaged in [&counted, &whole[..whole.len() - 1]] {
            for name in ["a", "z"] {
                let mut editor = ItemEditor::new(ItemRef::from_bytes_unchecked(damaged), 0);
                editor.put(name, &AttributeValueRef::Null).unwrap();
                editor.remove("zz");
                assert!(matches!(editor.finish(), Err(ItemError::Corrupt { .. })));
            }
        }
        let mut editor = ItemEditor::new(ItemRef::from_bytes_unchecked(&counted), 0);
        editor.put("a", &AttributeValueRef::Null).unwrap();
        assert!(editor.finish().is_err());
    }

    #[test]
    fn counts_of_more_than_one_byte_are_met_from_both_sides() {
        let many = |numbers: std::ops::Range<i64>| -> Map {
            numbers.map(|n| (format!("n{n:04}"), AttributeValue::from(n))).collect()
        };
        for (before, changes) in [(0..127, 127..128), (0..100, 100..300), (0..127, 0..0)] {
            let added = many(changes).into_iter().map(|(name, value)| (name, Some(value))).collect();
            assert_eq!(edited(&many(before.clone()), &added, 0), model(&many(before), &added));
        }
        let removed = many(0..1).into_keys().map(|name| (name, None)).collect();
        assert_eq!(edited(&many(0..128), &removed, 0), model(&many(0..128), &removed));
    }
}
