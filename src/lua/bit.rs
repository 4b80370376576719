//! `bit`: operations on 32 bits.

use super::arguments::number_at;
use mlua::{Lua, MultiValue, Result, Table};

/// The library.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let library = lua.create_table()?;
    let one = |name: &'static str, of: fn(u32) -> u32| {
        lua.create_function(move |lua, args: MultiValue| Ok(signed(of(bits(lua, &args, 0, name)?))))
    };
    let two = |name: &'static str, of: fn(u32, u32) -> u32| {
        lua.create_function(move |lua, args: MultiValue| {
            Ok(signed(of(bits(lua, &args, 0, name)?, bits(lua, &args, 1, name)? & 31)))
        })
    };
    let all = |name: &'static str, of: fn(u32, u32) -> u32| {
        lua.create_function(move |lua, args: MultiValue| {
            let first = bits(lua, &args, 0, name)?;
            (1..args.len()).try_fold(first, |sum, at| Ok(of(sum, bits(lua, &args, at, name)?))).map(signed)
        })
    };
    library.raw_set("tobit", one("tobit", |x| x)?)?;
    library.raw_set("bnot", one("bnot", |x| !x)?)?;
    library.raw_set("bswap", one("bswap", u32::swap_bytes)?)?;
    library.raw_set("band", all("band", |x, y| x & y)?)?;
    library.raw_set("bor", all("bor", |x, y| x | y)?)?;
    library.raw_set("bxor", all("bxor", |x, y| x ^ y)?)?;
    library.raw_set("lshift", two("lshift", |x, by| x << by)?)?;
    library.raw_set("rshift", two("rshift", |x, by| x >> by)?)?;
    library.raw_set("arshift", two("arshift", |x, by| ((x as i32) >> by) as u32)?)?;
    library.raw_set("rol", two("rol", u32::rotate_left)?)?;
    library.raw_set("ror", two("ror", u32::rotate_right)?)?;
    library.raw_set("tohex", lua.create_function(tohex)?)?;
    Ok(library)
}

/// An argument's lowest 32 bits; a fraction is rounded, to the even number if it is a half.
fn bits(lua: &Lua, args: &MultiValue, at: usize, function: &str) -> Result<u32> {
    /// With this added, the lowest bits of the number are those of the double.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    Ok((number_at(lua, args, at, function)? + ROUND).to_bits() as u32)
}

fn signed(bits: u32) -> f64 {
    f64::from(bits as i32)
}

fn tohex(lua: &Lua, args: MultiValue) -> Result<String> {
    let number = bits(lua, &args, 0, "tohex")?;
    let digits = if args.len() > 1 { bits(lua, &args, 1, "tohex")? as i32 } else { 8 };
    let count = digits.unsigned_abs().min(8) as usize;
    let text = if digits < 0 { format!("{number:08X}") } else { format!("{number:08x}") };
    Ok(text[8 - count..].to_owned())
}
