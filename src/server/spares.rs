//! Buffers for replies, which a worker's connections share: a connection that has sent everything keeps none.

use crate::env::memory::KeptBytes;
use std::cell::RefCell;

/// Unused buffers, of which `worker-keep-buffers-size` bounds the bytes of all together.
#[derive(Default)]
pub(super) struct Spares(RefCell<SpareBuffers>);

#[derive(Default)]
struct SpareBuffers {
    buffers: Vec<Vec<u8>>,
    kept: KeptBytes,
}

impl Spares {
    /// An empty buffer: the one that was given back last, or a new one without room.
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes an empty buffer back, and keeps no more than `most` bytes of all buffers.
    pub(super) fn give(&self, buffer: Vec<u8>, most: usize) {
        let mut inner = self.0.borrow_mut();
        while inner.kept.bytes() > most && inner.pop().is_some() {}
        let bytes = inner.kept.bytes() + buffer.capacity();
        if buffer.capacity() > 0 && bytes <= most {
            inner.kept.set(bytes);
            inner.buffers.push(buffer);
        }
    }
}

impl SpareBuffers {
    fn pop(&mut self) -> Option<Vec<u8>> {
        let buffer = self.buffers.pop()?;
        self.kept.set(self.kept.bytes() - buffer.capacity());
        Some(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_buffers_are_bounded() {
        const MOST: usize = 256 * 1024;
        let spares = Spares::default();
        let kept = |spares: &Spares| {
            let inner = spares.0.borrow();
            assert_eq!(inner.buffers.iter().map(Vec::capacity).sum::<usize>(), inner.kept.bytes());
            inner.kept.bytes()
        };
        (0..1000).for_each(|n| spares.give(Vec::with_capacity(n * 100), MOST));
        assert!((MOST / 2..=MOST).contains(&kept(&spares)));
        spares.give(Vec::with_capacity(10), MOST / 8);
        assert!((1..=MOST / 8).contains(&kept(&spares)));
        while spares.take().capacity() > 0 {}
        assert_eq!(kept(&spares), 0);
    }
}
