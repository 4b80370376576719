//! The cursor and the options that SCAN, HSCAN, SSCAN and ZSCAN share.

use super::fail::{self, Fail};
use super::{eq, parse_int};

/// Reads a cursor as Redis does, which uses C's `strtoul`: a sign is allowed, a negative number wraps around, blanks
/// are refused, and the empty text is 0.
pub fn parse_cursor(arg: &[u8]) -> Result<u64, Fail> {
    let invalid = Fail::new("ERR invalid cursor");
    let text = std::str::from_utf8(arg).map_err(|_| invalid.clone())?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if text.is_empty() {
        return Ok(0);
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid);
    }
    let number: u64 = digits.parse().map_err(|_| invalid)?;
    Ok(if negative { number.wrapping_neg() } else { number })
}

/// The command whose options are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scan {
    Keys,
    Fields,
    Members,
}

/// The options of SCAN, HSCAN, SSCAN and ZSCAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanOptions<'a> {
    /// MATCH: the pattern, unless it matches everything.
    pub pattern: Option<&'a [u8]>,
    /// COUNT: about how many elements one call looks at; at least 1.
    pub count: usize,
    /// TYPE, of SCAN only.
    pub kind: Option<&'a [u8]>,
    /// NOVALUES, of HSCAN only.
    pub novalues: bool,
}

impl<'a> ScanOptions<'a> {
    /// Reads SCAN's options.
    pub fn parse_keys(args: &[&'a [u8]]) -> Result<Self, Fail> {
        Self::parse(args, Scan::Keys)
    }

    /// Reads HSCAN's options.
    pub fn parse_hash(args: &[&'a [u8]]) -> Result<Self, Fail> {
        Self::parse(args, Scan::Fields)
    }

    /// Reads SSCAN's and ZSCAN's options.
    pub fn parse_set(args: &[&'a [u8]]) -> Result<Self, Fail> {
        Self::parse(args, Scan::Members)
    }

    fn parse(mut args: &[&'a [u8]], of: Scan) -> Result<Self, Fail> {
        let mut options = Self { pattern: None, count: 10, kind: None, novalues: false };
        loop {
            args = match *args {
                [] => return Ok(options),
                [word, value, ref rest @ ..] if eq(word, "count") => {
                    let count = parse_int(value)?;
                    options.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(fail::SYNTAX)?;
                    rest
                }
                [word, value, ref rest @ ..] if eq(word, "match") => {
                    options.pattern = (value != b"*").then_some(value);
                    rest
                }
                [word, value, ref rest @ ..] if of == Scan::Keys && eq(word, "type") => {
                    options.kind = Some(value);
                    rest
                }
                [word, ref rest @ ..] if of == Scan::Fields && eq(word, "novalues") => {
                    options.novalues = true;
                    rest
                }
                _ => return Err(fail::SYNTAX),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_strtoul_reads_them() {
        for (text, cursor) in
            [("", Some(0)), ("0", Some(0)), ("+7", Some(7)), ("-1", Some(u64::MAX)), ("007", Some(7))]
        {
            assert_eq!(parse_cursor(text.as_bytes()).ok(), cursor, "{text}");
        }
        for text in ["a", " 1", "1 ", "1x", "18446744073709551616", "--1", "1.5"] {
            assert!(parse_cursor(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(parse_cursor(b"18446744073709551615").ok(), Some(u64::MAX));
    }

    #[test]
    fn the_last_of_an_option_counts() {
        let args: Vec<&[u8]> = vec![b"count", b"5", b"MATCH", b"a*", b"Count", b"7"];
        let options = ScanOptions::parse_hash(&args).unwrap();
        assert_eq!((options.count, options.pattern), (7, Some(b"a*".as_slice())));
        assert!(ScanOptions::parse_hash(&[b"type", b"hash"]).is_err());
        assert!(ScanOptions::parse_set(&[b"novalues"]).is_err());
        assert!(ScanOptions::parse_keys(&[b"novalues"]).is_err());
        assert_eq!(ScanOptions::parse_keys(&[b"TYPE", b"hash"]).unwrap().kind, Some(b"hash".as_slice()));
        assert_eq!(ScanOptions::parse_keys(&[b"match", b"*"]).unwrap().pattern, None);
    }
}
