//! One part of a large set: members one after the other in one allocation, a list of their places, and an index by
//! name. Beside its name a short member takes a byte for its length, about five for its place and up to fourteen in the
//! index, spare room included.

use crate::env::prefetch::prefetch;
use crate::value::heap;
use crate::value::parted::Part;
use ahash::RandomState;
use hashbrown::HashTable;

/// The longest member that is stored among others. Longer members have an allocation of their own, so that no write
/// moves more than some 200 KB.
const NEAR: usize = 64;

/// The place of a member: its offset in `near`, or its number in `far`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place(u32);

impl Place {
    const FAR: u32 = 1 << 31;

    fn near(at: usize) -> Self {
        debug_assert!(at < Self::FAR as usize);
        Self(at as u32)
    }

    fn far(number: usize) -> Self {
        Self(number as u32 | Self::FAR)
    }

    /// The number in `far`, if the member is there.
    fn as_far(self) -> Option<usize> {
        (self.0 & Self::FAR != 0).then_some((self.0 & !Self::FAR) as usize)
    }
}

/// The members' bytes.
#[derive(Clone, Default)]
struct Names {
    /// Short members, each with a byte for its length. Between them are the bytes of removed members.
    near: Vec<u8>,
    /// The number of bytes in `near` that belong to removed members.
    holes: usize,
    far: Vec<Box<[u8]>>,
}

/// A member that was taken out of a set.
pub struct MemberName(Box<[u8]>);

impl Names {
    #[inline]
    fn at(&self, place: Place) -> &[u8] {
        if let Some(number) = place.as_far() {
            return &self.far[number];
        }
        let at = place.0 as usize;
        let len = usize::from(self.near[at]);
        &self.near[at + 1..=at + len]
    }

    fn put(&mut self, name: &[u8]) -> Place {
        if name.len() > NEAR {
            return self.put_far(name.into());
        }
        let at = self.near.len();
        make_room(&mut self.near, name.len() + 1);
        self.near.push(name.len() as u8);
        self.near.extend_from_slice(name);
        Place::near(at)
    }

    fn put_far(&mut self, name: Box<[u8]>) -> Place {
        make_room(&mut self.far, 1);
        self.far.push(name);
        Place::far(self.far.len() - 1)
    }

    /// Takes a member over from other names.
    fn take_over(&mut self, other: &mut Self, place: Place) -> Place {
        match place.as_far() {
            Some(number) => self.put_far(std::mem::take(&mut other.far[number])),
            None => self.put(other.at(place)),
        }
    }
}

/// Makes room for `more` elements. A list grows by at least an eighth, so that little room is unused.
fn make_room<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more.max(list.len() / 8));
    }
}

/// Members whose hashes have some bits in common; all members of a set that is not very large.
#[derive(Clone)]
pub struct Members {
    names: Names,
    places: Vec<Place>,
    /// The members' positions, by the hashes of their names.
    index: HashTable<u32>,
    state: RandomState,
}

impl Members {
    #[inline]
    fn hash(&self, name: &[u8]) -> u64 {
        self.state.hash_one(name)
    }

    #[inline]
    fn find(&self, hash: u64, name: &[u8]) -> Option<u32> {
        let same = |number: &u32| self.names.at(self.places[*number as usize]) == name;
        self.index.find(hash, same).copied()
    }

    /// Adds a member after the others. Returns whether it is new.
    pub(super) fn add(&mut self, name: &[u8]) -> bool {
        let hash = self.hash(name);
        if self.find(hash, name).is_some() {
            return false;
        }
        let place = self.names.put(name);
        self.push(hash, place);
        true
    }

    fn push(&mut self, hash: u64, place: Place) {
        let Self { names, places, index, state } = self;
        index.insert_unique(hash, places.len() as u32, |number| {
            state.hash_one(names.at(places[*number as usize]))
        });
        make_room(places, 1);
        places.push(place);
    }

    /// Removes the member at a position. The last member gets its position.
    fn remove(&mut self, number: u32) -> MemberName {
        let last = self.places.len() as u32 - 1;
        let place = self.places[number as usize];
        let name = MemberName(self.names.at(place).into());
        if let Ok(entry) = self.index.find_entry(self.state.hash_one(&*name.0), |n| *n == number) {
            entry.remove();
        }
        if number != last {
            self.renumber(last, number);
        }
        self.places.swap_remove(number as usize);
        self.clear(place, name.0.len());
        self.shrink();
        name
    }

    /// Writes a member's new position into the index. The member's place is still found at its old position.
    fn renumber(&mut self, before: u32, after: u32) {
        let hash = self.hash(self.names.at(self.places[before as usize]));
        if let Some(number) = self.index.find_mut(hash, |n| *n == before) {
            *number = after;
        }
    }

    /// Gives up the bytes of a member that has no position any more.
    fn clear(&mut self, place: Place, len: usize) {
        let Some(number) = place.as_far() else {
            self.names.holes += len + 1;
            return;
        };
        self.names.far.swap_remove(number);
        let last = self.names.far.len();
        let Some(moved) = self.names.far.get(number) else { return };
        let (hash, before) = (self.hash(moved), Place::far(last));
        if let Some(at) = self.index.find(hash, |n| self.places[*n as usize] == before) {
            self.places[*at as usize] = Place::far(number);
        }
    }

    /// Gives back spare room: all of it with the last member, otherwise so rarely that removing costs O(1) amortised.
    fn shrink(&mut self) {
        let (len, capacity) = (self.places.len(), self.places.capacity());
        if self.names.holes > 256 && self.names.holes * 4 > self.names.near.len() || len == 0 {
            let mut near = Vec::with_capacity(self.names.near.len() - self.names.holes);
            for place in &mut self.places {
                if place.as_far().is_none() {
                    let name = self.names.at(*place);
                    *place = Place::near(near.len());
                    near.push(name.len() as u8);
                    near.extend_from_slice(name);
                }
            }
            self.names.near = near;
            self.names.holes = 0;
        }
        if len == 0 || capacity > 64 && len * 8 < capacity {
            let Self { names, places, index, state } = self;
            places.shrink_to(len * 2);
            names.far.shrink_to(len * 2);
            index.shrink_to(len * 2, |number| state.hash_one(names.at(places[*number as usize])));
        }
    }

    /// An empty part with room for `members` members of `near` bytes together.
    fn with_room(state: RandomState, members: usize, near: usize) -> Self {
        let names = Names { near: Vec::with_capacity(near), holes: 0, far: Vec::new() };
        let places = Vec::with_capacity(members);
        Self { names, places, index: HashTable::with_capacity(members), state }
    }

    /// Takes a member over from another part, and adds it after the others.
    fn take_over(&mut self, from: &mut Names, place: Place) {
        let hash = self.hash(from.at(place));
        let place = self.names.take_over(from, place);
        self.push(hash, place);
    }
}

impl Part for Members {
    type Ref<'a> = &'a [u8];
    type Element = MemberName;
    type State = ();
    type Whole = ();

    fn new(state: RandomState) -> Self {
        Self::with_room(state, 0, 0)
    }

    #[inline]
    fn len(&self) -> usize {
        self.places.len()
    }

    #[inline]
    fn state(&self) {}

    fn note((): &mut (), _: usize, (): (), (): ()) {}

    #[inline]
    fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.find(self.hash(name), name).and_then(|number| self.at(number as usize))
    }

    #[inline]
    fn foresee(&self, name: &[u8]) -> Option<usize> {
        let number = *self.index.find(self.hash(name), |_| true)? as usize;
        prefetch(self.places.get(number)?);
        Some(number)
    }

    #[inline]
    fn prefetch(&self, index: usize) {
        let Some(place) = self.places.get(index) else { return };
        match place.as_far() {
            Some(number) => self.names.far.get(number).into_iter().for_each(|name| prefetch(name.as_ptr())),
            None => prefetch(self.names.near.as_ptr().wrapping_add(place.0 as usize)),
        }
    }

    #[inline]
    fn at(&self, index: usize) -> Option<&[u8]> {
        self.places.get(index).map(|place| self.names.at(*place))
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().map(|place| self.names.at(*place))
    }

    fn take(&mut self, name: &[u8]) -> Option<(usize, MemberName)> {
        let number = self.find(self.hash(name), name)?;
        Some((number as usize, self.remove(number)))
    }

    fn put_back(&mut self, index: usize, MemberName(name): MemberName) {
        self.add(&name);
        let last = self.places.len() - 1;
        if index < last {
            // No member has this number while two members exchange theirs.
            let aside = u32::MAX;
            let hash = self.hash(&name);
            let number = self.index.find_mut(hash, |n| *n as usize == last);
            number.into_iter().for_each(|number| *number = aside);
            self.renumber(index as u32, last as u32);
            let number = self.index.find_mut(hash, |n| *n == aside);
            number.into_iter().for_each(|number| *number = index as u32);
            self.places.swap(index, last);
        }
    }

    /// A member is only its name, so nothing is exchanged.
    fn exchange(&mut self, name: MemberName) -> Option<MemberName> {
        self.get(&name.0).is_some().then_some(name)
    }

    fn drop_last(&mut self) {
        if let Some(last) = self.places.len().checked_sub(1) {
            self.remove(last as u32);
        }
    }

    fn split(&mut self, leaves: impl Fn(&[u8]) -> bool) -> (Self, Vec<bool>) {
        let leaving: Vec<bool> = self.iter().map(leaves).collect();
        let sizes = |left: bool| {
            let chosen = self.iter().zip(&leaving).filter(|(_, leaves)| **leaves == left);
            let bytes = chosen.map(|(name, _)| if name.len() > NEAR { 0 } else { name.len() + 1 });
            bytes.fold((0, 0), |(members, all), bytes| (members + 1, all + bytes))
        };
        let room = |n: usize| n + n / 16;
        let empty = |(members, bytes): (usize, usize)| {
            Self::with_room(self.state.clone(), room(members), room(bytes))
        };
        let (mut stay, mut leave) = (empty(sizes(false)), empty(sizes(true)));
        for (place, leaves) in self.places.iter().zip(&leaving) {
            let target = if *leaves { &mut leave } else { &mut stay };
            target.take_over(&mut self.names, *place);
        }
        *self = stay;
        (leave, leaving)
    }

    fn unsplit(&mut self, mut other: Self, moved: &[bool]) {
        let (members, bytes) = (moved.len(), self.names.near.len() + other.names.near.len());
        let all = Self::with_room(self.state.clone(), members, bytes);
        let mut old = std::mem::replace(self, all);
        let (mut stayed, mut left) = (old.places.iter(), other.places.iter());
        for moved in moved {
            let (place, from) =
                if *moved { (left.next(), &mut other.names) } else { (stayed.next(), &mut old.names) };
            place.into_iter().for_each(|place| self.take_over(from, *place));
        }
    }

    fn memory(&self, samples: usize) -> usize {
        let Names { near, far, .. } = &self.names;
        let take = samples.min(far.len());
        let sum: usize = far.iter().take(take).map(|name| heap::block(name.len())).sum();
        heap::block(near.capacity())
            + heap::block(far.capacity() * size_of::<Box<[u8]>>())
            + heap::block(self.places.capacity() * size_of::<Place>())
            + heap::table::<u32>(self.index.capacity())
            + (sum * far.len()).checked_div(take).unwrap_or(0)
    }

    fn memory_of_whole((): &()) -> usize {
        0
    }
}
