//! A map by names of keys in databases. A look-up does not build a name, and can find one key in all databases at once.

use ahash::AHashMap;
use smallvec::{SmallVec, smallvec};

/// Values by key, then by database.
#[derive(Default)]
pub(super) struct Names<T> {
    keys: AHashMap<Box<[u8]>, SmallVec<[(usize, T); 1]>>,
    len: usize,
}

impl<T> Names<T> {
    /// About how many bytes a key with a value in one database takes. A table is from half full to full.
    pub(super) const PLACE: usize = size_of::<(Box<[u8]>, SmallVec<[(usize, T); 1]>)>() * 3 / 2;

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The value of a name.
    pub(super) fn get(&self, db: usize, key: &[u8]) -> Option<&T> {
        self.keys.get(key)?.iter().find(|(of, _)| *of == db).map(|(_, value)| value)
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, db: usize, key: &[u8]) -> Option<&mut T> {
        self.keys.get_mut(key)?.iter_mut().find(|(of, _)| *of == db).map(|(_, value)| value)
    }

    /// The values of a key in all databases that have one, and the databases.
    pub(super) fn everywhere(&mut self, key: &[u8]) -> impl Iterator<Item = (usize, &mut T)> {
        self.keys.get_mut(key).into_iter().flatten().map(|(db, value)| (*db, value))
    }

    /// All names and their values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[u8], &T)> {
        self.keys.iter().flat_map(|(key, dbs)| dbs.iter().map(|(db, value)| (*db, &**key, value)))
    }

    /// The same, to change them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &[u8], &mut T)> {
        self.keys.iter_mut().flat_map(|(key, dbs)| {
            let key = &**key;
            dbs.iter_mut().map(move |(db, value)| (*db, key, value))
        })
    }

    /// Forgets a name. If the table has room for many more keys than there are, it shrinks. O(1) for each removed name.
    pub(super) fn remove(&mut self, db: usize, key: &[u8]) {
        let Some(dbs) = self.keys.get_mut(key) else { return };
        let Some(at) = dbs.iter().position(|(of, _)| *of == db) else { return };
        dbs.swap_remove(at);
        self.len -= 1;
        if dbs.is_empty() {
            self.keys.remove(key);
            // There are many tables and most are empty, so an empty table keeps no memory.
            let (wanted, room) = (self.keys.len() * 2, self.keys.capacity());
            if wanted == 0 || room > 8 && wanted < room / 2 {
                self.keys.shrink_to(wanted);
            }
        }
    }
}

impl<T: Default> Names<T> {
    /// Calls `change` with the value of a name, which is made first if there is none.
    pub(super) fn with<R>(&mut self, db: usize, key: &[u8], change: impl FnOnce(&mut T) -> R) -> R {
        if let Some(value) = self.get_mut(db, key) {
            return change(value);
        }
        let mut value = T::default();
        let result = change(&mut value);
        self.len += 1;
        match self.keys.get_mut(key) {
            Some(dbs) => dbs.push((db, value)),
            None => drop(self.keys.insert(key.into(), smallvec![(db, value)])),
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_for_many_keys_is_given_back() {
        let mut names: Names<Vec<u8>> = Names::default();
        let keys: Vec<[u8; 4]> = (0..10_000u32).map(u32::to_le_bytes).collect();
        for key in &keys {
            (0..2).for_each(|db| names.with(db, key, |value| value.push(1)));
        }
        assert!(names.keys.capacity() >= keys.len());
        for (n, key) in keys.iter().enumerate() {
            (0..2).for_each(|db| names.remove(db, key));
            let left = keys.len() - n - 1;
            assert_eq!(names.len(), 2 * left);
            assert!(names.keys.capacity() < 50 + 8 * left, "{} for {left}", names.keys.capacity());
        }
        assert_eq!(names.keys.capacity(), 0);
    }
}
