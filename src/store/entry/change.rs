//! Changing an entry under its shard's exclusive lock: in place if block and size allow it, else in a new block.

use super::Entry;
use super::block::{Block, Content, Name, View, ViewMut};
use super::kind::{Kind, Near};
use crate::env::memory::class_bytes;
use crate::store::object::{Object, ValueRef};

/// The most bytes that are allocated beyond what a growing string needs.
const MOST_SLACK: usize = 1 << 20;

/// How many bytes are allocated beyond the `need` of a growing block.
fn slack(need: usize) -> usize {
    if need > 256 { (need / 2).min(MOST_SLACK) } else { 0 }
}

/// Bytes of a string that were overwritten, its former length, and whether it was marked as edited.
pub(in crate::store) struct StringInverse {
    at: usize,
    bytes: Box<[u8]>,
    len: usize,
    raw: bool,
}

impl Entry {
    /// The boxed value, for a change. The caller calls [`Entry::refresh_deadline`] afterwards.
    pub fn object_mut(&mut self) -> Option<&mut Object> {
        match self.0.view_mut() {
            ViewMut::Boxed(object) => Some(object),
            ViewMut::Near(..) | ViewMut::Far(_) => None,
        }
    }

    /// The bytes of a value in the block, for a change that keeps their number; empty if the value is apart.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        match self.0.view_mut() {
            ViewMut::Near(_, bytes) => bytes,
            ViewMut::Far(_) | ViewMut::Boxed(_) => &mut [],
        }
    }

    /// The bytes of a string, for a change that keeps their number; empty if the value is no string.
    pub fn string_mut(&mut self) -> &mut [u8] {
        match self.0.view_mut() {
            ViewMut::Near(Near::Str, bytes) => bytes,
            ViewMut::Far(bytes) => bytes,
            ViewMut::Near(_, _) | ViewMut::Boxed(_) => &mut [],
        }
    }

    /// Sets the length of a string; added bytes are zeros. Does nothing to other values.
    pub fn resize_string(&mut self, len: usize) {
        let now = match self.0.view_mut() {
            ViewMut::Far(bytes) => {
                if len > bytes.capacity() {
                    let room = class_bytes(len + (len / 2).min(MOST_SLACK));
                    bytes.reserve_exact(room - bytes.len());
                }
                return bytes.resize(len, 0);
            }
            ViewMut::Near(Near::Str, bytes) => bytes.len(),
            ViewMut::Near(_, _) | ViewMut::Boxed(_) => return,
        };
        if len > now {
            self.splice(now, 0, len - now);
        } else {
            self.splice(len, now - len, 0);
        }
    }

    /// What is needed to undo a change of the bytes from `at` to `end` of a string, before they change; `None` for
    /// other values.
    pub(in crate::store) fn undo_of_bytes(&self, at: usize, end: usize) -> Option<StringInverse> {
        let ValueRef::Str(all) = self.value() else { return None };
        let (at, len) = (at.min(all.len()), all.len());
        let bytes = all.get(at..end.min(len)).unwrap_or_default().into();
        Some(StringInverse { at, bytes, len, raw: self.is_raw() })
    }

    /// Undoes a change of a string's bytes. Does nothing to other values.
    pub(in crate::store) fn revert_bytes(&mut self, inverse: &StringInverse) {
        let StringInverse { at, bytes, len, raw } = inverse;
        if !matches!(self.kind(), Kind::Str | Kind::Far) {
            return;
        }
        if self.string_mut().len() > *len {
            self.resize_string(*len);
        }
        if let Some(target) = self.string_mut().get_mut(*at..at + bytes.len()) {
            target.copy_from_slice(bytes);
        }
        self.set_raw(*raw);
    }

    /// A copy of a string in an allocation of its own. O(size).
    #[must_use]
    pub fn far_twin(&self) -> Self {
        let bytes = match self.value() {
            ValueRef::Str(bytes) => bytes.to_vec(),
            ValueRef::Hash(..)
            | ValueRef::Items(_)
            | ValueRef::List(_)
            | ValueRef::Set(..)
            | ValueRef::Zset(_)
            | ValueRef::Boxed(_) => Vec::new(),
        };
        let content = Content::Far(bytes);
        Self(Block::new(self.0.name(), content, self.clock(), self.is_raw()))
    }

    /// Replaces value and deadline. The block stays if the payload fits it and does not waste more than a quarter of
    /// it. Panics if the kind is one that is apart.
    pub fn replace(&mut self, kind: Kind, expire: Option<u64>, payload: &[u8]) {
        let near = kind.of_bytes();
        if !self.0.overwrite(near, expire, payload) {
            let name = Name { expire, ..self.0.name() };
            self.0 = Block::new(name, Content::Near(near, payload), self.clock(), false);
        }
        if kind == Kind::HashTtl {
            self.refresh_deadline();
        }
    }

    /// Replaces `remove` bytes of the payload at `at` by `insert` zero bytes and returns the latter for the caller to
    /// fill. The cost is that of the bytes behind `at`, plus a reallocation if the block is too small; large payloads
    /// grow geometrically. Panics if the value is apart, or the bytes to be replaced are not within it.
    pub fn splice(&mut self, at: usize, remove: usize, insert: usize) -> &mut [u8] {
        self.0.splice(at, remove, insert, slack)
    }

    /// Sets the deadline of the whole entry.
    pub fn set_expire(&mut self, expire: Option<u64>) {
        self.0.set_expire(expire);
        self.refresh_deadline();
    }

    /// Moves the entry to another space or key.
    #[must_use]
    pub fn with_name(mut self, space: u32, key: &[u8]) -> Self {
        self.0.set_name(space, key);
        self
    }

    /// A copy of an entry whose value is no [`Object`], or is a list. O(size of what is not shared).
    #[must_use]
    pub fn twin(&self) -> Self {
        match self.0.twin() {
            Some(twin) => Self(twin),
            None => self.named_twin(self.space(), self.key(), self.clock()),
        }
    }

    /// A copy under another name, with an access clock of its own. Panics if the value is an [`Object`] that can be
    /// copied only element by element.
    #[must_use]
    pub fn named_twin(&self, space: u32, key: &[u8], clock: u32) -> Self {
        match (self.0.copy(space, key, clock), self.0.view()) {
            (Some(copy), _) => Self(copy),
            (None, View::Far(bytes)) => {
                let name = Name { space, key, expire: self.0.name().expire };
                Self(Block::new(name, Content::Far(bytes.clone()), clock, self.is_raw()))
            }
            (None, View::Boxed(Object::List(list))) => {
                let mut copy = Self::boxed(
                    space,
                    key,
                    self.0.name().expire,
                    Box::new(Object::List(list.clone())),
                    clock,
                );
                copy.set_raw(self.is_raw());
                copy
            }
            (None, View::Near(..) | View::Boxed(_)) => panic!("a copy of a whole object"),
        }
    }

    /// Sets whether the string counts as edited in place.
    pub fn set_raw(&mut self, raw: bool) {
        self.0.set_raw(raw);
    }

    /// Marks the string as edited in place.
    pub fn mark_raw(&mut self) {
        self.0.set_raw(true);
    }

    /// Recomputes the slot's deadline from those of the entry and of its parts.
    pub fn refresh_deadline(&mut self) {
        let inner = match self.value() {
            ValueRef::Hash(packed, true) => crate::value::hash::packed_deadline(packed),
            ValueRef::Boxed(object) => object.deadline(),
            ValueRef::Str(_)
            | ValueRef::Hash(_, false)
            | ValueRef::Items(_)
            | ValueRef::List(_)
            | ValueRef::Set(..)
            | ValueRef::Zset(_) => None,
        };
        self.retag(inner);
    }

    /// Sets the slot's deadline to the earlier of the entry's own and one of its parts.
    pub(super) fn retag(&mut self, inner: Option<u64>) {
        let deadline = match (self.0.name().expire, inner) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.0.set_tag(deadline);
    }
}
