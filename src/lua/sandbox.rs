//! What scripts see: made by a prelude in Lua of Lua's own libraries and of functions in Rust.

use super::errors::{self, failure};
use super::{api, call, cjson, going, random, register};
use crate::env::process;
use mlua::{
    ChunkMode, Error, Function, HookTriggers, Lua, LuaOptions, Result, StdLib, Table, Value, VmState,
};
use std::cell::Cell;

const PRELUDE: &str = include_str!("prelude.lua");
/// How many instructions run between two ticks. That takes some ten microseconds.
const TICK: u32 = 10_000;
/// The longest text that is compiled, in bytes. Lua's parser counts in ints.
pub(super) const LONGEST: usize = 64 << 20;

thread_local! {
    /// The failure of the run, which its handler found out where it was raised.
    static FAILED: Cell<Option<errors::Failure>> = const { Cell::new(None) };
    /// Whether what runs is of a library.
    static IN_LIBRARY: Cell<bool> = const { Cell::new(false) };
}

/// Begins a run: nothing has failed. `in_library`: what is compiled meanwhile has the globals of libraries.
pub(super) fn begin(in_library: bool) {
    going::begin();
    IN_LIBRARY.set(in_library);
    FAILED.set(None);
    cjson::reset();
}

/// Whether the script was abandoned, and its failure if it has failed.
pub(super) fn outcome() -> (bool, Option<errors::Failure>) {
    (going::is_abandoned(), FAILED.take())
}

/// An interpreter with what scripts see.
pub(super) struct Sandbox {
    pub(super) lua: Lua,
    /// What scripts have as their globals.
    pub(super) environment: Table,
    /// What is behind it: KEYS and ARGV are put there.
    pub(super) globals: Table,
    /// Calls a script under a handler.
    pub(super) run: Function,
    /// Tells what kind of reply a table is.
    pub(super) kind: Function,
    /// What libraries of functions have as their globals.
    pub(super) library: Table,
    /// Says whether a library is being loaded: then it can register functions, and do nothing else.
    pub(super) set_loading: Function,
    /// Calls a function of a library under a handler.
    pub(super) call: Function,
}

impl Sandbox {
    pub(super) fn new(seed: i32) -> Result<Self> {
        let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, LuaOptions::default())?;
        random::seed(seed);
        let prelude = lua.load(PRELUDE).set_name("=prelude").set_mode(ChunkMode::Text);
        let modules = api::modules(&lua)?;
        let (environment, globals, run, kind, library, set_loading, call) =
            prelude.call((natives(&lua)?, modules))?;
        lua.set_named_registry_value(SCRIPTS, &environment)?;
        lua.set_named_registry_value(LIBRARIES, &library)?;
        lua.set_global_hook(HookTriggers::new().every_nth_instruction(TICK), |_, _| {
            going::tick().map(|()| VmState::Continue)
        })?;
        Ok(Self { lua, environment, globals, run, kind, library, set_loading, call })
    }

    /// Limits the interpreter's memory to so many bytes, 0 for no limit. What earlier runs have left behind does not
    /// count.
    pub(super) fn limit_memory(&self, limit: usize) -> Result<()> {
        if limit != 0 && self.lua.used_memory() > limit / 2 {
            self.lua.gc_collect()?;
        }
        self.lua.set_memory_limit(limit).map(drop)
    }

    /// Compiles text as a function whose globals are those of scripts.
    pub(super) fn compile(&self, text: &[u8]) -> Result<Function> {
        compile(&self.lua, text, "@user_script", &self.environment)
    }

    /// Compiles text as a function whose globals are those of libraries.
    pub(super) fn compile_library(&self, text: &[u8]) -> Result<Function> {
        compile(&self.lua, text, "@user_function", &self.library)
    }
}

/// Compiles text. The collector does not run meanwhile: Lua 5.1's parser does not hold on to all that it has made, and
/// a collection would free it.
fn compile(lua: &Lua, text: &[u8], name: &str, environment: &Table) -> Result<Function> {
    if text.len() > LONGEST {
        return Err(Error::RuntimeError(format!("{name}: the text is too long")));
    }
    struct Collector<'l>(&'l Lua);
    impl Drop for Collector<'_> {
        fn drop(&mut self) {
            self.0.gc_restart();
        }
    }
    lua.gc_stop();
    let _collector = Collector(lua);
    let chunk = lua.load(text).set_name(name).set_mode(ChunkMode::Text);
    chunk.set_environment(environment.clone()).into_function()
}

/// The functions in Rust that the prelude builds on.
fn natives(lua: &Lua) -> Result<Table> {
    let natives = lua.create_table()?;
    let add = |name: &str, function: Function| natives.raw_set(name, function);
    add(
        "seen",
        lua.create_function(|lua, (error, as_text): (Value, bool)| {
            going::check()?;
            errors::seen(lua, error, as_text)
        })?,
    )?;
    add("is_abandoned", lua.create_function(|_, ()| going::check())?)?;
    add(
        "failed",
        lua.create_function(|lua, error: Value| {
            FAILED.set(note_failure(lua, &error));
            Ok(())
        })?,
    )?;
    add("load", lua.create_function(load)?)?;
    add("given", call::given(lua)?)?;
    add("register", lua.create_function(register::register)?)?;
    add("draw", lua.create_function(|_, ()| Ok(random::draw()))?)?;
    add("whole", lua.create_function(|_, number: f64| Ok(f64::from(number as i32)))?)?;
    add(
        "seed",
        lua.create_function(|_, number: f64| {
            random::seed(number as i64 as i32);
            Ok(())
        })?,
    )?;
    add(
        "clock",
        lua.create_function(|_, ()| {
            let used = process::cpu_time();
            Ok(used.user + used.system)
        })?,
    )?;
    Ok(natives)
}

/// The failure of a run, with the place where it was raised: that of the last function of the script.
fn note_failure(lua: &Lua, error: &Value) -> Option<errors::Failure> {
    let mut failure = failure(lua, error).ok()?;
    failure.place = errors::script_source(lua).map(|(source, line)| format!("{source}:{line}"));
    Some(failure)
}

/// `loadstring`: compiles text, and gives nil and why if that fails.
fn load(
    lua: &Lua,
    (text, name): (mlua::String, Option<mlua::String>),
) -> Result<(Option<Function>, Option<String>)> {
    let environment: Table = lua.named_registry_value(if IN_LIBRARY.get() { LIBRARIES } else { SCRIPTS })?;
    let name = name.map_or_else(|| text.to_string_lossy(), |name| name.to_string_lossy());
    match compile(lua, &text.as_bytes(), &name, &environment) {
        Ok(function) => Ok((Some(function), None)),
        Err(error) => Ok((None, Some(errors::plain(&error)))),
    }
}

/// Under these names the registry has the globals of scripts and those of libraries.
const SCRIPTS: &str = "scripts";
const LIBRARIES: &str = "libraries";
