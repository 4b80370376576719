//! Glob patterns over option names, as CONFIG GET takes them.

/// Whether `text` matches `pattern`, whatever the case of letters. `*` stands for any bytes, `?` for one, `[a-c]` and
/// `[^a-c]` for one of a set, and `\` takes the next byte literally. Costs at most the product of both lengths.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut at) = (pattern, 0);
    // After the last star: the pattern behind it, and the next place in the text where that may begin.
    let mut star: Option<(&[u8], usize)> = None;
    loop {
        if let Some(after) = rest.strip_prefix(b"*") {
            star = Some((after, at));
            rest = after;
            continue;
        }
        let step = match text.get(at) {
            None if rest.is_empty() => return true,
            None => return false,
            Some(&byte) => one(rest, byte.to_ascii_lowercase()),
        };
        if let Some(after) = step {
            rest = after;
            at += 1;
        } else if let Some((after, begin)) = star {
            star = Some((after, begin + 1));
            rest = after;
            at = begin + 1;
        } else {
            return false;
        }
    }
}

/// Matches one byte with the head of a pattern, and returns what is left of the pattern.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => set(rest, byte),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            literal.eq_ignore_ascii_case(&byte).then_some(rest)
        }
    }
}

/// Matches one byte with a set whose bracket was opened; a set that is never closed ends with the pattern.
fn set(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (inverted, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    rest = loop {
        rest = match rest {
            [] => break rest,
            [b']', after @ ..] => break after,
            [b'\\', literal, after @ ..] => {
                found |= literal.eq_ignore_ascii_case(&byte);
                after
            }
            [low, b'-', high, after @ ..] => {
                let (low, high) = (low.to_ascii_lowercase(), high.to_ascii_lowercase());
                found |= (low.min(high)..=low.max(high)).contains(&byte);
                after
            }
            [literal, after @ ..] => {
                found |= literal.eq_ignore_ascii_case(&byte);
                after
            }
        };
    };
    (found != inverted).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::matches;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*max*entries", "hash-max-listpack-entries", true),
            ("MAXmem*", "maxmemory", true),
            ("maxmemory", "maxmemory-policy", false),
            ("?ort", "port", true),
            ("?ort", "ort", false),
            ("[po]ort", "port", true),
            ("[^p]ort", "port", false),
            ("[a-q]ort", "port", true),
            ("[q-a]ort", "port", true),
            ("[p", "p", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a*b*c", "axxbxxbxxc", true),
            ("a*b*c", "axxbxx", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} on {text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(pattern in prop::collection::vec(prop::sample::select(b"*?[]^-\\ab".to_vec()), 0..12),
                        text in prop::collection::vec(any::<u8>(), 0..12)) {
            matches(&pattern, &text);
        }
    }
}
