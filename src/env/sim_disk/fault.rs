//! The faults that a test can set.

/// What a restart of the simulated machine does to unsynced bytes and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashMode {
    /// Only the process died: nothing that was written is lost.
    Process,
    /// The power failed and everything that was not synced is gone.
    PowerLost,
    /// The power failed, and each unsynced sector and each unsynced name was lost or kept by chance.
    PowerTorn,
}

/// A kind of call that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `Disk::create`.
    Create,
    /// `DiskFile::write_at`; a part of the bytes is written first.
    Write,
    /// `DiskFile::preallocate`.
    Preallocate,
    /// `DiskFile::fdatasync` and `DiskFile::fsync`. As on ext4, the unsynced bytes then count as clean although they
    /// never reach the disk, so a second sync succeeds and hides the loss.
    Sync,
    /// `Disk::fsync_dir`.
    SyncDir,
    /// `Disk::rename`.
    Rename,
    /// `Disk::remove_file`.
    Remove,
    /// `DiskFile::read_at`.
    Read,
    /// `Disk::open`.
    Open,
    /// `Disk::open_dir`.
    OpenDir,
    /// `Disk::list`.
    List,
    /// `Disk::free_space`.
    Measure,
    /// `DiskFile::set_len`.
    SetLen,
}
