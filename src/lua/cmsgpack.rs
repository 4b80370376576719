//! `cmsgpack`: values as MessagePack, in the forms that Redis's library chooses.

use super::arguments::{number_at, text_at};
use super::errors::{bad_argument, complain};
use super::going::tick;
use mlua::{Lua, MultiValue, Result, Table, Value, Variadic};

/// Tables that are nested deeper are packed as nil.
const DEEPEST_PACKED: usize = 16;
/// Arrays and maps may nest so deep when they are unpacked.
const DEEPEST: usize = 1000;
/// After so many values it is asked whether the script goes on.
const PIECE: u32 = 4096;
/// The most bytes of what is packed.
const LONGEST: usize = 512 << 20;
/// The most values that one call gives.
const MOST_RESULTS: usize = 7990;

/// The library.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("_NAME", "cmsgpack")?;
    library.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    library.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    library.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    library.raw_set("pack", lua.create_function(pack)?)?;
    library.raw_set("unpack", lua.create_function(|lua, args: MultiValue| unpack(lua, &args, 0, 0))?)?;
    library.raw_set("unpack_one", lua.create_function(unpack_one)?)?;
    library.raw_set("unpack_limit", lua.create_function(unpack_limit)?)?;
    Ok(library)
}

fn pack(lua: &Lua, args: MultiValue) -> Result<mlua::String> {
    if args.is_empty() {
        return bad_argument(lua, 0, "pack", "MessagePack pack needs input.");
    }
    let mut packer = Packer { lua, out: Vec::new(), values: 0 };
    args.iter().try_for_each(|value| packer.value(value, 0))?;
    lua.create_string(packer.out)
}

struct Packer<'l> {
    lua: &'l Lua,
    out: Vec<u8>,
    values: u32,
}

impl Packer<'_> {
    fn value(&mut self, value: &Value, level: usize) -> Result<()> {
        self.values += 1;
        if self.values.is_multiple_of(PIECE) {
            tick()?;
            if self.out.len() > LONGEST {
                return complain(self.lua, "the packed value would be too long");
            }
        }
        match value {
            Value::String(text) => self.text(&text.as_bytes()),
            Value::Boolean(value) => self.out.push(if *value { 0xc3 } else { 0xc2 }),
            Value::Integer(number) => self.integer(*number),
            Value::Number(number) => self.number(*number),
            Value::Table(table) if level < DEEPEST_PACKED => self.table(table, level)?,
            _ => self.out.push(0xc0),
        }
        Ok(())
    }

    /// A mark and a length, in the shortest form that there is: within the mark itself below `tiny`.
    fn length(&mut self, len: usize, (tiny, fixed): (usize, u8), marks: [Option<u8>; 3]) {
        match (len, marks) {
            (len, _) if len < tiny => self.out.push(fixed | len as u8),
            (..=0xff, [Some(mark), ..]) => self.out.extend_from_slice(&[mark, len as u8]),
            (..=0xffff, [_, Some(mark), _]) => {
                self.out.push(mark);
                self.out.extend_from_slice(&(len as u16).to_be_bytes());
            }
            (_, [.., mark]) => {
                self.out.extend(mark);
                self.out.extend_from_slice(&(len as u32).to_be_bytes());
            }
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.length(text.len(), (32, 0xa0), [Some(0xd9), Some(0xda), Some(0xdb)]);
        self.out.extend_from_slice(text);
    }

    fn number(&mut self, number: f64) {
        let whole = number as i64;
        if number.is_finite() && whole as f64 == number && whole != i64::MAX {
            self.integer(whole);
        } else if f64::from(number as f32) == number {
            self.out.push(0xca);
            self.out.extend_from_slice(&(number as f32).to_be_bytes());
        } else {
            self.out.push(0xcb);
            self.out.extend_from_slice(&number.to_be_bytes());
        }
    }

    fn integer(&mut self, number: i64) {
        let out = &mut self.out;
        match number {
            -32..=127 => out.push(number as u8),
            128..=0xff => out.extend_from_slice(&[0xcc, number as u8]),
            0x100..=0xffff => {
                out.push(0xcd);
                out.extend_from_slice(&(number as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                out.push(0xce);
                out.extend_from_slice(&(number as u32).to_be_bytes());
            }
            0x1_0000_0000.. => {
                out.push(0xcf);
                out.extend_from_slice(&number.to_be_bytes());
            }
            -0x80..-32 => out.extend_from_slice(&[0xd0, number as u8]),
            -0x8000..-0x80 => {
                out.push(0xd1);
                out.extend_from_slice(&(number as i16).to_be_bytes());
            }
            -0x8000_0000..-0x8000 => {
                out.push(0xd2);
                out.extend_from_slice(&(number as i32).to_be_bytes());
            }
            ..-0x8000_0000 => {
                out.push(0xd3);
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
    }

    fn table(&mut self, table: &Table, level: usize) -> Result<()> {
        let (mut most, mut count, mut is_array) = (0, 0, true);
        for pair in table.pairs::<Value, Value>() {
            let key = match pair?.0 {
                Value::Integer(key) => key,
                Value::Number(key) if key.fract() == 0.0 && key < 1e18 => key as i64,
                _ => 0,
            };
            is_array &= key > 0;
            most = most.max(key);
            count += 1;
        }
        if is_array && most == count {
            self.length(count as usize, (16, 0x90), [None, Some(0xdc), Some(0xdd)]);
            for at in 1..=count {
                self.value(&table.raw_get(at)?, level + 1)?;
            }
            return Ok(());
        }
        self.length(count as usize, (16, 0x80), [None, Some(0xde), Some(0xdf)]);
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            self.value(&key, level + 1)?;
            self.value(&value, level + 1)?;
        }
        Ok(())
    }
}

/// An integer among the arguments.
fn integer(lua: &Lua, args: &MultiValue, at: usize, function: &str) -> Result<i64> {
    number_at(lua, args, at, function).map(|number| number as i64)
}

fn unpack_one(lua: &Lua, args: MultiValue) -> Result<Variadic<Value>> {
    let offset = if args.len() > 1 { integer(lua, &args, 1, "unpack_one")? } else { 0 };
    unpack(lua, &args, 1, offset)
}

fn unpack_limit(lua: &Lua, args: MultiValue) -> Result<Variadic<Value>> {
    let limit = integer(lua, &args, 1, "unpack_limit")?;
    let offset = if args.len() > 2 { integer(lua, &args, 2, "unpack_limit")? } else { 0 };
    unpack(lua, &args, limit, offset)
}

/// Unpacks up to `limit` values from a place on, and gives before them the place behind the last one, or -1 if that is
/// the end. If both numbers are 0, all values without a place.
fn unpack(lua: &Lua, args: &MultiValue, limit: i64, offset: i64) -> Result<Variadic<Value>> {
    let text = text_at(lua, args, 0, "unpack")?;
    let text = text.as_bytes();
    let (Ok(most), Ok(begin)) = (usize::try_from(limit), usize::try_from(offset)) else {
        // As in Redis what is called the limit is the input's length.
        let len = text.len();
        let text = format!("Invalid request to unpack with offset of {offset} and limit of {len}.");
        return complain(lua, text);
    };
    if begin > text.len() {
        let text = format!("Start offset {begin} greater than input length {}.", text.len());
        return complain(lua, text);
    }
    let all = most == 0 && begin == 0;
    let mut unpacker = Unpacker { lua, rest: &text[begin..], depth: 0, values: 0 };
    let mut found: Variadic<Value> = Variadic::new();
    while !unpacker.rest.is_empty() && (all || found.len() < most) {
        found.push(unpacker.value()?);
        if found.len() > MOST_RESULTS {
            return complain(lua, "too many values to unpack");
        }
    }
    if !all {
        let behind = if unpacker.rest.is_empty() { -1.0 } else { (text.len() - unpacker.rest.len()) as f64 };
        found.insert(0, Value::Number(behind));
    }
    Ok(found)
}

struct Unpacker<'u> {
    lua: &'u Lua,
    rest: &'u [u8],
    depth: usize,
    values: u32,
}

impl<'u> Unpacker<'u> {
    fn bad<T>(&self) -> Result<T> {
        complain(self.lua, "Bad data format in input.")
    }

    fn take(&mut self, len: usize) -> Result<&'u [u8]> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => complain(self.lua, "Missing bytes in input."),
        }
    }

    /// An integer of up to eight bytes.
    fn unsigned(&mut self, len: usize) -> Result<u64> {
        Ok(self.take(len)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, len: usize) -> Result<i64> {
        let unused = 64 - 8 * len as u32;
        Ok((self.unsigned(len)? << unused) as i64 >> unused)
    }

    fn text(&mut self, len: usize) -> Result<Value> {
        let text = self.take(len)?;
        self.lua.create_string(text).map(Value::String)
    }

    fn value(&mut self) -> Result<Value> {
        self.values += 1;
        if self.values.is_multiple_of(PIECE) {
            tick()?;
        }
        let mark = self.take(1)?.first().copied().unwrap_or(0);
        let number = |number: f64| Ok(Value::Number(number));
        match mark {
            0..=0x7f => number(f64::from(mark)),
            0xe0..=0xff => number(f64::from(mark as i8)),
            0xcc => number(self.unsigned(1)? as f64),
            0xcd => number(self.unsigned(2)? as f64),
            0xce => number(self.unsigned(4)? as f64),
            // As in Redis the largest numbers come as negative ones.
            0xcf => number(self.unsigned(8)? as i64 as f64),
            0xd0 => number(self.signed(1)? as f64),
            0xd1 => number(self.signed(2)? as f64),
            0xd2 => number(self.signed(4)? as f64),
            0xd3 => number(self.signed(8)? as f64),
            0xc0 => Ok(Value::Nil),
            0xc2 => Ok(Value::Boolean(false)),
            0xc3 => Ok(Value::Boolean(true)),
            0xca => number(f64::from(f32::from_bits(self.unsigned(4)? as u32))),
            0xcb => number(f64::from_bits(self.unsigned(8)?)),
            0xa0..=0xbf => self.text(usize::from(mark & 31)),
            0xd9 => {
                let len = self.unsigned(1)? as usize;
                self.text(len)
            }
            0xda => {
                let len = self.unsigned(2)? as usize;
                self.text(len)
            }
            0xdb => {
                let len = self.unsigned(4)? as usize;
                self.text(len)
            }
            0x90..=0x9f => self.array(u64::from(mark & 15)),
            0xdc => {
                let len = self.unsigned(2)?;
                self.array(len)
            }
            0xdd => {
                let len = self.unsigned(4)?;
                self.array(len)
            }
            0x80..=0x8f => self.map(u64::from(mark & 15)),
            0xde => {
                let len = self.unsigned(2)?;
                self.map(len)
            }
            0xdf => {
                let len = self.unsigned(4)?;
                self.map(len)
            }
            _ => self.bad(),
        }
    }

    fn descend(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEEPEST { self.bad() } else { Ok(()) }
    }

    fn array(&mut self, len: u64) -> Result<Value> {
        self.descend()?;
        let table = self.lua.create_table()?;
        for at in 1..=len {
            table.raw_set(at, self.value()?)?;
        }
        self.depth -= 1;
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: u64) -> Result<Value> {
        self.descend()?;
        let table = self.lua.create_table()?;
        for _ in 0..len {
            let (key, value) = (self.value()?, self.value()?);
            match &key {
                Value::Nil => return complain(self.lua, "table index is nil"),
                Value::Number(number) if number.is_nan() => return complain(self.lua, "table index is NaN"),
                _ => table.raw_set(key, value)?,
            }
        }
        self.depth -= 1;
        Ok(Value::Table(table))
    }
}
