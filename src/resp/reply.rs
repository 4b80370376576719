//! The reply sink: RESP2 or RESP3 written straight into the output buffer.

use std::fmt::{Display, Write as _};

use crate::text::write_f64;

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

/// The place of an aggregate's header whose length is not known yet.
///
/// Close it with [`Reply::end_array`] or [`Reply::end_map`], innermost first.
#[derive(Debug)]
#[must_use = "an aggregate that is begun must be ended"]
pub struct Deferred {
    at: usize,
}

/// The header that stands in for a deferred one: right in size for up to nine elements.
const PLACEHOLDER: &[u8; 4] = b"*0\r\n";
/// Integers from 0 to here have their text ready.
const SMALL: usize = 1000;
/// The header's longest text: a mark, twenty digits and the line's end.
const HEADER_MAX: usize = 24;

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

/// Replies to one client, in its protocol version, appended to one buffer.
///
/// A handler writes exactly one value: one call of a scalar method, or one aggregate header followed by as many values
/// as it announces. Nothing here fails; every method is linear in what it writes.
#[derive(Debug, Default)]
pub struct Reply {
    out: Vec<u8>,
    proto: Proto,
}

impl Reply {
    /// An empty sink.
    pub fn new(proto: Proto) -> Self {
        Self { out: Vec::new(), proto }
    }

    /// A sink that appends to `out`.
    pub fn with_buffer(out: Vec<u8>, proto: Proto) -> Self {
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
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// `+QUEUED`, the answer to a command inside MULTI.
    #[inline]
    pub fn queued(&mut self) {
        self.out.extend_from_slice(b"+QUEUED\r\n");
    }

    /// `+PONG`.
    #[inline]
    pub fn pong(&mut self) {
        self.out.extend_from_slice(b"+PONG\r\n");
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
        self.out.reserve(text.len() + 3);
        self.out.push(mark);
        let start = self.out.len();
        self.out.extend_from_slice(text);
        if memchr::memchr2(b'\r', b'\n', text).is_some() {
            for byte in self.out.iter_mut().skip(start) {
                if matches!(byte, b'\r' | b'\n') {
                    *byte = b' ';
                }
            }
        }
        self.out.extend_from_slice(b"\r\n");
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
        if let Some(small) = usize::try_from(value).ok().and_then(|value| SMALL_TEXT.get(value)) {
            // One fixed-size store of mark, text and padding; then the padding is cut off again.
            let mut text = small.text;
            text[0] = mark;
            let start = self.out.len();
            self.out.extend_from_slice(&text);
            self.out.truncate(start + usize::from(small.len));
        } else {
            self.large_number(mark, value);
        }
    }

    fn large_number(&mut self, mark: u8, value: i64) {
        self.out.reserve(HEADER_MAX);
        self.out.push(mark);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// A binary-safe string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + HEADER_MAX);
        self.number(b'$', bytes.len() as i64);
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer as a string, as in most places where Redis keeps numbers in strings.
    #[inline]
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A string from anything that can be displayed, without a string between.
    pub fn bulk_fmt(&mut self, value: impl Display) {
        struct Sink<'v>(&'v mut Vec<u8>);
        impl std::fmt::Write for Sink<'_> {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                self.0.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
        let start = self.out.len();
        // Writing to a vector fails only where `Display` itself does, and then what it wrote stands.
        let _ = write!(Sink(&mut self.out), "{value}");
        self.frame(start, b'$');
    }

    /// Turns what was written from `start` on into a bulk string.
    fn frame(&mut self, start: usize, mark: u8) {
        let len = self.out.len() - start;
        let before = self.out.len();
        self.number(mark, len as i64);
        let header = self.out.len() - before;
        if let Some(tail) = self.out.get_mut(start..) {
            tail.rotate_right(header);
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// The absent value: `$-1`, in RESP3 `_`.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(if self.is_resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// The absent aggregate: `*-1`, in RESP3 `_`.
    #[inline]
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(if self.is_resp3() { b"_\r\n" } else { b"*-1\r\n" });
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
        if self.is_resp3() {
            self.out.push(b',');
            write_f64(&mut self.out, value);
            self.out.extend_from_slice(b"\r\n");
        } else {
            let start = self.out.len();
            write_f64(&mut self.out, value);
            self.frame(start, b'$');
        }
    }

    /// A boolean, in RESP2 the integer 1 or 0.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.out.extend_from_slice(match (self.is_resp3(), value) {
            (true, true) => b"#t\r\n",
            (true, false) => b"#f\r\n",
            (false, true) => b":1\r\n",
            (false, false) => b":0\r\n",
        });
    }

    /// A text with a three-letter format (`txt`, `mkd`), in RESP2 a plain string.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if self.is_resp3() {
            self.out.reserve(text.len() + HEADER_MAX + 6);
            let format: [u8; 3] = format.as_bytes().try_into().unwrap_or(*b"txt");
            self.number(b'=', text.len() as i64 + 4);
            self.out.extend_from_slice(&format);
            self.out.push(b':');
            self.out.extend_from_slice(text);
            self.out.extend_from_slice(b"\r\n");
        } else {
            self.bulk(text);
        }
    }

    /// An integer of any length, in RESP2 a string. Real clients break on it: for DEBUG PROTOCOL only.
    pub fn big_number(&mut self, digits: &str) {
        if self.is_resp3() {
            self.line(b'(', digits.as_bytes());
        } else {
            self.bulk(digits.as_bytes());
        }
    }

    /// Appends bytes that already are replies in this client's protocol version.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Begins an aggregate whose length is known only at its end.
    ///
    /// Free for up to nine elements; beyond, ending it moves what was written since by the digits that are missing.
    #[inline]
    pub fn begin_deferred(&mut self) -> Deferred {
        let at = self.out.len();
        self.out.extend_from_slice(PLACEHOLDER);
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

    fn end(&mut self, Deferred { at }: Deferred, mark: u8, len: usize) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(len).as_bytes();
        let body = at + PLACEHOLDER.len();
        let shift = digits.len() - 1;
        if shift > 0 {
            let end = self.out.len();
            self.out.resize(end + shift, 0);
            self.out.copy_within(body..end, body + shift);
        }
        if let Some(header) = self.out.get_mut(at..body + shift)
            && let [first, text @ .., cr, lf] = header
        {
            *first = mark;
            text.copy_from_slice(digits);
            (*cr, *lf) = (b'\r', b'\n');
        }
    }

    /// How many bytes have been written; a mark for [`truncate`](Self::truncate).
    #[inline]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing has been written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Drops what was written since [`len`](Self::len) was `mark`.
    #[inline]
    pub fn truncate(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    /// Whether the value that begins at `mark` is an error.
    #[inline]
    pub fn is_error_at(&self, mark: usize) -> bool {
        self.out.get(mark) == Some(&b'-')
    }

    /// What has been written.
    #[inline]
    pub fn buffer(&self) -> &[u8] {
        &self.out
    }

    /// Takes what has been written, leaving an empty sink.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Drops what has been written and keeps the room for it.
    pub fn clear(&mut self) {
        self.out.clear();
    }
}
