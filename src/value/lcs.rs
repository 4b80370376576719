//! The longest common subsequence of two strings: `LCS`.
//!
//! Redis fills a table of 32-bit lengths. Here a row is kept as the differences of its lengths, one bit a column, and
//! 64 columns are computed at once (Crochemore, Iliopoulos, Pinzon, Reid 2001). The way back is Redis's, so the choice
//! among equally long answers is too. The limit applies to the size of Redis's table, although this code uses at most a
//! sixteenth of it.

use super::ValueError;

/// A stretch that both strings share, as part of the longest common subsequence. Places are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LcsMatch {
    /// First and last place in the first string.
    pub first: (usize, usize),
    /// First and last place in the second string.
    pub second: (usize, usize),
}

impl LcsMatch {
    /// How long the stretch is.
    pub fn match_len(&self) -> usize {
        self.first.1 - self.first.0 + 1
    }
}

/// The answer to `LCS ... IDX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LcsIndexes {
    /// The stretches, from the last to the first.
    pub matches: Vec<LcsMatch>,
    /// The length of the subsequence, short stretches included.
    pub len: usize,
}

fn check_size(a: &[u8], b: &[u8], max_table_bytes: u64) -> Result<(), ValueError> {
    const MAX_LEN: usize = u32::MAX as usize - 2;
    if a.len() > MAX_LEN || b.len() > MAX_LEN {
        return Err(ValueError::LcsTooLong);
    }
    let cells = (a.len() as u128 + 1) * (b.len() as u128 + 1);
    if cells * 4 > u128::from(max_table_bytes) { Err(ValueError::LcsMemory) } else { Ok(()) }
}

/// For each byte that occurs in the first string, the places in the second that hold it.
struct Places {
    words: usize,
    slots: [Option<u16>; 256],
    masks: Vec<u64>,
}

impl Places {
    fn new(a: &[u8], b: &[u8]) -> Self {
        let words = b.len().div_ceil(64);
        let mut places = Self { words, slots: [None; 256], masks: Vec::new() };
        let mut count = 0;
        for &byte in a {
            let slot = &mut places.slots[usize::from(byte)];
            if slot.is_none() {
                *slot = Some(count);
                count += 1;
            }
        }
        places.masks.resize(usize::from(count) * words, 0);
        for (at, &byte) in b.iter().enumerate() {
            if let Some(slot) = places.slots[usize::from(byte)] {
                places.masks[usize::from(slot) * words + at / 64] |= 1 << (at % 64);
            }
        }
        places
    }

    fn of(&self, byte: u8) -> &[u64] {
        let start = usize::from(self.slots[usize::from(byte)].unwrap_or(0)) * self.words;
        &self.masks[start..start + self.words]
    }
}

/// Turns one row into the next. A clear bit means that the length grows at this column.
fn advance(row: &mut [u64], places: &[u64]) {
    let mut carry = false;
    for (word, mask) in row.iter_mut().zip(places) {
        let hits = *word & mask;
        let (sum, over) = word.overflowing_add(hits);
        let (sum, over_again) = sum.overflowing_add(u64::from(carry));
        carry = over | over_again;
        *word = sum | (*word & !mask);
    }
}

fn grown(row: &[u64], columns: usize) -> usize {
    let clear: usize = row.iter().map(|word| word.count_zeros() as usize).sum();
    // The bits behind the last column stay set.
    debug_assert!(clear <= columns);
    clear
}

/// The length of the longest common subsequence. O(product of the lengths / 64) time, O(64 times `b`) memory at most.
///
/// # Errors
/// [`ValueError::LcsMemory`] if Redis's table would be larger than `max_table_bytes` (`proto-max-bulk-len`);
/// [`ValueError::LcsTooLong`] if a string is of 4 GiB.
pub fn lcs_len(a: &[u8], b: &[u8], max_table_bytes: u64) -> Result<usize, ValueError> {
    check_size(a, b, max_table_bytes)?;
    let places = Places::new(a, b);
    let mut row = vec![u64::MAX; places.words];
    for &byte in a {
        advance(&mut row, places.of(byte));
    }
    Ok(grown(&row, b.len()))
}

/// Walks back through the rows from the end, as Redis does, and calls `matched` for every match.
fn walk(a: &[u8], b: &[u8], mut matched: impl FnMut(usize, usize)) -> usize {
    let places = Places::new(a, b);
    let mut rows = Vec::with_capacity(a.len() * places.words);
    let mut row = vec![u64::MAX; places.words];
    for &byte in a {
        advance(&mut row, places.of(byte));
        rows.extend_from_slice(&row);
    }
    let (mut i, mut j) = (a.len(), b.len());
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            i -= 1;
            j -= 1;
            matched(i, j);
        } else {
            // If the length grows from the left neighbour to here, the upper neighbour has the same length as here, and
            // the left one a smaller one.
            let grows = rows[(i - 1) * places.words + (j - 1) / 64] >> ((j - 1) % 64) & 1 == 0;
            if grows {
                i -= 1;
            } else {
                j -= 1;
            }
        }
    }
    grown(&row, b.len())
}

/// The longest common subsequence itself. O(product of the lengths / 64) time, / 4 bytes of memory.
///
/// # Errors
/// As [`lcs_len`].
pub fn lcs(a: &[u8], b: &[u8], max_table_bytes: u64) -> Result<Vec<u8>, ValueError> {
    check_size(a, b, max_table_bytes)?;
    let mut out = Vec::new();
    walk(a, b, |i, _| out.push(a[i]));
    out.reverse();
    Ok(out)
}

/// The stretches of the longest common subsequence that have at least `min_match_len` bytes. Costs as [`lcs`].
///
/// # Errors
/// As [`lcs_len`].
pub fn lcs_indexes(
    a: &[u8],
    b: &[u8],
    min_match_len: usize,
    max_table_bytes: u64,
) -> Result<LcsIndexes, ValueError> {
    check_size(a, b, max_table_bytes)?;
    let mut matches: Vec<LcsMatch> = Vec::new();
    let len = walk(a, b, |i, j| match matches.last_mut() {
        Some(last) if (last.first.0, last.second.0) == (i + 1, j + 1) => {
            (last.first.0, last.second.0) = (i, j);
        }
        _ => matches.push(LcsMatch { first: (i, i), second: (j, j) }),
    });
    matches.retain(|stretch| stretch.match_len() >= min_match_len);
    Ok(LcsIndexes { matches, len })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A model: the table of lengths, and Redis's way back through it.
    fn model(a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<(usize, usize)>) {
        let mut table = vec![vec![0u32; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                table[i][j] = if a[i - 1] == b[j - 1] {
                    table[i - 1][j - 1] + 1
                } else {
                    table[i - 1][j].max(table[i][j - 1])
                };
            }
        }
        let (mut i, mut j) = (a.len(), b.len());
        let (mut text, mut pairs) = (Vec::new(), Vec::new());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                i -= 1;
                j -= 1;
                text.insert(0, a[i]);
                pairs.push((i, j));
            } else if table[i - 1][j] > table[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        assert_eq!(text.len(), table[a.len()][b.len()] as usize);
        (text, pairs)
    }

    #[test]
    fn the_documented_example() {
        let (a, b) = (b"ohmytext".as_slice(), b"mynewtext".as_slice());
        assert_eq!(lcs(a, b, 1 << 20).expect("small"), b"mytext");
        let found = lcs_indexes(a, b, 0, 1 << 20).expect("small");
        assert_eq!(found.len, 6);
        let stretches: Vec<_> = found.matches.iter().map(|m| (m.first, m.second, m.match_len())).collect();
        assert_eq!(stretches, [((4, 7), (5, 8), 4), ((2, 3), (0, 1), 2)]);
        assert_eq!(lcs_indexes(a, b, 4, 1 << 20).expect("small").matches.len(), 1);
        assert_eq!(lcs_len(b"", b"abc", 1 << 20), Ok(0));
        assert_eq!(lcs(b"abc", b"", 1 << 20), Ok(Vec::new()));
    }

    #[test]
    fn the_limit_is_that_of_the_table() {
        let text = [b'x'; 99];
        assert_eq!(lcs_len(&text, &text, 40_000), Ok(99));
        assert_eq!(lcs_len(&text, &text, 39_999), Err(ValueError::LcsMemory));
        assert_eq!(lcs(&text, &text, 39_999), Err(ValueError::LcsMemory));
        assert_eq!(lcs_indexes(&text, &text, 0, 39_999), Err(ValueError::LcsMemory));
    }

    proptest! {
        #[test]
        fn it_is_redis_choice(
            a in proptest::collection::vec(0u8..4, 0..200), b in proptest::collection::vec(0u8..5, 0..200), min in 0usize..4,
        ) {
            let (text, pairs) = model(&a, &b);
            prop_assert_eq!(lcs_len(&a, &b, 1 << 20), Ok(text.len()));
            prop_assert_eq!(lcs(&a, &b, 1 << 20), Ok(text));
            let found = lcs_indexes(&a, &b, 0, 1 << 20).expect("small");
            let places: Vec<(usize, usize)> = found
                .matches
                .iter()
                .flat_map(|m| (0..m.match_len()).map(|back| (m.first.1 - back, m.second.1 - back)))
                .collect();
            prop_assert_eq!(places, pairs);
            let long = lcs_indexes(&a, &b, min, 1 << 20).expect("small");
            let expected: Vec<LcsMatch> = found.matches.into_iter().filter(|m| m.match_len() >= min).collect();
            prop_assert_eq!(long.matches, expected);
        }
    }
}
