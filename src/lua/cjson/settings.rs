//! What scripts may configure of `cjson`.

use super::super::errors::{bad_argument, number_of};
use mlua::{Lua, MultiValue, Result, Value};
use std::cell::Cell;

#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) sparse_convert: bool,
    pub(super) sparse_ratio: i64,
    pub(super) sparse_safe: i64,
    pub(super) encode_depth: i64,
    pub(super) decode_depth: i64,
    pub(super) precision: i64,
    /// What is not finite: refused, written, or written as null.
    pub(super) encode_invalid: Invalid,
    pub(super) decode_invalid: bool,
    keep_buffer: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Invalid {
    Off,
    On,
    Null,
}

const DEFAULTS: Settings = Settings {
    sparse_convert: false,
    sparse_ratio: 2,
    sparse_safe: 10,
    encode_depth: 1000,
    decode_depth: 1000,
    precision: 14,
    encode_invalid: Invalid::Off,
    decode_invalid: true,
    keep_buffer: true,
};

thread_local! {
    static SETTINGS: Cell<Settings> = const { Cell::new(DEFAULTS) };
}

/// What holds now.
pub(super) fn now() -> Settings {
    SETTINGS.get()
}

/// Forgets what the script before has configured.
pub(in crate::lua) fn reset() {
    SETTINGS.set(DEFAULTS);
}

/// The value of an option's argument: an integer in a range, if there is one.
fn integer(
    lua: &Lua,
    args: &MultiValue,
    at: usize,
    (least, most): (i64, i64),
    function: &str,
) -> Result<Option<i64>> {
    match args.get(at) {
        None | Some(Value::Nil) => Ok(None),
        Some(value) => match number_of(value).map(|number| number as i64) {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            Some(_) => {
                bad_argument(lua, at + 1, function, &format!("expected integer between {least} and {most}"))
            }
            None => {
                let why = format!("number expected, got {}", value.type_name());
                bad_argument(lua, at + 1, function, &why)
            }
        },
    }
}

fn at_most(lua: &Lua, args: &MultiValue, count: usize, function: &str) -> Result<()> {
    if args.len() > count {
        bad_argument(lua, count + 1, function, "found too many arguments")
    } else {
        Ok(())
    }
}

fn boolean(lua: &Lua, args: &MultiValue, at: usize, function: &str) -> Result<Option<bool>> {
    match args.get(at) {
        None | Some(Value::Nil) => Ok(None),
        Some(Value::Boolean(value)) => Ok(Some(*value)),
        Some(Value::String(word)) if *word.as_bytes() == *b"on" => Ok(Some(true)),
        Some(Value::String(word)) if *word.as_bytes() == *b"off" => Ok(Some(false)),
        Some(_) => bad_argument(lua, at + 1, function, "invalid option"),
    }
}

const INT: i64 = i32::MAX as i64;

pub(super) fn encode_sparse_array(lua: &Lua, args: MultiValue) -> Result<(bool, i64, i64)> {
    at_most(lua, &args, 3, "encode_sparse_array")?;
    let mut settings = SETTINGS.get();
    settings.sparse_convert =
        boolean(lua, &args, 0, "encode_sparse_array")?.unwrap_or(settings.sparse_convert);
    settings.sparse_ratio =
        integer(lua, &args, 1, (0, INT), "encode_sparse_array")?.unwrap_or(settings.sparse_ratio);
    settings.sparse_safe =
        integer(lua, &args, 2, (0, INT), "encode_sparse_array")?.unwrap_or(settings.sparse_safe);
    SETTINGS.set(settings);
    Ok((settings.sparse_convert, settings.sparse_ratio, settings.sparse_safe))
}

pub(super) fn depth(lua: &Lua, args: &MultiValue, encode: bool) -> Result<i64> {
    let function = if encode { "encode_max_depth" } else { "decode_max_depth" };
    at_most(lua, args, 1, function)?;
    let mut settings = SETTINGS.get();
    let depth = if encode { &mut settings.encode_depth } else { &mut settings.decode_depth };
    *depth = integer(lua, args, 0, (1, INT), function)?.unwrap_or(*depth);
    let depth = *depth;
    SETTINGS.set(settings);
    Ok(depth)
}

pub(super) fn encode_number_precision(lua: &Lua, args: MultiValue) -> Result<i64> {
    at_most(lua, &args, 1, "encode_number_precision")?;
    let mut settings = SETTINGS.get();
    settings.precision =
        integer(lua, &args, 0, (1, 14), "encode_number_precision")?.unwrap_or(settings.precision);
    SETTINGS.set(settings);
    Ok(settings.precision)
}

pub(super) fn encode_keep_buffer(lua: &Lua, args: MultiValue) -> Result<bool> {
    at_most(lua, &args, 1, "encode_keep_buffer")?;
    let mut settings = SETTINGS.get();
    settings.keep_buffer = boolean(lua, &args, 0, "encode_keep_buffer")?.unwrap_or(settings.keep_buffer);
    SETTINGS.set(settings);
    Ok(settings.keep_buffer)
}

pub(super) fn encode_invalid_numbers(lua: &Lua, args: MultiValue) -> Result<Value> {
    at_most(lua, &args, 1, "encode_invalid_numbers")?;
    let mut settings = SETTINGS.get();
    settings.encode_invalid = match args.front() {
        Some(Value::String(word)) if *word.as_bytes() == *b"null" => Invalid::Null,
        _ => match boolean(lua, &args, 0, "encode_invalid_numbers")? {
            None => settings.encode_invalid,
            Some(true) => Invalid::On,
            Some(false) => Invalid::Off,
        },
    };
    SETTINGS.set(settings);
    match settings.encode_invalid {
        Invalid::Off => Ok(Value::Boolean(false)),
        Invalid::On => Ok(Value::Boolean(true)),
        Invalid::Null => Ok(Value::String(lua.create_string("null")?)),
    }
}

pub(super) fn decode_invalid_numbers(lua: &Lua, args: MultiValue) -> Result<bool> {
    at_most(lua, &args, 1, "decode_invalid_numbers")?;
    let mut settings = SETTINGS.get();
    settings.decode_invalid =
        boolean(lua, &args, 0, "decode_invalid_numbers")?.unwrap_or(settings.decode_invalid);
    SETTINGS.set(settings);
    Ok(settings.decode_invalid)
}
