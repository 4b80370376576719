//! The reply sink: RESP2 or RESP3 written straight into the output buffer.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

use super::Chain;
use crate::text::write_f64;
use bytes::Bytes;
use smallvec::SmallVec;

/// The protocol version that a client chose with HELLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Proto {
    /// RESP2, which every connection begins with.
    #[default]
    V2 = 2,
    /// RESP3.
    V3 = 3,
}

/// A buffer to format text into.
struct Sink<'v>(&'v mut Vec<u8>);

impl std::fmt::Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// The place of an aggregate's header whose length is not known yet.
///
/// Close it with [`Reply::end_array`] or [`Reply::end_map`], innermost first.
#[derive(Debug)]
#[must_use = "an aggregate that is begun must be ended"]
pub struct Deferred {
    at: usize,
}

/// The header that stands in for a deferred one. It has the size of the header of up to nine elements.
const PLACEHOLDER: &[u8; 4] = b"*0\r\n";
/// The texts of the integers from 0 to below this are made ahead.
const SMALL: usize = 1000;
/// The length of the longest header: a mark, twenty digits and the line's end.
const HEADER_MAX: usize = 24;
/// Room for a number of any kind with its frame.
const FRAMED: usize = 64;

/// Room for a mark, then a small integer's text with its line end, padded to one word; and their length.
#[derive(Clone, Copy)]
struct SmallText {
    text: [u8; 8],
    len: u8,
}

static SMALL_TEXT: [SmallText; SMALL] = small_texts();

const fn small_texts() -> [SmallText; SMALL] {
    let mut table = [SmallText { text: [0; 8], len: 0 }; SMALL];
    let mut value = 0;
    while value < SMALL {
        let digits = if value < 10 {
            1
        } else if value < 100 {
            2
        } else {
            3
        };
        let mut text = [0u8; 8];
        let mut rest = value;
        let mut at = digits + 1;
        while at > 1 {
            at -= 1;
            text[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        text[digits + 1] = b'\r';
        text[digits + 2] = b'\n';
        table[value] = SmallText { text, len: digits as u8 + 3 };
        value += 1;
    }
    table
}

/// Replies to one client, in its protocol version, appended to one chain.
///
/// A handler writes exactly one value: one call of a scalar method, or one aggregate header followed by as many values
/// as it announces. No method fails; each is linear in what it writes. Once the chain's limit is exceeded, methods
/// write nothing: see [`Reply::overran`].
#[derive(Debug, Default)]
pub struct Reply {
    out: Chain,
    proto: Proto,
}

impl Reply {
    /// An empty sink.
    pub fn new(proto: Proto) -> Self {
        Self { out: Chain::default(), proto }
    }

    /// An empty sink that takes up to `most` bytes, or any number if `most` is 0.
    pub fn limited(proto: Proto, most: usize) -> Self {
        let mut out = Chain::default();
        out.set_most(most);
        Self { out, proto }
    }

    /// A sink that appends to `out`.
    pub fn onto(out: Chain, proto: Proto) -> Self {
        Self { out, proto }
    }

    /// The protocol version that is written.
    #[inline]
    pub fn proto(&self) -> Proto {
        self.proto
    }

    /// Whether RESP3 is written.
    #[inline]
    pub fn is_resp3(&self) -> bool {
        self.proto == Proto::V3
    }

    /// Changes the protocol version of what follows.
    pub fn set_proto(&mut self, proto: Proto) {
        self.proto = proto;
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.out.put(b"+OK\r\n");
    }

    /// `+QUEUED`, the answer to a command inside MULTI.
    #[inline]
    pub fn queued(&mut self) {
        self.out.put(b"+QUEUED\r\n");
    }

    /// `+PONG`.
    #[inline]
    pub fn pong(&mut self) {
        self.out.put(b"+PONG\r\n");
    }

    /// A simple string. Line ends in it become blanks, since they would end the reply.
    pub fn simple(&mut self, text: impl AsRef<[u8]>) {
        self.line(b'+', text.as_ref());
    }

    /// An error, whose text begins with its code (`ERR ...`) and has no `-`.
    ///
    /// Line ends around the text are dropped, those inside it become blanks.
    #[cold]
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let start = text.iter().position(|byte| !is_end(byte)).unwrap_or(text.len());
        let end = text.iter().rposition(|byte| !is_end(byte)).map_or(start, |last| last + 1);
        self.line(b'-', text.get(start..end).unwrap_or_default());
    }

    fn line(&mut self, mark: u8, text: &[u8]) {
        if !self.out.room(text.len() + 3) {
            return;
        }
        let out = &mut self.out.last;
        out.push(mark);
        let start = out.len();
        out.extend_from_slice(text);
        if memchr::memchr2(b'\r', b'\n', text).is_some() {
            for byte in out.iter_mut().skip(start) {
                if matches!(byte, b'\r' | b'\n') {
                    *byte = b' ';
                }
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.number(b':', value);
    }

    /// A count or length as an integer.
    #[inline]
    pub fn len_int(&mut self, value: usize) {
        self.number(b':', value as i64);
    }

    /// A mark, a number and the line's end.
    #[inline]
    fn number(&mut self, mark: u8, value: i64) {
        if self.out.room(HEADER_MAX) {
            write_number(&mut self.out.last, mark, value);
        }
    }

    /// A binary-safe string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        if self.out.room(bytes.len() + HEADER_MAX) {
            let out = &mut self.out.last;
            write_number(out, b'$', bytes.len() as i64);
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// An integer as a string, as in most places where Redis keeps numbers in strings.
    #[inline]
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A bulk string of the value's text, written without a `String` in between.
    pub fn bulk_fmt(&mut self, value: impl Display) {
        // Writing to a vector fails only if `Display` itself fails; then what it wrote until then stands.
        self.framed(|out| {
            let _ = write!(Sink(out), "{value}");
        });
    }

    /// A bulk string of what `write` appends to a buffer.
    fn framed(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.out.room(FRAMED) {
            return;
        }
        let out = &mut self.out.last;
        let start = out.len();
        write(out);
        let end = out.len();
        write_number(out, b'$', (end - start) as i64);
        let header = out.len() - end;
        if let Some(tail) = out.get_mut(start..) {
            tail.rotate_right(header);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The absent value: `$-1`, in RESP3 `_`.
    #[inline]
    pub fn null(&mut self) {
        self.out.put(if self.is_resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// The absent aggregate: `*-1`, in RESP3 `_`.
    #[inline]
    pub fn null_array(&mut self) {
        self.out.put(if self.is_resp3() { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// The header of an array of `len` values.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.number(b'*', len as i64);
    }

    /// The header of a map of `pairs` keys and values, in RESP2 an array of twice as many values.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        if self.is_resp3() {
            self.number(b'%', pairs as i64);
        } else {
            self.number(b'*', pairs as i64 * 2);
        }
    }

    /// The header of a set of `len` values, in RESP2 an array.
    #[inline]
    pub fn set(&mut self, len: usize) {
        self.number(if self.is_resp3() { b'~' } else { b'*' }, len as i64);
    }

    /// The header of an out-of-band message of `len` values, in RESP2 an array.
    #[inline]
    pub fn push(&mut self, len: usize) {
        self.number(if self.is_resp3() { b'>' } else { b'*' }, len as i64);
    }

    /// A double, in RESP2 a string; its text is [`write_f64`]'s.
    pub fn double(&mut self, value: f64) {
        if !self.is_resp3() {
            self.framed(|out| write_f64(out, value));
        } else if self.out.room(FRAMED) {
            let out = &mut self.out.last;
            out.push(b',');
            write_f64(out, value);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// A double with the caller's digits; in RESP2 a bulk string.
    pub fn double_fmt(&mut self, digits: impl Display) {
        if !self.is_resp3() {
            self.bulk_fmt(digits);
        } else if self.out.room(FRAMED) {
            // As in `bulk_fmt`.
            let _ = write!(Sink(&mut self.out.last), ",{digits}\r\n");
        }
    }

    /// A boolean, in RESP2 the integer 1 or 0.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.out.put(match (self.is_resp3(), value) {
            (true, true) => b"#t\r\n",
            (true, false) => b"#f\r\n",
            (false, true) => b":1\r\n",
            (false, false) => b":0\r\n",
        });
    }

    /// A text with a three-letter format (`txt`, `mkd`), in RESP2 a plain string.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if !self.is_resp3() {
            self.bulk(text);
        } else if self.out.room(text.len() + HEADER_MAX + 6) {
            let format: [u8; 3] = format.as_bytes().try_into().unwrap_or(*b"txt");
            let out = &mut self.out.last;
            write_number(out, b'=', text.len() as i64 + 4);
            out.extend_from_slice(&format);
            out.push(b':');
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// An integer of any length, in RESP2 a string. Real clients cannot read it, so only DEBUG PROTOCOL uses it.
    pub fn big_number(&mut self, digits: &[u8]) {
        if self.is_resp3() {
            self.line(b'(', digits);
        } else {
            self.bulk(digits);
        }
    }

    /// Appends replies that are already encoded in this client's protocol version.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.put(bytes);
    }

    /// Appends a message in this client's protocol version that other clients get too.
    pub fn share(&mut self, message: Bytes) {
        self.out.share(message);
    }

    /// Appends replies in this client's protocol version that were written elsewhere.
    pub fn append(&mut self, replies: Chain) {
        self.out.append(replies);
    }

    /// Begins an aggregate whose length is known only at its end.
    ///
    /// Ending it costs nothing for up to nine elements. For more, the header grows by the missing digits, and what was
    /// written since within the same chunk is moved by as many bytes.
    #[inline]
    pub fn begin_deferred(&mut self) -> Deferred {
        let at = self.out.end();
        self.out.put(PLACEHOLDER);
        Deferred { at }
    }

    /// Ends a deferred aggregate as an array of `len` values.
    pub fn end_array(&mut self, begun: Deferred, len: usize) {
        self.end(begun, b'*', len);
    }

    /// Ends a deferred aggregate as a map of `pairs` keys and values, in RESP2 an array of twice as many.
    pub fn end_map(&mut self, begun: Deferred, pairs: usize) {
        if self.is_resp3() {
            self.end(begun, b'%', pairs);
        } else {
            self.end(begun, b'*', pairs * 2);
        }
    }

    /// Ends a deferred aggregate as a set of `len` values, in RESP2 an array.
    pub fn end_set(&mut self, begun: Deferred, len: usize) {
        let mark = if self.is_resp3() { b'~' } else { b'*' };
        self.end(begun, mark, len);
    }

    fn end(&mut self, Deferred { at }: Deferred, mark: u8, len: usize) {
        let mut header = SmallVec::<[u8; HEADER_MAX]>::new();
        header.push(mark);
        header.extend_from_slice(itoa::Buffer::new().format(len).as_bytes());
        header.extend_from_slice(b"\r\n");
        self.out.replace(at, PLACEHOLDER.len(), &header);
    }

    /// The position behind the last byte written; a mark for [`truncate`](Self::truncate).
    #[inline]
    pub fn len(&self) -> usize {
        self.out.end()
    }

    /// The bytes of memory that are held: see [`Chain::held`].
    #[inline]
    pub fn held(&self) -> usize {
        self.out.held()
    }

    /// Whether the sink holds no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Drops what was written since [`len`](Self::len) was `mark`.
    #[inline]
    pub fn truncate(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    /// Drops what was written since [`len`](Self::len) was `mark`, because the client does not want it. If only that
    /// made the sink exceed its limit, the client need not be closed.
    pub fn disown(&mut self, mark: usize) {
        self.out.disown(mark);
    }

    /// A second sink with the same limit, for a reply that the client may not want; `None` if there is no limit. A
    /// reply that is too large then makes the second sink overrun, and the replies that wait to be sent are kept. The
    /// caller [appends](Self::append) what is wanted of it.
    pub fn apart(&self) -> Option<Self> {
        Some(Self { out: self.out.apart()?, proto: self.proto })
    }

    /// Whether the value that begins at `mark` is an error.
    #[inline]
    pub fn is_error_at(&self, mark: usize) -> bool {
        self.out.piece_at(mark).first() == Some(&b'-')
    }

    /// The scalar that was written last and begins at `mark`; it lies in one piece.
    #[inline]
    pub fn scalar_at(&self, mark: usize) -> &[u8] {
        self.out.piece_at(mark)
    }

    /// What has been written from `mark` on.
    pub fn since(&self, mark: usize) -> Cow<'_, [u8]> {
        self.out.since(mark)
    }

    /// Whether a write would have exceeded the chain's limit. Then the sink holds nothing, takes no more, and the
    /// client must be closed.
    #[inline]
    pub fn overran(&self) -> bool {
        self.out.overran()
    }

    /// Whether the client must be closed because of what the sink holds, see [`Chain::is_above_limit`].
    pub fn is_above_limit(&self) -> bool {
        self.out.is_above_limit()
    }

    /// Takes what has been written, leaving an empty sink.
    pub fn take(&mut self) -> Chain {
        std::mem::take(&mut self.out)
    }
}

/// A mark, a number and the line's end.
#[inline]
fn write_number(out: &mut Vec<u8>, mark: u8, value: i64) {
    if let Some(small) = usize::try_from(value).ok().and_then(|value| SMALL_TEXT.get(value)) {
        // Mark, text and padding are written with one store of fixed size; then the padding is cut off.
        let mut text = small.text;
        text[0] = mark;
        let start = out.len();
        out.extend_from_slice(&text);
        out.truncate(start + usize::from(small.len));
    } else {
        write_large_number(out, mark, value);
    }
}

fn write_large_number(out: &mut Vec<u8>, mark: u8, value: i64) {
    out.reserve(HEADER_MAX);
    out.push(mark);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(b"\r\n");
}
