//! Values of Lua as replies, by Redis's rules.

use super::sandbox::Sandbox;
use super::{going, host};
use crate::resp::{Proto, Reply};
use mlua::{Error, Result, Table, Value};

/// How deep tables may nest in a reply.
const DEEPEST: usize = 1000;

/// The most values and bytes of a reply. Tables may be in a reply many times, so a small script can return a large one.
const MOST_VALUES: usize = 10_000_000;
const MOST_BYTES: usize = 1 << 30;
/// After so many values the script's host is asked whether the script goes on.
const ASKED: usize = 10_000;

/// What a script returned was an error.
pub(super) struct Returned {
    /// Whether it is one.
    pub(super) is_error: bool,
    /// Whether it was counted already, when a command gave it.
    pub(super) counted: bool,
}

/// Writes the value that a script returned.
///
/// # Errors
/// The reply is too large, or the script is abandoned.
pub(super) fn write(sandbox: &Sandbox, value: &Value, out: &mut Reply) -> Result<Returned> {
    let begun = out.len();
    let mut writer = Writer { sandbox, out, begun, values: 0, depth: 0, counted: false };
    writer.value(value)?;
    let counted = writer.counted;
    Ok(Returned { is_error: out.is_error_at(begun), counted })
}

struct Writer<'w> {
    sandbox: &'w Sandbox,
    out: &'w mut Reply,
    /// The length of what stands before the reply.
    begun: usize,
    /// How many values were written.
    values: usize,
    depth: usize,
    /// Whether the last error was counted.
    counted: bool,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value) -> Result<()> {
        self.values += 1;
        if self.values > MOST_VALUES || self.out.len() - self.begun > MOST_BYTES {
            return Err(Error::RuntimeError("the script's reply is too large".to_owned()));
        }
        if self.values.is_multiple_of(ASKED) {
            going::tick()?;
        }
        match value {
            Value::String(text) => self.out.bulk(&text.as_bytes()),
            Value::Integer(number) => self.out.int(*number),
            Value::Number(number) => self.out.int(as_in_c(*number)),
            Value::Boolean(value) if host::chosen() == Proto::V3 => self.out.bool(*value),
            Value::Boolean(true) => self.out.int(1),
            Value::Table(table) if self.depth == DEEPEST => {
                let _ = table;
                self.out.error("ERR reached lua stack limit");
            }
            Value::Table(table) => {
                self.depth += 1;
                self.table(table)?;
                self.depth -= 1;
            }
            _ => self.out.null(),
        }
        Ok(())
    }

    fn table(&mut self, table: &Table) -> Result<()> {
        let (kind, inner, counted): (u8, Value, Option<bool>) = self.sandbox.kind.call(table)?;
        match (kind, &inner) {
            (1, Value::String(text)) => {
                self.counted = counted == Some(true);
                self.out.error(text.as_bytes());
            }
            (2, Value::String(text)) => self.out.simple(text.as_bytes()),
            (3, Value::Number(number)) => self.out.double(*number),
            (3, Value::Integer(number)) => self.out.double(*number as f64),
            (4, Value::Table(map)) => {
                let (begun, mut pairs) = (self.out.begin_deferred(), 0);
                for pair in map.pairs::<Value, Value>() {
                    let (key, value) = pair?;
                    self.value(&key)?;
                    self.value(&value)?;
                    pairs += 1;
                }
                self.out.end_map(begun, pairs);
            }
            (5, Value::Table(set)) => {
                let (begun, mut members) = (self.out.begin_deferred(), 0);
                for pair in set.pairs::<Value, Value>() {
                    self.value(&pair?.0)?;
                    members += 1;
                }
                self.out.end_set(begun, members);
            }
            (6, Value::String(digits)) => {
                self.out.big_number(digits.to_string_lossy().replace(['\r', '\n'], " ").as_bytes());
            }
            (7, Value::Table(parts)) => {
                match (parts.raw_get::<Value>("format")?, parts.raw_get::<Value>("string")?) {
                    (Value::String(format), Value::String(text)) => {
                        self.out.verbatim(&format.to_string_lossy(), &text.as_bytes());
                    }
                    _ => self.array(table)?,
                }
            }
            _ => self.array(table)?,
        }
        Ok(())
    }

    /// The values from 1 to before the first nil.
    fn array(&mut self, table: &Table) -> Result<()> {
        let begun = self.out.begin_deferred();
        let mut len = 0;
        loop {
            let value = table.raw_get::<Value>(len + 1)?;
            if value.is_nil() || self.out.overran() {
                break;
            }
            self.value(&value)?;
            len += 1;
        }
        self.out.end_array(begun, len);
        Ok(())
    }
}

/// A double as an integer, as the processor converts it: what no integer can be is the smallest one.
fn as_in_c(number: f64) -> i64 {
    const OUTSIDE: f64 = 9_223_372_036_854_775_808.0;
    if (-OUTSIDE..OUTSIDE).contains(&number) { number as i64 } else { i64::MIN }
}
