//! The form of a small set of integers: one byte with their width (2, 4 or 8), then the integers, little endian, in
//! ascending order. The width is that of the widest integer that ever was in the set.

/// An empty set of integers whose width fits `n`.
pub fn empty_ints(n: i64) -> Vec<u8> {
    vec![width_of(n)]
}

/// The width that an integer needs.
fn width_of(n: i64) -> u8 {
    if i16::try_from(n).is_ok() {
        2
    } else if i32::try_from(n).is_ok() {
        4
    } else {
        8
    }
}

/// A set of integers.
#[derive(Clone, Copy)]
pub struct Ints<'a> {
    width: usize,
    bytes: &'a [u8],
}

impl<'a> Ints<'a> {
    /// The set in a payload.
    #[inline]
    pub fn of(payload: &'a [u8]) -> Self {
        match payload {
            [width, bytes @ ..] => Self { width: usize::from(*width), bytes },
            [] => Self { width: 2, bytes: &[] },
        }
    }

    /// The number of integers. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() / self.width
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The integer of a rank.
    #[inline]
    pub fn at(&self, index: usize) -> Option<i64> {
        let bytes = self.bytes.get(index * self.width..)?;
        Some(match self.width {
            2 => i64::from(i16::from_le_bytes(*bytes.first_chunk()?)),
            4 => i64::from(i32::from_le_bytes(*bytes.first_chunk()?)),
            _ => i64::from_le_bytes(*bytes.first_chunk()?),
        })
    }

    /// The rank of an integer; `Err` with the rank that it would have if it does not exist. O(log n).
    pub fn find(&self, n: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.at(middle) {
                Some(there) if there < n => low = middle + 1,
                _ => high = middle,
            }
        }
        if self.at(low) == Some(n) { Ok(low) } else { Err(low) }
    }

    /// All integers in ascending order.
    pub fn iter(self) -> impl Iterator<Item = i64> + use<'a> {
        (0..self.len()).filter_map(move |index| self.at(index))
    }

    /// The offset and the size in the payload of the integer with this rank.
    pub fn place(&self, index: usize) -> (usize, usize) {
        (1 + index * self.width, self.width)
    }

    /// Whether an integer fits the set's width.
    pub fn holds(&self, n: i64) -> bool {
        usize::from(width_of(n)) <= self.width
    }

    /// The payload of this set with a width that `n` fits too.
    pub fn widened(self, n: i64) -> Vec<u8> {
        let mut payload = empty_ints(n);
        self.iter().for_each(|there| put_int(&mut payload, there));
        payload
    }

    /// The length of the longest integer as decimal text. O(1).
    pub fn longest_text(&self) -> usize {
        let digits = |n: i64| itoa::Buffer::new().format(n).len();
        let ends = [self.at(0), self.len().checked_sub(1).and_then(|last| self.at(last))];
        ends.into_iter().flatten().map(digits).max().unwrap_or(0)
    }
}

/// Appends an integer to a payload whose width fits it.
fn put_int(payload: &mut Vec<u8>, n: i64) {
    let width = payload.first().map_or(8, |width| usize::from(*width));
    payload.extend_from_slice(&n.to_le_bytes()[..width]);
}

/// Writes an integer to its place.
pub fn fill_int(place: &mut [u8], n: i64) {
    let bytes = n.to_le_bytes();
    let width = place.len().min(bytes.len());
    place.copy_from_slice(&bytes[..width]);
}
