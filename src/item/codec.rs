//! The stored form of items and values, version 1.
//!
//! ```text
//! item    := version(1 byte, 0x01) entries
//! entries := count(varint) { name_len(varint) name value } * count     names ascending by bytes, each once
//! value   := 0x01                                                     null
//!          | 0x02 | 0x03                                              false, true
//!          | 0x80 + len, len bytes                                    string of 0 to 127 bytes
//!          | 0x04 len(varint) bytes                                   longer string
//!          | 0x05 len(varint) bytes                                   binary
//!          | 0x40 + n                                                 the integer n, 0 to 63
//!          | 0x06 zigzag(varint)                                      another integer of 64 bits
//!          | 0x07 zigzag exponent(varint) coefficient*2+sign(varint)  any other number, no trailing zeros
//!          | 0x08 | 0x09 | 0x0A  len(varint) values                   sets SS, NS, BS, ascending, each once
//!          | 0x0B len(varint) values                                  list
//!          | 0x0C len(varint) entries                                 map
//! values  := count(varint) value * count
//! ```
//! Varints are the shortest possible (see `bytes.rs`), so equal items have equal bytes, sets and maps included, and
//! equality of documents is equality of bytes. Containers carry their length, so that a reader can skip them.

use super::bytes::{Out, Reader, put_block, put_sized, put_varint, put_varint_wide, zigzag};
use super::tag;
use super::value::check_name;
use super::view::{AttributeValueRef, StoredList};
use super::{AttributeValue, ItemError, Number};
use smallvec::SmallVec;

/// Version byte of stored items.
pub(super) const ITEM_VERSION: u8 = 0x01;

/// The deepest nesting that is read or written, even if the configured limit is greater: it bounds recursion.
pub const HARD_MAX_DEPTH: usize = 256;

#[inline]
fn put_string(out: &mut impl Out, text: &[u8]) {
    if text.len() < 128 {
        out.put(tag::SHORT_S + text.len() as u8);
        out.put_all(text);
    } else {
        out.put(tag::S);
        put_block(out, text);
    }
}

fn put_binary(out: &mut impl Out, bytes: &[u8]) {
    out.put(tag::B);
    put_block(out, bytes);
}

fn put_number(out: &mut impl Out, number: Number) {
    match number.as_i64() {
        Some(small @ 0..=63) => out.put(tag::SMALL_N + small as u8),
        Some(int) => {
            out.put(tag::INT);
            put_varint(out, zigzag(int));
        }
        None => {
            let (negative, coefficient, exponent) = number.parts();
            out.put(tag::DECIMAL);
            put_varint(out, zigzag(i64::from(exponent)));
            put_varint_wide(out, (coefficient << 1) | u128::from(negative));
        }
    }
}

/// Appends a value given as a view; containers are copied as they are.
#[inline]
pub(super) fn put_ref(out: &mut impl Out, value: &AttributeValueRef<'_>) {
    match value {
        AttributeValueRef::S(text) => put_string(out, text),
        AttributeValueRef::Null => out.put(tag::NULL),
        AttributeValueRef::Bool(false) => out.put(tag::FALSE),
        AttributeValueRef::Bool(true) => out.put(tag::TRUE),
        AttributeValueRef::N(number) => put_number(out, *number),
        AttributeValueRef::B(bytes) => put_binary(out, bytes),
        AttributeValueRef::Ss(set) => put_list(out, tag::SS, set),
        AttributeValueRef::Ns(set) => put_list(out, tag::NS, set),
        AttributeValueRef::Bs(set) => put_list(out, tag::BS, set),
        AttributeValueRef::L(values) => put_list(out, tag::L, values),
        AttributeValueRef::M(map) => put_body(out, tag::M, map.body()),
    }
}

fn put_list(out: &mut impl Out, tag: u8, list: &StoredList<'_>) {
    put_body(out, tag, list.body());
}

fn put_body(out: &mut impl Out, tag: u8, (count, content): (usize, &[u8])) {
    out.put(tag);
    put_varint(out, (super::bytes::varint_len(count as u64) + content.len()) as u64);
    put_varint(out, count as u64);
    out.put_all(content);
}

/// Appends an owned value, whose containers may nest `max_depth` levels.
pub(super) fn put_owned(
    out: &mut Vec<u8>,
    value: &AttributeValue,
    max_depth: usize,
) -> Result<(), ItemError> {
    match value {
        AttributeValue::Null => out.push(tag::NULL),
        AttributeValue::Bool(false) => out.push(tag::FALSE),
        AttributeValue::Bool(true) => out.push(tag::TRUE),
        AttributeValue::S(text) => put_string(out, text.as_bytes()),
        AttributeValue::N(number) => put_number(out, *number),
        AttributeValue::B(bytes) => put_binary(out, bytes),
        AttributeValue::Ss(set) => {
            put_set(out, tag::SS, value, set.iter(), |out, text| put_string(out, text.as_bytes()))?;
        }
        AttributeValue::Ns(set) => put_set(out, tag::NS, value, set.iter(), |out, n| put_number(out, *n))?,
        AttributeValue::Bs(set) => {
            put_set(out, tag::BS, value, set.iter(), |out, bytes| put_binary(out, bytes))?;
        }
        AttributeValue::L(_) | AttributeValue::M(_) if max_depth == 0 => return Err(ItemError::TooDeep),
        AttributeValue::L(list) => {
            out.push(tag::L);
            put_sized(out, |out| {
                put_varint(out, list.len() as u64);
                list.iter().try_for_each(|value| put_owned(out, value, max_depth - 1))
            })?;
        }
        AttributeValue::M(map) => {
            out.push(tag::M);
            put_sized(out, |out| {
                put_varint(out, map.len() as u64);
                map.iter().try_for_each(|(name, value)| {
                    check_name(name.as_bytes())?;
                    put_block(out, name.as_bytes());
                    put_owned(out, value, max_depth - 1)
                })
            })?;
        }
    }
    Ok(())
}

fn put_set<T>(
    out: &mut Vec<u8>,
    tag: u8,
    value: &AttributeValue,
    members: impl ExactSizeIterator<Item = T>,
    mut put: impl FnMut(&mut Vec<u8>, T),
) -> Result<(), ItemError> {
    if members.len() == 0 {
        return Err(ItemError::EmptySet(value.attr_type()));
    }
    out.push(tag);
    put_sized(out, |out| {
        put_varint(out, members.len() as u64);
        members.for_each(|member| put(out, member));
        Ok(())
    })
}

/// A value in stored form, outside an item. It is read through views; short values need no allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedValue(SmallVec<[u8; 24]>);

impl EncodedValue {
    /// Encodes `value`.
    ///
    /// # Errors
    /// For empty sets, names of invalid length and nesting beyond [`HARD_MAX_DEPTH`].
    pub fn new(value: &AttributeValue) -> Result<Self, ItemError> {
        let mut bytes = Vec::new();
        put_owned(&mut bytes, value, HARD_MAX_DEPTH)?;
        Ok(Self(SmallVec::from_vec(bytes)))
    }

    /// Encodes a value given as a view: a scalar whose string is UTF-8, or a container of another value.
    pub(super) fn of(value: &AttributeValueRef<'_>) -> Self {
        let mut bytes = SmallVec::new();
        put_ref(&mut bytes, value);
        Self(bytes)
    }

    /// The value as a view.
    #[inline]
    pub fn view(&self) -> AttributeValueRef<'_> {
        AttributeValueRef::read(&mut Reader::new(&self.0)).unwrap_or(AttributeValueRef::Null)
    }
}
