//! Requests with a body that takes time to read are read before their shards are locked: JSON, conditions, whole items.
//! What was read holds for the tables as they were then, and is read again if they have changed.

use super::{Cx, Fail, HEAVY_BYTES, Preparation, Prepared, Reading};
use crate::engine::Tables;
use crate::store::holds::outside;
use parking_lot::{Mutex, MutexGuard};
use std::any::Any;

/// Requests with fewer bytes are read under the locks: that takes no longer than it takes to keep what was read.
const SHORT: usize = 4096;

/// Long requests are read one at a time, because JSON takes many times its length while it is read.
pub(super) static LONG_READS: Mutex<()> = Mutex::new(());

/// Waits for its turn to read a request with a long argument. No shard is held, and the thread is not a worker's.
pub(super) fn turn(longest: usize) -> Option<MutexGuard<'static, ()>> {
    (longest > HEAVY_BYTES).then(|| LONG_READS.lock())
}

/// Reads a request ahead unless it is short.
pub(super) fn ahead<T: 'static>(
    with: &Reading<'_>,
    args: &[&[u8]],
    read: fn(&Reading<'_>, &[&[u8]]) -> Result<T, Fail>,
) -> Option<Box<dyn Any>> {
    let bytes: usize = args.iter().map(|arg| arg.len()).sum();
    let in_turn = || {
        let _turn = turn(args.iter().map(|arg| arg.len()).max().unwrap_or(0));
        read(with, args)
    };
    (bytes >= SHORT).then(|| Box::new(outside(in_turn)) as Box<dyn Any>)
}

impl Prepared {
    /// Reads a request.
    pub fn read(how: &Preparation, with: &Reading<'_>, args: &[&[u8]]) -> Option<Self> {
        let tables = with.tables.generation();
        (how.read)(with, args).map(|request| Self { request, tables })
    }

    /// Whether it was read for the tables as they are.
    pub fn is_current(&self, tables: &Tables) -> bool {
        self.tables == tables.generation()
    }

    /// What was read.
    pub fn request(&self) -> &dyn Any {
        &*self.request
    }
}

impl Cx<'_, '_> {
    /// What was read ahead of the command's request, if that was done and the tables are what they were then. They stay
    /// as they are while a shard is held.
    pub(super) fn take_prepared<T: 'static>(&mut self) -> Option<T> {
        let prepared = self.prepared.take().filter(|read| read.is_current(&self.tx.engine().tables))?;
        prepared.request.downcast().ok().map(|request| *request)
    }

    /// The command's request, read now unless it was read ahead.
    pub(super) fn request<T: 'static>(
        &mut self,
        args: &[&[u8]],
        read: fn(&Reading<'_>, &[&[u8]]) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        if let Some(request) = self.take_prepared() {
            return request;
        }
        read(&self.reading(), args)
    }

    /// Keeps something that may be large until the shards are given back.
    pub(super) fn free_later<T: 'static>(&mut self, value: T) {
        *self.prepared = Some(Prepared { request: Box::new(value), tables: u64::MAX });
    }

    /// What requests are read with now.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading { tables: &self.tx.engine().tables, settings: self.settings, now: self.tx.now() }
    }
}
