//! The operating system's file systems.

use super::disk::{Access, Disk, DiskFile, FolderEntry, FolderLock, OpenFolder, Preallocate};
use rustix::fs::{Advice, AtFlags, CWD, FallocateFlags, StatxFlags};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

/// The disk of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl OsDisk {
    /// The disk, as the shared value that the rest of the server uses.
    pub fn shared() -> Arc<dyn Disk> {
        Arc::new(Self)
    }
}

/// Zeros are written from a buffer of this size.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// `STATX_MNT_ID_UNIQUE` (Linux 6.8): a mount's number that is never given out twice. Older kernels ignore it.
const STATX_MNT_ID_UNIQUE: u32 = 0x4000;

#[derive(Debug)]
struct OsFile(File);

#[derive(Debug)]
struct OsLock(#[allow(dead_code, reason = "the lock is held as long as the file is open")] File);

impl FolderLock for OsLock {}

#[derive(Debug)]
struct OsFolder(File);

impl OpenFolder for OsFolder {
    fn fsync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Repeats a call as long as a signal interrupts it. std does so when it opens, reads, writes and syncs files, but not
/// when it lists or changes names; network file systems may interrupt any call.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

fn refused(error: TryLockError) -> io::Error {
    match error {
        TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
        TryLockError::Error(error) => error,
    }
}

/// The entries of a folder in no order.
fn entries_of(dir: &Path) -> io::Result<Vec<FolderEntry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        match entry.metadata() {
            Ok(meta) => {
                let len = if meta.is_dir() { 0 } else { meta.len() };
                entries.push(FolderEntry { name, is_dir: meta.is_dir(), len });
            }
            // The file was removed after its name was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

/// Frees the system's cache of a file in steps. Otherwise the removal of the file frees it in one step, which takes 15
/// ms for 64 MiB, and meanwhile no other thread may get the processor. Readers of the file are not affected.
fn release_cache(path: &Path) {
    const STEP: NonZeroU64 = NonZeroU64::new(2 << 20).unwrap();
    let Ok(file) = File::open(path) else { return };
    let len = file.metadata().map_or(0, |metadata| metadata.len());
    for at in (0..len).step_by(STEP.get() as usize) {
        // If the system ignores the advice, nothing is lost.
        let _ = rustix::fs::fadvise(&file, at, Some(STEP), Advice::DontNeed);
    }
}

impl Disk for OsDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Arc::new(OsFile(file)))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(access == Access::ReadWrite).open(path)?;
        Ok(Arc::new(OsFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        uninterrupted(|| fs::rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        release_cache(path);
        uninterrupted(|| fs::remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        uninterrupted(|| fs::remove_dir(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        uninterrupted(|| fs::create_dir_all(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<FolderEntry>> {
        let mut entries = uninterrupted(|| entries_of(dir))?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn OpenFolder>> {
        Ok(Box::new(OsFolder(File::open(dir)?)))
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::io::retry_on_intr(|| rustix::fs::statvfs(dir))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn FolderLock>> {
        let path = dir.join("LOCK");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        uninterrupted(|| file.try_lock().map_err(refused))?;
        Ok(Box::new(OsLock(file)))
    }

    fn lock_to_read(&self, dir: &Path) -> io::Result<Box<dyn FolderLock>> {
        let file = File::open(dir.join("LOCK"))?;
        uninterrupted(|| file.try_lock_shared().map_err(refused))?;
        Ok(Box::new(OsLock(file)))
    }

    fn incarnation(&self, dir: &Path) -> io::Result<u128> {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        let boot = u128::from_str_radix(&digits, 16).map_err(io::Error::other)?;
        let wanted = StatxFlags::MNT_ID | StatxFlags::from_bits_retain(STATX_MNT_ID_UNIQUE);
        // Without statx the identity consists of the boot's identity alone.
        let stat = rustix::io::retry_on_intr(|| rustix::fs::statx(CWD, dir, AtFlags::empty(), wanted));
        let mount = stat.map_or(0, |stat| {
            let device = u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor);
            u128::from(device) << 64 | u128::from(stat.stx_mnt_id)
        });
        Ok(boot ^ mount)
    }
}

impl DiskFile for OsFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < bytes.len() {
            match self.0.read_at(&mut bytes[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(got) => done += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(uninterrupted(|| self.0.metadata())?.len())
    }

    fn is_linked(&self) -> io::Result<bool> {
        // Asks only for the number of links. From Linux 6.13 on, reading a file's times makes the next write store a
        // new time, which costs a journal transaction in every round of write and sync.
        let links = || rustix::fs::statx(&self.0, c"", AtFlags::EMPTY_PATH, StatxFlags::NLINK);
        match rustix::io::retry_on_intr(links) {
            Ok(status) => Ok(status.stx_nlink > 0),
            // Kernels before 4.11 lack the call, and some sandboxes refuse it.
            Err(_) => Ok(uninterrupted(|| self.0.metadata())?.nlink() > 0),
        }
    }

    fn fdatasync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn fsync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn preallocate(&self, offset: u64, len: u64, how: Preallocate) -> io::Result<()> {
        if how == Preallocate::Reserve {
            let reserve = || rustix::fs::fallocate(&self.0, FallocateFlags::empty(), offset, len);
            match rustix::io::retry_on_intr(reserve) {
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
                other => return other.map_err(io::Error::from),
            }
        }
        let end = offset + len;
        let mut at = offset;
        while at < end {
            let part = (end - at).min(ZEROS.len() as u64);
            self.0.write_all_at(&ZEROS[..part as usize], at)?;
            at += part;
        }
        Ok(())
    }
}
