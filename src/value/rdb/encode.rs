//! Writes a value as a payload.

use super::decode::Decoded;
use super::kind;
use super::old::intset_bytes;
use super::streams::{self, Layout};
use super::writer::Writer;
use crate::text::{parse_i64_strict, write_f64};
use crate::value::listpack::{Builder, ListpackEntry};
use crate::value::stream::Stream;

/// The version of all payloads but those of hashes with field expiry: Redis 7.0's, so that it and all later ones
/// accept them.
const VERSION: u16 = 10;
/// The version of hashes with field expiry: Redis 7.4's.
const FIELD_EXPIRY_VERSION: u16 = 12;

/// The sizes up to which Redis keeps a collection in its compact form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListpackLimits {
    /// `hash-max-listpack-entries`.
    pub hash_max_listpack_entries: usize,
    /// `hash-max-listpack-value`, in bytes.
    pub hash_max_listpack_value: usize,
    /// `set-max-intset-entries`.
    pub set_max_intset_entries: usize,
    /// `zset-max-listpack-entries`.
    pub zset_max_listpack_entries: usize,
    /// `zset-max-listpack-value`, in bytes.
    pub zset_max_listpack_value: usize,
    /// `list-max-listpack-size`: elements of a node, or from -1 to -5 its size from 4 KiB to 64 KiB.
    pub list_max_listpack_size: i64,
}

impl Default for ListpackLimits {
    fn default() -> Self {
        Self {
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            set_max_intset_entries: 512,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            list_max_listpack_size: -2,
        }
    }
}

/// Which of a collection's two forms is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpForm {
    /// The compact one (listpack, intset).
    Compact,
    /// The full one (hashtable, skiplist).
    Full,
}

/// A string's payload. O(length), as are all of these.
#[must_use]
pub fn dump_string(bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(kind::STRING, bytes.len());
    writer.string(bytes);
    writer.finish(VERSION)
}

/// A list's payload, from head to tail, in nodes as `list-max-listpack-size` makes them.
#[must_use]
pub fn dump_list<T: AsRef<[u8]>>(items: impl IntoIterator<Item = T>, max_listpack_size: i64) -> Vec<u8> {
    let (max_count, max_size) = match max_listpack_size {
        // Redis treats 0 as 1, and limits such a node to 8 KiB as well as by its count.
        0.. => (usize::try_from(max_listpack_size.max(1)).unwrap_or(usize::MAX), 8192),
        -5..=-1 => (usize::MAX, 2048usize << max_listpack_size.unsigned_abs()),
        _ => (usize::MAX, 65536),
    };
    let mut nodes = Vec::new();
    let mut node = Builder::new();
    for item in items {
        let item = item.as_ref();
        let size_after = node.size() + item.len() + 8;
        if node.count() > 0 && (node.count() >= max_count || size_after > max_size) {
            nodes.push(std::mem::take(&mut node).finish());
        }
        node.push(item);
    }
    nodes.push(node.finish());
    let mut writer = Writer::new(kind::LIST_QUICKLIST_2, nodes.iter().map(Vec::len).sum());
    writer.len(nodes.len() as u64);
    for node in nodes {
        writer.len(kind::NODE_PACKED);
        writer.string(&node);
    }
    writer.finish(VERSION)
}

/// A set's payload. The compact form holds only integers. Any other set is written in full, because Redis 7.0 has no
/// other form.
#[must_use]
pub fn dump_set<T: AsRef<[u8]>, I>(members: I, form: DumpForm) -> Vec<u8>
where
    I: IntoIterator<Item = T>,
    I::IntoIter: ExactSizeIterator + Clone,
{
    let members = members.into_iter();
    let integers: Option<Vec<i64>> = match form {
        DumpForm::Compact => members.clone().map(|member| parse_i64_strict(member.as_ref())).collect(),
        DumpForm::Full => None,
    };
    if let Some(mut integers) = integers {
        integers.sort_unstable();
        let mut writer = Writer::new(kind::SET_INTSET, 8 * (integers.len() + 1));
        writer.string(&intset_bytes(&integers));
        return writer.finish(VERSION);
    }
    let mut writer = Writer::new(kind::SET, 16 * members.len());
    writer.len(members.len() as u64);
    for member in members {
        writer.string(member.as_ref());
    }
    writer.finish(VERSION)
}

/// A hash's payload; the times at which fields expire are in milliseconds since the Unix epoch. The layout is that of
/// Redis 7.4, which older versions refuse, only if a field has such a time.
#[must_use]
pub fn dump_hash<F, V, I>(fields: I, form: DumpForm) -> Vec<u8>
where
    F: AsRef<[u8]>,
    V: AsRef<[u8]>,
    I: IntoIterator<Item = (F, V, Option<u64>)>,
    I::IntoIter: ExactSizeIterator + Clone,
{
    let fields = fields.into_iter();
    if let Some(earliest) = fields.clone().filter_map(|(_, _, at)| at).min() {
        return dump_hash_with_expiry(fields, form, earliest);
    }
    match form {
        DumpForm::Compact => {
            let mut pack = Builder::new();
            for (field, value, _) in fields {
                pack.push(field.as_ref());
                pack.push(value.as_ref());
            }
            let pack = pack.finish();
            let mut writer = Writer::new(kind::HASH_LISTPACK, pack.len());
            writer.string(&pack);
            writer.finish(VERSION)
        }
        DumpForm::Full => {
            let mut writer = Writer::new(kind::HASH, 32 * fields.len());
            writer.len(fields.len() as u64);
            for (field, value, _) in fields {
                writer.string(field.as_ref());
                writer.string(value.as_ref());
            }
            writer.finish(VERSION)
        }
    }
}

fn dump_hash_with_expiry<F, V, I>(fields: I, form: DumpForm, earliest: u64) -> Vec<u8>
where
    F: AsRef<[u8]>,
    V: AsRef<[u8]>,
    I: ExactSizeIterator<Item = (F, V, Option<u64>)>,
{
    if form == DumpForm::Full {
        let mut writer = Writer::new(kind::HASH_METADATA, 40 * fields.len());
        writer.millis(earliest);
        writer.len(fields.len() as u64);
        for (field, value, at) in fields {
            writer.len(at.map_or(0, |at| at - earliest + 1));
            writer.string(field.as_ref());
            writer.string(value.as_ref());
        }
        return writer.finish(FIELD_EXPIRY_VERSION);
    }
    let mut fields: Vec<_> = fields.collect();
    fields.sort_by_key(|(_, _, at)| at.unwrap_or(u64::MAX));
    let mut pack = Builder::new();
    for (field, value, at) in &fields {
        pack.push(field.as_ref());
        pack.push(value.as_ref());
        pack.push_int(at.map_or(0, |at| i64::try_from(at).unwrap_or(i64::MAX)));
    }
    let pack = pack.finish();
    let mut writer = Writer::new(kind::HASH_LISTPACK_EX, pack.len());
    writer.millis(earliest);
    writer.string(&pack);
    writer.finish(FIELD_EXPIRY_VERSION)
}

/// A sorted set's payload. The members must ascend by score and then by member, because Redis relies on that order.
#[must_use]
pub fn dump_zset<T: AsRef<[u8]>, I>(members: I, form: DumpForm) -> Vec<u8>
where
    I: IntoIterator<Item = (T, f64)>,
    I::IntoIter: ExactSizeIterator + DoubleEndedIterator,
{
    let members = members.into_iter();
    if form == DumpForm::Compact {
        let (mut pack, mut text) = (Builder::new(), Vec::new());
        for (member, score) in members {
            text.clear();
            write_f64(&mut text, score);
            pack.push(member.as_ref());
            pack.push(&text);
        }
        let pack = pack.finish();
        let mut writer = Writer::new(kind::ZSET_LISTPACK, pack.len());
        writer.string(&pack);
        return writer.finish(VERSION);
    }
    let mut writer = Writer::new(kind::ZSET_2, 32 * members.len());
    writer.len(members.len() as u64);
    // The members are written from the last to the first, so that Redis inserts each one at the head of its skip list.
    for (member, score) in members.rev() {
        writer.string(member.as_ref());
        writer.score(score);
    }
    writer.finish(VERSION)
}

/// A stream's payload in Redis 7.0's layout, which does not hold when a consumer was last active.
#[must_use]
pub fn dump_stream(stream: &Stream) -> Vec<u8> {
    let mut writer = Writer::new(kind::STREAM_LISTPACKS_2, stream.memory());
    streams::encode(&mut writer, stream, Layout::Counters);
    writer.finish(VERSION)
}

fn form(count: usize, max_count: usize, max_len: usize, mut lens: impl Iterator<Item = usize>) -> DumpForm {
    if count <= max_count && lens.all(|len| len <= max_len) { DumpForm::Compact } else { DumpForm::Full }
}

/// The payload of any value, in the compact or the full form by its size.
#[must_use]
pub fn encode_dump(value: &Decoded, thresholds: &ListpackLimits) -> Vec<u8> {
    match value {
        Decoded::String(bytes) => dump_string(bytes),
        Decoded::List(items) => {
            dump_list(items.iter().map(ListpackEntry::into_vec), thresholds.list_max_listpack_size)
        }
        Decoded::Set(members) => {
            dump_set(members, form(members.len(), thresholds.set_max_intset_entries, 0, std::iter::empty()))
        }
        Decoded::Hash(fields) => {
            let lens = fields.iter().flat_map(|(field, value, _)| [field.len(), value.len()]);
            let (max_count, max_len) =
                (thresholds.hash_max_listpack_entries, thresholds.hash_max_listpack_value);
            let form = form(fields.len(), max_count, max_len, lens);
            dump_hash(fields.iter().map(|(field, value, at)| (field, value, *at)), form)
        }
        Decoded::ZSet(members) => {
            let lens = members.iter().map(|(member, _)| member.len());
            let (max_count, max_len) =
                (thresholds.zset_max_listpack_entries, thresholds.zset_max_listpack_value);
            let form = form(members.len(), max_count, max_len, lens);
            let mut sorted: Vec<(&Vec<u8>, f64)> =
                members.iter().map(|(member, score)| (member, *score)).collect();
            sorted.sort_unstable_by(|a, b| {
                a.1.partial_cmp(&b.1).unwrap_or(std::cmp::Ordering::Equal).then(a.0.cmp(b.0))
            });
            dump_zset(sorted, form)
        }
        Decoded::Stream(stream) => dump_stream(stream),
    }
}
