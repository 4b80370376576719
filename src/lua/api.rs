//! What scripts have under `redis`.

use super::call;
use super::errors::{number_of, refuse};
use super::host::{self, LogLevel};
use super::scripts::sha_of;
use super::{bit, cjson, cmsgpack, structs};
use crate::resp::Proto;
use crate::text::{REDIS_VERSION, REDIS_VERSION_NUMBER, write_f64};
use mlua::{Lua, MultiValue, Result, Table, Value};
use smallvec::SmallVec;

/// The libraries that are written in Rust, by their names.
pub(super) fn modules(lua: &Lua) -> Result<Table> {
    let modules = lua.create_table()?;
    modules.raw_set("redis", redis(lua)?)?;
    modules.raw_set("bit", bit::library(lua)?)?;
    modules.raw_set("cjson", cjson::library(lua)?)?;
    modules.raw_set("cmsgpack", cmsgpack::library(lua)?)?;
    modules.raw_set("struct", structs::library(lua)?)?;
    Ok(modules)
}

fn redis(lua: &Lua) -> Result<Table> {
    let redis = lua.create_table()?;
    redis.raw_set("call", call::call(lua)?)?;
    redis.raw_set("pcall", call::pcall(lua)?)?;
    redis.raw_set("error_reply", lua.create_function(error_reply)?)?;
    redis.raw_set("status_reply", lua.create_function(status_reply)?)?;
    redis.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    redis.raw_set("log", lua.create_function(log)?)?;
    redis.raw_set("setresp", lua.create_function(setresp)?)?;
    redis.raw_set("set_repl", lua.create_function(set_repl)?)?;
    redis.raw_set("replicate_commands", lua.create_function(|_, ()| Ok(true))?)?;
    redis.raw_set("breakpoint", lua.create_function(|_, ()| Ok(false))?)?;
    redis.raw_set("debug", lua.create_function(|_, _: MultiValue| Ok(()))?)?;
    redis.raw_set("acl_check_cmd", lua.create_function(acl_check_cmd)?)?;
    redis.raw_set("REDIS_VERSION", REDIS_VERSION)?;
    redis.raw_set("REDIS_VERSION_NUM", REDIS_VERSION_NUMBER)?;
    let numbers = [
        ("LOG_DEBUG", 0),
        ("LOG_VERBOSE", 1),
        ("LOG_NOTICE", 2),
        ("LOG_WARNING", 3),
        ("REPL_NONE", 0),
        ("REPL_AOF", 1),
        ("REPL_SLAVE", 2),
        ("REPL_REPLICA", 2),
        ("REPL_ALL", 3),
    ];
    numbers.iter().try_for_each(|(name, number)| redis.raw_set(*name, *number))?;
    Ok(redis)
}

/// The text of an argument of a command.
enum Argument<'v> {
    Text(mlua::BorrowedBytes<'v>),
    Number(SmallVec<[u8; 32]>),
}

impl Argument<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            Self::Number(digits) => digits,
        }
    }
}

fn argument(value: &Value) -> Option<Argument<'_>> {
    Some(match value {
        Value::String(text) => Argument::Text(text.as_bytes()),
        Value::Integer(number) => {
            Argument::Number(SmallVec::from_slice(itoa::Buffer::new().format(*number).as_bytes()))
        }
        Value::Number(number) => {
            let mut digits = Vec::new();
            write_f64(&mut digits, *number);
            Argument::Number(digits.into())
        }
        _ => return None,
    })
}

/// Calls `body` with the arguments of a command.
fn with_arguments<T>(args: &MultiValue, body: impl FnOnce(&[&[u8]]) -> Result<T>) -> Result<T> {
    if args.is_empty() {
        return refuse("Please specify at least one argument for this redis lib call");
    }
    let mut texts: SmallVec<[Argument<'_>; 8]> = SmallVec::with_capacity(args.len());
    for value in args {
        match argument(value) {
            Some(text) => texts.push(text),
            None => return refuse("Lua redis lib command arguments must be strings or integers"),
        }
    }
    let args: SmallVec<[&[u8]; 8]> = texts.iter().map(Argument::bytes).collect();
    body(&args)
}

fn table(lua: &Lua, field: &str, text: &[u8]) -> Result<Table> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(field, lua.create_string(text)?)?;
    Ok(table)
}

/// The only argument, if it is a string.
fn only_string(args: &MultiValue) -> Option<&mlua::String> {
    args.front().filter(|_| args.len() == 1).and_then(Value::as_string)
}

const WRONG_TYPE: &[u8] = b"ERR wrong number or type of arguments";

/// `redis.error_reply`: the first word of the text is the error's code, with or without a minus sign before it. A text
/// of one word has none.
fn error_reply(lua: &Lua, args: MultiValue) -> Result<Table> {
    let Some(text) = only_string(&args) else { return table(lua, "err", WRONG_TYPE) };
    let text = text.as_bytes();
    let text = text.trim_ascii_end();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    if memchr::memchr(b' ', text).is_some() {
        return table(lua, "err", text);
    }
    table(lua, "err", &[b"ERR ", text].concat())
}

fn status_reply(lua: &Lua, args: MultiValue) -> Result<Table> {
    match only_string(&args) {
        Some(text) => table(lua, "ok", &text.as_bytes()),
        None => table(lua, "err", WRONG_TYPE),
    }
}

fn sha1hex(lua: &Lua, args: MultiValue) -> Result<mlua::String> {
    if args.len() != 1 {
        return refuse("wrong number of arguments");
    }
    let text = args.front().and_then(argument);
    lua.create_string(sha_of(text.as_ref().map(Argument::bytes).unwrap_or_default()))
}

fn log(_: &Lua, args: MultiValue) -> Result<()> {
    if args.len() < 2 {
        return refuse("redis.log() requires two arguments or more.");
    }
    let mut values = args.iter();
    let level = match values.next().and_then(number_of) {
        None => return refuse("First argument must be a number (log level)."),
        Some(0.0) => LogLevel::Debug,
        Some(1.0) => LogLevel::Verbose,
        Some(2.0) => LogLevel::Notice,
        Some(3.0) => LogLevel::Warning,
        Some(_) => return refuse("Invalid debug level."),
    };
    let texts: Vec<Argument<'_>> = values.filter_map(argument).collect();
    let text = texts.iter().map(Argument::bytes).collect::<Vec<_>>().join(&b' ');
    host::visit(|host| host.log(level, &text));
    Ok(())
}

fn setresp(_: &Lua, args: MultiValue) -> Result<()> {
    if args.len() != 1 {
        return refuse("redis.setresp() requires one argument.");
    }
    host::choose(match args.front().and_then(number_of) {
        Some(2.0) => Proto::V2,
        Some(3.0) => Proto::V3,
        _ => return refuse("RESP version must be 2 or 3."),
    });
    Ok(())
}

/// Replicas and the log get what a script did, not the script, so there is nothing to choose.
fn set_repl(_: &Lua, args: MultiValue) -> Result<()> {
    if args.len() != 1 {
        return refuse("redis.set_repl() requires two arguments.");
    }
    let flags = args.front().and_then(number_of).unwrap_or(0.0) as i64;
    if flags & !3 != 0 {
        return refuse("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
    }
    Ok(())
}

fn acl_check_cmd(_: &Lua, args: MultiValue) -> Result<bool> {
    let may = with_arguments(&args, |args| Ok(host::visit(|host| host.may_call(args)).flatten()))?;
    match may {
        Some(may) => Ok(may),
        None => refuse("Invalid command passed to redis.acl_check_cmd()"),
    }
}
