//! Runs of removed elements.

use crate::value::listpack::split_first;

/// Some removed elements: how many elements stay before them, counted from the previous run, and how many are removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemovedRun {
    /// The number of elements that stay before the removed ones.
    pub passed: usize,
    /// The number of elements that are removed.
    pub removed: usize,
}

/// Makes a function that is called with the bare entries of a list piece by piece, and with the number of each piece's
/// elements. It passes the elements that stay, and their number, to its last argument. O(n)
pub fn keep(runs: &[RemovedRun]) -> impl FnMut(&[u8], usize, &mut dyn FnMut(&[u8], usize)) {
    let mut runs = runs.iter();
    // The number of elements that stay before the next removal, and the number that are still to be removed.
    let (mut stay, mut go) = (0, 0);
    move |mut entries, mut count, kept| {
        while count > 0 {
            if stay == 0 && go == 0 {
                (stay, go) = runs.next().map_or((usize::MAX, 0), |run| (run.passed, run.removed));
                continue;
            }
            let stays = stay > 0;
            let some = if stays { stay } else { go }.min(count);
            let mut size = 0;
            for _ in 0..some {
                size += split_first(&entries[size..]).map_or(0, |(_, size)| size);
            }
            if stays {
                kept(&entries[..size], some);
            }
            *(if stays { &mut stay } else { &mut go }) -= some;
            (entries, count) = (&entries[size..], count - some);
        }
    }
}
