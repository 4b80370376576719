//! Bytes to be sent, in a chain of chunks: a chunk is freed once it is sent, and large chunks are never moved.

#![deny(clippy::indexing_slicing)]

use bytes::Bytes;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Deref;

/// The room of an ordinary chunk. A larger chunk holds one large append, with the little that was before it.
const CHUNK: usize = 64 * 1024;
/// The least room that is asked for.
const FIRST: usize = 1024;
/// [`Chain::append`] copies another chain's chunk of up to so many bytes, and takes a longer one over.
const COPY: usize = 4096;
/// [`Chain::share`] copies up to so many bytes. A reference to them would take as much memory, and would end the
/// present chunk although it has room left.
const SHARE: usize = 512;

/// A chunk that is complete.
#[derive(Debug)]
enum Chunk {
    /// The chain's own.
    Own(Vec<u8>),
    /// Bytes that other chains hold too.
    Shared(Bytes),
}

impl Chunk {
    /// The memory that it takes. Of shared bytes every chain counts all.
    fn room(&self) -> usize {
        match self {
            Self::Own(bytes) => bytes.capacity(),
            Self::Shared(bytes) => bytes.len(),
        }
    }

    /// The chunk, to append to it.
    fn into_own(self) -> Vec<u8> {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes.to_vec(),
        }
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// A queue of bytes. The bytes of one append lie in one chunk.
///
/// Positions count all bytes that were ever appended, so a position stays valid when bytes before it are taken out.
///
/// A chain may have a limit. An append that would exceed the limit frees everything that the chain holds, and the chain
/// takes no more: see [`Chain::overran`].
#[derive(Debug, Default)]
pub struct Chain {
    /// Chunks that are complete; none is empty.
    full: VecDeque<Chunk>,
    /// The memory that `full` takes.
    full_room: usize,
    /// The position of the first chunk's first byte.
    start: usize,
    /// The chunk that is appended to. Its capacity is 0 once the chain has overrun, so the next append asks for room
    /// and is refused.
    pub(super) last: Vec<u8>,
    /// The position of the first byte of `last`.
    base: usize,
    /// The position of the first byte that was not taken out.
    head: usize,
    /// The most bytes that may be held; any number if it is 0.
    most: usize,
    overran: bool,
    /// The position of the first byte that the chain dropped when it overran.
    lost: usize,
}

impl Chain {
    /// The position behind the last byte.
    #[inline]
    pub fn end(&self) -> usize {
        self.base + self.last.len()
    }

    /// The position of the first byte that was not taken out.
    #[inline]
    pub fn head(&self) -> usize {
        self.head
    }

    /// Whether all bytes were taken out.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head == self.end()
    }

    /// The bytes of memory that are held: a chunk counts until all of it was taken out. The spare room of `last` does
    /// not count; it is at most that of an ordinary chunk.
    #[inline]
    pub fn held(&self) -> usize {
        self.full_room + self.last.len()
    }

    /// Bounds the bytes that are held from now on; 0 means no bound.
    #[inline]
    pub fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Whether an append would have exceeded the limit. Then the chain holds nothing, and takes nothing any more.
    #[inline]
    pub fn overran(&self) -> bool {
        self.overran
    }

    /// Whether the chain overran or holds more than the limit allows. The limit is checked when a chunk grows, so
    /// appends into the room that `last` has may exceed it.
    pub fn is_above_limit(&self) -> bool {
        self.overran || self.most != 0 && self.held() > self.most
    }

    /// Makes room for bytes that are to lie together in `last`; false if they must not be appended.
    #[inline]
    pub(super) fn room(&mut self, bytes: usize) -> bool {
        self.last.capacity() - self.last.len() >= bytes || self.more_room(bytes)
    }

    #[cold]
    fn more_room(&mut self, bytes: usize) -> bool {
        if !self.may_hold(bytes) {
            return false;
        }
        let len = self.last.len();
        if len + bytes <= CHUNK {
            let wanted = (self.last.capacity() * 2).clamp(FIRST, CHUNK).max(len + bytes);
            self.last.reserve_exact(wanted - len);
        } else if len < CHUNK / 2 {
            self.last.reserve_exact(bytes);
        } else {
            self.close_last();
            self.last.reserve_exact(bytes.max(CHUNK));
        }
        true
    }

    /// Whether the limit allows so many bytes more. If not, the chain overruns.
    fn may_hold(&mut self, bytes: usize) -> bool {
        if self.most != 0 && self.held() + bytes > self.most {
            self.overrun();
        }
        !self.overran
    }

    fn overrun(&mut self) {
        let (end, lost) = (self.end(), if self.overran { self.lost } else { self.head });
        let most = self.most;
        *self = Self { start: end, base: end, head: end, most, overran: true, lost, ..Self::default() };
    }

    fn close_last(&mut self) {
        if !self.last.is_empty() {
            let chunk = std::mem::take(&mut self.last);
            self.push_full(Chunk::Own(chunk));
        }
    }

    fn push_full(&mut self, chunk: Chunk) {
        self.base += chunk.len();
        self.full_room += chunk.room();
        self.full.push_back(chunk);
    }

    /// Appends bytes, which then lie together.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        if self.room(bytes.len()) {
            self.last.extend_from_slice(bytes);
        }
    }

    /// Appends bytes that others hold too; many bytes are not copied.
    pub fn share(&mut self, bytes: Bytes) {
        if bytes.len() <= SHARE {
            self.put(&bytes);
        } else if self.may_hold(bytes.len()) {
            self.close_last();
            self.push_full(Chunk::Shared(bytes));
        }
    }

    /// Appends what another chain holds, from which nothing was taken out. Large chunks are moved over without a copy.
    pub fn append(&mut self, other: Self) {
        debug_assert_eq!(other.head, other.start, "nothing was taken out");
        if other.overran {
            return self.overrun();
        }
        for chunk in other.full.into_iter().chain([Chunk::Own(other.last)]) {
            let copied = if matches!(chunk, Chunk::Shared(_)) { SHARE } else { COPY };
            if chunk.len() <= copied {
                self.put(&chunk);
            } else if self.may_hold(chunk.room()) {
                self.close_last();
                self.push_full(chunk);
            }
        }
    }

    /// Takes bytes out at the front.
    pub fn advance(&mut self, bytes: usize) {
        self.head = self.end().min(self.head + bytes);
        while let Some(first) = self.full.pop_front_if(|first| self.start + first.len() <= self.head) {
            self.start += first.len();
            self.full_room -= first.room();
        }
        if self.is_empty() {
            (self.start, self.base) = (self.head, self.head);
            self.last.clear();
        }
    }

    /// The bytes before a position that were not taken out, in order; no piece is empty.
    pub fn pieces(&self, upto: usize) -> impl Iterator<Item = &[u8]> {
        let mut next = self.start;
        self.full.iter().map(|chunk| &**chunk).chain([&self.last[..]]).map_while(move |chunk| {
            let at = next;
            next += chunk.len();
            let piece = chunk.get(self.head.saturating_sub(at)..chunk.len().min(upto.saturating_sub(at)));
            piece.filter(|piece| !piece.is_empty())
        })
    }

    /// Drops what was appended since [`end`](Self::end) was `mark`.
    #[inline]
    pub fn truncate(&mut self, mark: usize) {
        while mark < self.base {
            let Some(chunk) = self.full.pop_back() else { break };
            self.base -= chunk.len();
            self.full_room -= chunk.room();
            // What is cut off whole is not copied.
            self.last = if mark > self.base { chunk.into_own() } else { Vec::new() };
        }
        self.last.truncate(mark.saturating_sub(self.base));
        if self.last.capacity() > CHUNK {
            self.last.shrink_to(CHUNK);
        }
    }

    /// Drops what was appended since [`end`](Self::end) was `mark`, because the client does not want it. If only these
    /// bytes made the chain overrun, the chain is empty and within its limit again.
    pub fn disown(&mut self, mark: usize) {
        if self.overran && mark <= self.lost {
            *self = Self { start: mark, base: mark, head: mark, most: self.most, ..Self::default() };
        }
        self.truncate(mark);
    }

    /// An empty chain with the same limit, for bytes that the client may not want; `None` if this chain has no limit.
    pub fn apart(&self) -> Option<Self> {
        (self.most != 0).then(|| Self { most: self.most, ..Self::default() })
    }

    /// The number of the chunk that holds a position, and the place in it. O(chunks behind it).
    fn locate(&self, at: usize) -> Option<(usize, usize)> {
        let mut first = self.base;
        let mut index = self.full.len();
        while at < first {
            index = index.checked_sub(1)?;
            first -= self.full.get(index)?.len();
        }
        Some((index, at - first))
    }

    /// The bytes from a position to the end of its chunk; none if there are none there.
    #[inline]
    pub fn piece_at(&self, at: usize) -> &[u8] {
        let piece = match at.checked_sub(self.base) {
            Some(at) => self.last.get(at..),
            None => self.locate(at).and_then(|(index, at)| self.full.get(index)?.get(at..)),
        };
        piece.unwrap_or_default()
    }

    /// All bytes from a position on.
    pub fn since(&self, at: usize) -> Cow<'_, [u8]> {
        let first = self.piece_at(at);
        if at + first.len() >= self.end() {
            return Cow::Borrowed(first);
        }
        let mut all = first.to_vec();
        while let next @ [_, ..] = self.piece_at(at + all.len()) {
            all.extend_from_slice(next);
        }
        Cow::Owned(all)
    }

    /// Replaces the `old` bytes at a position, which lie in one chunk, by `new`. O(rest of the chunk).
    pub(super) fn replace(&mut self, at: usize, old: usize, new: &[u8]) {
        let Some((index, at)) = self.locate(at) else { return };
        let is_full = index < self.full.len();
        let chunk = match self.full.get_mut(index) {
            Some(Chunk::Own(chunk)) => chunk,
            // Only bytes that were put into an own chunk are replaced.
            Some(Chunk::Shared(_)) => return,
            None => &mut self.last,
        };
        if at + old > chunk.len() {
            return;
        }
        let room = chunk.capacity();
        chunk.splice(at..at + old, new.iter().copied());
        if is_full {
            self.base = self.base + new.len() - old;
            self.full_room = self.full_room + chunk.capacity() - room;
        }
    }

    /// Gives back the room of an empty chain.
    pub fn take_room(&mut self) -> Vec<u8> {
        debug_assert!(self.is_empty(), "what is held needs its room");
        std::mem::take(&mut self.last)
    }

    /// Takes an empty buffer to append to, if the chain has none.
    #[inline]
    pub fn offer_room(&mut self, room: impl FnOnce() -> Vec<u8>) {
        if self.last.capacity() == 0 && !self.overran {
            self.last = room();
        }
    }
}
