//! What can happen to a list, and its bytes. Positions count from the front of the list as it is before the change
//! (docs/adr/0008).

use super::codec::{EffectError, Reader, put_head, put_head_until};
use super::parts::List;
use crate::value::list::RemovedRun;
use crate::value::listpack::split_first;
use crate::value::packed::{get_varint, put_part, put_varint_to, read_varint};

/// What happens to a list.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ListChange<'a> {
    /// Elements are added one after the other; the list is created if missing.
    Push {
        /// At the front, else at the end.
        front: bool,
        /// The elements.
        values: List<'a>,
    },
    /// Elements are removed; a list without elements is removed.
    Pop {
        /// From the front, else from the end.
        front: bool,
        /// The number of elements.
        count: usize,
    },
    /// The element at a position is replaced.
    Set {
        /// The position.
        at: usize,
        /// The element.
        value: &'a [u8],
    },
    /// An element is added before another one, or at the end.
    Insert {
        /// The position before which it is added.
        at: usize,
        /// The element.
        value: &'a [u8],
    },
    /// Elements are removed; a list without elements is removed.
    Remove {
        /// The elements, as runs.
        runs: Runs<'a>,
    },
    /// The key holds exactly this list.
    Put {
        /// Entries of a listpack, see [`crate::value::list`].
        payload: &'a [u8],
        /// The key's deadline in ms since the epoch.
        expire: Option<u64>,
    },
}

/// Which elements of a list are removed.
#[derive(Clone, Copy, Debug)]
pub enum Runs<'a> {
    /// Borrowed.
    Slice(&'a [RemovedRun]),
    /// Their bytes.
    Packed(&'a [u8]),
}

impl<'a> Runs<'a> {
    /// The runs, from the front.
    pub fn iter(&self) -> impl Iterator<Item = RemovedRun> + Clone + use<'a> {
        let (slice, bytes): (&[RemovedRun], &[u8]) = match *self {
            Self::Slice(runs) => (runs, &[]),
            Self::Packed(bytes) => (&[], bytes),
        };
        let mut at = 0;
        let packed = std::iter::from_fn(move || {
            if at >= bytes.len() {
                return None;
            }
            let (passed, behind) = read_varint(bytes, at);
            let (removed, behind) = read_varint(bytes, behind);
            at = behind;
            Some(RemovedRun { passed, removed })
        });
        slice.iter().copied().chain(packed)
    }

    /// The number of elements that are removed.
    pub fn removed(&self) -> usize {
        self.iter().map(|run| run.removed).sum()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Packed(bytes) => put_part(out, bytes),
            Self::Slice(runs) => {
                let mut bytes = Vec::with_capacity(runs.len() * 2);
                runs.iter().for_each(|run| put_run(&mut bytes, *run));
                put_part(out, &bytes);
            }
        }
    }
}

fn put_run(bytes: &mut Vec<u8>, run: RemovedRun) {
    put_varint_to(bytes, run.passed);
    put_varint_to(bytes, run.removed);
}

/// Writes runs down, from the front of a list on: many of them take less so than as [`RemovedRun`]s.
#[derive(Default)]
pub struct RunsWriter {
    bytes: Vec<u8>,
    last: RemovedRun,
    /// The position behind the last removed element.
    end: usize,
}

impl RunsWriter {
    /// Adds an element that is removed, which is behind those added before.
    pub fn remove(&mut self, at: usize) {
        if at != self.end && self.last.removed > 0 {
            put_run(&mut self.bytes, std::mem::take(&mut self.last));
        }
        self.last.passed += at - self.end;
        self.last.removed += 1;
        self.end = at + 1;
    }

    /// The bytes of [`Runs::Packed`].
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        if self.last.removed > 0 {
            put_run(&mut self.bytes, self.last);
        }
        self.bytes
    }
}

impl PartialEq for Runs<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl ListChange<'_> {
    #[inline]
    pub(super) fn builds_on_value(&self) -> bool {
        match self {
            Self::Push { .. } | Self::Set { .. } | Self::Insert { .. } => true,
            Self::Pop { .. } | Self::Remove { .. } | Self::Put { .. } => false,
        }
    }

    pub(super) fn encode(&self, db: u32, key: &[u8], out: &mut Vec<u8>) {
        match *self {
            Self::Push { front, values } => {
                put_head(out, 40, db, key);
                out.push(u8::from(front));
                values.encode(out);
            }
            Self::Pop { front, count } => {
                put_head(out, 41, db, key);
                out.push(u8::from(front));
                put_varint_to(out, count);
            }
            Self::Set { at, value } => put_at(out, 42, (db, key), at, value),
            Self::Insert { at, value } => put_at(out, 43, (db, key), at, value),
            Self::Remove { runs } => {
                put_head(out, 44, db, key);
                runs.encode(out);
            }
            Self::Put { payload, expire } => {
                put_head_until(out, [45, 46], db, key, expire);
                put_part(out, payload);
            }
        }
    }
}

fn put_at(out: &mut Vec<u8>, opcode: u8, (db, key): (u32, &[u8]), at: usize, value: &[u8]) {
    put_head(out, opcode, db, key);
    put_varint_to(out, at);
    put_part(out, value);
}

pub(super) fn decode<'a>(opcode: u8, from: &mut Reader<'a>) -> Result<ListChange<'a>, EffectError> {
    Ok(match opcode {
        40 => ListChange::Push { front: front(from)?, values: from.list()? },
        41 => ListChange::Pop { front: front(from)?, count: from.number()? },
        42 => ListChange::Set { at: from.number()?, value: from.part()? },
        43 => ListChange::Insert { at: from.number()?, value: from.part()? },
        44 => ListChange::Remove { runs: Runs::Packed(checked_runs(from.part()?)?) },
        45 => ListChange::Put { payload: checked_entries(from.part()?)?, expire: None },
        46 => {
            let expire = Some(from.time()?);
            ListChange::Put { payload: checked_entries(from.part()?)?, expire }
        }
        other => return Err(EffectError::Opcode(other)),
    })
}

fn front(from: &mut Reader<'_>) -> Result<bool, EffectError> {
    match from.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(EffectError::Malformed),
    }
}

/// Checks that the bytes are pairs of numbers whose sum does not overflow.
fn checked_runs(bytes: &[u8]) -> Result<&[u8], EffectError> {
    let (mut at, mut sum, mut numbers) = (0, 0_usize, 0);
    while at < bytes.len() {
        let (number, behind) = get_varint(bytes, at).ok_or(EffectError::Malformed)?;
        sum = sum.checked_add(number).ok_or(EffectError::Malformed)?;
        (at, numbers) = (behind, numbers + 1);
    }
    if numbers % 2 == 0 { Ok(bytes) } else { Err(EffectError::Malformed) }
}

fn checked_entries(bytes: &[u8]) -> Result<&[u8], EffectError> {
    let mut rest = bytes;
    while let Some((_, size)) = split_first(rest) {
        rest = rest.get(size..).unwrap_or_default();
    }
    if rest.is_empty() && !bytes.is_empty() { Ok(bytes) } else { Err(EffectError::Malformed) }
}
