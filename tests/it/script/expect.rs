//! Expected replies, as scripts write them.
//!
//! `+OK`, `-ERR text`, `:1`, `,1.5`, `#t`, `"bulk"`, `nil` (any null), `[a b]` (a list), `{k v}` (a map, or RESP2's
//! flat list), `~[a b]` (a set, or RESP2's list, in any order), `*` (anything). A `*` at the end of an error, status or
//! string stands for any rest, and `*"text"*` for a string that contains the text. `=1.5` is a number of any type. In
//! RESP2 a double may be a bulk string.

use super::compare::slack;
use super::parse::{plain, tokens};
use crate::harness::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Anything,
    Nil,
    Simple(String),
    Error(String),
    Int(i64),
    /// Any integer from 0 to this one.
    AtMost(i64),
    /// A time left of so many seconds, or a little less.
    TimeLeft(i64),
    Bulk(Vec<u8>),
    /// A string with this beginning.
    Prefix(Vec<u8>),
    /// A string that contains this.
    Within(Vec<u8>),
    Double(String),
    /// A number as an integer, a double or a string.
    Number(String),
    Bool(bool),
    List(Vec<Expected>),
    Set(Vec<Expected>),
    Map(Vec<Expected>),
}

impl Expected {
    pub(crate) fn parse(text: &str) -> Result<Expected, String> {
        let text = text.trim();
        if let Some(rest) = text.strip_prefix('+') {
            return Ok(Expected::Simple(rest.to_owned()));
        }
        if let Some(rest) = text.strip_prefix('-') {
            return Ok(Expected::Error(rest.to_owned()));
        }
        let mut rest = text;
        let value = one(&mut rest)?;
        if rest.trim().is_empty() { Ok(value) } else { Err(format!("left over: {rest}")) }
    }

    /// The same for a command that replies with times left.
    pub(crate) fn of_time_left(self) -> Expected {
        match self {
            Expected::Int(seconds) => Expected::TimeLeft(seconds),
            Expected::List(list) => Expected::List(list.into_iter().map(Self::of_time_left).collect()),
            other => other,
        }
    }
}

fn many(rest: &mut &str, close: char) -> Result<Vec<Expected>, String> {
    let mut out = Vec::new();
    loop {
        *rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(close) {
            *rest = after;
            return Ok(out);
        }
        if rest.is_empty() {
            return Err(format!("no {close}"));
        }
        out.push(one(rest)?);
    }
}

fn one(rest: &mut &str) -> Result<Expected, String> {
    *rest = rest.trim_start();
    for (open, close) in [("~[", ']'), ("[", ']'), ("{", '}')] {
        if let Some(after) = rest.strip_prefix(open) {
            *rest = after;
            let list = many(rest, close)?;
            return Ok(match open {
                "~[" => Expected::Set(list),
                "[" => Expected::List(list),
                _ => Expected::Map(list),
            });
        }
    }
    if rest.starts_with("*\"") {
        *rest = &rest[1..];
        let Expected::Prefix(text) = one(rest)? else { return Err("no * behind".into()) };
        return Ok(Expected::Within(text));
    }
    if rest.starts_with('"') {
        let bytes = rest.as_bytes();
        let mut end = 1;
        while *bytes.get(end).ok_or("unbalanced \"")? != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let text = plain(&tokens(&rest[..=end])?[0]);
        *rest = &rest[end + 1..];
        if let Some(after) = rest.strip_prefix('*') {
            *rest = after;
            return Ok(Expected::Prefix(text));
        }
        return Ok(Expected::Bulk(text));
    }
    let end = rest.find([' ', ']', '}']).unwrap_or(rest.len());
    let word = &rest[..end];
    *rest = &rest[end..];
    Ok(match word.split_at_checked(1) {
        Some(("*", "")) => Expected::Anything,
        Some((":", n)) if n.starts_with("..") => {
            Expected::AtMost(n[2..].parse().map_err(|_| format!("no integer: {n}"))?)
        }
        Some((":", n)) => Expected::Int(n.parse().map_err(|_| format!("no integer: {n}"))?),
        Some(("=", n)) => Expected::Number(n.to_owned()),
        Some((",", n)) => Expected::Double(n.to_owned()),
        Some(("+", s)) => Expected::Simple(s.to_owned()),
        Some(("-", s)) => Expected::Error(s.to_owned()),
        Some(("#", b)) => Expected::Bool(b == "t"),
        _ if word == "nil" => Expected::Nil,
        _ => Expected::Bulk(word.as_bytes().to_vec()),
    })
}

fn glob(pattern: &str, text: &[u8]) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => text.starts_with(prefix.as_bytes()),
        None => pattern.as_bytes() == text,
    }
}

fn all(expected: &[Expected], values: &[Value]) -> bool {
    expected.len() == values.len() && expected.iter().zip(values).all(|(e, v)| matches(e, v))
}

fn in_any_order(expected: &[Expected], values: &[Value]) -> bool {
    let mut left = values.to_vec();
    expected.len() == values.len()
        && expected.iter().all(|e| {
            let at = left.iter().position(|v| matches(e, v));
            at.map(|at| left.swap_remove(at)).is_some()
        })
}

/// Whether the pairs of a map match in any order.
fn pairs_match(expected: &[Expected], values: &[Value]) -> bool {
    let mut left: Vec<&[Value]> = values.chunks(2).collect();
    expected.len() == values.len()
        && expected.chunks(2).all(|pair| {
            let at = left.iter().position(|v| all(pair, v));
            at.map(|at| left.swap_remove(at)).is_some()
        })
}

/// Whether a reply matches the expected one.
pub(crate) fn matches(expected: &Expected, value: &Value) -> bool {
    match (expected, value) {
        (Expected::Anything, _) => true,
        (Expected::Nil, v) => v.is_null(),
        (Expected::Simple(p), Value::Simple(t)) | (Expected::Error(p), Value::Error(t)) => glob(p, t),
        (Expected::Int(a), Value::Int(b)) => a == b,
        (Expected::AtMost(a), Value::Int(b)) => (0..=*a).contains(b),
        (Expected::TimeLeft(a), Value::Int(b)) => (a - slack(*a)..=*a).contains(b),
        (Expected::Bool(a), Value::Bool(b)) => a == b,
        (Expected::Bool(a), Value::Int(b)) => i64::from(*a) == *b,
        (Expected::Double(a), Value::Double(b)) => a == b,
        (Expected::Double(a), Value::Bulk(b)) => a.as_bytes() == b,
        (Expected::Number(a), Value::Int(_) | Value::Double(_) | Value::Bulk(_)) => *a == value.text(),
        (Expected::Bulk(a), Value::Bulk(b)) => a == b,
        (Expected::Bulk(a), Value::Verbatim(b)) => b.get(4..) == Some(a),
        (Expected::Prefix(a), v) => v.bytes().is_some_and(|b| b.starts_with(a)),
        (Expected::Within(a), v) => v.bytes().is_some_and(|b| b.windows(a.len()).any(|part| part == a)),
        (Expected::List(e), Value::Array(v) | Value::Push(v)) => all(e, v),
        (Expected::Set(e), Value::Array(v) | Value::Set(v)) => in_any_order(e, v),
        (Expected::Map(e), Value::Array(_) | Value::Map(_)) => pairs_match(e, &value.items()),
        _ => false,
    }
}
