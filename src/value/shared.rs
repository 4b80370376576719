//! Values that share parts with their copies. A part is shared until one of the two values changes it, or is given a
//! part of its own.

/// A step in which a value was given parts of its own in place of shared ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnStep {
    /// Where the next step begins; `None` behind the last part.
    pub next: Option<usize>,
    /// Approximate bytes of the parts of this step, shared or not.
    pub bytes: usize,
    /// Whether one of them was shared.
    pub copied: bool,
}

// Under miri the allocator does not count.
#[cfg(all(test, not(miri)))]
mod tests {
    use super::OwnStep;
    use crate::env::memory::thread_bytes;
    use crate::value::hash::BigHash;
    use crate::value::list::BigList;
    use crate::value::set::BigSet;
    use crate::value::zset::BigZset;

    /// Gives the copy parts of its own, and returns how many steps that took and whether anything was shared.
    fn own_all(mut own: impl FnMut(usize) -> OwnStep) -> (usize, bool) {
        let (mut next, mut steps, mut copied) = (Some(0), 0, false);
        while let Some(from) = next {
            let step = own(from);
            (next, steps, copied) = (step.next, steps + 1, copied | step.copied);
        }
        (steps, copied)
    }

    /// What a copy takes in addition while it shares, what its own parts take, and what the original gives back then.
    fn check<T: Clone>(original: T, own: impl Fn(&mut T, usize) -> OwnStep, whole: usize) {
        let begun = thread_bytes();
        let mut copy = original.clone();
        let shared = (thread_bytes() - begun) as usize;
        assert!(shared < whole / 4, "a copy of {whole} bytes takes {shared}");
        let (steps, copied) = own_all(|from| own(&mut copy, from));
        assert!(steps > 3 && copied, "{steps} steps");
        let taken = (thread_bytes() - begun) as usize;
        assert!(taken > whole / 2 && taken < whole * 11 / 10, "{taken} bytes for {whole}");
        assert_eq!(own_all(|from| own(&mut copy, from)), (steps, false));
        let before = thread_bytes();
        drop(original);
        let freed = (before - thread_bytes()) as usize;
        assert!(freed > whole * 9 / 10, "{freed} of {whole} bytes are free without the original");
    }

    #[test]
    fn a_copy_that_was_given_parts_of_its_own_shares_nothing() {
        const COUNT: usize = 500;
        let names: Vec<String> =
            (0..COUNT).map(|n| format!("a member or a field of some length {n}")).collect();
        let (mut hash, mut set) = (BigHash::default(), BigSet::default());
        let (mut list, mut zset) = (BigList::default(), BigZset::default());
        for (n, name) in names.iter().enumerate() {
            hash.set(name.as_bytes(), b"value", 0);
            set.add(name.as_bytes());
            list.push(false, name.as_bytes());
            zset.set(name.as_bytes(), n as f64);
        }
        let whole = (hash.memory(0), set.memory(0), list.memory(0), zset.memory(0));
        check(hash, BigHash::own, whole.0);
        check(set, BigSet::own, whole.1);
        check(list, |list, from| list.own(from, 1024), whole.2);
        check(zset, |set, from| set.own(from, 1024), whole.3);
    }
}
