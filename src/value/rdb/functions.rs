//! The payload of `FUNCTION DUMP`: the texts of libraries.
//!
//! ```text
//! (0xF5 | text: string)* | version: u16 LE | checksum of all before: u64 LE
//! ```
#![deny(clippy::indexing_slicing)]

use super::footer;
use super::reader::Reader;
use super::writer::Writer;
use crate::value::ValueError;

/// The opcode before each library.
const FUNCTION: u8 = 0xF5;
/// Redis 7.0's version, the first with functions.
const VERSION: u16 = 10;

/// Serialises the texts of libraries. O(length).
#[must_use]
pub fn dump_functions<'c>(texts: impl IntoIterator<Item = &'c [u8]>) -> Vec<u8> {
    let mut writer = Writer::default();
    for text in texts {
        writer.byte(FUNCTION);
        writer.string(text);
    }
    writer.finish(VERSION)
}

/// Reads the texts of libraries. Compressed texts may grow 88-fold.
///
/// # Errors
/// [`ValueError::DumpFooter`] if version or checksum are wrong, [`ValueError::NoFunction`] if something else than a
/// library is there, else [`ValueError::BadFormat`].
pub fn read_functions(payload: &[u8]) -> Result<Vec<Vec<u8>>, ValueError> {
    let mut reader = Reader::new(footer::open(payload)?);
    let mut texts = Vec::new();
    while !reader.is_at_end() {
        if reader.byte()? != FUNCTION {
            return Err(ValueError::NoFunction);
        }
        texts.push(reader.string()?.into_owned());
    }
    Ok(texts)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let long = b"local function f() return 1 end\n".repeat(40);
        for texts in [&[][..], &[&b"#!lua name=a\n"[..]], &[&b"#!lua name=a\n"[..], &long, b"12"]] {
            assert_eq!(read_functions(&dump_functions(texts.iter().copied())).unwrap(), texts);
        }
        // Redis 7.0.15's own payload without libraries.
        assert_eq!(dump_functions([]), b"\x0a\x00\x5d\x9b\x5c\x40\x0f\x7f\xa2\xda");
    }

    #[test]
    fn what_is_no_library_is_refused() {
        let payload = dump_functions([&b"#!lua name=a\n"[..]]);
        let body = &payload[..payload.len() - 10];
        for end in 1..body.len() {
            let cut = footer::seal(body[..end].to_vec(), VERSION);
            assert_eq!(read_functions(&cut), Err(ValueError::BadFormat), "{end}");
        }
        let other = footer::seal([&[0xF6], &body[1..]].concat(), VERSION);
        assert_eq!(read_functions(&other), Err(ValueError::NoFunction));
        assert_eq!(read_functions(b"xx"), Err(ValueError::DumpFooter));
    }
}
