//! Redis's own serialisation of one value, as `DUMP` writes it and `RESTORE` reads it.
//!
//! ```text
//! type: u8 | content | version: u16 LE | checksum of all before: u64 LE (CRC-64, Jones)
//! ```
//! Every type of Redis 2.6 up to 7.4 is read, modules excepted. Payloads are written as by Redis 7.0, so Redis 7.0 and
//! every newer version accept them. Only hashes whose fields expire need Redis 7.4 to read them.

mod decode;
mod elements;
mod encode;
mod footer;
mod functions;
mod lzf;
mod old;
mod reader;
mod streams;
mod writer;

#[cfg(test)]
mod tests;

pub use decode::{Decoded, HashField, decode_dump, decode_unsigned_dump};
pub use elements::Elements;
pub use encode::{
    DumpForm, ListpackLimits, dump_hash, dump_list, dump_set, dump_stream, dump_string, dump_zset,
    encode_dump,
};
pub use functions::{dump_functions, read_functions};

/// The numbers of the types.
mod kind {
    pub(super) const STRING: u8 = 0;
    pub(super) const LIST: u8 = 1;
    pub(super) const SET: u8 = 2;
    pub(super) const ZSET: u8 = 3;
    pub(super) const HASH: u8 = 4;
    pub(super) const ZSET_2: u8 = 5;
    pub(super) const HASH_ZIPMAP: u8 = 9;
    pub(super) const LIST_ZIPLIST: u8 = 10;
    pub(super) const SET_INTSET: u8 = 11;
    pub(super) const ZSET_ZIPLIST: u8 = 12;
    pub(super) const HASH_ZIPLIST: u8 = 13;
    pub(super) const LIST_QUICKLIST: u8 = 14;
    pub(super) const STREAM_LISTPACKS: u8 = 15;
    pub(super) const HASH_LISTPACK: u8 = 16;
    pub(super) const ZSET_LISTPACK: u8 = 17;
    pub(super) const LIST_QUICKLIST_2: u8 = 18;
    pub(super) const STREAM_LISTPACKS_2: u8 = 19;
    pub(super) const SET_LISTPACK: u8 = 20;
    pub(super) const STREAM_LISTPACKS_3: u8 = 21;
    /// Hashes with field expiry as release candidates of Redis 7.4 wrote them.
    pub(super) const HASH_METADATA_PRE_GA: u8 = 22;
    pub(super) const HASH_LISTPACK_EX_PRE_GA: u8 = 23;
    pub(super) const HASH_METADATA: u8 = 24;
    pub(super) const HASH_LISTPACK_EX: u8 = 25;

    /// The two kinds of node in a list: one element as it is, or a listpack.
    pub(super) const NODE_PLAIN: u64 = 1;
    pub(super) const NODE_PACKED: u64 = 2;
}
