//! A disk in memory that behaves as badly as a real one may.
//!
//! What was written is visible at once and durable only after a sync: a file's bytes after `fdatasync`, the names in a
//! folder after `fsync_dir`. [`SimDisk::restart`] simulates a killed process or a power cut. A test can set a crash at
//! the n-th sync point or at the n-th change, make single calls fail, and bound the size.

mod calls;
mod fault;
mod state;

pub use fault::{CrashMode, Fault};

use super::disk::Disk;
use parking_lot::{Mutex, MutexGuard};
use state::{EMFILE, ENOSPC, Hook, SetFault, State};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The simulated disk. Clones share one disk.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    /// `EIO`, for [`SimDisk::fail`]: the device failed.
    pub const EIO: i32 = 5;
    /// `ENOSPC`, for [`SimDisk::fail`]: no room is left.
    pub const ENOSPC: i32 = ENOSPC;

    /// `EMFILE`, for [`SimDisk::fail`]: the process has too many open files.
    pub const EMFILE: i32 = EMFILE;
    /// `EACCES`, for [`SimDisk::fail`]: the call is not permitted.
    pub const EACCES: i32 = 13;

    /// An empty disk of unbounded size; `seed` decides what a torn restart keeps.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State::new(seed))))
    }

    /// The disk as the rest of the server takes it.
    pub fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    /// Bounds the sum of all files' lengths; `None` lifts the bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.lock().capacity = bytes;
    }

    /// The sum of all files' lengths in bytes.
    pub fn used(&self) -> u64 {
        self.0.lock().used()
    }

    /// How many syncs of files and folders were asked for so far.
    pub fn sync_points(&self) -> u64 {
        self.0.lock().sync_points
    }

    /// How many changes (creations, writes, renames, removals, syncs and so on) were asked for so far.
    pub fn changes(&self) -> u64 {
        self.0.lock().changes
    }

    /// The disk goes down when sync point number `n` (counted from the disk's beginning, from 1) is asked for.
    pub fn crash_at_sync(&self, n: u64) {
        self.0.lock().crash_at_sync = Some(n);
    }

    /// The disk goes down when change number `n` (counted from the disk's beginning, from 1) is asked for. A write
    /// is cut short at a random place.
    pub fn crash_at_change(&self, n: u64) {
        self.0.lock().crash_at_change = Some(n);
    }

    /// True from a crash that was set until [`SimDisk::restart`].
    pub fn is_down(&self) -> bool {
        self.0.lock().down
    }

    /// Makes the `nth` call of a kind from now on (1 is the next one) fail once with the given `errno`.
    pub fn fail(&self, fault: Fault, nth: u64, errno: i32) {
        self.0.lock().faults.push(SetFault { fault, left: nth, errno, lasting: false });
    }

    /// Makes every call of a kind fail from now on, until [`SimDisk::heal`].
    pub fn fail_on(&self, fault: Fault, errno: i32) {
        self.0.lock().faults.push(SetFault { fault, left: 1, errno, lasting: true });
    }

    /// Removes all faults that were set, and the bound on open files.
    pub fn heal(&self) {
        let mut state = self.0.lock();
        state.faults.clear();
        state.open_files_allowed = None;
    }

    /// Bounds how many files may be open at once; more are refused with `EMFILE`. `None` lifts the bound.
    pub fn set_open_files(&self, files: Option<usize>) {
        self.0.lock().open_files_allowed = files;
    }

    /// How many files are open.
    pub fn open_files(&self) -> usize {
        self.0.lock().open_files
    }

    /// Runs `hook` just before the `nth` call of a kind from now on (1 is the next one), on the thread that makes the
    /// call, so that a test can act in the middle of another step.
    pub fn before(&self, fault: Fault, nth: u64, hook: impl FnOnce() + Send + 'static) {
        self.0.lock().hooks.push(Hook { fault, left: nth, run: Box::new(hook) });
    }

    /// Ends all processes (their open files fail from now on, their locks are free), loses what `mode` says, and lets
    /// the disk work again. Crash points and faults that have not happened yet are removed.
    pub fn restart(&self, mode: CrashMode) {
        let hooks = {
            let mut state = self.0.lock();
            state.restart(mode);
            std::mem::take(&mut state.hooks)
        };
        // A hook may own files, and dropping a file locks the state.
        drop(hooks);
    }

    /// Overwrites bytes of a file durably, as bit rot does. No open file notices it.
    pub fn corrupt(&self, path: &Path, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        let node = state.find(path)?;
        let file = state.file(node)?;
        for content in [&mut file.durable, &mut file.current] {
            if let Some(place) = content.get_mut(offset..offset + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// A deep copy with another seed. It has the same content and the same unsynced changes, and is independent from
    /// now on.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().fork(seed))))
    }

    /// Runs the hooks that are due. The state is not locked meanwhile.
    fn run_hooks(&self, kind: Fault) {
        let due = self.0.lock().due_hooks(kind);
        for hook in due {
            (hook.run)();
        }
    }

    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.0.lock();
        state.count_change()?;
        Ok(state)
    }
}
