//! Splits the text of an expression into tokens.

use super::Dialect;
use super::error::Reason;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tok {
    Ident,
    /// `#name`.
    Name,
    /// `:value`.
    Value,
    /// Digits.
    Int,
    /// A number with a fraction or an exponent; human mode only.
    Number,
    /// A quoted string; human mode only.
    Text,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    LParen,
    RParen,
    LBracket,
    RBracket,
    Dot,
    Comma,
    Plus,
    Minus,
    And,
    Or,
    Not,
    Between,
    In,
    /// SET, REMOVE, ADD or DELETE; in human mode these are names until an update's section may begin.
    Section,
    /// A character that no token begins with.
    Bad,
    Eof,
}

/// A token and where it stands, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Tok,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The tokens of `text`, the last of them [`Tok::Eof`].
///
/// # Errors
/// For a string literal that does not end.
pub(super) fn tokenize(text: &str, mode: Dialect) -> Result<Vec<Token>, Reason> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            at += 1;
            continue;
        }
        let (kind, len) = match byte {
            b'#' => placeholder(bytes, at, Tok::Name),
            b':' => placeholder(bytes, at, Tok::Value),
            b'0'..=b'9' => number(bytes, at, mode),
            b'\'' | b'"' if mode == Dialect::Human => {
                let len =
                    quoted(bytes, at).ok_or_else(|| Reason::Literal("a string does not end".to_owned()))?;
                (Tok::Text, len)
            }
            _ => match word(text, at, mode) {
                0 => symbol(text, at),
                len => (keyword(bytes.get(at..at + len).unwrap_or_default(), mode), len),
            },
        };
        tokens.push(Token { kind, start: at, end: at + len });
        at += len;
    }
    tokens.push(Token { kind: Tok::Eof, start: bytes.len(), end: bytes.len() });
    Ok(tokens)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn placeholder(bytes: &[u8], at: usize, kind: Tok) -> (Tok, usize) {
    match bytes.iter().skip(at + 1).take_while(|b| is_word(**b)).count() {
        0 => (Tok::Bad, 1),
        len => (kind, 1 + len),
    }
}

/// Strict mode has only list indexes, without leading zeros; human mode has decimals with exponents.
fn number(bytes: &[u8], at: usize, mode: Dialect) -> (Tok, usize) {
    let digits = |from: usize| bytes.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    if mode == Dialect::Strict {
        return (Tok::Int, if bytes.get(at) == Some(&b'0') { 1 } else { digits(at) });
    }
    let mut end = at + digits(at);
    let mut kind = Tok::Int;
    if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
        kind = Tok::Number;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if digits(end + 1 + sign) > 0 {
            end += 1 + sign + digits(end + 1 + sign);
            kind = Tok::Number;
        }
    }
    (kind, end - at)
}

/// Length of a quoted string with its quotes. A backslash and the next character belong together; a doubled quote
/// stands for one quote.
fn quoted(bytes: &[u8], at: usize) -> Option<usize> {
    let quote = *bytes.get(at)?;
    let mut end = at + 1;
    loop {
        match *bytes.get(end)? {
            b'\\' => end += 2,
            byte if byte == quote => {
                end += 1;
                if bytes.get(end) != Some(&quote) {
                    return Some(end - at);
                }
                end += 1;
            }
            _ => end += 1,
        }
    }
}

/// The text of a quoted string; `None` for an unknown escape.
pub(super) fn unquote(quoted: &str) -> Option<String> {
    let quote = quoted.chars().next()?;
    let inner = quoted.get(1..quoted.len().checked_sub(1)?)?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => out.push(match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                same @ ('\\' | '\'' | '"') => same,
                _ => return None,
            }),
            char if char == quote => {
                chars.next();
                out.push(quote);
            }
            char => out.push(char),
        }
    }
    Some(out)
}

/// Length of the name that begins at `at`; 0 if no name begins there. Human mode also takes `_` and letters of all
/// scripts.
fn word(text: &str, at: usize, mode: Dialect) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let first = |c: char| match mode {
        Dialect::Strict => c.is_ascii_alphabetic(),
        Dialect::Human => c == '_' || c.is_alphabetic(),
    };
    let next = |c: char| match mode {
        Dialect::Strict => c.is_ascii_alphanumeric() || c == '_',
        Dialect::Human => c == '_' || c.is_alphanumeric(),
    };
    if !rest.starts_with(first) {
        return 0;
    }
    rest.find(|c| !next(c)).unwrap_or(rest.len())
}

fn keyword(word: &[u8], mode: Dialect) -> Tok {
    let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
    match word.len() {
        2 if is("or") => Tok::Or,
        2 if is("in") => Tok::In,
        3 if is("and") => Tok::And,
        3 if is("not") => Tok::Not,
        7 if is("between") => Tok::Between,
        _ if mode == Dialect::Strict && section_name(word).is_some() => Tok::Section,
        _ => Tok::Ident,
    }
}

/// The section of an update that a word begins.
pub(super) fn section_name(word: &[u8]) -> Option<&'static str> {
    ["SET", "REMOVE", "ADD", "DELETE"]
        .into_iter()
        .find(|section| word.eq_ignore_ascii_case(section.as_bytes()))
}

fn symbol(text: &str, at: usize) -> (Tok, usize) {
    let rest = text.get(at..).unwrap_or_default();
    for (symbol, kind) in [("<>", Tok::Ne), ("<=", Tok::Le), (">=", Tok::Ge)] {
        if rest.starts_with(symbol) {
            return (kind, 2);
        }
    }
    let first = rest.chars().next().unwrap_or('\0');
    let kind = match first {
        '=' => Tok::Eq,
        '<' => Tok::Lt,
        '>' => Tok::Gt,
        '(' => Tok::LParen,
        ')' => Tok::RParen,
        '[' => Tok::LBracket,
        ']' => Tok::RBracket,
        '.' => Tok::Dot,
        ',' => Tok::Comma,
        '+' => Tok::Plus,
        '-' => Tok::Minus,
        _ => Tok::Bad,
    };
    (kind, first.len_utf8())
}
