//! A thread's interpreter.

use super::errors::{Failure, plain};
use super::host::{self, Host, with_host};
use super::reply;
use super::sandbox::{self, ENVIRONMENT, Sandbox};
use super::scripts::{Script, Sha};
use crate::env::Random;
use crate::resp::{Proto, Reply};
use ahash::AHashMap;
use mlua::{Function, Result, Table, Value};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// So many compiled scripts are kept; when there are more, all are forgotten and compiled again as they are run. Each
/// takes one of the interpreter's 8 000 references to values.
const MOST_COMPILED: usize = 500;
/// An interpreter that has more garbage than this after a run collects it, in bytes.
const GARBAGE: usize = 16 << 20;

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

/// An interpreter.
pub struct Vm {
    sandbox: Sandbox,
    compiled: AHashMap<Sha, (Arc<Script>, Function)>,
    /// What this interpreter has added to `IN_USE`.
    counted: usize,
    /// An interpreter with more memory than this after a run collects its garbage.
    collect_above: usize,
}

/// The bytes that all interpreters have allocated.
pub fn memory_in_use() -> usize {
    IN_USE.load(Relaxed)
}

/// Calls `body` with the thread's interpreter, which is made when it is first needed.
///
/// # Errors
/// Why there is none.
pub fn with_vm<R>(body: impl FnOnce(&mut Vm) -> R) -> std::result::Result<R, String> {
    VM.with_borrow_mut(|vm| {
        let vm = match vm {
            Some(vm) => vm,
            None => vm.insert(Vm::new().map_err(|error| plain(&error))?),
        };
        Ok(body(vm))
    })
}

impl Vm {
    fn new() -> Result<Self> {
        let seed = Random::from_os().map_or(0, |mut random| random.next_u64() as i32);
        let sandbox = Sandbox::new(seed)?;
        sandbox.lua.set_named_registry_value(ENVIRONMENT, &sandbox.environment)?;
        let mut vm = Self { sandbox, compiled: AHashMap::new(), counted: 0, collect_above: GARBAGE };
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
        let function = self.sandbox.compile(text, "@user_script").map_err(|error| plain(&error))?;
        if self.compiled.len() >= MOST_COMPILED {
            self.compiled.clear();
        }
        self.compiled.insert(script.sha, (Arc::clone(script), function.clone()));
        Ok(function)
    }

    /// Runs a compiled script, and writes its reply. `limit`: how many bytes the interpreter may have, 0 for any
    /// number.
    pub fn run(
        &mut self,
        host: &mut dyn Host,
        script: &Function,
        (keys, args): (&[&[u8]], &[&[u8]]),
        limit: usize,
        out: &mut Reply,
    ) -> RunEnd {
        sandbox::begin();
        host::choose(Proto::V2);
        let mark = out.len();
        let ended = self.guarded(host, script, keys, args, limit, out);
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
        script: &Function,
        keys: &[&[u8]],
        args: &[&[u8]],
        limit: usize,
        out: &mut Reply,
    ) -> Result<RunEnd> {
        let Sandbox { lua, globals, run, .. } = &self.sandbox;
        globals.raw_set("KEYS", self.list(keys)?)?;
        globals.raw_set("ARGV", self.list(args)?)?;
        lua.set_memory_limit(limit)?;
        let ran = with_host(host, || run.call::<(bool, Value)>(script));
        lua.set_memory_limit(0)?;
        let (ok, value) = ran?;
        if ok {
            let returned = reply::write(&self.sandbox, &value, out)?;
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
