//! Runs of removed elements.

use crate::value::listpack::split_first;

/// Some removed elements: how many stay before them, counted from those removed before, and how many go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RemovedRun {
    /// Elements that stay.
    pub passed: usize,
    /// The number of elements that are removed.
    pub removed: usize,
}

/// A function that is called with the bare entries of a list piece by piece, and the number of each piece's elements.
/// It calls the other one with those that stay, and their number. O(n)
pub fn keep(
    mut runs: impl Iterator<Item = RemovedRun>,
) -> impl FnMut(&[u8], usize, &mut dyn FnMut(&[u8], usize)) {
    // How many stay until the next ones that go, and how many of a run are left to go.
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
