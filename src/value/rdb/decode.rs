//! Reads a value from a payload.
#![deny(clippy::indexing_slicing)]

use super::elements::Elements;
use super::kind;
use super::reader::{Reader, parse_score};
use super::streams::{self, Layout};
use super::{footer, old};
use crate::value::ValueError;
use crate::value::listpack::{self, ListpackEntry};
use crate::value::stream::Stream;
use std::collections::HashSet;

const BAD: ValueError = ValueError::BadFormat;
/// The largest time a hash field may expire at: 48 bits of milliseconds.
const MAX_FIELD_EXPIRY_MS: u64 = (1 << 48) - 1;

/// A field of a hash, its value, and when it expires, in milliseconds since the Unix epoch.
pub type HashField = (Vec<u8>, Vec<u8>, Option<u64>);

/// A value read from a payload. Collections are never empty, except streams. Fields and members are unique. Scores are
/// never not-a-number.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// A string, and all that is stored as one.
    String(Vec<u8>),
    /// A list, from its head on.
    List(Elements),
    /// A set, in no order.
    Set(Vec<Vec<u8>>),
    /// A hash, in no order.
    Hash(Vec<HashField>),
    /// A sorted set, in no order.
    ZSet(Vec<(Vec<u8>, f64)>),
    /// A stream.
    Stream(Box<Stream>),
}

/// Reads what `DUMP` wrote, of Redis 2.6 up to 7.4, with every byte checked as `sanitize-dump-payload yes` does. Time
/// and memory are bounded by a constant times the payload's length (compressed strings may grow 88-fold).
///
/// # Errors
/// [`ValueError::DumpFooter`] if version or checksum are wrong, else [`ValueError::BadFormat`].
pub fn decode_dump(payload: &[u8]) -> Result<Decoded, ValueError> {
    decode_body(footer::open(payload)?)
}

/// As [`decode_dump`], but ignores the checksum, so that tests reach the checks behind it.
///
/// # Errors
/// [`ValueError::DumpFooter`] if the version is wrong, else [`ValueError::BadFormat`].
pub fn decode_unsigned_dump(payload: &[u8]) -> Result<Decoded, ValueError> {
    decode_body(footer::open_unsigned(payload)?)
}

fn decode_body(body: &[u8]) -> Result<Decoded, ValueError> {
    let mut reader = Reader::new(body);
    let kind = reader.byte()?;
    let reader = &mut reader;
    Ok(match kind {
        kind::STRING => Decoded::String(reader.owned()?),
        kind::LIST => Decoded::List((0..reader.count()?).map(|_| reader.string()).collect::<Result<_, _>>()?),
        kind::LIST_ZIPLIST => Decoded::List(ziplists(reader, 1)?),
        kind::LIST_QUICKLIST => {
            let nodes = reader.count()?;
            Decoded::List(ziplists(reader, nodes)?)
        }
        kind::LIST_QUICKLIST_2 => Decoded::List(quicklist(reader)?),
        kind::SET => Decoded::Set(distinct(strings(reader)?)?),
        kind::SET_INTSET => Decoded::Set(
            old::intset(&reader.string()?)?.into_iter().map(|n| ListpackEntry::Int(n).into_vec()).collect(),
        ),
        kind::SET_LISTPACK => Decoded::Set(distinct(from_listpack(reader, 1)?)?),
        kind::ZSET | kind::ZSET_2 => Decoded::ZSet(distinct_members(scored(reader, kind)?)?),
        kind::ZSET_ZIPLIST => Decoded::ZSet(distinct_members(score_pairs(from_ziplist(reader, 2)?)?)?),
        kind::ZSET_LISTPACK => Decoded::ZSet(distinct_members(score_pairs(from_listpack(reader, 2)?)?)?),
        kind::HASH => Decoded::Hash(distinct_fields(hash(reader)?)?),
        kind::HASH_ZIPMAP => Decoded::Hash(distinct_fields(zipmap(reader)?)?),
        kind::HASH_ZIPLIST => Decoded::Hash(distinct_fields(pairs(from_ziplist(reader, 2)?))?),
        kind::HASH_LISTPACK => Decoded::Hash(distinct_fields(pairs(from_listpack(reader, 2)?))?),
        kind::HASH_METADATA | kind::HASH_METADATA_PRE_GA => {
            Decoded::Hash(distinct_fields(hash_with_expiry(reader, kind)?)?)
        }
        kind::HASH_LISTPACK_EX | kind::HASH_LISTPACK_EX_PRE_GA => {
            Decoded::Hash(distinct_fields(packed_hash_with_expiry(reader, kind)?)?)
        }
        kind::STREAM_LISTPACKS => stream(reader, Layout::First)?,
        kind::STREAM_LISTPACKS_2 => stream(reader, Layout::Counters)?,
        kind::STREAM_LISTPACKS_3 => stream(reader, Layout::Activity)?,
        _ => return Err(BAD),
    })
}

fn stream(reader: &mut Reader<'_>, layout: Layout) -> Result<Decoded, ValueError> {
    streams::decode(reader, layout).map(Box::new).map(Decoded::Stream)
}

fn strings(reader: &mut Reader<'_>) -> Result<Vec<Vec<u8>>, ValueError> {
    (0..reader.count()?).map(|_| reader.owned()).collect()
}

/// The elements of a pack: at least one, in groups of `group`.
fn grouped(elements: Vec<Vec<u8>>, group: usize) -> Result<Vec<Vec<u8>>, ValueError> {
    if elements.is_empty() || !elements.len().is_multiple_of(group) { Err(BAD) } else { Ok(elements) }
}

fn from_ziplist(reader: &mut Reader<'_>, group: usize) -> Result<Vec<Vec<u8>>, ValueError> {
    grouped(old::ziplist(&reader.string()?)?.into_iter().map(ListpackEntry::into_vec).collect(), group)
}

fn listpack_elements(pack: &[u8]) -> Result<Vec<Vec<u8>>, ValueError> {
    listpack::check(pack).ok_or(BAD)?;
    Ok(listpack::Iter::new(pack).map(ListpackEntry::into_vec).collect())
}

fn from_listpack(reader: &mut Reader<'_>, group: usize) -> Result<Vec<Vec<u8>>, ValueError> {
    grouped(listpack_elements(&reader.string()?)?, group)
}

/// A list of which something is there.
fn filled(list: Elements) -> Result<Elements, ValueError> {
    if list.is_empty() { Err(BAD) } else { Ok(list) }
}

fn ziplists(reader: &mut Reader<'_>, nodes: u64) -> Result<Elements, ValueError> {
    let mut list = Elements::default();
    for _ in 0..nodes {
        old::ziplist(&reader.string()?)?.into_iter().for_each(|element| list.push(&element.bytes()));
    }
    filled(list)
}

fn quicklist(reader: &mut Reader<'_>) -> Result<Elements, ValueError> {
    let mut list = Elements::default();
    for _ in 0..reader.count()? {
        let container = reader.len()?;
        let node = reader.string()?;
        match container {
            kind::NODE_PLAIN => list.push(&node),
            kind::NODE_PACKED => {
                listpack::check(&node).ok_or(BAD)?;
                listpack::Iter::new(&node).for_each(|element| list.push(&element.bytes()));
            }
            _ => return Err(BAD),
        }
    }
    filled(list)
}

fn scored(reader: &mut Reader<'_>, kind: u8) -> Result<Vec<(Vec<u8>, f64)>, ValueError> {
    let score = if kind == kind::ZSET { Reader::text_score } else { Reader::score };
    (0..reader.count()?).map(|_| Ok((reader.owned()?, score(reader)?))).collect()
}

fn score_pairs(elements: Vec<Vec<u8>>) -> Result<Vec<(Vec<u8>, f64)>, ValueError> {
    pairs(elements).into_iter().map(|(member, score, _)| Ok((member, parse_score(&score)?))).collect()
}

fn pairs(elements: Vec<Vec<u8>>) -> Vec<HashField> {
    let mut elements = elements.into_iter();
    let mut fields = Vec::with_capacity(elements.len() / 2);
    while let (Some(field), Some(value)) = (elements.next(), elements.next()) {
        fields.push((field, value, None));
    }
    fields
}

fn hash(reader: &mut Reader<'_>) -> Result<Vec<HashField>, ValueError> {
    (0..reader.count()?).map(|_| Ok((reader.owned()?, reader.owned()?, None))).collect()
}

fn zipmap(reader: &mut Reader<'_>) -> Result<Vec<HashField>, ValueError> {
    let pack = reader.string()?;
    let fields: Vec<HashField> = old::zipmap(&pack)?
        .into_iter()
        .map(|(field, value)| (field.to_vec(), value.to_vec(), None))
        .collect();
    if fields.is_empty() { Err(BAD) } else { Ok(fields) }
}

fn expiry(at_ms: u64) -> Result<Option<u64>, ValueError> {
    match at_ms {
        0 => Ok(None),
        1..=MAX_FIELD_EXPIRY_MS => Ok(Some(at_ms)),
        _ => Err(BAD),
    }
}

/// Each field's time, zero for none, comes before the field. In the first layout it is absolute. The second layout
/// begins with the earliest time, and a field's time is one more than its distance from that.
fn hash_with_expiry(reader: &mut Reader<'_>, kind: u8) -> Result<Vec<HashField>, ValueError> {
    let earliest = if kind == kind::HASH_METADATA { Some(reader.millis()?) } else { None };
    let mut fields = Vec::new();
    for _ in 0..reader.count()? {
        let at = match (reader.len()?, earliest) {
            (0, _) => 0,
            (later, Some(earliest)) => earliest.checked_add(later - 1).ok_or(BAD)?,
            (at, None) => at,
        };
        fields.push((reader.owned()?, reader.owned()?, expiry(at)?));
    }
    Ok(fields)
}

/// Field, value and time in turn. Fields are in the order of their times; those that never expire come last.
fn packed_hash_with_expiry(reader: &mut Reader<'_>, kind: u8) -> Result<Vec<HashField>, ValueError> {
    if kind == kind::HASH_LISTPACK_EX {
        reader.millis()?;
    }
    let pack = reader.string()?;
    listpack::check(&pack).ok_or(BAD)?;
    let mut elements = listpack::Iter::new(&pack);
    let mut fields: Vec<HashField> = Vec::new();
    while let Some(field) = elements.next() {
        let value = elements.next().ok_or(BAD)?;
        let at =
            elements.next().and_then(ListpackEntry::int).and_then(|at| u64::try_from(at).ok()).ok_or(BAD)?;
        fields.push((field.into_vec(), value.into_vec(), expiry(at)?));
    }
    let ascending = fields.is_sorted_by_key(|(_, _, at)| at.unwrap_or(u64::MAX));
    if ascending && !fields.is_empty() { Ok(fields) } else { Err(BAD) }
}

fn all_distinct<'a>(mut names: impl ExactSizeIterator<Item = &'a Vec<u8>>) -> bool {
    let mut seen = HashSet::with_capacity(names.len());
    names.all(|name| seen.insert(name.as_slice()))
}

fn distinct(members: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, ValueError> {
    if all_distinct(members.iter()) { Ok(members) } else { Err(BAD) }
}

fn distinct_members(members: Vec<(Vec<u8>, f64)>) -> Result<Vec<(Vec<u8>, f64)>, ValueError> {
    if all_distinct(members.iter().map(|(member, _)| member)) { Ok(members) } else { Err(BAD) }
}

fn distinct_fields(fields: Vec<HashField>) -> Result<Vec<HashField>, ValueError> {
    if all_distinct(fields.iter().map(|(field, _, _)| field)) { Ok(fields) } else { Err(BAD) }
}
