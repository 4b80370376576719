//! Writes the primitives of the serialisation.

use super::{footer, lzf};
use crate::text::parse_i64_strict;
use crate::value::stream::StreamId;

/// A payload in the making.
#[derive(Debug, Default)]
pub(super) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// Begins a payload of a type, with room for about `capacity` bytes.
    pub(super) fn new(kind: u8, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity.saturating_add(16));
        out.push(kind);
        Self { out }
    }

    /// A byte.
    pub(super) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    /// A number or a count.
    pub(super) fn len(&mut self, n: u64) {
        match n {
            0..=63 => self.out.push(n as u8),
            64..=16383 => self.out.extend_from_slice(&[0x40 | (n >> 8) as u8, n as u8]),
            _ => {
                if let Ok(n) = u32::try_from(n) {
                    self.out.push(0x80);
                    self.out.extend_from_slice(&n.to_be_bytes());
                } else {
                    self.out.push(0x81);
                    self.out.extend_from_slice(&n.to_be_bytes());
                }
            }
        }
    }

    /// A string in the shortest of its forms, chosen as Redis does with its compression on.
    pub(super) fn string(&mut self, bytes: &[u8]) {
        if bytes.len() <= 11
            && let Some(n) = parse_i64_strict(bytes)
            && let Ok(n) = i32::try_from(n)
        {
            return self.integer(n);
        }
        if bytes.len() > 20
            && let Some(packed) = lzf::compress(bytes, bytes.len() - 4)
        {
            self.out.push(0xC3);
            self.len(packed.len() as u64);
            self.len(bytes.len() as u64);
            self.out.extend_from_slice(&packed);
            return;
        }
        self.len(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn integer(&mut self, n: i32) {
        if let Ok(n) = i8::try_from(n) {
            self.out.extend_from_slice(&[0xC0, n as u8]);
        } else if let Ok(n) = i16::try_from(n) {
            self.out.push(0xC1);
            self.out.extend_from_slice(&n.to_le_bytes());
        } else {
            self.out.push(0xC2);
            self.out.extend_from_slice(&n.to_le_bytes());
        }
    }

    /// A score in its binary form.
    pub(super) fn score(&mut self, score: f64) {
        self.out.extend_from_slice(&score.to_le_bytes());
    }

    /// A time, in milliseconds since the Unix epoch.
    pub(super) fn millis(&mut self, ms: u64) {
        self.out.extend_from_slice(&ms.to_le_bytes());
    }

    /// A stream identifier in sixteen bytes.
    pub(super) fn raw_stream_id(&mut self, id: StreamId) {
        self.out.extend_from_slice(&id.to_bytes());
    }

    /// A stream identifier as two numbers.
    pub(super) fn stream_id(&mut self, id: StreamId) {
        self.len(id.ms);
        self.len(id.seq);
    }

    /// Bytes as they are.
    #[cfg(test)]
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Closes the payload with the version and the checksum.
    pub(super) fn finish(self, version: u16) -> Vec<u8> {
        footer::seal(self.out, version)
    }
}
