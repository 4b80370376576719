//! Replies of commands as values of Lua, by Redis's rules.

use super::errors;
use crate::text::parse_f64;
use mlua::{Lua, Result, Table, Value};

/// The value at the front of a reply that the server itself has written. Recursive; commands nest their replies a few
/// levels deep.
pub(super) struct Reader<'r> {
    lua: &'r Lua,
    bytes: &'r [u8],
}

impl<'r> Reader<'r> {
    /// The value of a whole reply.
    pub(super) fn value_of(lua: &'r Lua, bytes: &'r [u8]) -> Result<Value> {
        Self { lua, bytes }.value()
    }

    fn line(&mut self) -> &'r [u8] {
        let end = memchr::memchr(b'\r', self.bytes).unwrap_or(self.bytes.len());
        let line = &self.bytes[..end];
        self.bytes = self.bytes.get(end + 2..).unwrap_or_default();
        line
    }

    fn number(line: &[u8]) -> i64 {
        let (sign, digits) = match line {
            [b'-', digits @ ..] => (-1, digits),
            digits => (1, digits),
        };
        digits.iter().fold(0_i64, |sum, digit| {
            sum.wrapping_mul(10).wrapping_add(sign * i64::from(digit.wrapping_sub(b'0')))
        })
    }

    fn bulk(&mut self, len: i64) -> &'r [u8] {
        let len = usize::try_from(len).unwrap_or(0).min(self.bytes.len());
        let (text, rest) = self.bytes.split_at(len);
        self.bytes = rest.get(2..).unwrap_or_default();
        text
    }

    fn string(&self, bytes: &[u8]) -> Result<Value> {
        self.lua.create_string(bytes).map(Value::String)
    }

    fn field(&self, name: &str, value: Value) -> Result<Value> {
        let table = self.lua.create_table_with_capacity(0, 1)?;
        table.raw_set(name, value)?;
        Ok(Value::Table(table))
    }

    fn value(&mut self) -> Result<Value> {
        let line = self.line();
        let Some((mark, text)) = line.split_first() else { return Ok(Value::Nil) };
        Ok(match mark {
            b':' => Value::Number(Self::number(text) as f64),
            b'$' | b'*' if text == b"-1" => Value::Boolean(false),
            b'$' => {
                let bytes = self.bulk(Self::number(text));
                self.string(bytes)?
            }
            b'*' | b'>' => Value::Table(self.array(Self::number(text))?),
            b'+' => self.field("ok", self.string(text)?)?,
            b'-' => Value::Table(errors::table_of(self.lua, text, true)?),
            b'%' => {
                let pairs = self.pairs(Self::number(text))?;
                self.field("map", Value::Table(pairs))?
            }
            b'~' => {
                let members = self.members(Self::number(text))?;
                self.field("set", Value::Table(members))?
            }
            b'#' => Value::Boolean(text == b"t"),
            b',' => self.field("double", Value::Number(parse_f64(text).unwrap_or(f64::NAN)))?,
            b'(' => self.field("big_number", self.string(text)?)?,
            b'=' => {
                let bytes = self.bulk(Self::number(text));
                let table = self.lua.create_table_with_capacity(0, 2)?;
                table.raw_set("format", self.string(bytes.get(..3).unwrap_or_default())?)?;
                table.raw_set("string", self.string(bytes.get(4..).unwrap_or_default())?)?;
                self.field("verbatim_string", Value::Table(table))?
            }
            b'|' => {
                // Attributes annotate the value behind them.
                self.pairs(Self::number(text))?;
                self.value()?
            }
            _ => Value::Nil,
        })
    }

    fn array(&mut self, len: i64) -> Result<Table> {
        let len = usize::try_from(len).unwrap_or(0);
        let table = self.lua.create_table_with_capacity(len, 0)?;
        for at in 1..=len {
            let value = self.value()?;
            table.raw_set(at, value)?;
        }
        Ok(table)
    }

    fn pairs(&mut self, pairs: i64) -> Result<Table> {
        let pairs = usize::try_from(pairs).unwrap_or(0);
        let table = self.lua.create_table_with_capacity(0, pairs)?;
        for _ in 0..pairs {
            let (key, value) = (self.value()?, self.value()?);
            if !key.is_nil() {
                table.raw_set(key, value)?;
            }
        }
        Ok(table)
    }

    fn members(&mut self, len: i64) -> Result<Table> {
        let len = usize::try_from(len).unwrap_or(0);
        let table = self.lua.create_table_with_capacity(0, len)?;
        for _ in 0..len {
            let member = self.value()?;
            if !member.is_nil() {
                table.raw_set(member, true)?;
            }
        }
        Ok(table)
    }
}
