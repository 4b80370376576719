//! Words in quotes, as in inline commands and configuration lines, and the printable form of bytes.

use std::ops::Range;

/// A quote was not closed, or something other than a blank followed the closing quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unbalanced quotes")]
pub struct UnbalancedQuotes;

/// The blanks that C's `isspace` knows, which separate words.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// Splits `line` into words, writing each word's unescaped bytes over its own source, and gives each word's range.
///
/// Blanks separate words. `"..."` knows `\xhh`, `\n`, `\r`, `\t`, `\a`, `\b` and `\` before any other byte for that
/// byte; `'...'` knows only `\'`. A closing quote must be followed by a blank or the end. A zero byte ends the line.
/// Works in place because a word is never longer than its source; linear in the line.
pub fn split_words_in_place(
    line: &mut [u8],
    mut word: impl FnMut(Range<usize>),
) -> Result<(), UnbalancedQuotes> {
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|&byte| is_space(byte)) {
            at += 1;
        }
        match line.get(at) {
            None | Some(0) => return Ok(()),
            Some(_) => {
                let start = at;
                let end = one_word(line, &mut at)?;
                word(start..end);
            }
        }
    }
}

/// Unescapes the word that starts at `at` in place. Moves `at` behind the word's source and returns the end of the
/// unescaped word.
fn one_word(line: &mut [u8], at: &mut usize) -> Result<usize, UnbalancedQuotes> {
    let mut out = *at;
    let mut put = |line: &mut [u8], byte: u8| {
        if let Some(slot) = line.get_mut(out) {
            *slot = byte;
            out += 1;
        }
    };
    while let Some(&byte) = line.get(*at) {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' | 0 => break,
            b'"' => {
                *at += 1;
                while let Some((byte, length)) = double_quoted(line, *at)? {
                    put(line, byte);
                    *at += length;
                }
                return closed(line, at).map(|()| out);
            }
            b'\'' => {
                *at += 1;
                while let Some((byte, length)) = single_quoted(line, *at)? {
                    put(line, byte);
                    *at += length;
                }
                return closed(line, at).map(|()| out);
            }
            _ => {
                put(line, byte);
                *at += 1;
            }
        }
    }
    Ok(out)
}

/// Steps over the closing quote at `at`. The word must end behind it.
fn closed(line: &[u8], at: &mut usize) -> Result<(), UnbalancedQuotes> {
    *at += 1;
    match line.get(*at) {
        None | Some(0) => Ok(()),
        Some(&byte) if is_space(byte) => Ok(()),
        Some(_) => Err(UnbalancedQuotes),
    }
}

/// The byte written at `at` inside double quotes and the length of its spelling; `None` at the closing quote.
fn double_quoted(line: &[u8], at: usize) -> Result<Option<(u8, usize)>, UnbalancedQuotes> {
    match line.get(at..).unwrap_or_default() {
        [] | [0, ..] => Err(UnbalancedQuotes),
        [b'"', ..] => Ok(None),
        [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            Ok(Some((hex(*high) << 4 | hex(*low), 4)))
        }
        [b'\\', escaped, ..] if *escaped != 0 => {
            let byte = match escaped {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 0x08,
                b'a' => 0x07,
                other => *other,
            };
            Ok(Some((byte, 2)))
        }
        [byte, ..] => Ok(Some((*byte, 1))),
    }
}

/// As [`double_quoted`], inside single quotes.
fn single_quoted(line: &[u8], at: usize) -> Result<Option<(u8, usize)>, UnbalancedQuotes> {
    match line.get(at..).unwrap_or_default() {
        [] | [0, ..] => Err(UnbalancedQuotes),
        [b'\\', b'\'', ..] => Ok(Some((b'\'', 2))),
        [b'\'', ..] => Ok(None),
        [byte, ..] => Ok(Some((*byte, 1))),
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// Splits `line` into owned words by the rules of [`split_words_in_place`].
pub fn split_words(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
    let mut copy = line.to_vec();
    let mut ranges = Vec::new();
    split_words_in_place(&mut copy, |range| ranges.push(range))?;
    Ok(ranges.into_iter().filter_map(|range| copy.get(range).map(<[u8]>::to_vec)).collect())
}

/// The bytes between double quotes, with everything that is not printable ASCII escaped.
///
/// The form that MONITOR and configuration files use; [`split_words`] reads it back exactly.
pub fn repr(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                out.push_str("\\x");
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
    out.push('"');
    out
}

/// A word in the form that [`split_words`] reads back exactly: bare if nothing in it needs quotes, otherwise as
/// [`repr`].
pub fn quoted(word: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\#".contains(byte);
    if !word.is_empty() && word.iter().all(is_plain) {
        word.iter().copied().map(char::from).collect()
    } else {
        repr(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Option<Vec<Vec<u8>>> {
        split_words(line.as_bytes()).ok()
    }

    fn expect(line: &str, expected: &[&[u8]]) {
        let expected: Vec<Vec<u8>> = expected.iter().map(|word| word.to_vec()).collect();
        assert_eq!(words(line), Some(expected), "{line:?}");
    }

    #[test]
    fn words_and_blanks() {
        expect("", &[]);
        expect(" \t\r\n\x0b\x0c", &[]);
        expect("get  a", &[b"get", b"a"]);
        expect("  set\ta b\r", &[b"set", b"a", b"b"]);
        // A vertical tab separates words only before a word, not within one.
        expect("a\x0bb \x0bc", &[b"a\x0bb", b"c"]);
        expect("a \0b", &[b"a"]);
        expect("a\0b", &[b"a"]);
    }

    #[test]
    fn quotes() {
        expect(r#"set "a b" 'c d'"#, &[b"set", b"a b", b"c d"]);
        expect(r#""" ''"#, &[b"", b""]);
        expect(r#""\x41\xfFz\n\r\t\a\b\\\"\q""#, &[b"A\xffz\n\r\t\x07\x08\\\"q"]);
        expect(r#""\xg1\x4""#, &[b"xg1x4"]);
        expect(r"'\x41\'\n'", &[b"\\x41'\\n"]);
        expect(r#"ab"c d" e"#, &[b"abc d", b"e"]);
        expect(r"a\nb", &[b"a\\nb"]);
        expect("\"a\"\x0b\"b\"", &[b"a", b"b"]);
    }

    #[test]
    fn unbalanced() {
        for line in [r#"""#, r#"a "b"#, r"'b", r#""a"b"#, r"'a'b", r#""a\"#, r#""a\""#, "\"a\0\"", r"'a\'"] {
            assert_eq!(words(line), None, "{line:?}");
        }
    }

    #[test]
    fn printable_form() {
        assert_eq!(repr(b"a\"\\\n\r\t\x07\x08\0\xff~ "), r#""a\"\\\n\r\t\a\b\x00\xff~ ""#);
    }

    proptest! {
        #[test]
        fn printable_form_is_read_back(bytes: Vec<u8>, other: Vec<u8>) {
            for form in [repr, quoted] {
                let line = format!("{} {}", form(&bytes), form(&other));
                prop_assert_eq!(split_words(line.as_bytes()), Ok(vec![bytes.clone(), other.clone()]));
            }
        }

        #[test]
        fn any_line_is_split_or_refused(line: Vec<u8>) {
            if let Ok(words) = split_words(&line) {
                prop_assert!(words.iter().map(Vec::len).sum::<usize>() <= line.len());
            }
        }
    }
}
