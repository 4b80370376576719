//! The content of the simulated disk, and its changes.

use super::{CrashMode, Fault};
use crate::env::disk::parent_of;
use crate::env::random::Random;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Component, Path};

/// Unsynced bytes survive or are lost in units of this many bytes.
pub(super) const SECTOR: usize = 512;
pub(super) const ENOSPC: i32 = 28;
pub(super) const EMFILE: i32 = 24;
pub(super) const ROOT: u64 = 0;

#[derive(Debug)]
pub(super) struct State {
    pub(super) nodes: HashMap<u64, Node>,
    pub(super) next_node: u64,
    pub(super) capacity: Option<u64>,
    pub(super) locked: BTreeSet<u64>,
    pub(super) incarnation: u64,
    /// Counts restarts of any kind, so that handles of a dead process are refused.
    pub(super) life: u64,
    pub(super) down: bool,
    pub(super) sync_points: u64,
    pub(super) changes: u64,
    pub(super) crash_at_sync: Option<u64>,
    pub(super) crash_at_change: Option<u64>,
    pub(super) faults: Vec<SetFault>,
    pub(super) hooks: Vec<Hook>,
    pub(super) open_files: usize,
    pub(super) open_files_allowed: Option<usize>,
    pub(super) random: Random,
}

/// A call that was made to fail.
#[derive(Debug)]
pub(super) struct SetFault {
    pub(super) fault: Fault,
    /// How many calls are left until it fails; 1 is the next call.
    pub(super) left: u64,
    pub(super) errno: i32,
    /// All later calls fail too.
    pub(super) lasting: bool,
}

/// A test's function that runs before a call.
pub(super) struct Hook {
    pub(super) fault: Fault,
    pub(super) left: u64,
    pub(super) run: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").field("fault", &self.fault).field("left", &self.left).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) enum Node {
    File(FileNode),
    Folder(FolderNode),
}

#[derive(Debug, Default)]
pub(super) struct FileNode {
    pub(super) durable: Vec<u8>,
    pub(super) current: Vec<u8>,
    pub(super) unsynced: Vec<Change>,
}

#[derive(Debug)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Debug, Default)]
pub(super) struct FolderNode {
    pub(super) durable: BTreeMap<String, u64>,
    pub(super) current: BTreeMap<String, u64>,
    pub(super) unsynced: Vec<NameChange>,
}

#[derive(Debug)]
pub(super) enum NameChange {
    Link(String, u64),
    Unlink(String),
    Rename { from: String, to: String, node: u64 },
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            nodes: HashMap::from([(ROOT, Node::Folder(FolderNode::default()))]),
            next_node: 1,
            capacity: None,
            locked: BTreeSet::new(),
            incarnation: 1,
            life: 0,
            down: false,
            sync_points: 0,
            changes: 0,
            crash_at_sync: None,
            crash_at_change: None,
            faults: Vec::new(),
            hooks: Vec::new(),
            open_files: 0,
            open_files_allowed: None,
            random: Random::seeded(seed),
        }
    }

    pub(super) fn fork(&self, seed: u64) -> Self {
        let mut copy = Self {
            nodes: HashMap::new(),
            locked: BTreeSet::new(),
            faults: Vec::new(),
            hooks: Vec::new(),
            open_files: 0,
            random: Random::seeded(seed),
            ..*self
        };
        copy.nodes.extend(self.nodes.iter().map(|(number, node)| (*number, node.duplicate())));
        copy
    }
}

impl Node {
    pub(super) fn duplicate(&self) -> Self {
        match self {
            Self::File(file) => Self::File(FileNode {
                durable: file.durable.clone(),
                current: file.current.clone(),
                unsynced: file.unsynced.iter().map(Change::duplicate).collect(),
            }),
            Self::Folder(folder) => Self::Folder(FolderNode {
                durable: folder.durable.clone(),
                current: folder.current.clone(),
                unsynced: folder.unsynced.iter().map(NameChange::duplicate).collect(),
            }),
        }
    }
}

impl Change {
    pub(super) fn duplicate(&self) -> Self {
        match self {
            Self::Write { offset, bytes } => Self::Write { offset: *offset, bytes: bytes.clone() },
            Self::SetLen(len) => Self::SetLen(*len),
        }
    }

    /// Applies the change to what is durable, keeping only those sectors for which `keep` says so.
    pub(super) fn apply(&self, content: &mut Vec<u8>, mut keep: impl FnMut() -> bool) {
        match self {
            Self::SetLen(len) => {
                if keep() {
                    content.resize(*len, 0);
                }
            }
            Self::Write { offset, bytes } => {
                let mut at = 0;
                while at < bytes.len() {
                    let start = offset + at;
                    let part = (SECTOR - start % SECTOR).min(bytes.len() - at);
                    if keep() {
                        write_into(content, start, &bytes[at..at + part]);
                    }
                    at += part;
                }
            }
        }
    }
}

impl NameChange {
    pub(super) fn duplicate(&self) -> Self {
        match self {
            Self::Link(name, node) => Self::Link(name.clone(), *node),
            Self::Unlink(name) => Self::Unlink(name.clone()),
            Self::Rename { from, to, node } => {
                Self::Rename { from: from.clone(), to: to.clone(), node: *node }
            }
        }
    }

    pub(super) fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Link(name, node) => {
                names.insert(name.clone(), *node);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
            // If the creation of the old name was lost, nothing is renamed.
            Self::Rename { from, to, node } => {
                if names.get(from) == Some(node) {
                    names.remove(from);
                    names.insert(to.clone(), *node);
                }
            }
        }
    }
}

/// How many of `len` bytes at `offset` are written if there is not enough room for all: whole sectors only. A dying
/// process may leave any number of bytes, but there nothing follows.
fn whole_sectors(offset: usize, len: usize) -> usize {
    ((offset + len) / SECTOR * SECTOR).saturating_sub(offset)
}

pub(super) fn write_into(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

pub(super) fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

pub(super) fn down() -> io::Error {
    io::Error::other("the simulated disk is down")
}

pub(super) fn name_of(path: &Path) -> io::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

impl State {
    pub(super) fn count_change(&mut self) -> io::Result<()> {
        if self.down {
            return Err(down());
        }
        self.changes += 1;
        if self.crash_at_change == Some(self.changes) {
            self.down = true;
            return Err(down());
        }
        Ok(())
    }

    pub(super) fn count_sync(&mut self) -> io::Result<()> {
        self.count_change()?;
        self.sync_points += 1;
        if self.crash_at_sync == Some(self.sync_points) {
            self.down = true;
            return Err(down());
        }
        Ok(())
    }

    /// The error that was set for this call, if its turn has come.
    pub(super) fn fault(&mut self, kind: Fault) -> Option<io::Error> {
        let mut hit = None;
        self.faults.retain_mut(|set| {
            if set.fault != kind {
                return true;
            }
            set.left = set.left.saturating_sub(1);
            if set.left == 0 {
                hit = Some(set.errno);
            }
            set.left > 0 || set.lasting
        });
        hit.map(io::Error::from_raw_os_error)
    }

    pub(super) fn check_fault(&mut self, kind: Fault) -> io::Result<()> {
        self.fault(kind).map_or(Ok(()), Err)
    }

    /// The hooks that are to run before this call.
    pub(super) fn due_hooks(&mut self, kind: Fault) -> Vec<Hook> {
        for hook in self.hooks.iter_mut().filter(|hook| hook.fault == kind) {
            hook.left = hook.left.saturating_sub(1);
        }
        self.hooks.extract_if(.., |hook| hook.left == 0).collect()
    }

    /// Counts a file that is opened.
    pub(super) fn count_open(&mut self) -> io::Result<()> {
        if self.open_files_allowed.is_some_and(|allowed| self.open_files >= allowed) {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        self.open_files += 1;
        Ok(())
    }

    /// True when any folder has a name for the node.
    pub(super) fn is_linked(&self, number: u64) -> bool {
        self.nodes.values().any(|node| match node {
            Node::Folder(folder) => folder.current.values().any(|named| *named == number),
            Node::File(_) => false,
        })
    }

    pub(super) fn folder(&mut self, node: u64) -> io::Result<&mut FolderNode> {
        match self.nodes.get_mut(&node) {
            Some(Node::Folder(folder)) => Ok(folder),
            _ => Err(not_found()),
        }
    }

    pub(super) fn file(&mut self, node: u64) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&node) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(not_found()),
        }
    }

    pub(super) fn find(&mut self, path: &Path) -> io::Result<u64> {
        let mut node = ROOT;
        for component in path.components() {
            if let Component::Normal(name) = component {
                let name = name.to_str().ok_or_else(not_found)?;
                node = *self.folder(node)?.current.get(name).ok_or_else(not_found)?;
            }
        }
        Ok(node)
    }

    pub(super) fn parent(&mut self, path: &Path) -> io::Result<u64> {
        self.find(parent_of(path))
    }

    /// Removes a name from its folder. Unless the folder is synced, the name comes back after a crash.
    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = (self.parent(path)?, name_of(path)?);
        let folder = self.folder(parent)?;
        folder.current.remove(&name);
        folder.unsynced.push(NameChange::Unlink(name));
        Ok(())
    }

    pub(super) fn add(&mut self, parent: u64, name: &str, node: Node) -> io::Result<u64> {
        let number = self.next_node;
        let folder = self.folder(parent)?;
        if folder.current.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        folder.current.insert(name.to_owned(), number);
        folder.unsynced.push(NameChange::Link(name.to_owned(), number));
        self.next_node += 1;
        self.nodes.insert(number, node);
        Ok(number)
    }

    pub(super) fn used(&self) -> u64 {
        let mut open = vec![ROOT];
        let mut sum = 0;
        while let Some(number) = open.pop() {
            match self.nodes.get(&number) {
                Some(Node::Folder(folder)) => open.extend(folder.current.values()),
                Some(Node::File(file)) => sum += file.current.len() as u64,
                None => {}
            }
        }
        sum
    }

    pub(super) fn room(&self) -> u64 {
        self.capacity.map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(self.used()))
    }

    pub(super) fn write(&mut self, node: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = offset as usize;
        let room = self.room() as usize;
        let file = self.file(node)?;
        let allowed = (file.current.len() + room).saturating_sub(offset).min(bytes.len());
        let allowed = if allowed < bytes.len() { whole_sectors(offset, allowed) } else { allowed };
        let part = &bytes[..allowed];
        if !part.is_empty() {
            write_into(&mut file.current, offset, part);
            file.unsynced.push(Change::Write { offset, bytes: part.to_vec() });
        }
        if allowed < bytes.len() { Err(io::Error::from_raw_os_error(ENOSPC)) } else { Ok(()) }
    }

    /// Writes a random number of the first bytes, as a call that a crash cuts short.
    pub(super) fn write_cut_short(&mut self, node: u64, bytes: &[u8], offset: u64) {
        let part = self.random.below(bytes.len() as u64 + 1) as usize;
        // The result is ignored: the caller reports the error of the crash.
        let _ = self.write(node, &bytes[..part], offset);
    }

    /// Writes the first whole sectors of the bytes, as a call that fails on the way.
    pub(super) fn write_in_part(&mut self, node: u64, bytes: &[u8], offset: u64) {
        let part = self.random.below(bytes.len() as u64 + 1) as usize;
        let part = if part < bytes.len() { whole_sectors(offset as usize, part) } else { part };
        // The result is ignored: the caller reports the call's error.
        let _ = self.write(node, &bytes[..part], offset);
    }

    pub(super) fn sync_file(&mut self, node: u64) -> io::Result<()> {
        let file = self.file(node)?;
        for change in std::mem::take(&mut file.unsynced) {
            change.apply(&mut file.durable, || true);
        }
        Ok(())
    }

    pub(super) fn restart(&mut self, mode: CrashMode) {
        self.down = false;
        self.life += 1;
        self.locked.clear();
        self.crash_at_sync = None;
        self.crash_at_change = None;
        self.faults.clear();
        self.open_files = 0;
        if mode == CrashMode::Process {
            return;
        }
        self.incarnation += 1;
        let random = &mut self.random;
        let mut keep = || mode == CrashMode::PowerTorn && random.below(2) == 0;
        let mut numbers: Vec<u64> = self.nodes.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            match self.nodes.get_mut(&number) {
                Some(Node::File(file)) => {
                    for change in std::mem::take(&mut file.unsynced) {
                        change.apply(&mut file.durable, &mut keep);
                    }
                    file.current.clone_from(&file.durable);
                }
                Some(Node::Folder(folder)) => {
                    for change in std::mem::take(&mut folder.unsynced) {
                        if keep() {
                            change.apply(&mut folder.durable);
                        }
                    }
                    folder.current.clone_from(&folder.durable);
                }
                None => {}
            }
        }
    }
}
