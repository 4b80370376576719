//! Requests whose bodies take time to read (JSON, conditions, whole items) are read before their shards are locked.
//! What was read is valid for the tables of that moment; if they have changed, the request is read again.

use super::{Cx, Fail, HEAVY_BYTES, Preparation, Prepared, Reading};
use crate::engine::Tables;
use crate::store::holds::outside;
use parking_lot::{Mutex, MutexGuard};
use std::any::Any;

/// A request with fewer bytes is read under the locks: to keep what was read ahead would take as long.
const SHORT: usize = 4096;

/// Long requests are read one at a time, because JSON takes many times its length while it is read.
pub(super) static LONG_READS: Mutex<()> = Mutex::new(());

/// Waits until no other long request is being read, if this one has a long argument. The caller holds no shard and its
/// thread is not a worker's.
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

    /// Whether the request was read for the present tables.
    pub fn is_current(&self, tables: &Tables) -> bool {
        self.tables == tables.generation()
    }

    /// The request that was read.
    pub fn request(&self) -> &dyn Any {
        &*self.request
    }
}

impl Cx<'_, '_> {
    /// The command's request, if it was read ahead and for the present tables. Tables do not change while a shard is
    /// held.
    pub(super) fn take_prepared<T: 'static>(&mut self) -> Option<T> {
        let prepared = self.prepared.take().filter(|read| read.is_current(&self.tx.engine().tables))?;
        prepared.request.downcast().ok().map(|request| *request)
    }

    /// The command's request: the one that was read ahead, or else it is read here.
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

    /// Keeps a value that may be large, so it is freed after the shards were given back.
    pub(super) fn free_later<T: 'static>(&mut self, value: T) {
        *self.prepared = Some(Prepared { request: Box::new(value), tables: u64::MAX });
    }

    /// The tables, settings and time with which requests are read.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading { tables: &self.tx.engine().tables, settings: self.settings, now: self.tx.now() }
    }
}
