//! What both decoders use: limits for a client's input, ranges of the buffer, and the search for a line's end.

#![deny(clippy::indexing_slicing)]

use std::ops::Range;

/// Limits for the input of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputLimits {
    /// The longest argument in bytes (`proto-max-bulk-len`). Never more than 4 GiB, which also bounds a whole command.
    pub max_bulk: usize,
    /// The most arguments a command may have.
    pub max_multibulk: usize,
    /// The longest inline command, and the longest line with a count or a length, in bytes.
    pub max_inline: usize,
    /// Whether the client has authenticated, or need not. A client that has not may send at most 10 arguments of at
    /// most 16384 bytes each. Each call then decodes one command only, since that command may authenticate the client.
    pub authenticated: bool,
}

impl InputLimits {
    /// The most arguments of a client that has not authenticated.
    pub const UNAUTHENTICATED_MULTIBULK: usize = 10;
    /// The longest argument of a client that has not authenticated.
    pub const UNAUTHENTICATED_BULK: usize = 16 * 1024;
}

impl Default for InputLimits {
    /// Redis's defaults: arguments of 512 MiB, as many as fit a signed 32-bit integer, lines of 64 KiB.
    fn default() -> Self {
        Self {
            max_bulk: 512 * 1024 * 1024,
            max_multibulk: i32::MAX as usize,
            max_inline: 64 * 1024,
            authenticated: true,
        }
    }
}

/// One argument: a range of the buffer that was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The offset of the first byte.
    pub start: u32,
    /// The offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The range for slicing the buffer.
    #[inline]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The argument's bytes in `buf`, empty if `buf` is not the buffer that was decoded.
    #[inline]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.range()).unwrap_or_default()
    }
}

/// The result of looking for a line's end.
pub(super) enum Line {
    End(usize),
    Partial { scanned: usize },
    TooLong,
}

/// Looks for `end` from `start` on, where the first `scanned` bytes are known not to hold it.
///
/// As in C, a zero byte hides the end behind it: a line with a zero byte has no end, and becomes too long at last.
pub(super) fn find_line(buf: &[u8], start: usize, scanned: usize, end: u8, max: usize) -> Line {
    let stop = buf.len().min(start.saturating_add(max).saturating_add(1));
    let found = buf.get(start + scanned..stop).and_then(|window| memchr::memchr2(end, 0, window));
    let scanned = match found {
        Some(at) if buf.get(start + scanned + at) == Some(&end) => return Line::End(start + scanned + at),
        Some(at) => scanned + at,
        None => stop - start,
    };
    if buf.len() - start > max { Line::TooLong } else { Line::Partial { scanned } }
}
