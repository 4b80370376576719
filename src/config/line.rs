//! Words of a configuration line: splitting with redis.conf's quoting rules, and quoting back.

/// Splits a line into its words.
///
/// Words are separated by white space. Between double quotes the escapes `\n`, `\r`, `\t`, `\b`, `\a`, `\xHH` and
/// `\` before any other character are understood; between single quotes only `\'`. A closing quote must be followed
/// by white space or the end of the line. `None` means unbalanced quotes. Cost is linear in the line.
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(words);
        }
        let (word, after) = next_word(rest)?;
        words.push(word);
        rest = after;
    }
}

/// Reads one word, which may be glued together from bare and quoted pieces.
fn next_word(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' | b'\'' => {
                rest = if byte == b'"' {
                    double_quoted(after, &mut word)?
                } else {
                    single_quoted(after, &mut word)?
                };
                // Nothing may be glued to a closing quote.
                return match rest.first() {
                    Some(next) if !next.is_ascii_whitespace() => None,
                    _ => Some((word, rest)),
                };
            }
            _ if byte.is_ascii_whitespace() => return Some((word, after)),
            _ => {
                word.push(byte);
                rest = after;
            }
        }
    }
    Some((word, rest))
}

fn double_quoted<'a>(mut text: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        text = match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'x', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex(*high) << 4 | hex(*low));
                rest
            }
            [b'\\', escaped, rest @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest
            }
            [byte, rest @ ..] => {
                word.push(*byte);
                rest
            }
            [] => return None,
        };
    }
}

fn single_quoted<'a>(mut text: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        text = match text {
            [b'\'', rest @ ..] => return Some(rest),
            [b'\\', b'\'', rest @ ..] => {
                word.push(b'\'');
                rest
            }
            [byte, rest @ ..] => {
                word.push(*byte);
                rest
            }
            [] => return None,
        };
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A') + 10,
    }
}

/// Writes bytes as one double-quoted word that [`split_words`] reads back unchanged. The result is plain ASCII.
pub fn quote(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            7 => text.push_str("\\a"),
            8 => text.push_str("\\b"),
            b' '..=b'~' => text.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(text, "\\x{byte:02x}"),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let words = split_words(line.as_bytes())?;
        Some(words.into_iter().map(|word| String::from_utf8_lossy(&word).into_owned()).collect())
    }

    #[test]
    fn words_are_split_and_unquoted() {
        let some = |list: &[&str]| Some(list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(words("  save  3600 1\t"), some(&["save", "3600", "1"]));
        assert_eq!(words(r#"save """#), some(&["save", ""]));
        assert_eq!(words(r#"a "b c" 'd e'"#), some(&["a", "b c", "d e"]));
        assert_eq!(words(r#"a"b c""#), some(&["ab c"]));
        assert_eq!(words(r#""\x41\n\"\q\xzz""#), some(&["A\n\"qxzz"]));
        assert_eq!(words(r"'it\'s \n'"), some(&["it's \\n"]));
        assert_eq!(words(""), some(&[]));
        for unbalanced in [r#""a"#, "'a", r#""a"b"#, "'a'b", r#""a\""#, r#"a"b"c"#] {
            assert_eq!(words(unbalanced), None, "{unbalanced}");
        }
    }

    proptest! {
        #[test]
        fn quoting_is_undone_by_splitting(list in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5)) {
            let line = list.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(split_words(line.as_bytes()), Some(list));
        }
    }
}
