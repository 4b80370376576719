//! Values of Lua as JSON.

use super::super::errors::{bad_argument, complain, number_of};
use super::super::going::tick;
use super::super::numbers::write_g;
use super::limits::{DEEPEST, LONGEST, PIECE, type_of};
use super::settings::{self, Invalid, Settings};
use mlua::{Lua, MultiValue, Result, Table, Value};

/// `cjson.encode`.
pub(super) fn encode(lua: &Lua, args: MultiValue) -> Result<mlua::String> {
    let (1, Some(value)) = (args.len(), args.front()) else {
        return bad_argument(lua, 1, "encode", "expected 1 argument");
    };
    let mut writer = Writer { lua, settings: settings::now(), out: Vec::new(), depth: 0, values: 0 };
    writer.value(value)?;
    lua.create_string(&writer.out)
}

struct Writer<'l> {
    lua: &'l Lua,
    settings: Settings,
    out: Vec<u8>,
    depth: i64,
    values: u32,
}

impl Writer<'_> {
    fn refuse<T>(&self, value: &Value, why: &str) -> Result<T> {
        complain(self.lua, format!("Cannot serialise {}: {why}", type_of(value)))
    }

    fn value(&mut self, value: &Value) -> Result<()> {
        self.values += 1;
        if self.values.is_multiple_of(PIECE) {
            tick()?;
            if self.out.len() > LONGEST {
                return complain(self.lua, "Cannot serialise, the text would be too long");
            }
        }
        match value {
            Value::String(text) => self.string(&text.as_bytes()),
            Value::Integer(number) => self.number(value, *number as f64)?,
            Value::Number(number) => self.number(value, *number)?,
            Value::Boolean(true) => self.out.extend_from_slice(b"true"),
            Value::Boolean(false) => self.out.extend_from_slice(b"false"),
            Value::Nil => self.out.extend_from_slice(b"null"),
            value if *value == Value::NULL => self.out.extend_from_slice(b"null"),
            Value::Table(table) => self.table(value, table)?,
            _ => return self.refuse(value, "type not supported"),
        }
        Ok(())
    }

    fn string(&mut self, text: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        self.out.push(b'"');
        for byte in text {
            let short = match byte {
                b'"' | b'\\' | b'/' => *byte,
                8 => b'b',
                9 => b't',
                10 => b'n',
                12 => b'f',
                13 => b'r',
                0..32 | 127 => {
                    let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                    self.out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
                    continue;
                }
                _ => {
                    self.out.push(*byte);
                    continue;
                }
            };
            self.out.extend_from_slice(&[b'\\', short]);
        }
        self.out.push(b'"');
    }

    fn number(&mut self, value: &Value, number: f64) -> Result<()> {
        match self.settings.encode_invalid {
            Invalid::Off if !number.is_finite() => return self.refuse(value, "must not be NaN or Inf"),
            Invalid::On if number.is_nan() => self.out.extend_from_slice(b"nan"),
            Invalid::Null if !number.is_finite() => self.out.extend_from_slice(b"null"),
            _ => write_g(&mut self.out, number, self.settings.precision as usize),
        }
        Ok(())
    }

    fn table(&mut self, value: &Value, table: &Table) -> Result<()> {
        let len = self.array_length(value, table)?;
        self.depth += 1;
        if self.depth > self.settings.encode_depth.min(DEEPEST) {
            return complain(self.lua, format!("Cannot serialise, excessive nesting ({})", self.depth));
        }
        match len {
            Some(len) if len > 0 => {
                self.out.push(b'[');
                for at in 1..=len {
                    if at > 1 {
                        self.out.push(b',');
                    }
                    self.value(&table.raw_get(at)?)?;
                }
                self.out.push(b']');
            }
            _ => self.object(table)?,
        }
        self.depth -= 1;
        Ok(())
    }

    fn object(&mut self, table: &Table) -> Result<()> {
        self.out.push(b'{');
        let mut first = true;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            match &key {
                Value::String(text) => self.string(&text.as_bytes()),
                Value::Integer(_) | Value::Number(_) => {
                    self.out.push(b'"');
                    self.number(&key, number_of(&key).unwrap_or(0.0))?;
                    self.out.push(b'"');
                }
                _ => return self.refuse(&key, "table key must be a number or string"),
            }
            self.out.push(b':');
            self.value(&value)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The length of a table whose keys are integers from 1 on; `None` if it has others, or too many are missing.
    fn array_length(&self, value: &Value, table: &Table) -> Result<Option<i64>> {
        let (mut most, mut items) = (0, 0);
        for pair in table.pairs::<Value, Value>() {
            match pair?.0 {
                Value::Integer(key) if key >= 1 => most = most.max(key),
                Value::Number(key) if key >= 1.0 && key.fract() == 0.0 => most = most.max(key as i64),
                _ => return Ok(None),
            }
            items += 1;
        }
        let Settings { sparse_ratio: ratio, sparse_safe: safe, sparse_convert, .. } = self.settings;
        if ratio > 0 && most > ratio.saturating_mul(items) && most > safe {
            if !sparse_convert {
                return self.refuse(value, "excessively sparse array");
            }
            return Ok(None);
        }
        Ok(Some(most))
    }
}
