//! The libraries of functions that exist: their names and texts. What they mean is for others to find out, who note
//! here which functions they found.

use crate::effect::{Effect, Structural};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// A function of a library, as an interpreter registered it.
#[derive(Debug)]
pub struct FunctionInfo {
    /// Its name.
    pub name: Box<[u8]>,
    /// What it is said to do.
    pub description: Option<Box<[u8]>>,
    /// Its flags, a bit for each.
    pub flags: u8,
}

/// A library.
#[derive(Clone)]
pub struct Library {
    /// Its text.
    pub code: Arc<[u8]>,
    /// Its functions in the order of their registration, once an interpreter has loaded it.
    pub functions: Option<Arc<[FunctionInfo]>>,
}

/// How much there is of libraries.
#[derive(Clone, Copy, Default)]
pub struct LibraryFigures {
    /// How many libraries.
    pub libraries: usize,
    /// How many functions, of the libraries whose functions are known.
    pub functions: usize,
    /// How many bytes the libraries' texts have.
    pub bytes: usize,
}

/// All libraries. They change only while every shard is locked, so what a transaction has looked up stays true while it
/// holds a shard.
pub struct Libraries {
    id: u64,
    by_name: RwLock<BTreeMap<Box<[u8]>, Library>>,
    generation: AtomicU64,
}

/// The next number for a [`Libraries`]. Numbers keep a thread that serves several engines from mixing up their
/// libraries.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Default for Libraries {
    fn default() -> Self {
        Self { id: NEXT_ID.fetch_add(1, Relaxed), by_name: RwLock::default(), generation: AtomicU64::new(0) }
    }
}

impl Libraries {
    /// A value that is equal only for the same [`Libraries`] with no change in between.
    #[inline]
    pub fn version(&self) -> (u64, u64) {
        (self.id, self.generation.load(Acquire))
    }

    /// Whether there is a library of that name.
    pub fn has(&self, name: &[u8]) -> bool {
        self.by_name.read().contains_key(name)
    }

    /// The names of all libraries and these, in the order of their names.
    pub fn list(&self) -> Vec<(Box<[u8]>, Library)> {
        self.by_name.read().iter().map(|(name, library)| (name.clone(), library.clone())).collect()
    }

    /// How much there is.
    pub fn figures(&self) -> LibraryFigures {
        let mut figures = LibraryFigures::default();
        for library in self.by_name.read().values() {
            figures.libraries += 1;
            figures.functions += library.functions.as_ref().map_or(0, |functions| functions.len());
            figures.bytes += library.code.len();
        }
        figures
    }

    /// Whether the functions of all libraries are known.
    pub fn are_known(&self) -> bool {
        self.by_name.read().values().all(|library| library.functions.is_some())
    }

    /// The flags of a function. The case of its name does not matter. O(the functions of all libraries).
    pub fn flags_of(&self, function: &[u8]) -> Option<u8> {
        let libraries = self.by_name.read();
        let mut functions =
            libraries.values().flat_map(|library| library.functions.as_deref().unwrap_or_default());
        functions.find(|known| known.name.eq_ignore_ascii_case(function)).map(|known| known.flags)
    }

    /// Notes the functions of the library that has this text, unless that was done.
    pub fn describe(&self, name: &[u8], code: &[u8], functions: impl FnOnce() -> Arc<[FunctionInfo]>) {
        match self.by_name.write().get_mut(name) {
            Some(library) if library.functions.is_none() && *library.code == *code => {
                library.functions = Some(functions());
            }
            _ => {}
        }
    }

    /// Applies the creation, change or removal of a library; ignores other changes.
    pub(super) fn apply(&self, change: &Structural<'_>) {
        match *change {
            Structural::LibraryPut { name, code } => {
                let library = Library { code: code.into(), functions: None };
                self.by_name.write().insert(name.into(), library);
            }
            Structural::LibraryDrop { name } => {
                self.by_name.write().remove(name);
            }
            Structural::FlushDb { .. }
            | Structural::SwapDb { .. }
            | Structural::TablePut { .. }
            | Structural::TableDrop { .. }
            | Structural::Gap => return,
        }
        self.generation.fetch_add(1, AcqRel);
    }

    /// Forgets all libraries, before they are read again.
    pub(super) fn clear(&self) {
        self.by_name.write().clear();
        self.generation.fetch_add(1, AcqRel);
    }

    /// The effects that make these libraries, for a checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for (name, Library { code, .. }) in self.by_name.read().iter() {
            Effect::from(Structural::LibraryPut { name, code }).encode(out);
        }
    }
}
