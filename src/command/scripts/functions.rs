//! FUNCTION: the libraries of functions. They are part of the data, and each thread loads them before it first calls
//! one of their functions.

use super::super::{Cx, Fail, Outcome, Server, eq};
use super::script::end_long;
use super::words::is_mode;
use crate::config::Settings;
use crate::effect::Structural;
use crate::engine::{EFFECT_BYTES, FunctionInfo, Library, Tx};
use crate::env::{Clock, Instant};
use crate::lua::{Contents, FLAG_NAMES, Go, Host, LoadTime, LogLevel, Vm, metadata, with_vm};
use crate::resp::Reply;
use crate::store::Holder;
use crate::text::glob_match;
use crate::value::rdb::{dump_functions, read_functions};
use ahash::AHashMap;
use std::sync::Arc;

/// A library may take so long to load, in milliseconds.
const LOAD_MILLIS: u64 = 500;
/// A thread that serves others loads libraries for so long at once, in milliseconds.
const SHORT_MILLIS: u64 = 4;

/// What a library reaches while it is loaded: the log, if it is loaded for the first time.
struct Loading<'c> {
    clock: &'c Clock,
    until: Option<Instant>,
    is_first: bool,
}

impl<'c> Loading<'c> {
    fn first(server: &'c Server) -> Self {
        let clock = &server.engine.clock;
        Self { clock, until: Some(clock.instant().after_ms(LOAD_MILLIS)), is_first: true }
    }

    /// What was loaded in time once is loaded again, however busy the machine is, unless others wait for the thread.
    fn again(server: &'c Server, time: LoadTime) -> Self {
        let clock = &server.engine.clock;
        let until = (time == LoadTime::Short).then(|| clock.instant().after_ms(SHORT_MILLIS));
        Self { clock, until, is_first: false }
    }
}

impl Host for Loading<'_> {
    fn call(&mut self, _args: &[&[u8]], out: &mut Reply) -> Go {
        out.error("ERR a library that is loaded can call no commands");
        Go::On
    }

    fn may_call(&mut self, _args: &[&[u8]]) -> Option<bool> {
        None
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        if self.is_first {
            level.write(text);
        }
    }

    fn tick(&mut self) -> Go {
        if self.until.is_none_or(|until| self.clock.instant() < until) { Go::On } else { Go::Abandon }
    }
}

/// Whether the thread's interpreter has the libraries that there are, as far as it can have them within this time.
pub(super) fn knows(vm: &mut Vm, server: &Server, settings: &Settings, time: LoadTime) -> bool {
    vm.knows(server.engine.libraries.version(), settings.lua_memory_limit as usize, time)
}

/// Has the thread's interpreter load the libraries that there are, as far as time allows, and notes the functions of
/// those whose functions are not known yet.
pub(super) fn know_all(vm: &mut Vm, server: &Server, settings: &Settings, time: LoadTime) {
    if knows(vm, server, settings, time) {
        return;
    }
    let libraries = &server.engine.libraries;
    let version = libraries.version();
    let limit = settings.lua_memory_limit as usize;
    let codes = libraries.list().into_iter().map(|(_, library)| library.code).collect();
    for error in vm.know_libraries(&mut Loading::again(server, time), (version, codes), limit, time) {
        tracing::warn!("a library cannot be loaded: {}", String::from_utf8_lossy(&error));
    }
    for (contents, code) in vm.libraries() {
        libraries.describe(&contents.name, code, || functions_of(contents));
    }
}

/// How long a command may load libraries, which has a thread of its own or not.
pub(super) fn load_time(has_own_thread: bool) -> LoadTime {
    if has_own_thread { LoadTime::Any } else { LoadTime::Short }
}

fn functions_of(contents: &Contents) -> Arc<[FunctionInfo]> {
    let functions = contents.functions.iter().map(|function| FunctionInfo {
        name: function.name.clone(),
        description: function.description.clone(),
        flags: function.flags,
    });
    functions.collect()
}

/// Finds out the functions of all libraries, after these were read from disk. A thread whose interpreter is at work
/// leaves it for the next call of a function.
pub fn find_functions(server: &Server, time: LoadTime) {
    let libraries = &server.engine.libraries;
    if !libraries.are_known()
        && let Err(why) = with_vm(|vm| know_all(vm, server, &server.config.snapshot(), time))
    {
        tracing::warn!("the libraries of functions are not loaded yet: {why}");
    }
}

fn interpreter<T>(body: impl FnOnce(&mut Vm) -> Result<T, Fail>) -> Result<T, Fail> {
    with_vm(body).map_err(|why| super::eval::no_interpreter(&why))?
}

/// What becomes of libraries that are there already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    Flush,
    Append,
    Replace,
}

/// A library to be stored.
struct New {
    contents: Contents,
    code: Vec<u8>,
}

fn exists(name: &[u8]) -> Fail {
    Fail::bytes([b"ERR Library ", name, b" already exists"].concat())
}

fn function_exists(name: &[u8]) -> Fail {
    Fail::bytes([b"ERR Function ", name, b" already exists"].concat())
}

/// What a library has that cannot be loaded is not known, so no other may be stored beside it.
fn cannot_be_loaded(name: &[u8]) -> Fail {
    let text = b"' cannot be loaded, so its functions are not known: raise lua-memory-limit, or delete or replace it";
    Fail::bytes([b"ERR Library '", name, text].concat())
}

/// Runs a change that needs every shard: in the transaction that the command is part of, or in one of its own.
fn under_all<T>(
    cx: &mut Cx<'_, '_>,
    mut change: impl FnMut(&mut Tx<'_>) -> Result<T, Fail>,
) -> Result<T, Fail> {
    if cx.tx.locked().holds_all() { change(cx.tx) } else { cx.alone(Holder::Libraries, change) }
}

/// Stores libraries. No function may be in two of them. In one of them names may differ by case alone, as in Redis; the
/// first counts.
fn store(cx: &mut Cx<'_, '_>, vm: &mut Vm, libraries: &[New], policy: Policy) -> Outcome {
    let (server, settings) = (cx.server, cx.settings);
    let bytes: usize = libraries.iter().map(|library| library.code.len() + EFFECT_BYTES).sum();
    let mut functions = AHashMap::new();
    for (at, library) in libraries.iter().enumerate() {
        for function in &library.contents.functions {
            let (_, first) =
                *functions.entry(function.name.to_ascii_lowercase()).or_insert((&function.name, at));
            if first != at {
                return Err(function_exists(&function.name));
            }
        }
    }
    let mut find_all = || {
        if !server.engine.libraries.are_known() {
            know_all(vm, server, settings, LoadTime::Any);
        }
    };
    find_all();
    under_all(cx, |tx| {
        // The data may have been read again from disk meanwhile.
        find_all();
        let known = &tx.engine().libraries;
        let mut old = if policy == Policy::Flush { Vec::new() } else { known.list() };
        let is_new = |name: &[u8]| libraries.iter().any(|library| *library.contents.name == *name);
        if policy == Policy::Append
            && let Some((name, _)) = old.iter().find(|(name, _)| is_new(name))
        {
            return Err(exists(name));
        }
        old.retain(|(name, _)| !is_new(name));
        for (name, library) in &old {
            let Some(old) = &library.functions else { return Err(cannot_be_loaded(name)) };
            if let Some((name, _)) = old.iter().find_map(|old| functions.get(&old.name.to_ascii_lowercase()))
            {
                return Err(function_exists(name));
            }
        }
        tx.ask(bytes)?;
        if policy == Policy::Flush {
            drop_all(tx);
        }
        for New { contents, code } in libraries {
            tx.apply(Structural::LibraryPut { name: &contents.name, code });
            tx.engine().libraries.describe(&contents.name, code, || functions_of(contents));
        }
        Ok(())
    })
}

fn drop_all(tx: &mut Tx<'_>) {
    for (name, _) in tx.engine().libraries.list() {
        tx.apply(Structural::LibraryDrop { name: &name });
    }
}

fn examine(cx: &Cx<'_, '_>, vm: &mut Vm, code: &[u8]) -> Result<Contents, Fail> {
    let limit = cx.settings.lua_memory_limit as usize;
    vm.examine(&mut Loading::first(cx.server), code, limit).map_err(Fail::bytes)
}

pub(super) fn load(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (replaces, code) = match &args[2..] {
        [code] => (false, *code),
        [word, code] if eq(word, "REPLACE") => (true, *code),
        [word, ..] => return Err(Fail::bytes([b"ERR Unknown option given: ", *word].concat())),
        [] => return Err(Fail::sub_syntax(args)),
    };
    let (name, _) = metadata(code).map_err(Fail::bytes)?;
    if !replaces && cx.server.engine.libraries.has(&name) {
        return Err(Fail::bytes([b"ERR Library '", name.as_slice(), b"' already exists"].concat()));
    }
    interpreter(|vm| {
        let contents = examine(cx, vm, code)?;
        let policy = if replaces { Policy::Replace } else { Policy::Append };
        store(cx, vm, &[New { contents, code: code.to_vec() }], policy)
    })?;
    cx.out.bulk(&name);
    Ok(())
}

pub(super) fn restore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let policy = match &args[3..] {
        [] => Policy::Append,
        [word] if eq(word, "APPEND") => Policy::Append,
        [word] if eq(word, "REPLACE") => Policy::Replace,
        [word] if eq(word, "FLUSH") => Policy::Flush,
        [_] => {
            return Err(Fail::new(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
        _ => return Err(Fail::sub_syntax(args)),
    };
    let codes = read_functions(args[2]).map_err(|error| Fail::text(error.to_string()))?;
    interpreter(|vm| {
        let mut libraries: Vec<New> = Vec::with_capacity(codes.len());
        for code in codes {
            let contents = examine(cx, vm, &code)?;
            if libraries.iter().any(|other| other.contents.name == contents.name) {
                return Err(exists(&contents.name));
            }
            libraries.push(New { contents, code });
        }
        store(cx, vm, &libraries, policy)
    })?;
    cx.out.ok();
    Ok(())
}

pub(super) fn delete(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let name = args[2];
    under_all(cx, |tx| {
        if !tx.engine().libraries.has(name) {
            return Err(Fail::new("ERR Library not found"));
        }
        tx.apply(Structural::LibraryDrop { name });
        Ok(())
    })?;
    cx.out.ok();
    Ok(())
}

pub(super) fn flush(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match &args[2..] {
        [] => {}
        [mode] if is_mode(mode) => {}
        [_] => return Err(Fail::new("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")),
        _ => return Err(Fail::sub_syntax(args)),
    }
    under_all(cx, |tx| {
        drop_all(tx);
        Ok(())
    })?;
    cx.out.ok();
    Ok(())
}

pub(super) fn dump(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let libraries = cx.server.engine.libraries.list();
    cx.out.bulk(&dump_functions(libraries.iter().map(|(_, library)| &*library.code)));
    Ok(())
}

pub(super) fn list(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (mut pattern, mut with_code) = (None, false);
    let mut words = args[2..].iter();
    while let Some(word) = words.next() {
        if !with_code && eq(word, "WITHCODE") {
            with_code = true;
        } else if pattern.is_none() && eq(word, "LIBRARYNAME") {
            let given = words.next().ok_or(Fail::new("ERR library name argument was not given"))?;
            pattern = Some(*given);
        } else {
            return Err(Fail::bytes([b"ERR Unknown argument ", *word].concat()));
        }
    }
    find_functions(cx.server, load_time(cx.client.has_own_thread));
    let mut shown = cx.server.engine.libraries.list();
    // As in Redis, the case of letters does not matter.
    let pattern = pattern.map(<[u8]>::to_ascii_lowercase);
    shown.retain(|(name, _)| pattern.as_ref().is_none_or(|p| glob_match(p, &name.to_ascii_lowercase())));
    cx.out.array(shown.len());
    for (name, library) in &shown {
        show(cx.out, name, library, with_code);
    }
    Ok(())
}

fn show(out: &mut Reply, name: &[u8], library: &Library, with_code: bool) {
    let functions = library.functions.as_deref().unwrap_or_default();
    out.map(3 + usize::from(with_code));
    out.bulk(b"library_name");
    out.bulk(name);
    out.bulk(b"engine");
    out.bulk(b"LUA");
    out.bulk(b"functions");
    out.array(functions.len());
    for function in functions {
        out.map(3);
        out.bulk(b"name");
        out.bulk(&function.name);
        out.bulk(b"description");
        match &function.description {
            Some(text) => out.bulk(text),
            None => out.null(),
        }
        out.bulk(b"flags");
        let has = |(bit, _): &(usize, &&str)| function.flags & (1 << bit) != 0;
        let flags: Vec<_> = FLAG_NAMES.iter().enumerate().filter(has).collect();
        out.set(flags.len());
        flags.iter().for_each(|(_, name)| out.simple(**name));
    }
    if with_code {
        out.bulk(b"library_code");
        out.bulk(&library.code);
    }
}

pub(super) fn kill(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    end_long(cx, true)
}

pub(super) fn stats(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let running = cx.server.running.all().into_iter().find(|script| script.is_function);
    let figures = cx.server.engine.libraries.figures();
    let out = &mut *cx.out;
    out.map(2);
    out.bulk(b"running_script");
    match running {
        None => out.null(),
        Some(script) => {
            let now = cx.server.engine.clock.instant();
            out.map(3);
            out.bulk(b"name");
            out.bulk(script.name.as_bytes());
            out.bulk(b"command");
            out.array(script.command.len());
            script.command.iter().for_each(|word| out.bulk(word));
            out.bulk(b"duration_ms");
            out.int(now.ms_since(script.since) as i64);
        }
    }
    out.bulk(b"engines");
    out.map(1);
    out.bulk(b"LUA");
    out.map(2);
    out.bulk(b"libraries_count");
    out.int(figures.libraries as i64);
    out.bulk(b"functions_count");
    out.int(figures.functions as i64);
    Ok(())
}
