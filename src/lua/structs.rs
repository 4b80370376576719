//! `struct`: values as bytes by a format.

use super::arguments::{number_at, text_at};
use super::errors::{bad_argument, complain, number_of};
use mlua::{Lua, MultiValue, Result, Table, Value, Variadic};

/// The largest integer, in bytes.
const MOST_BYTES: usize = 32;
/// What `!` aligns to without a number.
const ALIGNMENT: usize = 8;

/// The library.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("pack", lua.create_function(pack)?)?;
    library.raw_set("unpack", lua.create_function(unpack)?)?;
    library.raw_set("size", lua.create_function(size)?)?;
    Ok(library)
}

/// A format that is being read.
struct Format<'f> {
    lua: &'f Lua,
    function: &'static str,
    text: &'f [u8],
    at: usize,
    big: bool,
    align: usize,
}

impl<'f> Format<'f> {
    fn of(lua: &'f Lua, function: &'static str, text: &'f [u8]) -> Self {
        Self { lua, function, text, at: 0, big: false, align: 1 }
    }

    /// The number at this place, or one that stands for it.
    fn number(&mut self, default: usize) -> Result<usize> {
        let mut number: Option<usize> = None;
        while let Some(digit) = self.text.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            let digit = usize::from(digit - b'0');
            let next = number.unwrap_or(0).checked_mul(10).and_then(|tens| tens.checked_add(digit));
            let Some(next) = next.filter(|next| i32::try_from(*next).is_ok()) else {
                return complain(self.lua, "integral size overflow");
            };
            number = Some(next);
            self.at += 1;
        }
        Ok(number.unwrap_or(default))
    }

    /// The next option and its size.
    fn next(&mut self) -> Result<Option<(u8, usize)>> {
        let Some(option) = self.text.get(self.at).copied().filter(|byte| *byte != 0) else { return Ok(None) };
        self.at += 1;
        let size = match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'f' => 4,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > MOST_BYTES {
                    let text = format!("integral size {size} is larger than limit of {MOST_BYTES}");
                    return complain(self.lua, text);
                }
                size
            }
            _ => 0,
        };
        Ok(Some((option, size)))
    }

    /// How many bytes stand before an option at a place, so that it is aligned.
    fn padding(&self, at: usize, option: u8, size: usize) -> usize {
        if size == 0 || option == b'c' {
            return 0;
        }
        let size = size.min(self.align);
        // Sizes that are no power of two align by what the formula of C makes of them.
        size.wrapping_sub(at & (size - 1)) & (size - 1)
    }

    /// An option that concerns how others are read.
    fn control(&mut self, option: u8) -> Result<()> {
        match option {
            b' ' => {}
            b'>' => self.big = true,
            b'<' => self.big = false,
            b'!' => {
                let align = self.number(ALIGNMENT)?;
                if !align.is_power_of_two() {
                    return complain(self.lua, format!("alignment {align} is not a power of 2"));
                }
                self.align = align;
            }
            _ => {
                let why = format!("invalid format option '{}'", char::from(option));
                return bad_argument(self.lua, 1, self.function, &why);
            }
        }
        Ok(())
    }
}

/// Appends the lowest bytes of a number.
fn put(out: &mut Vec<u8>, number: f64, size: usize, big: bool) {
    let value = if number < 0.0 { number as i64 as u64 } else { number as u64 };
    let begin = out.len();
    out.extend(value.to_le_bytes().into_iter().chain(std::iter::repeat(0)).take(size));
    if big {
        out[begin..].reverse();
    }
}

fn pack(lua: &Lua, mut args: MultiValue) -> Result<mlua::String> {
    // As in Redis a nil marks the arguments' end.
    args.push_back(Value::Nil);
    let text = text_at(lua, &args, 0, "pack")?;
    let text = text.as_bytes();
    let mut format = Format::of(lua, "pack", &text);
    let (mut out, mut arg) = (Vec::new(), 1);
    while let Some((option, size)) = format.next()? {
        let padding = format.padding(out.len(), option, size);
        out.extend(std::iter::repeat_n(0, padding));
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                put(&mut out, number_at(lua, &args, arg, "pack")?, size, format.big);
                arg += 1;
            }
            b'x' => out.push(0),
            b'f' | b'd' => {
                let number = number_at(lua, &args, arg, "pack")?;
                let mut bytes = match option {
                    b'f' => (number as f32).to_le_bytes().to_vec(),
                    _ => number.to_le_bytes().to_vec(),
                };
                if format.big {
                    bytes.reverse();
                }
                out.extend_from_slice(&bytes);
                arg += 1;
            }
            b'c' | b's' => {
                let text = text_at(lua, &args, arg, "pack")?;
                let text = text.as_bytes();
                arg += 1;
                let size = if size == 0 { text.len() } else { size };
                let Some(part) = text.get(..size) else {
                    return bad_argument(lua, arg + 1, "pack", "string too short");
                };
                out.extend_from_slice(part);
                if option == b's' {
                    out.push(0);
                }
            }
            _ => format.control(option)?,
        }
    }
    lua.create_string(out)
}

/// An integer's value.
fn get(bytes: &[u8], option: u8, big: bool) -> f64 {
    let mut value = 0_u64;
    let add = |value: &mut u64, byte: &u8| *value = *value << 8 | u64::from(*byte);
    if big {
        bytes.iter().for_each(|byte| add(&mut value, byte));
    } else {
        bytes.iter().rev().for_each(|byte| add(&mut value, byte));
    }
    if option.is_ascii_uppercase() {
        return value as f64;
    }
    let unused = 64_u32.saturating_sub(8 * bytes.len() as u32);
    if unused == 64 { 0.0 } else { ((value << unused) as i64 >> unused) as f64 }
}

fn unpack(lua: &Lua, args: MultiValue) -> Result<Variadic<Value>> {
    let (text, data) = (text_at(lua, &args, 0, "unpack")?, text_at(lua, &args, 1, "unpack")?);
    let (text, data) = (text.as_bytes(), data.as_bytes());
    let begin = if args.len() > 2 { number_at(lua, &args, 2, "unpack")? as i64 } else { 1 };
    if begin == 0 {
        return bad_argument(lua, 3, "unpack", "offset must be 1 or greater");
    }
    // As in Redis a negative offset is one behind the end.
    let mut at = usize::try_from(begin - 1).unwrap_or(usize::MAX / 2);
    let mut format = Format::of(lua, "unpack", &text);
    let mut found: Variadic<Value> = Variadic::new();
    let short = |lua| bad_argument(lua, 2, "unpack", "data string too short");
    while let Some((option, mut size)) = format.next()? {
        at += format.padding(at, option, size);
        let Some(bytes) = at.checked_add(size).and_then(|end| data.get(at..end)) else { return short(lua) };
        match option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                found.push(Value::Number(get(bytes, option, format.big)));
            }
            b'x' => {}
            b'f' | b'd' => {
                let mut bytes = bytes.to_vec();
                if format.big {
                    bytes.reverse();
                }
                found.push(Value::Number(match <[u8; 8]>::try_from(&bytes[..]) {
                    Ok(bytes) => f64::from_le_bytes(bytes),
                    Err(_) => f64::from(f32::from_le_bytes(bytes.try_into().unwrap_or_default())),
                }));
            }
            b'c' => {
                let mut bytes = bytes;
                if size == 0 {
                    let Some(number) = found.pop().as_ref().and_then(number_of) else {
                        return complain(lua, "format 'c0' needs a previous size");
                    };
                    size = number as usize;
                    bytes = match at.checked_add(size).and_then(|end| data.get(at..end)) {
                        Some(bytes) => bytes,
                        None => return short(lua),
                    };
                }
                found.push(Value::String(lua.create_string(bytes)?));
            }
            b's' => {
                let rest = &data[at..];
                let Some(end) = memchr::memchr(0, rest) else {
                    return complain(lua, "unfinished string in data");
                };
                size = end + 1;
                found.push(Value::String(lua.create_string(&rest[..end])?));
            }
            _ => format.control(option)?,
        }
        at += size;
        if found.len() > 7990 {
            return complain(lua, "too many results");
        }
    }
    found.push(Value::Number((at + 1) as f64));
    Ok(found)
}

fn size(lua: &Lua, args: MultiValue) -> Result<f64> {
    let text = text_at(lua, &args, 0, "size")?;
    let text = text.as_bytes();
    let mut format = Format::of(lua, "size", &text);
    let mut at = 0;
    while let Some((option, size)) = format.next()? {
        at += format.padding(at, option, size);
        match option {
            b's' => return bad_argument(lua, 1, "size", "option 's' has no fixed size"),
            b'c' if size == 0 => {
                return bad_argument(lua, 1, "size", "option 'c0' has no fixed size");
            }
            _ if !option.is_ascii_alphanumeric() => format.control(option)?,
            _ => {}
        }
        at += size;
    }
    Ok(at as f64)
}
