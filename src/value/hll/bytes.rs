//! The bytes of a HyperLogLog: its header, and the operations on it.

use super::dense::{dense_at, raised, set_dense};
use super::estimate::RegisterCounts;
use super::hash::{self, REGISTERS};
use super::sparse::{self, Corrupt, Placed, Run};

const MAGIC: &[u8] = b"HYLL";
pub(super) const HEADER: usize = 16;
/// The offsets of the encoding and of the estimate.
const ENCODING_AT: usize = 4;
const ESTIMATE_AT: usize = 8;
/// The bit of the estimate's last byte that marks the estimate as stale.
const STALE: u8 = 1 << 7;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const DENSE_SIZE: usize = HEADER + REGISTERS * 6 / 8;

/// The form of the registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Each register has six bits of its own.
    Dense,
    /// Registers are stored as runs of equal ones.
    Sparse,
}

/// The bytes of a string whose header and size are those of a HyperLogLog.
#[derive(Clone, Copy)]
pub struct HllRef<'a> {
    encoding: Encoding,
    estimate: u64,
    bytes: &'a [u8],
    body: &'a [u8],
}

impl<'a> HllRef<'a> {
    /// Reads the header; `None` if the string is no HyperLogLog. The bytes after the header may still be corrupt.
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        let (header, body) = bytes.split_at_checked(HEADER)?;
        let encoding = match *header.get(ENCODING_AT)? {
            DENSE if bytes.len() == DENSE_SIZE => Encoding::Dense,
            SPARSE => Encoding::Sparse,
            _ => return None,
        };
        let estimate = u64::from_le_bytes(*header.get(ESTIMATE_AT..)?.first_chunk()?);
        header.starts_with(MAGIC).then_some(Self { encoding, estimate, bytes, body })
    }

    /// The form of the registers.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The estimate that was written, unless it is stale.
    pub fn cached(&self) -> Option<u64> {
        (self.estimate >> 63 == 0).then_some(self.estimate)
    }

    /// Calls `then` for each run of equal registers with the first index, the length and the value. O(registers).
    fn each(&self, mut then: impl FnMut(usize, usize, u8)) -> Result<(), Corrupt> {
        match self.encoding {
            Encoding::Dense => (0..REGISTERS).for_each(|index| then(index, 1, dense_at(self.body, index))),
            Encoding::Sparse => {
                let mut index = 0;
                for run in sparse::runs(self.body) {
                    let run = run?;
                    if index + run.len > REGISTERS {
                        return Err(Corrupt);
                    }
                    then(index, run.len, run.value);
                    index += run.len;
                }
                if index != REGISTERS {
                    return Err(Corrupt);
                }
            }
        }
        Ok(())
    }

    /// Estimates how many elements were added. O(registers).
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn count(&self) -> Result<u64, Corrupt> {
        let mut histogram = RegisterCounts::default();
        self.each(|_, len, value| histogram.add(value, len))?;
        Ok(histogram.estimate())
    }

    /// The two bytes that adding an element to a dense HyperLogLog changes, and their offset in the string; `None` if
    /// no register changes. O(length of the element).
    pub fn dense_change(&self, element: &[u8]) -> Option<(usize, [u8; 2])> {
        let (index, value) = hash::place_of(element);
        raised(self.body, index, value).map(|(at, pair)| (HEADER + at, pair))
    }

    /// The runs of a sparse HyperLogLog as text: `z:len` and `Z:len` for zeros in one and two bytes, `v:value,len` for
    /// others.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn describe(&self) -> Result<String, Corrupt> {
        let words: Result<Vec<String>, Corrupt> = sparse::runs(self.body)
            .map(|run| {
                run.map(|Run { len, value, size }| match (value, size) {
                    (0, 1) => format!("z:{len}"),
                    (0, _) => format!("Z:{len}"),
                    _ => format!("v:{value},{len}"),
                })
            })
            .collect();
        words.map(|words| words.join(" "))
    }
}

/// The registers of several HyperLogLogs together: each has the greatest value that any of them has.
pub struct Registers(Box<[u8]>);

impl Default for Registers {
    fn default() -> Self {
        Self(vec![0; REGISTERS].into())
    }
}

impl Registers {
    /// Merges the registers of another HyperLogLog. O(registers).
    ///
    /// # Errors
    /// [`Corrupt`]; then some of its registers were merged.
    pub fn merge(&mut self, other: HllRef<'_>) -> Result<(), Corrupt> {
        other.each(|index, len, value| {
            let run = self.0.iter_mut().skip(index).take(len);
            run.for_each(|register| *register = value.max(*register));
        })
    }

    /// The values of all registers.
    pub fn all(&self) -> &[u8] {
        &self.0
    }

    /// Estimates how many different elements were added to any of the HyperLogLogs. O(registers).
    pub fn count(&self) -> u64 {
        let mut histogram = RegisterCounts::default();
        self.0.iter().for_each(|value| histogram.add(*value, 1));
        histogram.estimate()
    }

    /// Adds an element. O(length of the element).
    pub fn add(&mut self, element: &[u8]) {
        let (index, value) = hash::place_of(element);
        if let Some(register) = self.0.get_mut(index) {
            *register = value.max(*register);
        }
    }
}

/// A HyperLogLog that can be changed. It stays sparse up to a size.
pub struct Hll {
    bytes: Vec<u8>,
    most: usize,
}

impl Hll {
    /// An empty HyperLogLog, which stays sparse up to `most` bytes.
    pub fn empty(most: usize) -> Self {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[SPARSE, 0, 0, 0]);
        bytes.resize(HEADER, 0);
        sparse::put_zeros(&mut bytes, REGISTERS);
        Self { bytes, most }
    }

    /// A copy of a HyperLogLog, which stays sparse up to `most` bytes.
    pub fn of(hll: HllRef<'_>, most: usize) -> Self {
        Self { bytes: hll.bytes.to_vec(), most }
    }

    /// The bytes of the string.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn is_sparse(&self) -> bool {
        self.bytes.get(ENCODING_AT) == Some(&SPARSE)
    }

    /// Adds an element. Returns whether a register changed. O(length of the element), in the sparse form also O(size).
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn add(&mut self, element: &[u8]) -> Result<bool, Corrupt> {
        let (index, value) = hash::place_of(element);
        self.raise(index, value)
    }

    /// Raises a register to a value. Returns whether it was lower.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn raise(&mut self, index: usize, value: u8) -> Result<bool, Corrupt> {
        if self.is_sparse() {
            match sparse::raise(&mut self.bytes, HEADER, (index, value), self.most)? {
                Placed::Unchanged => return Ok(false),
                Placed::Changed => {
                    self.make_stale();
                    return Ok(true);
                }
                Placed::Full => {
                    self.make_dense()?;
                }
            }
        }
        let body = self.bytes.get_mut(HEADER..).unwrap_or_default();
        let raised = dense_at(body, index) < value;
        if raised {
            set_dense(body, index, value);
            self.make_stale();
        }
        Ok(raised)
    }

    /// Converts a sparse HyperLogLog to the dense form. Returns whether it was sparse. The estimate does not change.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn make_dense(&mut self) -> Result<bool, Corrupt> {
        if !self.is_sparse() {
            return Ok(false);
        }
        let mut dense = self.bytes.get(..HEADER).unwrap_or_default().to_vec();
        dense.resize(DENSE_SIZE, 0);
        if let (Some(encoding), Some(sparse)) = (dense.get_mut(ENCODING_AT), HllRef::of(&self.bytes)) {
            *encoding = DENSE;
            let body = dense.get_mut(HEADER..).unwrap_or_default();
            sparse.each(|index, len, value| {
                (index..index + len).filter(|_| value != 0).for_each(|index| set_dense(body, index, value));
            })?;
        }
        self.bytes = dense;
        Ok(true)
    }

    /// Marks the estimate as stale.
    pub fn make_stale(&mut self) {
        if let Some(last) = self.bytes.get_mut(HEADER - 1) {
            *last |= STALE;
        }
    }
}

/// The offset of the byte that marks the estimate as stale, and its new value; `None` if it is stale already.
pub fn stale_change(hll: HllRef<'_>) -> Option<(usize, [u8; 1])> {
    let (_, bytes) = estimate_bytes(hll.cached()?);
    let [.., last] = bytes;
    Some((HEADER - 1, [last | STALE]))
}

/// The bytes of an estimate, and their offset.
pub fn estimate_bytes(estimate: u64) -> (usize, [u8; 8]) {
    (ESTIMATE_AT, estimate.to_le_bytes())
}
