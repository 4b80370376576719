//! Inline commands: one line of words, as typed into telnet.

#![deny(clippy::indexing_slicing)]

use super::ProtocolError;
use super::line::{InputLimits, Line, Span, find_line};
use crate::text::split_words_in_place;

/// The result of looking for the next inline command in the buffer.
pub(super) enum Inline {
    /// The line's end has not arrived; the first `scanned` bytes need not be searched again.
    Partial { scanned: usize },
    /// The line was taken and its words (perhaps none) were appended; the next command starts at `next`.
    Taken { next: usize },
}

/// Takes the inline command at `start`, appending its words' spans; they are unescaped in place.
pub(super) fn take(
    buf: &mut [u8],
    start: usize,
    scanned: usize,
    limits: &InputLimits,
    args: &mut Vec<Span>,
) -> Result<Inline, ProtocolError> {
    let newline = match find_line(buf, start, scanned, b'\n', limits.max_inline) {
        Line::End(at) => at,
        Line::Partial { scanned } => return Ok(Inline::Partial { scanned }),
        Line::TooLong => return Err(ProtocolError::TooBigInline),
    };
    let line = buf.get_mut(start..newline).unwrap_or_default();
    let line = match line {
        [rest @ .., b'\r'] => rest,
        whole => whole,
    };
    split_words_in_place(line, |word| {
        args.push(Span { start: (start + word.start) as u32, end: (start + word.end) as u32 });
    })
    .map_err(|_| ProtocolError::UnbalancedQuotes)?;
    Ok(Inline::Taken { next: newline + 1 })
}
