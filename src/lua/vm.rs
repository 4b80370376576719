//! A thread's interpreter.

use super::call::{fortify, lend};
use super::errors::{Failure, plain};
use super::host::{self, Host, with_host};
use super::libraries::{Contents, LoadTime, LoadedLibraries, Registered};
use super::reply;
use super::sandbox::{self, Sandbox};
use super::scripts::{Script, Sha};
use crate::env::Random;
use crate::resp::{Proto, Reply};
use ahash::AHashMap;
use mlua::{Function, Result, Table, Value};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// So many compiled scripts are kept; when there are more, all are forgotten and compiled again as they are run. Each
/// takes one of the interpreter's 8 000 references to values.
const MOST_COMPILED: usize = 500;
/// An interpreter that has more garbage than this after a run collects it, in bytes.
const GARBAGE: usize = 16 << 20;

/// Keys and arguments that have more bytes than this together are made before the limit of memory is in force.
const LONG: usize = 64 << 10;

/// What all interpreters have allocated, in bytes.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static VM: RefCell<Option<Vm>> = const { RefCell::new(None) };
}

/// How a run ended.
#[derive(Debug)]
pub enum RunEnd {
    /// The script returned, and its reply is written. If the reply is an error: whether it was counted already.
    Returned {
        /// Whether the error was counted when a command gave it.
        counted: bool,
    },
    /// The script failed.
    Failed(Failure),
    /// The script was abandoned. There is no reply.
    Abandoned,
}

/// What is run.
#[derive(Clone, Copy)]
pub enum Program<'b> {
    /// A compiled script, which finds its arguments in `KEYS` and `ARGV`.
    Script(&'b Function),
    /// A function of a library, which is called with them.
    Function(&'b Registered),
}

/// An interpreter.
pub struct Vm {
    sandbox: Sandbox,
    compiled: AHashMap<Sha, (Arc<Script>, Function)>,
    libraries: LoadedLibraries,
    /// What this interpreter has added to `IN_USE`.
    counted: usize,
    /// An interpreter with more memory than this after a run collects its garbage.
    collect_above: usize,
}

/// The bytes that all interpreters have allocated.
pub fn memory_in_use() -> usize {
    IN_USE.load(Relaxed)
}

/// Forgets an interpreter in which something panicked: it may be in the middle of anything.
struct Forgotten<'v>(&'v mut Option<Vm>);

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0 = None;
        }
    }
}

/// Calls `body` with the thread's interpreter, which is made when it is first needed and again after a panic.
///
/// # Errors
/// Why there is none.
pub fn with_vm<R>(body: impl FnOnce(&mut Vm) -> R) -> std::result::Result<R, String> {
    VM.with(|vm| {
        let mut vm = vm.try_borrow_mut().map_err(|_| "a script is running".to_owned())?;
        let kept = Forgotten(&mut vm);
        let vm = match &mut *kept.0 {
            Some(vm) => vm,
            None => kept.0.insert(Vm::new().map_err(|error| plain(&error))?),
        };
        Ok(body(vm))
    })
}

impl Vm {
    fn new() -> Result<Self> {
        let seed = Random::from_os().map_or(0, |mut random| random.next_u64() as i32);
        let sandbox = Sandbox::new(seed)?;
        fortify(&sandbox.lua)?;
        let libraries = LoadedLibraries::new(&sandbox.lua)?;
        let mut vm =
            Self { sandbox, compiled: AHashMap::new(), libraries, counted: 0, collect_above: GARBAGE };
        vm.count_memory();
        Ok(vm)
    }

    /// The script with a SHA-1, if this interpreter has compiled it and the server still knows it.
    pub fn known(&self, sha: &Sha) -> Option<Arc<Script>> {
        self.compiled.get(sha).filter(|(script, _)| !script.is_gone()).map(|(script, _)| Arc::clone(script))
    }

    /// Compiles a script, unless that was done.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(&mut self, script: &Arc<Script>) -> std::result::Result<Function, String> {
        match self.compiled.get(&script.sha) {
            Some((known, function)) if Arc::ptr_eq(known, script) => return Ok(function.clone()),
            _ => {}
        }
        let text = script.body.get(script.code_at..).unwrap_or_default();
        let function = self.sandbox.compile(text).map_err(|error| plain(&error))?;
        if self.compiled.len() >= MOST_COMPILED {
            self.compiled.clear();
        }
        self.compiled.insert(script.sha, (Arc::clone(script), function.clone()));
        Ok(function)
    }

    /// Whether the libraries of a version are loaded, as far as that is possible within this time and with this limit
    /// of memory. Where some could not be loaded, they are tried again every 1 000 calls.
    pub fn knows(&mut self, version: (u64, u64), limit: usize, time: LoadTime) -> bool {
        self.libraries.is_of(version, limit, time)
    }

    /// Whether no library is left for want of time.
    pub fn knows_all(&self) -> bool {
        self.libraries.are_all()
    }

    /// Loads the libraries that there are now: their version and their texts. Gives the errors of those that cannot be
    /// loaded. `limit`: see [`Vm::run`]. If time is short, the rest is left once the host abandons a library.
    pub fn know_libraries(
        &mut self,
        host: &mut dyn Host,
        libraries: ((u64, u64), Vec<Arc<[u8]>>),
        limit: usize,
        time: LoadTime,
    ) -> Vec<Vec<u8>> {
        let errors = self.libraries.become_those(&self.sandbox, host, libraries, limit, time);
        self.count_memory();
        errors
    }

    /// Loads a library, says what it is made of, and forgets it. `limit`: see [`Vm::run`].
    ///
    /// # Errors
    /// The text of the error.
    pub fn examine(
        &mut self,
        host: &mut dyn Host,
        code: &[u8],
        limit: usize,
    ) -> std::result::Result<Contents, Vec<u8>> {
        let contents = self.libraries.examine(&self.sandbox, host, code, limit);
        self.count_memory();
        contents
    }

    /// A function of the libraries that were loaded.
    pub fn function(&self, name: &[u8]) -> Option<Rc<Registered>> {
        self.libraries.get(name)
    }

    /// The libraries that were loaded, each with its text.
    pub fn libraries(&self) -> impl Iterator<Item = (&Contents, &[u8])> {
        self.libraries.iter()
    }

    /// Runs a script or a function, and writes its reply. `limit`: how many bytes the interpreter may have, 0 for any
    /// number.
    pub fn run(
        &mut self,
        host: &mut dyn Host,
        program: Program<'_>,
        (keys, args): (&[&[u8]], &[&[u8]]),
        limit: usize,
        out: &mut Reply,
    ) -> RunEnd {
        sandbox::begin(matches!(program, Program::Function(_)));
        host::choose(Proto::V2);
        let mark = out.len();
        let ended = self.guarded(host, program, (keys, args), limit, out);
        let (abandoned, failed) = sandbox::outcome();
        self.count_memory();
        match ended {
            _ if abandoned => {
                out.truncate(mark);
                RunEnd::Abandoned
            }
            Ok(ended) => ended,
            Err(error) => {
                out.truncate(mark);
                let text = format!("ERR {}", plain(&error)).into_bytes();
                RunEnd::Failed(failed.unwrap_or(Failure { text, counted: false, place: None }))
            }
        }
    }

    fn guarded(
        &mut self,
        host: &mut dyn Host,
        program: Program<'_>,
        (keys, args): (&[&[u8]], &[&[u8]]),
        limit: usize,
        out: &mut Reply,
    ) -> Result<RunEnd> {
        let Sandbox { lua, globals, run, call, .. } = &self.sandbox;
        let bytes: usize = keys.iter().chain(args).map(|text| text.len()).sum();
        // The limit is for what a script makes itself, so what is long is made before.
        let made = if bytes > LONG { Some((self.list(keys)?, self.list(args)?)) } else { None };
        let lent = if made.is_none() { Some((keys, args)) } else { None };
        let (keys, args) = made.unzip();
        let callback = match program {
            Program::Script(_) => {
                if let (Some(keys), Some(args)) = (&keys, &args) {
                    globals.raw_set("KEYS", keys)?;
                    globals.raw_set("ARGV", args)?;
                }
                None
            }
            Program::Function(function) => Some(self.libraries.callback(function)?),
        };
        self.sandbox.limit_memory(limit)?;
        let ran = with_host(&mut *host, || {
            lend(lent, || match program {
                Program::Script(script) => run.call::<(bool, Value)>(script),
                Program::Function(_) => call.call((callback, keys, args)),
            })
        });
        lua.set_memory_limit(0)?;
        let (ok, value) = ran?;
        if ok {
            let returned = with_host(host, || reply::write(&self.sandbox, &value, out))?;
            return Ok(RunEnd::Returned { counted: returned.is_error && returned.counted });
        }
        let failure = sandbox::outcome().1;
        // Where memory was short, or the handler itself failed, there is only a text.
        let without_handler = || {
            let text = value.as_string().map(|text| text.to_string_lossy());
            let text = text.unwrap_or_else(|| "error in error handling".to_owned());
            Failure { text: format!("ERR {text}").into_bytes(), counted: false, place: None }
        };
        Ok(RunEnd::Failed(failure.unwrap_or_else(without_handler)))
    }

    fn list(&self, texts: &[&[u8]]) -> Result<Table> {
        let lua = &self.sandbox.lua;
        let table = lua.create_table_with_capacity(texts.len(), 0)?;
        for (at, text) in texts.iter().enumerate() {
            table.raw_set(at + 1, lua.create_string(text)?)?;
        }
        Ok(table)
    }

    /// Counts what the interpreter has allocated, and collects garbage if it is much.
    fn count_memory(&mut self) {
        let lua = &self.sandbox.lua;
        let mut used = lua.used_memory();
        if used > self.collect_above {
            // A failure of a finalizer, of which there are none.
            let _ = lua.gc_collect();
            used = lua.used_memory();
            self.collect_above = used * 2 + GARBAGE;
        }
        if used.abs_diff(self.counted) > 4096 {
            IN_USE.fetch_add(used.wrapping_sub(self.counted), Relaxed);
            self.counted = used;
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        IN_USE.fetch_sub(self.counted, Relaxed);
    }
}
