//! Opens the log of a place, a folder by default.

use super::front::Log;
use super::place::{LogPlace, OpenReport};
use super::{FolderPlace, LogError, LogOptions};
use crate::env::{Clock, Disk};
use std::path::Path;
use std::sync::Arc;

impl Log {
    /// Opens or creates the log in the folder `dir` and begins a new epoch. See [`super::FileLog::open`] for what is
    /// refused.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Clock,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, OpenReport), LogError> {
        let (log, report) = Self::look(disk, clock, dir, options)?;
        log.take_over()?;
        Ok((log, report))
    }

    /// As [`Log::look_at`] for the folder `dir`.
    pub fn look(
        disk: Arc<dyn Disk>,
        clock: Clock,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, OpenReport), LogError> {
        Self::look_at(&FolderPlace::new(disk, dir), clock, options)
    }

    /// Opens the log of a place to be read. It may create the place and changes nothing else. [`Log::take_over`] begins
    /// the epoch, once nothing can refuse the start any more.
    pub fn look_at(
        place: &dyn LogPlace,
        clock: Clock,
        options: LogOptions,
    ) -> Result<(Self, OpenReport), LogError> {
        let (store, report) = place.look(&clock, options)?;
        Ok((Self::read_only(store, clock, options), report))
    }
}
