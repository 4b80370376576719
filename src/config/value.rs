//! The types of options: how a value is read from words, shown by CONFIG GET, and written into a file.

use std::path::PathBuf;

use crate::text::{self, parse_i64_strict};

/// What stands after an option's name in one line of a file.
pub(super) type Words = Vec<Vec<u8>>;

/// How an option's type is read and written.
pub(super) trait OptionValue: Clone + PartialEq {
    /// A restriction of the type for one option, such as the range of a number.
    type Rule: Default;

    /// The value may be several words: CONFIG SET splits its argument at spaces.
    const MULTI: bool = false;
    /// CONFIG REWRITE writes the option even when it has its default value.
    const ALWAYS_WRITTEN: bool = false;

    /// Reads the words after the option's name. `old` is the value until now; `again` is true if the same source has
    /// named the option before; the lines of a few options add up. The error is the reason in Redis's words.
    fn parse(rule: &Self::Rule, words: &[Vec<u8>], old: &Self, again: bool) -> Result<Self, String>;

    /// The value as CONFIG GET reports it.
    fn show(&self, rule: &Self::Rule) -> Vec<u8>;

    /// The lines in a file, as words. [`parse`](Self::parse) makes the value from them.
    /// [`OptionOf::written`](super::spec::OptionOf::written) puts them into quotes.
    fn lines(&self, rule: &Self::Rule) -> Vec<Words> {
        let shown = self.show(rule);
        vec![if Self::MULTI { split_at_spaces(&shown) } else { vec![shown] }]
    }

    /// The type in words, for the documentation.
    fn describe(rule: &Self::Rule) -> String;
}

/// The words of a value as CONFIG SET takes it and CONFIG GET reports it.
pub(super) fn split_at_spaces(value: &[u8]) -> Words {
    value.split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect()
}

/// The one word that most options take.
pub(super) fn one_word(words: &[Vec<u8>]) -> Result<&[u8], String> {
    match words {
        [word] => Ok(word),
        _ => Err("wrong number of arguments".to_owned()),
    }
}

pub(super) fn one_text(words: &[Vec<u8>]) -> Result<&str, String> {
    utf8(one_word(words)?)
}

pub(super) fn utf8(word: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(word).map_err(|_| "argument must be valid UTF-8".to_owned())
}

impl OptionValue for bool {
    type Rule = ();

    fn parse((): &(), words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        match one_word(words)? {
            word if word.eq_ignore_ascii_case(b"yes") => Ok(true),
            word if word.eq_ignore_ascii_case(b"no") => Ok(false),
            _ => Err("argument must be 'yes' or 'no'".to_owned()),
        }
    }

    fn show(&self, (): &()) -> Vec<u8> {
        if *self { b"yes".to_vec() } else { b"no".to_vec() }
    }

    fn describe((): &()) -> String {
        "yes or no".to_owned()
    }
}

/// How a number is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Integer,
    Memory,
    Octal,
}

/// How a number is written and between which bounds (both included) it lies.
#[derive(Clone, Copy)]
pub(super) struct NumberFormat {
    form: Form,
    min: i128,
    max: i128,
    /// Values outside these bounds are accepted and moved to the nearer bound.
    clamp: Option<(i128, i128)>,
}

impl Default for NumberFormat {
    fn default() -> Self {
        int(0, i64::MAX as i128)
    }
}

/// A whole number.
pub(super) const fn int(min: i128, max: i128) -> NumberFormat {
    NumberFormat { form: Form::Integer, min, max, clamp: None }
}

/// A whole number. Every value in the first range is accepted, and then moved into the second range.
pub(super) const fn int_clamped(min: i128, max: i128, low: i128, high: i128) -> NumberFormat {
    NumberFormat { form: Form::Integer, min, max, clamp: Some((low, high)) }
}

/// A number of bytes, perhaps with a unit.
pub(super) const fn memory(min: i128, max: i128) -> NumberFormat {
    NumberFormat { form: Form::Memory, min, max, clamp: None }
}

/// File permissions in octal.
pub(super) const fn octal(max: i128) -> NumberFormat {
    NumberFormat { form: Form::Octal, min: 0, max, clamp: None }
}

impl NumberFormat {
    fn parse(&self, words: &[Vec<u8>]) -> Result<i128, String> {
        let word = one_word(words)?;
        let value = match self.form {
            Form::Integer => {
                parse_i64_strict(word).map(i128::from).ok_or("argument couldn't be parsed into an integer")
            }
            Form::Memory => parse_memory(word).map(i128::from).ok_or("argument must be a memory value"),
            Form::Octal => std::str::from_utf8(word)
                .ok()
                .and_then(|text| i64::from_str_radix(text, 8).ok())
                .map(i128::from)
                .ok_or("argument couldn't be parsed as an octal number"),
        }?;
        let Self { min, max, .. } = *self;
        if !(min..=max).contains(&value) {
            return Err(if self.form == Form::Octal {
                format!("argument must be between {min:o} and {max:o} inclusive")
            } else {
                format!("argument must be between {min} and {max} inclusive")
            });
        }
        Ok(self.clamp.map_or(value, |(low, high)| value.clamp(low, high)))
    }

    fn show(&self, value: i128) -> String {
        if self.form == Form::Octal { format!("{value:o}") } else { value.to_string() }
    }

    fn line(&self, value: i128) -> String {
        if self.form == Form::Memory { memory_text(value) } else { self.show(value) }
    }

    fn describe(&self) -> String {
        let (what, low, high) = match self.form {
            Form::Integer => ("integer", self.min.to_string(), self.max.to_string()),
            Form::Memory => ("memory size", memory_text(self.min), memory_text(self.max)),
            Form::Octal => ("octal permissions", format!("{:o}", self.min), format!("{:o}", self.max)),
        };
        // Bounds that are only those of the integer type are not shown.
        if self.max >= i128::from(i32::MAX) && self.min <= i128::from(i32::MIN) {
            what.to_owned()
        } else if self.max >= i128::from(i32::MAX) {
            format!("{what} from {low}")
        } else {
            format!("{what}, {low} to {high}")
        }
    }
}

/// Reads a number of bytes. As in Redis, the empty text is 0.
pub(super) fn parse_memory(word: &[u8]) -> Option<u64> {
    if word.is_empty() { Some(0) } else { text::parse_memory(word) }
}

/// Reads an integer inside a compound value, where Redis lets leading zeros and a plus sign pass.
pub(super) fn parse_loose(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A number of bytes with the largest unit that divides it.
pub(super) fn memory_text(bytes: i128) -> String {
    for (shift, unit) in [(30, "gb"), (20, "mb"), (10, "kb")] {
        if bytes != 0 && bytes % (1 << shift) == 0 {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl OptionValue for $type {
            type Rule = NumberFormat;

            fn parse(rule: &NumberFormat, words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
                <$type>::try_from(rule.parse(words)?).map_err(|_| "argument is out of range".to_owned())
            }

            fn show(&self, rule: &NumberFormat) -> Vec<u8> {
                rule.show(i128::from(*self)).into_bytes()
            }

            fn lines(&self, rule: &NumberFormat) -> Vec<Words> {
                vec![vec![rule.line(i128::from(*self)).into_bytes()]]
            }

            fn describe(rule: &NumberFormat) -> String {
                rule.describe()
            }
        }
    )*};
}
numbers!(u16, u32, u64, i32, i64);

/// A share of memory: a number of bytes, or a percentage of `maxmemory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryOrPercent {
    /// So many bytes; 0 stands for no limit.
    Bytes(u64),
    /// So many hundredths of `maxmemory`, at most 100.
    Percent(u8),
}

impl OptionValue for MemoryOrPercent {
    type Rule = ();

    fn parse((): &(), words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        let word = one_word(words)?;
        if let Some(bytes) = parse_memory(word) {
            return Ok(Self::Bytes(bytes));
        }
        match word.strip_suffix(b"%").and_then(parse_i64_strict) {
            Some(percent @ 0..=100) => Ok(Self::Percent(percent as u8)),
            Some(percent) if percent > 100 => {
                Err("percentage argument must be less or equal to 100".to_owned())
            }
            _ => Err("argument must be a memory or percent value".to_owned()),
        }
    }

    fn show(&self, (): &()) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_string().into_bytes(),
            Self::Percent(percent) => format!("{percent}%").into_bytes(),
        }
    }

    fn lines(&self, (): &()) -> Vec<Words> {
        let word = match self {
            Self::Bytes(bytes) => memory_text(i128::from(*bytes)),
            Self::Percent(percent) => format!("{percent}%"),
        };
        vec![vec![word.into_bytes()]]
    }

    fn describe((): &()) -> String {
        "memory size, or a percentage of maxmemory".to_owned()
    }
}

/// What a text option must satisfy beside being text.
#[derive(Default)]
pub(super) struct Text {
    /// Says what is wrong with a value.
    pub(super) fault: Option<fn(&str) -> Option<&'static str>>,
}

impl OptionValue for String {
    type Rule = Text;

    fn parse(rule: &Text, words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        let value = one_text(words)?;
        match rule.fault.and_then(|fault| fault(value)) {
            Some(reason) => Err(reason.to_owned()),
            None => Ok(value.to_owned()),
        }
    }

    fn show(&self, _: &Text) -> Vec<u8> {
        self.clone().into_bytes()
    }

    fn describe(_: &Text) -> String {
        "text".to_owned()
    }
}

impl OptionValue for PathBuf {
    type Rule = ();

    const ALWAYS_WRITTEN: bool = true;

    fn parse((): &(), words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        use std::os::unix::ffi::OsStrExt as _;
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(one_word(words)?));
        std::path::absolute(path).map_err(|error| super::error::reason(&error))
    }

    fn show(&self, (): &()) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt as _;
        self.as_os_str().as_bytes().to_vec()
    }

    fn describe((): &()) -> String {
        "path".to_owned()
    }
}

/// A password: any bytes, which `Debug` does not show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The bytes; an empty secret means that there is none.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// There is no password.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(if self.0.is_empty() { "Secret(none)" } else { "Secret(..)" })
    }
}

impl OptionValue for Secret {
    type Rule = ();

    fn parse((): &(), words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        Ok(Self(one_word(words)?.to_vec()))
    }

    fn show(&self, (): &()) -> Vec<u8> {
        self.0.clone()
    }

    fn describe((): &()) -> String {
        "secret text".to_owned()
    }
}

impl OptionValue for Vec<String> {
    type Rule = ();

    const MULTI: bool = true;

    fn parse((): &(), words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        /// As many addresses as Redis takes.
        const MAX_ADDRESSES: usize = 16;
        if words.len() > MAX_ADDRESSES {
            return Err("Too many bind addresses specified.".to_owned());
        }
        if let [word] = words
            && word.is_empty()
        {
            return Ok(Self::new());
        }
        words.iter().map(|word| address(word)).collect()
    }

    fn show(&self, (): &()) -> Vec<u8> {
        self.join(" ").into_bytes()
    }

    fn describe((): &()) -> String {
        "addresses".to_owned()
    }
}

/// Checks that a word may be a host's name or address; only such words are given to the resolver.
fn address(word: &[u8]) -> Result<String, String> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\".contains(byte);
    match std::str::from_utf8(word) {
        Ok(name) if !name.is_empty() && word.iter().all(is_plain) => Ok(name.to_owned()),
        _ => Err(super::error::CANNOT_BIND.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(rule: &NumberFormat, word: &str) -> Result<i128, String> {
        rule.parse(&[word.as_bytes().to_vec()])
    }

    #[test]
    fn numbers_keep_their_form_and_their_bounds() {
        let port = int(0, 65535);
        assert_eq!(number(&port, "6379"), Ok(6379));
        for word in ["", "x", "1.5", "010", "+1", " 1", "99999999999999999999"] {
            assert_eq!(
                number(&port, word),
                Err("argument couldn't be parsed into an integer".to_owned()),
                "{word}"
            );
        }
        for word in ["-1", "65536"] {
            let outside = "argument must be between 0 and 65535 inclusive".to_owned();
            assert_eq!(number(&port, word), Err(outside), "{word}");
        }
        assert_eq!(port.parse(&[]), Err("wrong number of arguments".to_owned()));

        let hz = int_clamped(0, 1_000_000, 1, 500);
        assert_eq!((number(&hz, "0"), number(&hz, "9999")), (Ok(1), Ok(500)));

        let permissions = octal(0o777);
        assert_eq!(number(&permissions, "700"), Ok(0o700));
        assert_eq!(
            number(&permissions, "7777"),
            Err("argument must be between 0 and 777 inclusive".to_owned())
        );
        assert_eq!(
            number(&permissions, "8"),
            Err("argument couldn't be parsed as an octal number".to_owned())
        );
        assert_eq!(permissions.line(0o700), "700");
    }

    #[test]
    fn memory_sizes_take_units_and_are_written_with_the_largest() {
        let size = memory(0, i128::from(u64::MAX));
        for (word, bytes) in [("", 0), ("7", 7), ("1b", 1), ("2K", 2000), ("2kb", 2048), ("3GB", 3 << 30)] {
            assert_eq!(number(&size, word), Ok(bytes), "{word}");
        }
        for word in ["-1", "1tb", "1.5mb", "20000000000gb"] {
            assert_eq!(number(&size, word), Err("argument must be a memory value".to_owned()), "{word}");
        }
        for (bytes, line) in [(0, "0"), (1000, "1000"), (1536 << 10, "1536kb"), (1 << 30, "1gb")] {
            assert_eq!(size.line(bytes), line);
        }
        assert_eq!(size.show(1 << 30), "1073741824");
    }

    #[test]
    fn a_share_of_memory_is_bytes_or_a_percentage() {
        let parse = |word: &str| {
            MemoryOrPercent::parse(&(), &[word.as_bytes().to_vec()], &MemoryOrPercent::Bytes(0), false)
        };
        assert_eq!(parse("5%"), Ok(MemoryOrPercent::Percent(5)));
        assert_eq!(parse("1mb"), Ok(MemoryOrPercent::Bytes(1 << 20)));
        assert_eq!(parse("101%"), Err("percentage argument must be less or equal to 100".to_owned()));
        for word in ["x", "-1", "-1%", "%"] {
            assert_eq!(parse(word), Err("argument must be a memory or percent value".to_owned()), "{word}");
        }
        assert_eq!(MemoryOrPercent::Percent(5).show(&()), b"5%");
    }

    #[test]
    fn secrets_are_not_shown_by_debug() {
        let secret = Secret::from(b"hunter2".as_slice());
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret.as_bytes(), b"hunter2");
    }
}
