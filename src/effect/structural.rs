//! What can happen to whole databases, tables and libraries of functions, and to the log itself, and its bytes.

use super::codec::{EffectError, Reader};
use crate::value::packed::{put_part, put_varint_to};

/// What happens to whole databases, tables or libraries of functions, or to the log: an effect on every shard.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Structural<'a> {
    /// The database becomes empty and gets a new space.
    FlushDb {
        /// The database.
        db: u32,
        /// The fresh space's number.
        space: u32,
    },
    /// Two databases change places.
    SwapDb {
        /// One database.
        a: u32,
        /// The other.
        b: u32,
    },
    /// A table is created with this schema, or its schema is changed to it.
    TablePut {
        /// The table's id, which is its space.
        table: u32,
        /// When the table was created, in ms since the epoch.
        created: u64,
        /// The table's name.
        name: &'a [u8],
        /// The encoded schema, opaque here.
        schema: &'a [u8],
    },
    /// A table is removed with all its items.
    TableDrop {
        /// The table's id.
        table: u32,
    },
    /// A library of functions is created, or its text is replaced.
    LibraryPut {
        /// The library's name.
        name: &'a [u8],
        /// The library's whole text.
        code: &'a [u8],
    },
    /// A library of functions is removed.
    LibraryDrop {
        /// The library's name.
        name: &'a [u8],
    },
    /// Changes before this record may be missing from the log, because the log was off. Replay does not cross it.
    Gap,
}

impl Structural<'_> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::FlushDb { db, space } => put_numbers(out, 14, &[db, space]),
            Self::SwapDb { a, b } => put_numbers(out, 15, &[a, b]),
            Self::TablePut { table, created, name, schema } => {
                put_numbers(out, 16, &[table]);
                out.extend_from_slice(&created.to_le_bytes());
                put_part(out, name);
                put_part(out, schema);
            }
            Self::TableDrop { table } => put_numbers(out, 17, &[table]),
            Self::LibraryPut { name, code } => {
                put_numbers(out, 70, &[]);
                put_part(out, name);
                put_part(out, code);
            }
            Self::LibraryDrop { name } => {
                put_numbers(out, 71, &[]);
                put_part(out, name);
            }
            Self::Gap => put_numbers(out, 18, &[]),
        }
    }
}

fn put_numbers(out: &mut Vec<u8>, opcode: u8, numbers: &[u32]) {
    out.push(opcode);
    numbers.iter().for_each(|number| put_varint_to(out, *number as usize));
}

pub(super) fn decode<'a>(opcode: u8, from: &mut Reader<'a>) -> Result<Structural<'a>, EffectError> {
    Ok(match opcode {
        14 => Structural::FlushDb { db: from.small()?, space: from.small()? },
        15 => Structural::SwapDb { a: from.small()?, b: from.small()? },
        16 => {
            let (table, created) = (from.small()?, from.time()?);
            Structural::TablePut { table, created, name: from.part()?, schema: from.part()? }
        }
        17 => Structural::TableDrop { table: from.small()? },
        18 => Structural::Gap,
        70 => Structural::LibraryPut { name: from.part()?, code: from.part()? },
        71 => Structural::LibraryDrop { name: from.part()? },
        other => return Err(EffectError::Opcode(other)),
    })
}
