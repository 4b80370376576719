//! JSON as values of Lua.

use super::super::errors::{bad_argument, complain};
use super::super::going::tick;
use super::super::numbers::parse_prefix;
use super::limits::{DEEPEST, PIECE, type_of};
use super::settings::{self, Settings};
use mlua::{Lua, MultiValue, Result, Table, Value};

/// `cjson.decode`.
pub(super) fn decode(lua: &Lua, args: MultiValue) -> Result<Value> {
    if args.len() != 1 {
        return bad_argument(lua, 1, "decode", "expected 1 argument");
    }
    let text = match args.front() {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Integer(_) | Value::Number(_))) => match lua.coerce_string(value.clone())? {
            Some(text) => text,
            None => return bad_argument(lua, 1, "decode", "string expected"),
        },
        other => {
            let got = other.map_or("no value", type_of);
            return bad_argument(lua, 1, "decode", &format!("string expected, got {got}"));
        }
    };
    let text = text.as_bytes();
    if matches!(text.get(..2), Some([0, _] | [_, 0])) {
        return complain(lua, "JSON parser does not support UTF-16 or UTF-32");
    }
    let mut reader = Reader { lua, text: &text, at: 0, settings: settings::now(), depth: 0, values: 0 };
    let first = reader.token();
    let value = reader.value(first)?;
    match reader.token() {
        (Token::End, _) => Ok(value),
        other => reader.unexpected("the end", &other),
    }
}

enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Wrong(&'static str),
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::Text(_) => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Wrong(why) => why,
        }
    }
}

struct Reader<'r> {
    lua: &'r Lua,
    text: &'r [u8],
    at: usize,
    settings: Settings,
    depth: i64,
    values: u32,
}

impl Reader<'_> {
    /// The byte at a place; zero at the end.
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn unexpected<T>(&self, expected: &str, (token, at): &(Token, usize)) -> Result<T> {
        let found = token.name();
        complain(self.lua, format!("Expected {expected} but found {found} at character {}", at + 1))
    }

    /// The next token, and where it begins.
    fn token(&mut self) -> (Token, usize) {
        while matches!(self.byte(self.at), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let begin = self.at;
        let single = match self.byte(begin) {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b':' => Token::Colon,
            b',' => Token::Comma,
            0 => return (Token::End, begin),
            b'"' => return self.string(begin),
            b'-' | b'0'..=b'9' if !self.settings.decode_invalid && self.is_invalid_number() => {
                return (Token::Wrong("invalid number"), begin);
            }
            b'-' | b'0'..=b'9' => return self.number(begin),
            b'f' | b'i' | b'I' | b'n' | b'N' | b't' => return self.word(begin),
            _ => return (Token::Wrong("invalid token"), begin),
        };
        self.at += 1;
        (single, begin)
    }

    fn word(&mut self, begin: usize) -> (Token, usize) {
        let rest = &self.text[begin..];
        let (token, len) = if rest.starts_with(b"true") {
            (Token::Boolean(true), 4)
        } else if rest.starts_with(b"false") {
            (Token::Boolean(false), 5)
        } else if rest.starts_with(b"null") {
            (Token::Null, 4)
        } else if self.settings.decode_invalid && self.is_invalid_number() {
            return self.number(begin);
        } else {
            (Token::Wrong("invalid token"), 0)
        };
        self.at += len;
        (token, begin)
    }

    /// Whether a number begins here that JSON does not have: hexadecimal, with a leading zero, infinite, or none.
    fn is_invalid_number(&self) -> bool {
        let at = self.at + usize::from(self.byte(self.at) == b'-');
        match self.byte(at) {
            b'0' => matches!(self.byte(at + 1), b'x' | b'X' | b'0'..=b'9'),
            0..=b'9' => false,
            _ => {
                let word = self.text.get(at..at + 3).unwrap_or_default();
                word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
            }
        }
    }

    fn number(&mut self, begin: usize) -> (Token, usize) {
        match parse_prefix(&self.text[begin..]) {
            Some((number, len)) => {
                self.at += len;
                (Token::Number(number), begin)
            }
            None => (Token::Wrong("invalid number"), begin),
        }
    }

    fn string(&mut self, begin: usize) -> (Token, usize) {
        let mut text = Vec::new();
        self.at += 1;
        loop {
            let byte = match self.byte(self.at) {
                b'"' => break,
                0 => return (Token::Wrong("unexpected end of string"), self.at),
                b'\\' => match self.byte(self.at + 1) {
                    b'u' => match self.unicode() {
                        Some((letter, len)) => {
                            text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                            self.at += len;
                            continue;
                        }
                        None => return (Token::Wrong("invalid unicode escape code"), self.at),
                    },
                    escaped => {
                        let meant = match escaped {
                            b'"' | b'\\' | b'/' => escaped,
                            b'b' => 8,
                            b'f' => 12,
                            b'n' => b'\n',
                            b'r' => b'\r',
                            b't' => b'\t',
                            _ => return (Token::Wrong("invalid escape code"), self.at),
                        };
                        self.at += 1;
                        meant
                    }
                },
                byte => byte,
            };
            text.push(byte);
            self.at += 1;
        }
        self.at += 1;
        (Token::Text(text), begin)
    }

    /// The letter of an escape, or of two that are one, and how long the escape is.
    fn unicode(&self) -> Option<(char, usize)> {
        let hex = |at: usize| {
            let digits = self.text.get(at..at + 4)?;
            digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
        };
        let first = hex(self.at + 2)?;
        if first & 0xF800 != 0xD800 {
            return Some((char::from_u32(first)?, 6));
        }
        if first & 0x400 != 0 || self.text.get(self.at + 6..self.at + 8)? != b"\\u" {
            return None;
        }
        let second = hex(self.at + 8)?;
        if second & 0xFC00 != 0xDC00 {
            return None;
        }
        Some((char::from_u32(((first & 0x3FF) << 10 | second & 0x3FF) + 0x1_0000)?, 12))
    }

    fn value(&mut self, token: (Token, usize)) -> Result<Value> {
        self.values += 1;
        if self.values.is_multiple_of(PIECE) {
            tick()?;
        }
        Ok(match token.0 {
            Token::Text(text) => Value::String(self.lua.create_string(text)?),
            Token::Number(number) => Value::Number(number),
            Token::Boolean(value) => Value::Boolean(value),
            Token::Null => Value::NULL,
            Token::ObjectBegin => Value::Table(self.object()?),
            Token::ArrayBegin => Value::Table(self.array()?),
            _ => return self.unexpected("value", &token),
        })
    }

    fn descend(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > self.settings.decode_depth.min(DEEPEST) {
            let Self { depth, at, .. } = *self;
            let text = format!("Found too many nested data structures ({depth}) at character {at}");
            return complain(self.lua, text);
        }
        Ok(())
    }

    fn object(&mut self) -> Result<Table> {
        self.descend()?;
        let table = self.lua.create_table()?;
        let mut token = self.token();
        if !matches!(token.0, Token::ObjectEnd) {
            loop {
                let (Token::Text(key), _) = token else {
                    return self.unexpected("object key string", &token);
                };
                let colon = self.token();
                if !matches!(colon.0, Token::Colon) {
                    return self.unexpected("colon", &colon);
                }
                let first = self.token();
                let value = self.value(first)?;
                table.raw_set(self.lua.create_string(key)?, value)?;
                let next = self.token();
                match next.0 {
                    Token::ObjectEnd => break,
                    Token::Comma => token = self.token(),
                    _ => return self.unexpected("comma or object end", &next),
                }
            }
        }
        self.depth -= 1;
        Ok(table)
    }

    fn array(&mut self) -> Result<Table> {
        self.descend()?;
        let table = self.lua.create_table()?;
        let mut token = self.token();
        let mut at = 1;
        if !matches!(token.0, Token::ArrayEnd) {
            loop {
                let value = self.value(token)?;
                table.raw_set(at, value)?;
                at += 1;
                let next = self.token();
                match next.0 {
                    Token::ArrayEnd => break,
                    Token::Comma => token = self.token(),
                    _ => return self.unexpected("comma or array end", &next),
                }
            }
        }
        self.depth -= 1;
        Ok(table)
    }
}
