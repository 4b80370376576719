//! `redis.register_function`: the functions that a library has, collected while it is loaded.

use super::errors::refuse;
use super::numbers::write_g;
use super::scripts::FLAG_NAMES;
use mlua::{Function, Lua, MultiValue, Result, Table, Value};
use std::cell::RefCell;

/// A function that a library has registered.
pub(super) struct Registration {
    pub(super) name: Box<[u8]>,
    pub(super) description: Option<Box<[u8]>>,
    /// A bit for each of `FLAG_NAMES`.
    pub(super) flags: u8,
    pub(super) callback: Function,
}

/// A library has at most so many functions: each takes a reference while the library is loaded, of which there are
/// 8 000.
const MOST: usize = 5000;

thread_local! {
    /// What the library that this thread loads has registered so far; `None` if it loads none.
    static REGISTERED: RefCell<Option<Vec<Registration>>> = const { RefCell::new(None) };
}

/// Calls `load`, and gives what was registered meanwhile.
pub(super) fn collect<T>(load: impl FnOnce() -> T) -> (T, Vec<Registration>) {
    REGISTERED.set(Some(Vec::new()));
    let done = load();
    (done, REGISTERED.take().unwrap_or_default())
}

/// The function that libraries call.
pub(super) fn register(_: &Lua, args: MultiValue) -> Result<()> {
    let args: Vec<Value> = args.into_iter().collect();
    let registration = match args.as_slice() {
        [Value::Table(named)] => by_names(named)?,
        [_] => {
            return refuse(
                "calling redis.register_function with a single argument is only applicable to Lua table (representing \
                 named arguments).",
            );
        }
        [name, callback] => by_position(name, callback)?,
        _ => return refuse("wrong number of arguments to redis.register_function"),
    };
    if !is_name(&registration.name) {
        return refuse(BAD_NAME);
    }
    REGISTERED.with_borrow_mut(|all| match all {
        None => refuse("redis.register_function can only be called on FUNCTION LOAD command"),
        Some(all) if all.iter().any(|other| other.name == registration.name) => {
            refuse("Function already exists in the library")
        }
        Some(all) if all.len() == MOST => refuse("too many functions in the library"),
        Some(all) => {
            all.push(registration);
            Ok(())
        }
    })
}

/// What Redis says of a bad name of a library, and of a function too.
pub(super) const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

/// Whether a library or a function may have the name.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// The text of a string or a number, as Lua's own functions take both for a string.
fn text(value: &Value) -> Option<Box<[u8]>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec().into()),
        Value::Integer(number) => Some(number.to_string().into_bytes().into()),
        Value::Number(number) => {
            let mut digits = Vec::new();
            write_g(&mut digits, *number, 14);
            Some(digits.into())
        }
        _ => None,
    }
}

fn by_position(name: &Value, callback: &Value) -> Result<Registration> {
    let Some(name) = text(name) else {
        return refuse("first argument to redis.register_function must be a string");
    };
    let Value::Function(callback) = callback else {
        return refuse("second argument to redis.register_function must be a function");
    };
    Ok(Registration { name, description: None, flags: 0, callback: callback.clone() })
}

fn by_names(named: &Table) -> Result<Registration> {
    let (mut name, mut description, mut callback, mut flags) = (None, None, None, 0);
    for pair in named.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let Some(key) = text(&key) else {
            return refuse("named argument key given to redis.register_function is not a string");
        };
        match key.to_ascii_lowercase().as_slice() {
            b"function_name" => match text(&value) {
                Some(text) => name = Some(text),
                None => {
                    return refuse(
                        "function_name argument given to redis.register_function must be a string",
                    );
                }
            },
            b"description" => match text(&value) {
                Some(text) => description = Some(text),
                None => {
                    return refuse("description argument given to redis.register_function must be a string");
                }
            },
            b"callback" => match value {
                Value::Function(function) => callback = Some(function),
                _ => {
                    return refuse("callback argument given to redis.register_function must be a function");
                }
            },
            b"flags" => match value {
                Value::Table(words) => flags = read_flags(&words)?,
                _ => {
                    return refuse(
                        "flags argument to redis.register_function must be a table representing function flags",
                    );
                }
            },
            _ => return refuse("unknown argument given to redis.register_function"),
        }
    }
    let Some(name) = name else {
        return refuse("redis.register_function must get a function name argument");
    };
    let Some(callback) = callback else {
        return refuse("redis.register_function must get a callback argument");
    };
    Ok(Registration { name, description, flags, callback })
}

/// The bits of the flags in a list.
fn read_flags(words: &Table) -> Result<u8> {
    let mut flags = 0;
    for at in 1.. {
        let word = match words.raw_get::<Value>(at)? {
            Value::Nil => break,
            word => text(&word),
        };
        let known =
            |word: &[u8]| FLAG_NAMES.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word));
        match word.as_deref().and_then(known) {
            Some(bit) => flags |= 1 << bit,
            None => return refuse("unknown flag given"),
        }
    }
    Ok(flags)
}
