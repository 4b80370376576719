//! The client's side: replies as owned trees.

#![deny(clippy::indexing_slicing)]

use redis_protocol::resp3::decode::complete::decode_range;
use redis_protocol::resp3::types::RangeFrame;

use super::{Reply, ReplyError};

/// Any reply in RESP2 or RESP3.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `+OK`.
    Simple(Vec<u8>),
    /// `-ERR ...`, without the `-`; also RESP3's blob errors.
    Error(Vec<u8>),
    /// `:1`.
    Int(i64),
    /// `$2`.
    Bulk(Vec<u8>),
    /// RESP2's `$-1`.
    NullBulk,
    /// RESP2's `*-1`.
    NullArray,
    /// RESP3's `_`.
    Null,
    /// `*2`.
    Array(Vec<Value>),
    /// RESP3's `%1`, in the order of the wire, with duplicates as they came.
    Map(Vec<(Value, Value)>),
    /// RESP3's `~2`, in the order of the wire, with duplicates as they came.
    Set(Vec<Value>),
    /// RESP3's `>2`, which answers no command.
    Push(Vec<Value>),
    /// RESP3's `,1.5`.
    Double(f64),
    /// RESP3's `#t`.
    Bool(bool),
    /// RESP3's `(12345`.
    BigNumber(Vec<u8>),
    /// RESP3's `=8`, with its format.
    Verbatim {
        /// The three letters before the colon.
        format: [u8; 3],
        /// The text behind it.
        text: Vec<u8>,
    },
}

impl Value {
    /// The bytes of a simple, bulk or verbatim string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(bytes) | Self::Bulk(bytes) | Self::Verbatim { text: bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// The text of an error.
    pub fn as_error(&self) -> Option<&[u8]> {
        match self {
            Self::Error(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is any of the three nulls.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::NullBulk | Self::NullArray)
    }
}

/// What an aggregate becomes once it has all its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Array,
    Map,
    Set,
    Push,
    /// Attributes annotate the value behind them; they are read and dropped.
    Attribute,
}

#[derive(Debug)]
struct Open {
    kind: Kind,
    missing: usize,
    items: Vec<Value>,
}

/// What reading one header or scalar gave.
enum Step {
    /// Nothing yet: the end of the header or scalar has not arrived.
    Missing,
    /// An aggregate that now waits for its elements, or an attribute that was dropped.
    Nothing,
    Value(Value),
}

/// A resumable decoder of replies.
///
/// The `redis-protocol` crate reads scalars; the decoder first checks that their lines and lengths are complete. The
/// decoder itself keeps aggregates, on a stack of bounded depth: the crate would recurse without a limit, parse partial
/// input again from its start, and lose duplicates in maps and sets.
#[derive(Debug)]
pub struct ReplyDecoder {
    pos: usize,
    stack: Vec<Open>,
    max_depth: usize,
}

impl Reply {
    /// Writes a decoded reply in this client's protocol version. A value that was read from RESP2 keeps RESP2's type: a
    /// map that came as an array is written as an array.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Simple(text) => self.simple(text),
            Value::Error(text) => self.error(text),
            Value::Int(int) => self.int(*int),
            Value::Bulk(bytes) => self.bulk(bytes),
            Value::NullBulk | Value::Null => self.null(),
            Value::NullArray => self.null_array(),
            Value::Array(values) => {
                self.array(values.len());
                values.iter().for_each(|value| self.value(value));
            }
            Value::Push(values) => {
                self.push(values.len());
                values.iter().for_each(|value| self.value(value));
            }
            Value::Set(values) => {
                self.set(values.len());
                values.iter().for_each(|value| self.value(value));
            }
            Value::Map(pairs) => {
                self.map(pairs.len());
                for (key, value) in pairs {
                    self.value(key);
                    self.value(value);
                }
            }
            Value::Double(double) => self.double(*double),
            Value::Bool(value) => self.bool(*value),
            Value::BigNumber(digits) => self.big_number(digits),
            Value::Verbatim { format, text } => {
                self.verbatim(&String::from_utf8_lossy(format), text);
            }
        }
    }
}

impl Default for ReplyDecoder {
    fn default() -> Self {
        Self::new(Self::DEFAULT_DEPTH)
    }
}

impl ReplyDecoder {
    /// The depth that [`ReplyDecoder::default`] allows.
    pub const DEFAULT_DEPTH: usize = 128;

    /// A decoder that refuses aggregates nested deeper than `max_depth`.
    pub fn new(max_depth: usize) -> Self {
        Self { pos: 0, stack: Vec::new(), max_depth }
    }

    /// Decodes the next reply at the front of `buf`. Gives the reply and its length, or `None` if more bytes are
    /// needed.
    ///
    /// As long as it gives `None`, the next call must see the same bytes with more behind them. After a reply, the
    /// caller drops the reply's length from the front. Linear in the new bytes, except that each call looks at an
    /// incomplete string again.
    pub fn decode(&mut self, buf: &[u8]) -> Result<Option<(Value, usize)>, ReplyError> {
        let result = self.advance(buf);
        match result {
            Ok(None) => Ok(None),
            Ok(Some(value)) => {
                let length = std::mem::take(&mut self.pos);
                Ok(Some((value, length)))
            }
            Err(error) => {
                self.pos = 0;
                self.stack.clear();
                Err(error)
            }
        }
    }

    /// Decodes all of `buf` as a sequence of replies; bytes that end inside a reply are an error.
    pub fn decode_all(buf: &[u8]) -> Result<Vec<Value>, ReplyError> {
        let mut decoder = Self::default();
        let mut values = Vec::new();
        let mut at = 0;
        while at < buf.len() {
            match decoder.decode(buf.get(at..).unwrap_or_default())? {
                Some((value, length)) => {
                    values.push(value);
                    at += length;
                }
                None => return Err(ReplyError::Malformed(buf.len())),
            }
        }
        Ok(values)
    }

    fn advance(&mut self, buf: &[u8]) -> Result<Option<Value>, ReplyError> {
        loop {
            let mut complete = match self.step(buf)? {
                Step::Missing => return Ok(None),
                Step::Nothing => None,
                Step::Value(value) => Some(value),
            };
            // Close every aggregate that this value completes.
            while let Some(value) = complete.take() {
                let Some(open) = self.stack.last_mut() else {
                    return Ok(Some(value));
                };
                open.items.push(value);
                open.missing -= 1;
                if open.missing == 0 {
                    complete = self.stack.pop().and_then(close);
                }
            }
        }
    }

    fn step(&mut self, buf: &[u8]) -> Result<Step, ReplyError> {
        let malformed = ReplyError::Malformed(self.pos);
        let Some((line_end, mark)) = self.line(buf) else {
            return Ok(Step::Missing);
        };
        let text = buf.get(self.pos + 1..line_end).unwrap_or_default();
        let kind = match mark {
            b'*' => Kind::Array,
            b'%' => Kind::Map,
            b'~' => Kind::Set,
            b'>' => Kind::Push,
            b'|' => Kind::Attribute,
            _ => return self.scalar(buf, mark, text, line_end + 2),
        };
        if kind == Kind::Array && text == b"-1" {
            self.pos = line_end + 2;
            return Ok(Step::Value(Value::NullArray));
        }
        let count = count(text).ok_or(malformed)?;
        let missing = match kind {
            Kind::Map | Kind::Attribute => count.checked_mul(2).ok_or(malformed)?,
            _ => count,
        };
        if self.stack.len() >= self.max_depth {
            return Err(ReplyError::TooDeep(self.max_depth));
        }
        self.pos = line_end + 2;
        let open = Open { kind, missing, items: Vec::with_capacity(missing.min(1024)) };
        if missing == 0 {
            return Ok(close(open).map_or(Step::Nothing, Step::Value));
        }
        self.stack.push(open);
        Ok(Step::Nothing)
    }

    /// The end of the line at the position, and its first byte.
    fn line(&self, buf: &[u8]) -> Option<(usize, u8)> {
        let rest = buf.get(self.pos..)?;
        let end = memchr::memmem::find(rest, b"\r\n")?;
        Some((self.pos + end, *rest.first()?))
    }

    fn scalar(&mut self, buf: &[u8], mark: u8, text: &[u8], next: usize) -> Result<Step, ReplyError> {
        let malformed = ReplyError::Malformed(self.pos);
        let end = match mark {
            b'$' if text == b"-1" => {
                self.pos = next;
                return Ok(Step::Value(Value::NullBulk));
            }
            b'$' | b'!' | b'=' => count(text).and_then(|len| next.checked_add(len + 2)).ok_or(malformed)?,
            b'+' | b'-' | b':' | b',' | b'#' | b'(' => next,
            b'_' if text.is_empty() => next,
            _ => return Err(malformed),
        };
        let Some(frame) = buf.get(self.pos..end) else {
            return Ok(Step::Missing);
        };
        // The crate does not look at the two bytes behind a string.
        if !frame.ends_with(b"\r\n") {
            return Err(malformed);
        }
        match decode_range(frame) {
            Ok(Some((decoded, used))) if used == frame.len() => {
                let value = leaf(frame, &decoded).ok_or(malformed)?;
                self.pos = end;
                Ok(Step::Value(value))
            }
            _ => Err(malformed),
        }
    }
}

/// A length or count as a server writes it.
fn count(text: &[u8]) -> Option<usize> {
    let value = u32::try_from(crate::text::parse_u64_strict(text)?).ok()?;
    usize::try_from(value).ok()
}

fn leaf(frame: &[u8], decoded: &RangeFrame) -> Option<Value> {
    let bytes = |(start, end): (usize, usize)| frame.get(start..end).map(<[u8]>::to_vec);
    Some(match *decoded {
        RangeFrame::SimpleString { data, .. } => Value::Simple(bytes(data)?),
        RangeFrame::SimpleError { data, .. } | RangeFrame::BlobError { data, .. } => {
            Value::Error(bytes(data)?)
        }
        RangeFrame::Number { data, .. } => Value::Int(data),
        RangeFrame::BlobString { data, .. } => Value::Bulk(bytes(data)?),
        RangeFrame::Null => Value::Null,
        RangeFrame::Double { data, .. } => Value::Double(data),
        RangeFrame::Boolean { data, .. } => Value::Bool(data),
        RangeFrame::BigNumber { data, .. } => Value::BigNumber(bytes(data)?),
        RangeFrame::VerbatimString { data, .. } => {
            let text = bytes(data)?;
            // The format stands right before the text, with a colon between.
            let format = frame.get(data.0.checked_sub(4)?..data.0 - 1)?.try_into().ok()?;
            Value::Verbatim { format, text }
        }
        _ => return None,
    })
}

fn close(open: Open) -> Option<Value> {
    match open.kind {
        Kind::Array => Some(Value::Array(open.items)),
        Kind::Set => Some(Value::Set(open.items)),
        Kind::Push => Some(Value::Push(open.items)),
        Kind::Attribute => None,
        Kind::Map => {
            let mut pairs = Vec::with_capacity(open.items.len() / 2);
            let mut items = open.items.into_iter();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                pairs.push((key, value));
            }
            Some(Value::Map(pairs))
        }
    }
}
