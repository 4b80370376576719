//! The calls of [`Disk`] and [`DiskFile`] on the simulated disk.

use super::state::*;
use super::{Fault, SimDisk};
use crate::env::disk::{Access, Disk, DiskFile, FolderEntry, FolderLock, OpenFolder, Preallocate};
use parking_lot::MutexGuard;
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.run_hooks(Fault::Create);
        let mut state = self.change()?;
        state.check_fault(Fault::Create)?;
        let parent = state.parent(path)?;
        state.count_open()?;
        let node = state.add(parent, &name_of(path)?, Node::File(FileNode::default()));
        let node = node.inspect_err(|_| state.open_files -= 1)?;
        let life = state.life;
        Ok(Arc::new(SimFile { disk: self.clone(), node, life, access: Access::ReadWrite }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        if state.down {
            return Err(down());
        }
        state.check_fault(Fault::Open)?;
        let node = state.find(path)?;
        state.file(node)?;
        state.count_open()?;
        let life = state.life;
        Ok(Arc::new(SimFile { disk: self.clone(), node, life, access }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run_hooks(Fault::Rename);
        let mut state = self.change()?;
        state.check_fault(Fault::Rename)?;
        let (old, new) = (state.parent(from)?, state.parent(to)?);
        let (from, to) = (name_of(from)?, name_of(to)?);
        let folder = state.folder(old)?;
        let node = folder.current.remove(&from).ok_or_else(not_found)?;
        if old == new {
            folder.current.insert(to.clone(), node);
            folder.unsynced.push(NameChange::Rename { from, to, node });
        } else {
            folder.unsynced.push(NameChange::Unlink(from));
            let folder = state.folder(new)?;
            folder.current.insert(to.clone(), node);
            folder.unsynced.push(NameChange::Link(to, node));
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.run_hooks(Fault::Remove);
        let mut state = self.change()?;
        state.check_fault(Fault::Remove)?;
        let node = state.find(path)?;
        state.file(node)?;
        state.unlink(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        let node = state.find(path)?;
        if !state.folder(node)?.current.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.unlink(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.down {
            return Err(down());
        }
        let mut node = ROOT;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            let name = name.to_str().ok_or_else(not_found)?;
            let found = state.folder(node)?.current.get(name).copied();
            node = if let Some(found) = found {
                found
            } else {
                state.count_change()?;
                state.add(node, name, Node::Folder(FolderNode::default()))?
            };
        }
        state.folder(node).map(|_| ())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<FolderEntry>> {
        let mut state = self.0.lock();
        if state.down {
            return Err(down());
        }
        state.check_fault(Fault::List)?;
        let node = state.find(dir)?;
        let names: Vec<(String, u64)> =
            state.folder(node)?.current.iter().map(|(name, node)| (name.clone(), *node)).collect();
        let entry = |(name, number): (String, u64)| match state.nodes.get(&number) {
            Some(Node::File(file)) => FolderEntry { name, is_dir: false, len: file.current.len() as u64 },
            _ => FolderEntry { name, is_dir: true, len: 0 },
        };
        Ok(names.into_iter().map(entry).collect())
    }

    fn open_dir(&self, dir: &Path) -> io::Result<Box<dyn OpenFolder>> {
        let mut state = self.0.lock();
        if state.down {
            return Err(down());
        }
        state.check_fault(Fault::OpenDir)?;
        let node = state.find(dir)?;
        state.folder(node)?;
        let life = state.life;
        Ok(Box::new(SimFolder { disk: self.clone(), node, life }))
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.run_hooks(Fault::Measure);
        let mut state = self.0.lock();
        if state.down {
            return Err(down());
        }
        state.check_fault(Fault::Measure)?;
        state.find(dir)?;
        Ok(state.room())
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn FolderLock>> {
        let mut state = self.0.lock();
        if state.down {
            return Err(down());
        }
        let node = state.find(dir)?;
        if !state.locked.insert(node) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let life = state.life;
        Ok(Box::new(SimLock { disk: self.clone(), node, life }))
    }

    fn incarnation(&self, _dir: &Path) -> io::Result<u128> {
        Ok(u128::from(self.0.lock().incarnation))
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    node: u64,
    life: u64,
}

impl FolderLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.0.lock();
        // A restart has freed the locks of the process that it ended; another process may hold this lock by now.
        if state.life == self.life {
            state.locked.remove(&self.node);
        }
    }
}

#[derive(Debug)]
struct SimFolder {
    disk: SimDisk,
    node: u64,
    life: u64,
}

impl OpenFolder for SimFolder {
    fn fsync(&self) -> io::Result<()> {
        self.disk.run_hooks(Fault::SyncDir);
        let mut state = self.disk.0.lock();
        if state.life != self.life {
            return Err(down());
        }
        state.count_sync()?;
        state.check_fault(Fault::SyncDir)?;
        let folder = state.folder(self.node)?;
        for change in std::mem::take(&mut folder.unsynced) {
            change.apply(&mut folder.durable);
        }
        Ok(())
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    node: u64,
    life: u64,
    access: Access,
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.0.lock();
        // A restart has already closed the files of the process that it ended.
        if state.life == self.life {
            state.open_files -= 1;
        }
    }
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.0.lock();
        if state.down || state.life != self.life { Err(down()) } else { Ok(state) }
    }

    fn writable(&self) -> io::Result<MutexGuard<'_, State>> {
        if self.access == Access::Read {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.state()
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state()?;
        state.check_fault(Fault::Read)?;
        let file = state.file(self.node)?;
        let from = (offset as usize).min(file.current.len());
        let len = bytes.len().min(file.current.len() - from);
        bytes[..len].copy_from_slice(&file.current[from..from + len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.run_hooks(Fault::Write);
        let mut state = self.writable()?;
        if let Err(error) = state.count_change() {
            state.write_cut_short(self.node, bytes, offset);
            return Err(error);
        }
        if let Some(error) = state.fault(Fault::Write) {
            state.write_in_part(self.node, bytes, offset);
            return Err(error);
        }
        state.write(self.node, bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.file(self.node)?.current.len() as u64)
    }

    fn is_linked(&self) -> io::Result<bool> {
        Ok(self.state()?.is_linked(self.node))
    }

    fn fdatasync(&self) -> io::Result<()> {
        self.disk.run_hooks(Fault::Sync);
        let mut state = self.state()?;
        state.count_sync()?;
        if let Some(error) = state.fault(Fault::Sync) {
            state.file(self.node)?.unsynced.clear();
            return Err(error);
        }
        state.sync_file(self.node)
    }

    fn fsync(&self) -> io::Result<()> {
        self.fdatasync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.writable()?;
        state.count_change()?;
        state.check_fault(Fault::SetLen)?;
        let room = state.room();
        let file = state.file(self.node)?;
        if len > file.current.len() as u64 + room {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        file.current.resize(len as usize, 0);
        file.unsynced.push(Change::SetLen(len as usize));
        Ok(())
    }

    fn preallocate(&self, offset: u64, len: u64, _how: Preallocate) -> io::Result<()> {
        self.disk.run_hooks(Fault::Preallocate);
        let mut state = self.writable()?;
        state.count_change()?;
        state.check_fault(Fault::Preallocate)?;
        state.write(self.node, &vec![0; len as usize], offset)
    }
}
