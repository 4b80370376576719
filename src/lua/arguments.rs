//! Arguments of functions of libraries, with Lua's errors for those that do not fit.

use super::errors::{bad_argument, number_of};
use mlua::{Lua, MultiValue, Result, Value};

/// An argument as a text, `at` counting from 0.
pub(super) fn text_at(lua: &Lua, args: &MultiValue, at: usize, function: &str) -> Result<mlua::String> {
    let value = args.get(at);
    if let Some(text) = value.cloned().map(|value| lua.coerce_string(value)).transpose()?.flatten() {
        return Ok(text);
    }
    bad_argument(lua, at + 1, function, &format!("string expected, got {}", got(value)))
}

/// An argument as a number.
pub(super) fn number_at(lua: &Lua, args: &MultiValue, at: usize, function: &str) -> Result<f64> {
    if let Some(number) = args.get(at).and_then(number_of) {
        return Ok(number);
    }
    bad_argument(lua, at + 1, function, &format!("number expected, got {}", got(args.get(at))))
}

/// The name of an argument's type as Lua has it.
fn got(value: Option<&Value>) -> &'static str {
    match value {
        None => "no value",
        Some(Value::LightUserData(_)) => "userdata",
        Some(value) => value.type_name(),
    }
}
