//! Glob patterns as in KEYS, SCAN MATCH, PSUBSCRIBE, CONFIG GET and ACL rules.

/// After this many stars of the pattern the text counts as not matching.
const MAX_STARS: usize = 1000;

/// Whether the whole of `text` matches `pattern`.
///
/// `*` any bytes, `?` one byte, `[abc]`, `[a-z]`, `[^a]` one byte of a class, `\` the next byte literally; a class that
/// is not closed ends with the pattern. An empty text matches only an empty pattern. Only the last star is retried, so
/// the time is at most the product of both lengths, and nothing recurses.
pub fn glob_match(pattern: &[u8], text: &[u8]) -> bool {
    matches::<false>(pattern, text)
}

/// Whether some text that begins with `beginning` may match `pattern`: only what stands before the pattern's first
/// special byte is compared. False only if no such text matches.
pub fn glob_may_match(pattern: &[u8], beginning: &[u8]) -> bool {
    for (&byte, &begins) in pattern.iter().zip(beginning) {
        if matches!(byte, b'*' | b'?' | b'[' | b'\\') {
            return true;
        }
        if byte != begins {
            return false;
        }
    }
    pattern.len() >= beginning.len()
}

/// As [`glob_match`], with ASCII letters of both cases equal.
pub fn glob_match_nocase(pattern: &[u8], text: &[u8]) -> bool {
    matches::<true>(pattern, text)
}

fn matches<const NOCASE: bool>(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    let mut stars = 0;
    // Where to resume when an element fails: the pattern behind the last star, and the text it was last tried at.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        if pattern.get(p) == Some(&b'*') {
            p += pattern.iter().skip(p).take_while(|&&byte| byte == b'*').count();
            if p == pattern.len() {
                return true;
            }
            stars += 1;
            if stars > MAX_STARS {
                return false;
            }
            retry = Some((p, t));
            continue;
        }
        if let Some(next) = element::<NOCASE>(pattern, p, byte) {
            p = next;
            t += 1;
        } else if let Some((star, tried)) = retry {
            p = star;
            t = tried + 1;
            retry = Some((star, t));
        } else {
            return false;
        }
        // The text ended before the pattern. A longer run for the last star would leave even less text, so nothing
        // matches.
    }
    pattern.iter().skip(p).all(|&byte| byte == b'*')
}

/// Matches one byte against the element at `p`; gives the position behind the element if it matches.
fn element<const NOCASE: bool>(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    match *pattern.get(p)? {
        b'?' => Some(p + 1),
        b'[' => class::<NOCASE>(pattern, p + 1, byte),
        b'\\' if p + 1 < pattern.len() => same::<NOCASE>(*pattern.get(p + 1)?, byte).then_some(p + 2),
        literal => same::<NOCASE>(literal, byte).then_some(p + 1),
    }
}

fn same<const NOCASE: bool>(a: u8, b: u8) -> bool {
    a == b || (NOCASE && a.eq_ignore_ascii_case(&b))
}

/// Matches one byte against the class whose inside starts at `p`.
fn class<const NOCASE: bool>(pattern: &[u8], mut p: usize, byte: u8) -> Option<usize> {
    let negated = pattern.get(p) == Some(&b'^');
    if negated {
        p += 1;
    }
    let mut found = false;
    loop {
        match *pattern.get(p..).unwrap_or_default() {
            // An escaped byte is compared exactly, even if case is ignored.
            [b'\\', literal, ..] => {
                found |= literal == byte;
                p += 2;
            }
            [b']', ..] => {
                p += 1;
                break;
            }
            [] => break,
            [low, b'-', high, ..] => {
                found |= in_range::<NOCASE>(low, high, byte);
                p += 3;
            }
            [literal, ..] => {
                found |= same::<NOCASE>(literal, byte);
                p += 1;
            }
        }
    }
    (found != negated).then_some(p)
}

/// Bytes are compared as signed, as in Redis; the two ends may come in either order.
fn in_range<const NOCASE: bool>(low: u8, high: u8, byte: u8) -> bool {
    let (low, high) = if (low as i8) <= (high as i8) { (low, high) } else { (high, low) };
    let fold = |byte: u8| (if NOCASE { byte.to_ascii_lowercase() } else { byte }) as i8;
    (fold(low)..=fold(high)).contains(&fold(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn yes(pattern: &str, texts: &[&str]) {
        for text in texts {
            assert!(glob_match(pattern.as_bytes(), text.as_bytes()), "{pattern} should match {text}");
        }
    }

    fn no(pattern: &str, texts: &[&str]) {
        for text in texts {
            assert!(!glob_match(pattern.as_bytes(), text.as_bytes()), "{pattern} should not match {text}");
        }
    }

    #[test]
    fn a_pattern_is_known_to_match_nothing_by_its_beginning() {
        for (pattern, may) in [
            ("__key*", true),
            ("*", true),
            ("_\\_x", true),
            ("__key@0__:", true),
            ("__key@0__:a", true),
            ("__key@0__", false),
            ("", false),
            ("a*", false),
            ("__key@1__:*", false),
        ] {
            assert_eq!(glob_may_match(pattern.as_bytes(), b"__key@0__:"), may, "{pattern}");
        }
    }

    #[test]
    fn stars_and_question_marks() {
        yes("*", &["a", "abc"]);
        yes("a*", &["a", "ab"]);
        yes("a**c*", &["ac", "abcd"]);
        yes("*a*b", &["ab", "aab", "xaxb", "abb"]);
        no("*a*b", &["ba", "a", "abx"]);
        yes("h?llo", &["hello", "h\0llo"]);
        no("h?llo", &["hllo", "heello"]);
        no("abc", &["ab", "abcd"]);
    }

    #[test]
    fn empty_text() {
        yes("", &[""]);
        no("", &["a"]);
        no("*", &[""]);
        no("?", &[""]);
    }

    #[test]
    fn classes() {
        yes("[ae]", &["a", "e"]);
        no("[ae]", &["b", "ae", "]"]);
        yes("[a-c]", &["a", "b", "c"]);
        yes("[c-a]", &["b"]);
        yes("[^a-c]x", &["dx", "^x"]);
        no("[^a-c]x", &["ax"]);
        yes("[\\]a]", &["]", "a"]);
        yes("[a\\-c]", &["-", "a", "c"]);
        no("[a\\-c]", &["b"]);
        no("[]a]", &["a", "]", "]a"]);
        no("[", &["[", "a"]);
        yes("[a", &["a"]);
        yes("[^", &["a", "["]);
        // The range ends with the bracket, so the class is not closed.
        yes("[a-]", &["^", "a", "]"]);
    }

    #[test]
    fn escapes() {
        yes("\\*a", &["*a"]);
        no("\\*a", &["xa"]);
        yes("a\\", &["a\\"]);
        yes("\\\\", &["\\"]);
    }

    #[test]
    fn case() {
        assert!(glob_match_nocase(b"AbC*[X-z]", b"aBcdeY"));
        assert!(!glob_match(b"AbC", b"abc"));
        assert!(glob_match_nocase(b"[A]\\B", b"ab"));
        assert!(!glob_match_nocase(b"[\\A]", b"a"));
    }

    #[test]
    fn hostile_patterns_end_soon() {
        let pattern = b"a*".repeat(900);
        let text = [b"a".repeat(20_000).as_slice(), b"b"].concat();
        assert!(!glob_match(&[pattern.as_slice(), b"c"].concat(), &text));
        assert!(glob_match(&pattern, &text));
        let stars = [b"*a".repeat(1001).as_slice(), b"*"].concat();
        assert!(!glob_match(&stars, &b"a".repeat(2000)));
        let stars = [b"*a".repeat(1000).as_slice(), b"*"].concat();
        assert!(glob_match(&stars, &b"a".repeat(2000)));
    }

    /// A model that follows the definition by trying all possibilities.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| by_definition(rest, &text[skip..])),
            ([b'?', rest @ ..], [_, tail @ ..]) => by_definition(rest, tail),
            ([a, rest @ ..], [b, tail @ ..]) => a == b && by_definition(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn equals_the_definition(pattern in "[ab*?]{0,8}", text in "[ab]{1,8}") {
            prop_assert_eq!(
                glob_match(pattern.as_bytes(), text.as_bytes()),
                by_definition(pattern.as_bytes(), text.as_bytes())
            );
        }

        #[test]
        fn any_pattern_ends(pattern: Vec<u8>, text: Vec<u8>) {
            let sensitive = glob_match(&pattern, &text);
            let _ = (sensitive, glob_match_nocase(&pattern, &text));
        }
    }
}
