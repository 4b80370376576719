//! The packed forms that older Redis versions wrote, and the set of integers.
#![deny(clippy::indexing_slicing)]

use super::reader::Reader;
use crate::value::ValueError;
use crate::value::listpack::ListpackEntry;

const BAD: ValueError = ValueError::BadFormat;

/// The elements of a ziplist, every one of them checked.
///
/// ```text
/// total bytes: u32 | offset of the last entry: u32 | entries: u16 (65535: count them) | entry ... | 0xFF
/// entry: size of the entry before, in 1 byte or 0xFE and 4 | encoding and data
/// ```
pub(super) fn ziplist(pack: &[u8]) -> Result<Vec<ListpackEntry<'_>>, ValueError> {
    let mut reader = Reader::new(pack);
    let total = u32::from_le_bytes(reader.array()?);
    let tail = u32::from_le_bytes(reader.array()?) as usize;
    let claimed = u16::from_le_bytes(reader.array()?);
    if total as usize != pack.len() {
        return Err(BAD);
    }
    let mut entries = Vec::new();
    let (mut at, mut before, mut last) = (10, 0, 10);
    loop {
        let rest = pack.get(at..).ok_or(BAD)?;
        match rest.first() {
            Some(0xFF) if rest.len() == 1 => break,
            None | Some(0xFF) => return Err(BAD),
            Some(_) => {}
        }
        let (size_before, head) = size_before(rest)?;
        if size_before != before {
            return Err(BAD);
        }
        let (entry, size) = ziplist_entry(rest.get(head..).ok_or(BAD)?)?;
        entries.push(entry);
        (before, last) = (head + size, at);
        at += before;
    }
    let counted = claimed == u16::MAX || usize::from(claimed) == entries.len();
    if counted && tail == last { Ok(entries) } else { Err(BAD) }
}

fn size_before(rest: &[u8]) -> Result<(usize, usize), ValueError> {
    let mut reader = Reader::new(rest);
    match reader.byte()? {
        0xFE => Ok((u32::from_le_bytes(reader.array()?) as usize, 5)),
        small => Ok((usize::from(small), 1)),
    }
}

fn ziplist_entry(rest: &[u8]) -> Result<(ListpackEntry<'_>, usize), ValueError> {
    let mut reader = Reader::new(rest);
    let first = reader.byte()?;
    let int = |n: i64, size: usize| Ok((ListpackEntry::Int(n), size));
    let (head, len) = match first {
        0x00..=0x3F => (1, usize::from(first)),
        0x40..=0x7F => (2, usize::from(first & 0x3F) << 8 | usize::from(reader.byte()?)),
        0x80 => (5, u32::from_be_bytes(reader.array()?) as usize),
        0xC0 => return int(i64::from(i16::from_le_bytes(reader.array()?)), 3),
        0xD0 => return int(i64::from(i32::from_le_bytes(reader.array()?)), 5),
        0xE0 => return int(i64::from_le_bytes(reader.array()?), 9),
        0xF0 => {
            let [a, b, c] = reader.array()?;
            return int(i64::from(i32::from_le_bytes([0, a, b, c]) >> 8), 4);
        }
        0xFE => return int(i64::from(i8::from_le_bytes(reader.array()?)), 2),
        0xF1..=0xFD => return int(i64::from(first & 0x0F) - 1, 1),
        _ => return Err(BAD),
    };
    let text = reader.bytes(len)?;
    Ok((ListpackEntry::Str(text), head + len))
}

/// A key and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// The keys and values of a zipmap.
///
/// ```text
/// entries: u8 (254+: count them) | (key length | key | value length | free: u8 | value | free bytes) ... | 0xFF
/// length: 1 byte below 254, or 254 and a u32
/// ```
pub(super) fn zipmap(pack: &[u8]) -> Result<Vec<Pair<'_>>, ValueError> {
    let mut reader = Reader::new(pack);
    let claimed = reader.byte()?;
    let mut pairs = Vec::new();
    while let Some(len) = zipmap_len(&mut reader)? {
        let key = reader.bytes(len)?;
        let len = zipmap_len(&mut reader)?.ok_or(BAD)?;
        let free = usize::from(reader.byte()?);
        let value = reader.bytes(len)?;
        reader.bytes(free)?;
        pairs.push((key, value));
    }
    let counted = claimed >= 254 || usize::from(claimed) == pairs.len();
    if counted && reader.byte().is_err() { Ok(pairs) } else { Err(BAD) }
}

fn zipmap_len(reader: &mut Reader<'_>) -> Result<Option<usize>, ValueError> {
    Ok(match reader.byte()? {
        255 => None,
        254 => Some(u32::from_le_bytes(reader.array()?) as usize),
        small => Some(usize::from(small)),
    })
}

/// The members of a set of integers: ascending, each once.
///
/// ```text
/// bytes of a member: u32 (2, 4 or 8) | members: u32 | member, little-endian ...
/// ```
pub(super) fn intset(pack: &[u8]) -> Result<Vec<i64>, ValueError> {
    let mut reader = Reader::new(pack);
    let width = u32::from_le_bytes(reader.array()?) as usize;
    let count = u32::from_le_bytes(reader.array()?) as usize;
    let body = pack.get(8..).ok_or(BAD)?;
    if !matches!(width, 2 | 4 | 8) || count == 0 || count.checked_mul(width) != Some(body.len()) {
        return Err(BAD);
    }
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        members.push(match width {
            2 => i64::from(i16::from_le_bytes(reader.array()?)),
            4 => i64::from(i32::from_le_bytes(reader.array()?)),
            _ => i64::from_le_bytes(reader.array()?),
        });
    }
    if members.is_sorted_by(|a, b| a < b) { Ok(members) } else { Err(BAD) }
}

/// The bytes of a set of integers, which must be ascending, each once.
pub(super) fn intset_bytes(members: &[i64]) -> Vec<u8> {
    let fits = |low: i64, high: i64| members.iter().all(|n| (low..=high).contains(n));
    let width: usize = if fits(i64::from(i16::MIN), i64::from(i16::MAX)) {
        2
    } else if fits(i64::from(i32::MIN), i64::from(i32::MAX)) {
        4
    } else {
        8
    };
    let mut out = Vec::with_capacity(8 + members.len() * width);
    out.extend_from_slice(&(width as u32).to_le_bytes());
    out.extend_from_slice(&(members.len() as u32).to_le_bytes());
    for member in members {
        out.extend(member.to_le_bytes().into_iter().take(width));
    }
    out
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An independent writer of ziplists, in the widest or the narrowest form of each entry.
    fn write_ziplist(items: &[Vec<u8>]) -> Vec<u8> {
        let mut body = Vec::new();
        let (mut before, mut last) = (0usize, 10);
        for item in items {
            last = 10 + body.len();
            let start = body.len();
            if before < 254 {
                body.push(before as u8);
            } else {
                body.push(0xFE);
                body.extend_from_slice(&(before as u32).to_le_bytes());
            }
            let text = std::str::from_utf8(item).ok().and_then(|t| t.parse::<i64>().ok());
            match text.filter(|n| n.to_string().as_bytes() == item) {
                Some(n @ 0..=12) => body.push(0xF1 + n as u8),
                Some(n) if i8::try_from(n).is_ok() => body.extend_from_slice(&[0xFE, n as u8]),
                Some(n) if i16::try_from(n).is_ok() => {
                    body.push(0xC0);
                    body.extend_from_slice(&(n as i16).to_le_bytes());
                }
                Some(n) if (-(1 << 23)..1 << 23).contains(&n) => {
                    body.push(0xF0);
                    body.extend_from_slice(&n.to_le_bytes()[..3]);
                }
                Some(n) if i32::try_from(n).is_ok() => {
                    body.push(0xD0);
                    body.extend_from_slice(&(n as i32).to_le_bytes());
                }
                Some(n) => {
                    body.push(0xE0);
                    body.extend_from_slice(&n.to_le_bytes());
                }
                None => {
                    match item.len() {
                        len @ 0..=63 => body.push(len as u8),
                        len @ 64..=16383 => body.extend_from_slice(&[0x40 | (len >> 8) as u8, len as u8]),
                        len => {
                            body.push(0x80);
                            body.extend_from_slice(&(len as u32).to_be_bytes());
                        }
                    }
                    body.extend_from_slice(item);
                }
            }
            before = body.len() - start;
        }
        let mut out = (11 + body.len() as u32).to_le_bytes().to_vec();
        out.extend_from_slice(&(last as u32).to_le_bytes());
        out.extend_from_slice(&(items.len() as u16).to_le_bytes());
        out.extend_from_slice(&body);
        out.push(0xFF);
        out
    }

    #[test]
    fn an_old_map_with_free_bytes() {
        let pack = b"\x02\x03foo\x03\x00bar\x05hello\x05\x02world..\xFF";
        let pairs = zipmap(pack).expect("well formed");
        assert_eq!(pairs, [(&b"foo"[..], &b"bar"[..]), (&b"hello"[..], &b"world"[..])]);
        for end in 0..pack.len() {
            assert_eq!(zipmap(&pack[..end]), Err(BAD), "{end}");
        }
        assert_eq!(zipmap(b"\x01\xFF"), Err(BAD));
        assert_eq!(zipmap(b"\x00\xFF\xFF"), Err(BAD));
        let long = [&b"\x01\xFE\x02\0\0\0ab\xFE\x01\0\0\0\x01c.\xFF"[..]].concat();
        assert_eq!(zipmap(&long), Ok(vec![(&b"ab"[..], &b"c"[..])]));
    }

    #[test]
    fn a_set_of_integers_must_be_ascending() {
        assert_eq!(intset(b"\x02\0\0\0\x02\0\0\0\x05\0\x04\0"), Err(BAD));
        assert_eq!(intset(b"\x02\0\0\0\x02\0\0\0\x05\0\x05\0"), Err(BAD));
        assert_eq!(intset(b"\x02\0\0\0\x02\0\0\0\xFF\xFF\x05\0"), Ok(vec![-1, 5]));
        assert_eq!(intset(b"\x03\0\0\0\x01\0\0\0\x05\0\0"), Err(BAD));
        assert_eq!(intset(b"\x02\0\0\0\0\0\0\0"), Err(BAD));
    }

    proptest! {
        #[test]
        fn ziplists_read_back(items in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..400),
            any::<i64>().prop_map(|n| n.to_string().into_bytes()),
            (0u32..40, any::<i64>()).prop_map(|(bits, n)| (n >> (63 - bits)).to_string().into_bytes()),
        ], 0..20), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut pack = write_ziplist(&items);
            let back: Vec<Vec<u8>> = ziplist(&pack).expect("well formed").into_iter().map(ListpackEntry::into_vec).collect();
            prop_assert_eq!(back, items);
            let at = at.index(pack.len());
            prop_assert_eq!(ziplist(&pack[..at]), Err(BAD));
            pack[at] = byte;
            let _ = ziplist(&pack);
        }

        #[test]
        fn sets_of_integers_read_back(
            members in prop::collection::btree_set((0u32..63, any::<i64>()).prop_map(|(bits, n)| n >> bits), 1..40),
        ) {
            let members: Vec<i64> = members.into_iter().collect();
            prop_assert_eq!(intset(&intset_bytes(&members)), Ok(members));
        }
    }
}
