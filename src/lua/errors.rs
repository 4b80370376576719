//! Errors inside Lua. A function in Rust raises an [`Error`] of mlua's with a [`Raised`] within; what scripts see of it
//! is what Redis shows them: a table with a field `err`, or a text.

use crate::text::parse_f64;
use mlua::{Error, Lua, Result, Table, Value};
use std::fmt;

/// What a function in Rust raises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raised {
    /// A table whose field `err` is the text. `counted`: a command gave it, and it is in the statistics already.
    Reply {
        /// The text with its code.
        text: Vec<u8>,
        /// Whether it was counted.
        counted: bool,
    },
    /// A text, as Lua's own functions raise it.
    Text(Vec<u8>),
    /// The script is abandoned.
    Abandoned,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply { text, .. } | Self::Text(text) => f.write_str(&String::from_utf8_lossy(text)),
            Self::Abandoned => f.write_str("the script was abandoned"),
        }
    }
}

impl std::error::Error for Raised {}

impl From<Raised> for Error {
    fn from(raised: Raised) -> Self {
        Self::external(raised)
    }
}

/// Why a script did not end well: the text of its error reply, and whether the error is in the statistics already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The text with its code.
    pub text: Vec<u8>,
    /// Whether it was counted when a command gave it.
    pub counted: bool,
    /// The chunk and the line in which it was raised, if that is known.
    pub place: Option<String>,
}

impl Failure {
    fn of(text: Vec<u8>) -> Self {
        Self { text, counted: false, place: None }
    }
}

/// Raises what Redis raises for a wrong use of its own functions: a table.
pub(super) fn refuse<T>(text: &str) -> Result<T> {
    Err(Raised::Reply { text: [b"ERR ", text.as_bytes()].concat(), counted: false }.into())
}

/// Raises a text with the place of the caller, as functions of Lua's libraries do.
pub(super) fn complain<T>(lua: &Lua, text: impl AsRef<[u8]>) -> Result<T> {
    let place = place(lua, 1).map(|(source, line)| format!("{source}:{line}: ")).unwrap_or_default();
    Err(Raised::Text([place.as_bytes(), text.as_ref()].concat()).into())
}

/// Complains about an argument of a function of a library.
pub(super) fn bad_argument<T>(lua: &Lua, number: usize, function: &str, why: &str) -> Result<T> {
    complain(lua, format!("bad argument #{number} to '{function}' ({why})"))
}

/// The name of the chunk and the line in which the function on a level of the stack is.
pub(super) fn place(lua: &Lua, level: usize) -> Option<(String, usize)> {
    lua.inspect_stack(level, |frame| {
        let source = frame.source().short_src.map(|source| source.into_owned());
        source.zip(frame.current_line())
    })
    .flatten()
}

/// A number, as Lua reads one of a text too.
pub(super) fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        Value::String(text) => parse_f64(text.as_bytes().trim_ascii()),
        _ => None,
    }
}

/// What was raised, if a function in Rust raised it.
pub(super) fn raised(error: &Error) -> Option<&Raised> {
    error.chain().find_map(|cause| cause.downcast_ref::<Raised>())
}

/// The table that scripts know errors as.
pub(super) fn table_of(lua: &Lua, text: &[u8], counted: bool) -> Result<Table> {
    let table = lua.create_table_with_capacity(0, 2)?;
    table.raw_set("err", lua.create_string(text)?)?;
    if counted {
        table.raw_set("ignore_error_stats_update", true)?;
    }
    Ok(table)
}

/// A text without the place of the prelude: a function of Lua's that the prelude wraps complains as if it had been
/// called from there.
fn without_prelude(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b"prelude:")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    rest.get(digits..)?.strip_prefix(b": ")
}

/// So many levels are looked at.
const DEEPEST: usize = 8;

/// The place of the script's last function on the stack, by the whole name of its chunk, which is its text if it has no
/// other name.
pub(super) fn script_source(lua: &Lua) -> Option<(String, usize)> {
    (1..DEEPEST).find_map(|level| {
        let found = lua.inspect_stack(level, |frame| {
            let source = frame.source();
            let is_prelude = source.short_src.as_deref() == Some("prelude");
            source.source.filter(|_| !is_prelude).map(|name| name.into_owned()).zip(frame.current_line())
        });
        found.flatten()
    })
}

/// The place of the script's last function on the stack.
pub(super) fn script_place(lua: &Lua) -> Option<(String, usize)> {
    (1..DEEPEST).find_map(|level| place(lua, level).filter(|(name, _)| name != "prelude"))
}

/// What a script sees of an error that it has caught. `as_text`: only the text of a table, as `pcall` gives it.
/// Raises again what nobody may catch.
pub(super) fn seen(lua: &Lua, error: Value, as_text: bool) -> Result<Value> {
    match error {
        Value::Error(error) => match raised(&error) {
            Some(Raised::Abandoned) => Err(Raised::Abandoned.into()),
            Some(Raised::Reply { text, .. }) if as_text => Ok(Value::String(lua.create_string(text)?)),
            Some(Raised::Reply { text, counted }) => Ok(Value::Table(table_of(lua, text, *counted)?)),
            Some(Raised::Text(text)) => Ok(Value::String(lua.create_string(text)?)),
            None => Ok(Value::String(lua.create_string(plain(&error))?)),
        },
        Value::String(text) => match without_prelude(&text.as_bytes()) {
            Some(rest) => Ok(Value::String(lua.create_string(rest)?)),
            None => Ok(Value::String(text.clone())),
        },
        Value::Table(table) if as_text => match table.raw_get::<Value>("err")? {
            text @ (Value::String(_) | Value::Integer(_) | Value::Number(_)) => Ok(text),
            _ => Ok(Value::Table(table)),
        },
        other => Ok(other),
    }
}

/// The first line of an error of mlua's own.
pub(super) fn plain(error: &Error) -> String {
    let text = match error {
        Error::CallbackError { cause, .. } => return plain(cause),
        Error::RuntimeError(text) | Error::MemoryError(text) => text.clone(),
        Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}

/// What becomes of an error that nothing caught; called where it was raised. `Err` if the script is abandoned.
pub(super) fn failure(lua: &Lua, error: &Value) -> std::result::Result<Failure, Raised> {
    let prefixed = |text: &[u8]| [b"ERR ", text].concat();
    Ok(match error {
        Value::Error(error) => match raised(error) {
            Some(Raised::Abandoned) => return Err(Raised::Abandoned),
            Some(Raised::Reply { text, counted }) => {
                Failure { counted: *counted, ..Failure::of(text.clone()) }
            }
            Some(Raised::Text(text)) => Failure::of(prefixed(text)),
            None => Failure::of(prefixed(plain(error).as_bytes())),
        },
        Value::Table(table) => {
            let text = table.raw_get::<Value>("err").ok().and_then(|text| text_of(lua, &text));
            let counted = table.raw_get::<bool>("ignore_error_stats_update").unwrap_or(false);
            Failure { counted, ..Failure::of(text.unwrap_or_else(|| b"ERR unknown error".to_vec())) }
        }
        Value::Nil => Failure::of(b"ERR nil".to_vec()),
        Value::Boolean(value) => Failure::of(prefixed(value.to_string().as_bytes())),
        Value::String(text) if without_prelude(&text.as_bytes()).is_some() => {
            let place =
                script_place(lua).map(|(source, line)| format!("{source}:{line}: ")).unwrap_or_default();
            let text = text.as_bytes();
            let rest = without_prelude(&text).unwrap_or_default();
            Failure::of([b"ERR ", place.as_bytes(), rest].concat())
        }
        other => {
            let text = text_of(lua, other).unwrap_or_else(|| other.type_name().as_bytes().to_vec());
            Failure::of(prefixed(&text))
        }
    })
}

fn text_of(lua: &Lua, value: &Value) -> Option<Vec<u8>> {
    lua.coerce_string(value.clone()).ok().flatten().map(|text| text.as_bytes().to_vec())
}
