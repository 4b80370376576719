//! Buffers for replies, which a worker's connections share: a connection that has sent everything keeps none.

use std::cell::{Cell, RefCell};

/// The most bytes that a worker keeps in unused buffers.
const MOST: usize = 256 * 1024;

#[derive(Default)]
pub(super) struct Spares {
    buffers: RefCell<Vec<Vec<u8>>>,
    bytes: Cell<usize>,
}

impl Spares {
    /// An empty buffer: the one that was given back last, or a new one without room.
    pub(super) fn take(&self) -> Vec<u8> {
        let buffer = self.buffers.borrow_mut().pop().unwrap_or_default();
        self.bytes.set(self.bytes.get() - buffer.capacity());
        buffer
    }

    /// Takes an empty buffer back.
    pub(super) fn give(&self, buffer: Vec<u8>) {
        let bytes = self.bytes.get() + buffer.capacity();
        if buffer.capacity() > 0 && bytes <= MOST {
            self.bytes.set(bytes);
            self.buffers.borrow_mut().push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_buffers_are_bounded() {
        let spares = Spares::default();
        (0..1000).for_each(|n| spares.give(Vec::with_capacity(n * 100)));
        let kept: usize = spares.buffers.borrow().iter().map(Vec::capacity).sum();
        assert!(kept <= MOST && kept == spares.bytes.get(), "{kept}");
        while spares.take().capacity() > 0 {}
        assert_eq!(spares.bytes.get(), 0);
    }
}
