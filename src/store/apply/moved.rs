//! Entries that are moved or copied to another key.

use crate::store::entry::Kind;
use crate::store::place::Place;
use crate::store::{Entry, Locked, Object, ValueRef};

impl Locked<'_> {
    /// Moves an entry to another place, in place of any entry there, with its deadlines and its access clock. O(1)
    /// beside freeing the replaced value: a large value is not looked into.
    pub(super) fn move_entry(&mut self, from: Place<'_>, to: Place<'_>) {
        let Some((entry, slot)) = self.take(from) else { return };
        self.delete(to);
        self.store.note_moved(from, to, &entry);
        self.recorded_move(from, to, slot);
        self.insert_unrecorded(to, entry.with_name(to.space, to.key));
        self.changed(to);
    }

    /// Copies an entry to another place, in place of any entry there, with its deadlines. An expired entry is copied
    /// too: it had not expired when the effect was logged. O(size of the value). A large string or stream is copied as
    /// a whole. Any other large value shares its parts with the copy until one of the two changes them, or the
    /// background gives the copy parts of its own. Sharing takes at most a thousandth of the time of copying.
    pub(super) fn copy_entry(&mut self, from: Place<'_>, to: Place<'_>) {
        let clock = self.store.fresh_clock(self.now);
        let Some(entry) = self.look(from) else { return };
        let (space, key, expire) = (to.space, to.key, entry.expire());
        let boxed = |object| Entry::boxed(space, key, expire, Box::new(object), clock);
        let mut copy = match entry.value() {
            ValueRef::Boxed(Object::Hash(big)) => boxed(Object::Hash(big.clone())),
            ValueRef::Boxed(Object::Set(big)) => boxed(Object::Set(big.clone())),
            ValueRef::Boxed(Object::Stream(stream)) => boxed(Object::Stream(stream.clone())),
            ValueRef::Boxed(Object::Zset(set)) => boxed(Object::Zset(set.clone())),
            ValueRef::Str(bytes) if entry.kind() == Kind::Far => {
                Entry::far(space, key, expire, bytes.to_vec(), clock)
            }
            ValueRef::Str(_)
            | ValueRef::Hash(..)
            | ValueRef::Set(..)
            | ValueRef::List(_)
            | ValueRef::Zset(_)
            | ValueRef::Boxed(Object::List(_)) => entry.named_twin(space, key, clock),
            // A key never holds an item collection.
            ValueRef::Items(_) | ValueRef::Boxed(Object::Items(_)) => return,
        };
        self.store.note_copied(to, &mut copy);
        self.put_entry(to, copy);
    }
}
