//! What the server asks of a disk.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only reads are allowed.
    Read,
    /// Reads and writes are allowed.
    ReadWrite,
}

/// How room for later writes is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preallocate {
    /// Zeros are written. Later writes then change no metadata, so their `fdatasync` is cheapest.
    Zeros,
    /// The file system reserves the room; if it cannot, zeros are written. Later writes cannot run out of room, and
    /// nothing is written twice.
    Reserve,
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderEntry {
    /// The name inside the folder; names that are not UTF-8 are left out of listings.
    pub name: String,
    /// True for a folder.
    pub is_dir: bool,
    /// The file's length in bytes, 0 for a folder.
    pub len: u64,
}

/// An open folder. It stays the same folder when its name changes.
pub trait OpenFolder: Debug + Send + Sync {
    /// Makes the names in the folder durable.
    fn fsync(&self) -> io::Result<()>;
}

/// The folder is locked as long as this value lives.
pub trait FolderLock: Debug + Send + Sync {}

/// A disk. All paths are used as given; relative ones are relative to the process's working folder.
///
/// Names and files become durable only by a sync: a file's bytes after [`DiskFile::fdatasync`], a created, renamed or
/// removed *name* after [`Disk::fsync_dir`] of the folder that holds it.
///
/// A call that a signal interrupts is repeated: callers never see `Interrupted`.
pub trait Disk: Debug + Send + Sync {
    /// Creates a file for reading and writing; fails with `AlreadyExists` when the name is taken.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives the file or folder a new name, atomically, replacing a file of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates a folder and its missing parents. It is no error if the folder exists.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The entries of a folder, sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<FolderEntry>>;

    /// Opens a folder. Its names can then be made durable without a new descriptor each time.
    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn OpenFolder>>;

    /// Makes the names in `dir` durable.
    fn fsync_dir(&self, dir: &Path) -> io::Result<()> {
        self.open_dir(dir)?.fsync()
    }

    /// Bytes that this process may still write on the file system that holds `dir`.
    fn free_space(&self, dir: &Path) -> io::Result<u64>;

    /// Takes the lock file `LOCK` in `dir`, which excludes every other process (and every other holder in this
    /// one) until the result is dropped. Fails with `WouldBlock` when it is held.
    fn lock(&self, dir: &Path) -> io::Result<Box<dyn FolderLock>>;

    /// Takes the lock for reading: nothing is created, and other readers may hold it too. Fails with `WouldBlock` when
    /// a process uses the folder, with `NotFound` when none ever did.
    fn lock_to_read(&self, dir: &Path) -> io::Result<Box<dyn FolderLock>> {
        self.lock(dir)
    }

    /// An identity of the running system and of the mount that holds `dir`. While it is the same, every byte that was
    /// written can still be read, even without a sync. After a power cut it differs.
    fn incarnation(&self, dir: &Path) -> io::Result<u128>;

    /// The whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, Access::Read)?;
        let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        let got = file.read_at(&mut bytes, 0)?;
        bytes.truncate(got);
        Ok(bytes)
    }

    /// True when the name exists. An unreadable folder counts as absent.
    fn exists(&self, path: &Path) -> bool {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return false };
        self.list(dir).is_ok_and(|entries| entries.iter().any(|entry| *entry.name == *name))
    }

    /// Puts `bytes` at `path`: a temporary file beside it is written, synced and renamed, so that after a crash there
    /// is the old file or the new one, never a mixture. The name is durable once the folder is synced.
    fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".tmp");
        let temp = path.with_file_name(name);
        match self.remove_file(&temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.create(&temp)?;
        let done = file.write_at(bytes, 0).and_then(|()| file.fsync());
        if let Err(error) = done {
            // The first error is reported, not that of this removal. The next call replaces a leftover temporary file.
            let _ = self.remove_file(&temp);
            return Err(error);
        }
        self.rename(&temp, path)
    }
}

/// Too many open files in this process.
const EMFILE: i32 = 24;
/// Too many open files in the system.
const ENFILE: i32 = 23;

/// True when a call failed for lack of room, descriptors or memory. The disk is not broken, and the call may succeed
/// later.
pub fn wants_resource(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, OutOfMemory, QuotaExceeded, StorageFull, WouldBlock};
    matches!(error.kind(), StorageFull | QuotaExceeded | OutOfMemory | Interrupted | WouldBlock)
        || matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// The folder that holds `path`; `.` for a bare name.
pub(super) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// An open file. Several threads may call its methods at once; every read and write gives its position.
pub trait DiskFile: Debug + Send + Sync {
    /// Reads up to `bytes.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. After an error an unknown part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// True when the file holds no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// True as long as the file has a name. What is written to a file without a name cannot be found again.
    fn is_linked(&self) -> io::Result<bool>;

    /// Makes the file's bytes and its length durable.
    fn fdatasync(&self) -> io::Result<()>;

    /// Makes the file's bytes and all its metadata durable.
    fn fsync(&self) -> io::Result<()>;

    /// Cuts the file to `len` bytes, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Secures room for `offset..offset + len`, which must not begin before the end of what was written. The room reads
    /// as zeros, and the file's length becomes at least `offset + len`.
    fn preallocate(&self, offset: u64, len: u64, how: Preallocate) -> io::Result<()>;
}
