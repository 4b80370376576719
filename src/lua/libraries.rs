//! Libraries of functions, as one interpreter has loaded them.
//!
//! A library is its text. Each interpreter loads it by itself, once it is asked for one of its functions, so what a
//! library keeps in local variables is the interpreter's. An interpreter whose thread serves others loads for a short
//! time at once, and leaves libraries that take longer to other threads.

use super::errors::plain;
use super::host::{self, Go, Host, with_host};
use super::register::{BAD_NAME, Registration, collect, is_name};
use super::sandbox::{self, Sandbox};
use super::scripts::Flags;
use crate::resp::Proto;
use crate::text::split_words;
use ahash::AHashMap;
use mlua::{Function, Result, Table, Value};
use smallvec::SmallVec;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// A function of a library.
#[derive(Debug)]
pub struct Registered {
    /// Its name.
    pub name: Box<[u8]>,
    /// What it is said to do.
    pub description: Option<Box<[u8]>>,
    /// A bit for each of [`FLAG_NAMES`](super::FLAG_NAMES).
    pub flags: u8,
    /// Where the callback is in the interpreter's table of callbacks.
    pub(super) slot: i64,
    /// So many calls more are begun on a thread of their own, because one took long.
    pub moves: Cell<u8>,
}

impl Registered {
    /// The flags, as a script has them that declares them.
    pub fn rules(&self) -> Flags {
        Flags::of_function(self.flags)
    }
}

/// What cannot be loaded is tried again after so many calls of functions.
const RETRY: u32 = 1000;

/// A text with more bytes than this is not compiled where others wait. To compile one takes more than a few
/// milliseconds.
const LONG_TEXT: usize = 64 << 10;

/// For how long an interpreter may load libraries at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoadTime {
    /// Until the host abandons it. Others wait for the thread.
    Short,
    /// As long as it takes.
    Any,
}

/// Why a library is not loaded.
enum NotLoaded {
    /// The host has abandoned it.
    Abandoned,
    /// It cannot be loaded; the text of the error.
    Failed(Vec<u8>),
}

/// A library that is not loaded yet.
struct Awaited {
    code: Arc<[u8]>,
    /// Whether it is left to threads that may take any time.
    takes_long: bool,
}

impl Awaited {
    /// Whether it is to be loaded within this time.
    fn is_for(&self, time: LoadTime) -> bool {
        time == LoadTime::Any || !self.takes_long
    }
}

/// The names of functions do not differ by case.
fn folded(name: &[u8]) -> SmallVec<[u8; 32]> {
    name.iter().map(u8::to_ascii_lowercase).collect()
}

/// What a library is made of.
pub struct Contents {
    /// The library's name.
    pub name: Box<[u8]>,
    /// Its functions, in the order of their registration.
    pub functions: Vec<Rc<Registered>>,
}

/// A library that is loaded.
struct Loaded {
    code: Arc<[u8]>,
    contents: Contents,
}

/// The libraries that an interpreter has loaded.
pub(super) struct LoadedLibraries {
    /// Of which version of the server's libraries these are.
    version: (u64, u64),
    /// If some could not be loaded: the limit of memory then, and how many calls later they are tried again.
    failed: Option<(usize, u32)>,
    all: Vec<Loaded>,
    /// Those that were not loaded for want of time.
    awaited: Vec<Awaited>,
    by_name: AHashMap<SmallVec<[u8; 32]>, Rc<Registered>>,
    /// The functions in Lua, by their slots. They are in a table, because references to values are few.
    callbacks: Table,
    next: i64,
}

impl LoadedLibraries {
    pub(super) fn new(lua: &mlua::Lua) -> Result<Self> {
        let callbacks = lua.create_table()?;
        Ok(Self {
            version: (0, 0),
            failed: None,
            all: Vec::new(),
            awaited: Vec::new(),
            by_name: AHashMap::new(),
            callbacks,
            next: 1,
        })
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<Rc<Registered>> {
        self.by_name.get(&folded(name)).cloned()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Contents, &[u8])> {
        self.all.iter().map(|library| (&library.contents, &*library.code))
    }

    /// Whether none is left for want of time.
    pub(super) fn are_all(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Whether these are of a version, and nothing is left that is to be loaded within this time, or to be tried again.
    pub(super) fn is_of(&mut self, version: (u64, u64), limit: usize, time: LoadTime) -> bool {
        if let Some((failed_with, left)) = &mut self.failed {
            *left = left.saturating_sub(1);
            if *left == 0 || *failed_with != limit {
                return false;
            }
        }
        self.version == version && !self.awaited.iter().any(|library| library.is_for(time))
    }

    pub(super) fn callback(&self, function: &Registered) -> Result<Function> {
        self.callbacks.raw_get(function.slot)
    }

    /// Loads what is not loaded yet, as far as time allows, and forgets what is no more. Gives the errors of those that
    /// cannot be loaded.
    pub(super) fn become_those(
        &mut self,
        sandbox: &Sandbox,
        host: &mut dyn Host,
        (version, codes): ((u64, u64), Vec<Arc<[u8]>>),
        limit: usize,
        time: LoadTime,
    ) -> Vec<Vec<u8>> {
        let left: AHashMap<*const u8, Awaited> =
            self.awaited.drain(..).map(|library| (library.code.as_ptr(), library)).collect();
        let mut before: AHashMap<*const u8, Loaded> =
            self.all.drain(..).map(|library| (library.code.as_ptr(), library)).collect();
        let mut missing = Vec::new();
        for code in codes {
            if let Some(library) = before.remove(&code.as_ptr()) {
                self.all.push(library);
            } else {
                let takes_long = left.get(&code.as_ptr()).is_some_and(|library| library.takes_long);
                missing.push(Awaited { takes_long: takes_long || code.len() > LONG_TEXT, code });
            }
        }
        before.into_values().for_each(|library| self.free(&library.contents));
        let errors = self.load_missing(sandbox, host, missing, limit, time);
        let functions = self.all.iter().flat_map(|library| &library.contents.functions);
        self.by_name.clear();
        for function in functions {
            self.by_name.entry(folded(&function.name)).or_insert_with(|| Rc::clone(function));
        }
        self.version = version;
        self.failed = if errors.is_empty() { None } else { Some((limit, RETRY)) };
        errors
    }

    /// Loads libraries, as far as time allows, and keeps the others for later. Gives the errors of those that cannot be
    /// loaded.
    fn load_missing(
        &mut self,
        sandbox: &Sandbox,
        host: &mut dyn Host,
        missing: Vec<Awaited>,
        limit: usize,
        time: LoadTime,
    ) -> Vec<Vec<u8>> {
        let mut errors = Vec::new();
        let mut is_first = true;
        for mut library in missing {
            if !library.is_for(time) || host.tick() == Go::Abandon {
                self.awaited.push(library);
                continue;
            }
            match self.load(sandbox, host, &library.code, limit) {
                Ok(contents) => self.all.push(Loaded { code: library.code, contents }),
                Err(NotLoaded::Failed(error)) => errors.push(error),
                Err(NotLoaded::Abandoned) => {
                    // The first one had all the time that there is.
                    library.takes_long = is_first;
                    self.awaited.push(library);
                }
            }
            is_first = false;
        }
        errors
    }

    /// Loads a library, and forgets it again.
    pub(super) fn examine(
        &mut self,
        sandbox: &Sandbox,
        host: &mut dyn Host,
        code: &[u8],
        limit: usize,
    ) -> std::result::Result<Contents, Vec<u8>> {
        let contents = self.load(sandbox, host, code, limit).map_err(|why| match why {
            NotLoaded::Abandoned => b"ERR Error registering functions: ERR FUNCTION LOAD timeout".to_vec(),
            NotLoaded::Failed(text) => text,
        })?;
        self.free(&contents);
        Ok(contents)
    }

    fn load(
        &mut self,
        sandbox: &Sandbox,
        host: &mut dyn Host,
        code: &[u8],
        limit: usize,
    ) -> std::result::Result<Contents, NotLoaded> {
        let failed_for = |before: &str, error: &mlua::Error| {
            NotLoaded::Failed(format!("ERR {before}{}", plain(error)).into_bytes())
        };
        let (name, at) = metadata(code).map_err(NotLoaded::Failed)?;
        let text = code.get(at..).unwrap_or_default();
        let chunk = sandbox
            .compile_library(text)
            .map_err(|error| failed_for("Error compiling function: ", &error))?;
        sandbox::begin(true);
        host::choose(Proto::V2);
        let (ran, registered) = collect(|| run(sandbox, host, &chunk, limit));
        let (abandoned, failed) = sandbox::outcome();
        if abandoned {
            return Err(NotLoaded::Abandoned);
        }
        let why = match ran {
            Ok(None) => None,
            Ok(Some(text)) => Some(failed.map_or(text, |failed| failed.text)),
            Err(error) => Some(format!("ERR {}", plain(&error)).into_bytes()),
        };
        if let Some(why) = why {
            return Err(NotLoaded::Failed([b"ERR Error registering functions: ", why.as_slice()].concat()));
        }
        if registered.is_empty() {
            return Err(NotLoaded::Failed(b"ERR No functions registered".to_vec()));
        }
        let functions = registered.into_iter().map(|one| self.keep(one)).collect::<Result<_>>();
        let functions = functions.map_err(|error| failed_for("", &error))?;
        Ok(Contents { name: name.into_boxed_slice(), functions })
    }

    fn keep(&mut self, one: Registration) -> Result<Rc<Registered>> {
        let Registration { name, description, flags, callback } = one;
        let slot = self.next;
        self.callbacks.raw_set(slot, callback)?;
        self.next += 1;
        Ok(Rc::new(Registered { name, description, flags, slot, moves: Cell::new(0) }))
    }

    fn free(&self, contents: &Contents) {
        for function in &contents.functions {
            // To remove a key of a table takes no memory, so it does not fail.
            let _ = self.callbacks.raw_set(function.slot, Value::Nil);
        }
    }
}

/// Runs a library's text. Gives the text of what it raised, if nothing better is known of it.
fn run(sandbox: &Sandbox, host: &mut dyn Host, chunk: &Function, limit: usize) -> Result<Option<Vec<u8>>> {
    sandbox.set_loading.call::<()>(true)?;
    sandbox.limit_memory(limit)?;
    let ran = with_host(host, || sandbox.run.call::<(bool, Value)>(chunk));
    sandbox.lua.set_memory_limit(0)?;
    sandbox.set_loading.call::<()>(false)?;
    let (ok, value) = ran?;
    let text = value.as_string().map(|text| text.to_string_lossy());
    Ok((!ok).then(|| format!("ERR {}", text.as_deref().unwrap_or("error in error handling")).into_bytes()))
}

/// The name that a library gives itself in its first line, `#!lua name=...`, and where that line ends.
///
/// # Errors
/// The text of the error.
pub fn metadata(code: &[u8]) -> std::result::Result<(Vec<u8>, usize), Vec<u8>> {
    let about = |text: &str, what: &[u8]| [b"ERR ", text.as_bytes(), what].concat();
    if !code.starts_with(b"#!") {
        return Err(about("Missing library metadata", b""));
    }
    let invalid = || about("Invalid library metadata", b"");
    let end = memchr::memchr(b'\n', code).ok_or_else(invalid)?;
    let words = split_words(code.get(..end).unwrap_or_default()).map_err(|_| invalid())?;
    let (first, words) = words.split_first().ok_or_else(invalid)?;
    let mut name = None;
    for word in words {
        match word.split_at_checked(5) {
            Some((key, given)) if key.eq_ignore_ascii_case(b"name=") => {
                if name.replace(given).is_some() {
                    return Err(about("Invalid metadata value, name argument was given multiple times", b""));
                }
            }
            _ => return Err(about("Invalid metadata value given: ", word)),
        }
    }
    let name = name.ok_or_else(|| about("Library name was not given", b""))?;
    if !is_name(name) {
        return Err(about(BAD_NAME, b""));
    }
    match first.get(2..) {
        Some(engine) if engine.eq_ignore_ascii_case(b"lua") => Ok((name.to_vec(), end)),
        engine => Err(about("Engine '", &[engine.unwrap_or_default(), b"' not found"].concat())),
    }
}

#[cfg(test)]
mod tests {
    use super::metadata;

    #[test]
    fn the_first_line_names_the_library() {
        assert_eq!(metadata(b"#!lua name=a_1\nx"), Ok((b"a_1".to_vec(), 14)));
        assert_eq!(metadata(b"#!LUA   NAME=\"b\" \r\nx"), Ok((b"b".to_vec(), 18)));
        for (code, error) in [
            ("x", "ERR Missing library metadata"),
            ("#!lua name=a", "ERR Invalid library metadata"),
            ("#!lua name='a\n", "ERR Invalid library metadata"),
            ("#!lua\n", "ERR Library name was not given"),
            ("#!\n", "ERR Library name was not given"),
            ("#! name=a\n", "ERR Engine '' not found"),
            ("#!js name=a\n", "ERR Engine 'js' not found"),
            ("#!lua name=a name=b\n", "ERR Invalid metadata value, name argument was given multiple times"),
            ("#!lua name=a flags=x\n", "ERR Invalid metadata value given: flags=x"),
            (
                "#!lua name=a-b\n",
                "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one \
                 character long",
            ),
        ] {
            assert_eq!(metadata(code.as_bytes()), Err(error.as_bytes().to_vec()), "{code:?}");
        }
    }
}
