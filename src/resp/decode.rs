//! The fast lane: complete commands in a read buffer, found without copying and without parsing a byte twice.
//!
//! The rules are those of Redis's own reader, corners included: what does not begin with `*` is an inline command; a
//! count of arguments of zero or less is skipped; a line ends at `\r` and one byte more, whatever that is; the two
//! bytes behind an argument are not looked at; a zero byte before a line's end hides the end. Unlike Redis's, an error
//! here never depends on how the input was cut into reads.

#![deny(clippy::indexing_slicing)]

use std::ops::Range;

use super::ProtocolError;
use super::inline::{self, Inline};
use super::line::{InputLimits, Line, Span, find_line};
use crate::text::parse_i64_strict;

/// The most bytes of a buffer that one call looks at. Positions are 32 bits wide, which halves what a batch writes.
const MAX_WINDOW: usize = u32::MAX as usize;
/// The hint for the next read is at most the larger of this and what has already arrived. So an announced length alone
/// reserves little.
const MIN_HINT: usize = 64 * 1024;
/// A batch with room for more arguments than this gives the room back.
const KEEP_ARGS: usize = 16 * 1024;
/// When a command that came in pieces is complete, up to so many arguments are copied; more are moved.
const COPY_ARGS: usize = 64;
/// The longest argument whose length the short path reads: `$`, five digits and the line's end fit one word.
const SHORT_MAX: usize = 99_999;
/// The most arguments of a command that [`take_array`] reads. If such a command is incomplete it is read a second time.
const AT_ONCE: usize = InputLimits::UNAUTHENTICATED_MULTIBULK;

/// One command: a run of [`Batch::args`], never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandSpan {
    /// The index of its first argument, which is its name.
    pub first: u32,
    /// How many arguments it has, the name included.
    pub count: u32,
}

impl CommandSpan {
    /// The range for slicing [`Batch::args`].
    #[inline]
    pub fn range(self) -> Range<usize> {
        self.first as usize..self.first as usize + self.count as usize
    }
}

/// Complete commands found in one read buffer.
#[derive(Debug, Default)]
pub struct Batch {
    /// All commands' arguments, one after the other; offsets into the buffer that was decoded.
    pub args: Vec<Span>,
    /// The commands in order.
    pub commands: Vec<CommandSpan>,
    /// How many bytes the caller drops from the front of the buffer once the commands are executed.
    pub consumed: usize,
}

impl Batch {
    /// An empty batch, to be used again and again.
    pub fn new() -> Self {
        Self::default()
    }

    /// The argument spans of one command, empty if the command is not of this batch.
    #[inline]
    pub fn args_of(&self, command: CommandSpan) -> &[Span] {
        self.args.get(command.range()).unwrap_or_default()
    }

    /// The argument spans of commands that follow upon each other, empty if they are not of this batch.
    #[inline]
    pub fn args_of_all(&self, commands: &[CommandSpan]) -> &[Span] {
        let (Some(first), Some(last)) = (commands.first(), commands.last()) else { return &[] };
        self.args.get(first.first as usize..last.range().end).unwrap_or_default()
    }

    /// Forgets all commands. A batch that grew large gives its room back.
    pub fn clear(&mut self) {
        self.args.clear();
        self.args.shrink_to(KEEP_ARGS);
        self.commands.clear();
        self.consumed = 0;
    }

    #[inline]
    fn push_command(&mut self, first: usize) {
        self.commands.push(CommandSpan { first: first as u32, count: (self.args.len() - first) as u32 });
    }
}

/// The resumable state of one connection's input.
///
/// Between calls it keeps the state of the one unfinished command, whose first byte is the first byte of the next
/// buffer. An idle decoder owns next to nothing.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The complete arguments of the unfinished command.
    args: Vec<Span>,
    state: State,
    wants: usize,
}

/// How far the reading of an array of bulk strings has come.
#[derive(Debug, Default, Clone, Copy)]
struct State {
    /// The offset of the next byte to parse.
    pos: usize,
    /// The arguments still to come; zero if no array is open.
    remaining: usize,
    /// The length of the argument at `pos`, if its header has been read.
    bulk: Option<usize>,
    /// How many bytes from `pos` on hold no line end.
    scanned: usize,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes up to `max_commands` complete commands from the front of `buf` into `batch`, which is cleared first.
    ///
    /// After the call the caller executes the batch and drops [`Batch::consumed`] bytes from the front of its buffer;
    /// the decoder's state counts from the first byte that remains, so the next buffer must begin with that byte.
    /// Quoted words of inline commands are unescaped in place, which is why the buffer is mutable; nothing behind
    /// `consumed` is changed.
    ///
    /// On an error the batch still holds the commands before it. The caller executes these, sends the error and closes
    /// the connection.
    ///
    /// Linear in the new bytes, however the stream is cut.
    pub fn decode(
        &mut self,
        buf: &mut [u8],
        limits: &InputLimits,
        batch: &mut Batch,
        max_commands: usize,
    ) -> Result<(), ProtocolError> {
        batch.clear();
        self.wants = 0;
        let max_commands = if limits.authenticated { max_commands } else { max_commands.min(1) };
        let whole = buf.len();
        let window = buf.get_mut(..whole.min(MAX_WINDOW)).unwrap_or_default();
        let result = self.run(window, limits, batch, max_commands);
        if result.is_err() {
            *self = Self::default();
        } else if whole >= MAX_WINDOW && batch.consumed == 0 && batch.commands.is_empty() && max_commands > 0
        {
            return Err(ProtocolError::InvalidBulkLength);
        }
        result
    }

    /// How many more bytes the unfinished command is known to need, as a hint for the next read; 0 if unknown.
    ///
    /// At most the larger of 64 KiB and what has already arrived, so that a client's buffer grows with what it really
    /// sends.
    pub fn wants(&self) -> usize {
        self.wants
    }

    /// Bytes of memory that it keeps for the unfinished command.
    pub fn held(&self) -> usize {
        self.args.capacity() * size_of::<Span>()
    }

    /// Whether a command has begun but is not complete.
    pub fn is_partial(&self) -> bool {
        self.state.remaining > 0 || self.state.scanned > 0
    }

    fn run(
        &mut self,
        buf: &mut [u8],
        limits: &InputLimits,
        batch: &mut Batch,
        max_commands: usize,
    ) -> Result<(), ProtocolError> {
        if max_commands == 0 {
            return Ok(());
        }
        let mut state = std::mem::take(&mut self.state);
        if state.remaining > 0 {
            if !read_args(buf, &mut state, &mut self.args, limits)? {
                self.suspend(state, buf.len());
                return Ok(());
            }
            self.hand_over(batch);
            batch.consumed = state.pos;
        }
        while batch.commands.len() < max_commands {
            let start = batch.consumed;
            let first = batch.args.len();
            let complete = match buf.get(start) {
                None => return Ok(()),
                Some(b'*') => {
                    if let Some(next) = take_array(buf, start, limits, &mut batch.args) {
                        batch.consumed = next;
                        batch.push_command(first);
                        state.scanned = 0;
                        continue;
                    }
                    batch.args.truncate(first);
                    state.pos = start;
                    let complete = match read_array(buf, &mut state, &mut batch.args, limits) {
                        Ok(complete) => complete,
                        Err(error) => {
                            batch.args.truncate(first);
                            return Err(error);
                        }
                    };
                    complete.then_some(state.pos)
                }
                Some(_) => match inline::take(buf, start, state.scanned, limits, &mut batch.args) {
                    Ok(Inline::Taken { next }) => Some(next),
                    Ok(Inline::Partial { scanned }) => {
                        state = State { pos: start, scanned, ..State::default() };
                        None
                    }
                    Err(error) => {
                        batch.args.truncate(first);
                        return Err(error);
                    }
                },
            };
            let Some(next) = complete else {
                self.set_aside(batch, first, start, state, buf.len());
                return Ok(());
            };
            state = State::default();
            batch.consumed = next;
            if batch.args.len() > first {
                batch.push_command(first);
            }
        }
        Ok(())
    }

    /// Moves the arguments of the command that is now complete to the batch, which is still empty.
    fn hand_over(&mut self, batch: &mut Batch) {
        if self.args.len() <= COPY_ARGS {
            batch.args.extend_from_slice(&self.args);
            self.args = Vec::new();
        } else {
            batch.args = std::mem::take(&mut self.args);
        }
        batch.push_command(0);
    }

    /// Takes the arguments of the unfinished command, which begins at `start`, out of the batch, where they begin at
    /// `first`, and keeps its state. The next buffer begins with the command.
    fn set_aside(&mut self, batch: &mut Batch, first: usize, start: usize, mut state: State, len: usize) {
        let offset = start as u32;
        let args = batch.args.drain(first..);
        self.args.extend(args.map(|span| Span { start: span.start - offset, end: span.end - offset }));
        state.pos -= start;
        self.suspend(state, len - start);
    }

    /// Keeps the state of the unfinished command; `arrived` bytes of it are here.
    fn suspend(&mut self, state: State, arrived: usize) {
        if let Some(length) = state.bulk {
            // Each argument behind this one takes at least the bytes of an empty one.
            let rest = (state.remaining - 1).saturating_mul(b"$0\r\n\r\n".len());
            let needed = (state.pos + length + 2).saturating_add(rest).saturating_sub(arrived);
            self.wants = needed.min(arrived.max(MIN_HINT));
        }
        self.state = state;
    }
}

/// The longest argument whose length the short path reads for this client.
#[inline]
fn short_max(limits: &InputLimits) -> usize {
    limits.max_bulk.min(if limits.authenticated { SHORT_MAX } else { InputLimits::UNAUTHENTICATED_BULK })
}

/// Reads a whole array of a few short bulk strings from its `*` on and gives the offset behind it; nearly every command
/// is such an array. `None` means that [`read_array`] must read it; `args` may then hold some of its arguments.
#[inline]
fn take_array(buf: &[u8], start: usize, limits: &InputLimits, args: &mut Vec<Span>) -> Option<usize> {
    let (count, mut pos) = short_header(buf, start, b'*')?;
    if count == 0 || count > AT_ONCE.min(limits.max_multibulk) {
        return None;
    }
    let short_max = short_max(limits);
    for _ in 0..count {
        let (length, at) = short_header(buf, pos, b'$')?;
        let end = at + length;
        if length > short_max || buf.len() < end + 2 {
            return None;
        }
        args.push(Span { start: at as u32, end: end as u32 });
        pos = end + 2;
    }
    Some(pos)
}

/// Reads an array of bulk strings from its `*` on; false if it is not complete.
#[inline]
fn read_array(
    buf: &[u8],
    state: &mut State,
    args: &mut Vec<Span>,
    limits: &InputLimits,
) -> Result<bool, ProtocolError> {
    match short_header(buf, state.pos, b'*') {
        Some((count @ 1..=InputLimits::UNAUTHENTICATED_MULTIBULK, next)) if count <= limits.max_multibulk => {
            state.remaining = count;
            state.pos = next;
            state.scanned = 0;
        }
        _ => {
            let Some((line, next)) = header_line(buf, state, limits, ProtocolError::TooBigMultibulkCount)?
            else {
                return Ok(false);
            };
            let count = parse_i64_strict(line).ok_or(ProtocolError::InvalidMultibulkLength)?;
            state.pos = next;
            if count <= 0 {
                return Ok(true);
            }
            let count = usize::try_from(count).map_err(|_| ProtocolError::InvalidMultibulkLength)?;
            if count > limits.max_multibulk.min(MAX_WINDOW) {
                return Err(ProtocolError::InvalidMultibulkLength);
            }
            if count > InputLimits::UNAUTHENTICATED_MULTIBULK && !limits.authenticated {
                return Err(ProtocolError::UnauthenticatedMultibulkLength);
            }
            state.remaining = count;
        }
    }
    read_args(buf, state, args, limits)
}

/// Reads the arguments still to come; false if some have not arrived.
#[inline]
fn read_args(
    buf: &[u8],
    state: &mut State,
    args: &mut Vec<Span>,
    limits: &InputLimits,
) -> Result<bool, ProtocolError> {
    let short_max = short_max(limits);
    let State { mut pos, mut remaining, mut bulk, mut scanned } = *state;
    while remaining > 0 {
        let length = match bulk.take() {
            Some(length) => length,
            None => match short_header(buf, pos, b'$') {
                Some((length, next)) if length <= short_max => {
                    pos = next;
                    scanned = 0;
                    length
                }
                _ => {
                    *state = State { pos, remaining, bulk: None, scanned: std::mem::take(&mut scanned) };
                    let Some(length) = bulk_header(buf, state, limits)? else {
                        return Ok(false);
                    };
                    pos = state.pos;
                    length
                }
            },
        };
        let end = pos + length;
        if buf.len() < end + 2 {
            *state = State { pos, remaining, bulk: Some(length), scanned: 0 };
            return Ok(false);
        }
        args.push(Span { start: pos as u32, end: end as u32 });
        pos = end + 2;
        remaining -= 1;
    }
    *state = State { pos, ..State::default() };
    Ok(true)
}

/// Reads `mark`, one to five canonical digits and the line's end, all within one word; `None` for anything else.
#[inline]
fn short_header(buf: &[u8], pos: usize, mark: u8) -> Option<(usize, usize)> {
    const END: u16 = u16::from_le_bytes(*b"\r\n");
    let bytes: [u8; 8] = buf.get(pos..)?.first_chunk().copied()?;
    let word = u64::from_le_bytes(bytes);
    let digit = |at: u32| (word >> (8 * at)) as u8 ^ b'0';
    let ends = |at: u32| (word >> (8 * at)) as u16 == END;
    let (first, second) = (digit(1), digit(2));
    if word as u8 != mark || first > 9 {
        return None;
    }
    if ends(2) {
        return Some((usize::from(first), pos + 4));
    }
    if second > 9 || first == 0 {
        return None;
    }
    let mut value = usize::from(first) * 10 + usize::from(second);
    for at in 3..=6 {
        if ends(at) {
            return Some((value, pos + at as usize + 2));
        }
        let next = digit(at);
        if next > 9 || at == 6 {
            return None;
        }
        value = value * 10 + usize::from(next);
    }
    None
}

/// The text of the header line at the state's position, without its mark, and the offset behind it.
#[cold]
fn header_line<'b>(
    buf: &'b [u8],
    state: &mut State,
    limits: &InputLimits,
    too_big: ProtocolError,
) -> Result<Option<(&'b [u8], usize)>, ProtocolError> {
    match find_line(buf, state.pos, state.scanned, b'\r', limits.max_inline) {
        Line::End(at) if at + 1 < buf.len() => {
            state.scanned = 0;
            Ok(Some((buf.get(state.pos + 1..at).unwrap_or_default(), at + 2)))
        }
        Line::End(at) => {
            state.scanned = at - state.pos;
            Ok(None)
        }
        Line::Partial { scanned } => {
            state.scanned = scanned;
            Ok(None)
        }
        Line::TooLong => Err(too_big),
    }
}

/// Reads the length of the argument at the state's position by the full rules and steps over it.
#[cold]
fn bulk_header(buf: &[u8], state: &mut State, limits: &InputLimits) -> Result<Option<usize>, ProtocolError> {
    let Some((line, next)) = header_line(buf, state, limits, ProtocolError::TooBigBulkCount)? else {
        return Ok(None);
    };
    match buf.get(state.pos) {
        Some(b'$') => {}
        other => return Err(ProtocolError::ExpectedDollar(other.copied().unwrap_or_default())),
    }
    let length = parse_i64_strict(line)
        .and_then(|length| usize::try_from(length).ok())
        .filter(|&length| length <= limits.max_bulk.min(MAX_WINDOW))
        .ok_or(ProtocolError::InvalidBulkLength)?;
    if length > InputLimits::UNAUTHENTICATED_BULK && !limits.authenticated {
        return Err(ProtocolError::UnauthenticatedBulkLength);
    }
    state.pos = next;
    Ok(Some(length))
}
