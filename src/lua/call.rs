//! `redis.call`, `redis.pcall`, and the arguments of a run, over Lua's own interface: a script spends most of its time
//! here, and a handle for each argument and each part of a reply would take longer than the commands themselves.
//!
//! Lua raises an error by jumping over the frames in between, so nothing in them is dropped. Therefore a function here
//! either calls what may raise an error, and then owns nothing that has to be dropped; or it owns such things, and
//! calls nothing that may raise one. `ask` is of the second kind; it reads arguments without converting them, which
//! cannot fail.

#![allow(unsafe_code)]

use super::going;
use super::host::{self, Go};
use crate::resp::Reply;
use crate::text::{parse_f64, write_f64};
use mlua::ffi::{
    LUA_TNIL, LUA_TNUMBER, LUA_TSTRING, lua_Number, lua_State, lua_atpanic, lua_checkstack, lua_createtable,
    lua_error, lua_gettop, lua_pushboolean, lua_pushlightuserdata, lua_pushlstring, lua_pushnil,
    lua_pushnumber, lua_rawset, lua_rawseti, lua_settop, lua_tolstring, lua_tonumber, lua_type,
};
use mlua::{Function, Lua, Result};
use smallvec::SmallVec;
use std::any::Any;
use std::cell::Cell;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

/// Buffers that grew beyond so many bytes are freed.
const KEPT: usize = 64 << 10;

/// The keys and the other arguments of a run, borrowed by [`lend`].
#[derive(Clone, Copy)]
struct Given {
    keys: NonNull<[&'static [u8]]>,
    args: NonNull<[&'static [u8]]>,
}

thread_local! {
    /// A buffer for the replies of commands.
    static REPLY: Cell<Reply> = Cell::default();
    /// The bytes of the reply that is being converted.
    static BYTES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// What a command panicked with. Lua must not be unwound, so the run is abandoned, and panics when it has ended.
    static PANIC: Cell<Option<Box<dyn Any + Send>>> = const { Cell::new(None) };
    static GIVEN: Cell<Option<Given>> = const { Cell::new(None) };
}

/// Calls `body`, within which the function that [`given`] makes finds these keys and arguments, if any. If a command
/// panicked meanwhile, that goes on here.
pub(super) fn lend<R>(lent: Option<(&[&[u8]], &[&[u8]])>, body: impl FnOnce() -> R) -> R {
    /// Takes the arguments back, also if `body` panics.
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            GIVEN.set(None);
        }
    }
    // SAFETY: only lifetimes change. The pointers are in their place only while `body` runs, during which both are
    // borrowed.
    GIVEN.set(lent.map(|(keys, args)| unsafe {
        Given {
            keys: std::mem::transmute::<NonNull<[&[u8]]>, NonNull<[&'static [u8]]>>(NonNull::from(keys)),
            args: std::mem::transmute::<NonNull<[&[u8]]>, NonNull<[&'static [u8]]>>(NonNull::from(args)),
        }
    }));
    let back = Back;
    let done = body();
    drop(back);
    if let Some(panic) = PANIC.take() {
        std::panic::resume_unwind(panic);
    }
    done
}

/// Makes an interpreter safe to run short of memory.
///
/// # Errors
/// There is not even memory for this.
pub(super) fn fortify(lua: &Lua) -> Result<()> {
    /// Nearly all references to values that an interpreter may have, which is Lua's limit on a stack.
    const REFERENCES: usize = 7_800;
    // SAFETY: the closure calls nothing that raises an error, and leaves the stack as it was.
    unsafe {
        lua.exec_raw::<()>((), |state| {
            lua_atpanic(state, no_way_out);
        })?;
    }
    // References stand on a stack of their own, which grows as they are made. To grow it while memory is short would be
    // an error where nothing catches it, and Lua ends the process then.
    let held: Result<Vec<mlua::String>> = (0..REFERENCES).map(|_| lua.create_string("")).collect();
    held.map(drop)
}

/// What Lua calls before it ends the process.
unsafe extern "C-unwind" fn no_way_out(_: *mut lua_State) -> c_int {
    tracing::error!("an error in the interpreter of scripts that nothing catches");
    std::process::abort()
}

/// A function that returns lists of the keys and of the other arguments, or nothing where none are lent.
pub(super) fn given(lua: &Lua) -> Result<Function> {
    // SAFETY: `push_given` keeps to the rules for functions of Lua: it pushes two values, and says so.
    unsafe { lua.create_c_function(push_given) }
}

/// `redis.call`.
pub(super) fn call(lua: &Lua) -> Result<Function> {
    // SAFETY: as in `given`, with one value.
    unsafe { lua.create_c_function(call_or_raise) }
}

/// `redis.pcall`.
pub(super) fn pcall(lua: &Lua) -> Result<Function> {
    // SAFETY: as in `given`, with one value.
    unsafe { lua.create_c_function(call_and_catch) }
}

unsafe extern "C-unwind" fn push_given(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with a state that has room for twenty values. The slices are lent: see `lend`.
    unsafe {
        if let Some(given) = GIVEN.get() {
            push_list(state, given.keys.as_ref());
            push_list(state, given.args.as_ref());
        } else {
            lua_pushnil(state);
            lua_pushnil(state);
        }
    }
    2
}

unsafe fn push_list(state: *mut lua_State, texts: &[&[u8]]) {
    // SAFETY: the caller's state has room for two values.
    unsafe {
        lua_createtable(state, c_int::try_from(texts.len()).unwrap_or(0), 0);
        for (at, text) in (1..).zip(texts) {
            push_text(state, text);
            lua_rawseti(state, -2, at);
        }
    }
}

unsafe fn push_text(state: *mut lua_State, text: &[u8]) {
    // SAFETY: the caller's state has room for a value; the pointer and the length are a slice's.
    unsafe {
        lua_pushlstring(state, text.as_ptr().cast(), text.len());
    }
}

unsafe extern "C-unwind" fn call_or_raise(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with a valid state.
    unsafe { carry_out(state, true) }
}

unsafe extern "C-unwind" fn call_and_catch(state: *mut lua_State) -> c_int {
    // SAFETY: Lua calls this with a valid state.
    unsafe { carry_out(state, false) }
}

/// What came of a command.
#[derive(Clone, Copy)]
enum Asked {
    /// Its reply is in `BYTES`, where it stays until the next command: at this address, so many bytes.
    Answered(*const u8, usize),
    /// It was no command, and this is why.
    Refused(&'static [u8]),
    /// The script is abandoned.
    Abandoned,
}

unsafe fn carry_out(state: *mut lua_State, raises: bool) -> c_int {
    // SAFETY: the state is valid. This frame owns nothing that has to be dropped.
    unsafe {
        let failed = match ask(state) {
            Asked::Abandoned => {
                // What is raised does not matter: whatever catches it finds that the script is abandoned.
                lua_pushlightuserdata(state, std::ptr::null_mut());
                lua_error(state)
            }
            Asked::Refused(why) => {
                push_error(state, why, false);
                true
            }
            Asked::Answered(start, len) => {
                // The reply takes the arguments' room.
                lua_settop(state, 0);
                let mut reply = std::slice::from_raw_parts(start, len);
                push_value(state, &mut reply);
                *start == b'-'
            }
        };
        if failed && raises { lua_error(state) } else { 1 }
    }
}

/// An argument of a command: a string of Lua's, which stays where it is as long as it is on the stack, or the digits
/// of a number.
enum Argument {
    Text(*const u8, usize),
    Number(SmallVec<[u8; 32]>),
}

/// Runs the command that is on the stack.
unsafe fn ask(state: *mut lua_State) -> Asked {
    let mut arguments: SmallVec<[Argument; 8]> = SmallVec::new();
    // SAFETY: the state is valid, and the indexes are those of values on the stack.
    unsafe {
        for at in 1..=lua_gettop(state) {
            match lua_type(state, at) {
                LUA_TSTRING => {
                    let mut len = 0;
                    let start = lua_tolstring(state, at, &raw mut len);
                    arguments.push(Argument::Text(start.cast(), len));
                }
                LUA_TNUMBER => arguments.push(Argument::Number(digits(lua_tonumber(state, at)))),
                _ => {
                    return Asked::Refused(
                        b"ERR Lua redis lib command arguments must be strings or integers",
                    );
                }
            }
        }
    }
    let texts: SmallVec<[&[u8]; 8]> = arguments
        .iter()
        .map(|argument| match argument {
            // SAFETY: Lua's strings do not move, and this one is on the stack until the command has run.
            Argument::Text(start, len) => unsafe { std::slice::from_raw_parts(*start, *len) },
            Argument::Number(digits) => digits,
        })
        .collect();
    if texts.is_empty() {
        return Asked::Refused(b"ERR Please specify at least one argument for this redis lib call");
    }
    let mut reply = REPLY.take();
    reply.set_proto(host::chosen());
    let ran = catch_unwind(AssertUnwindSafe(|| host::visit(|host| host.call(&texts, &mut reply))));
    let asked = match ran {
        Ok(Some(Go::On)) => kept(&reply),
        Ok(None) => Asked::Refused(b"ERR redis.call can only be called inside a script invocation"),
        Ok(Some(Go::Abandon)) => {
            going::note_abandoned();
            Asked::Abandoned
        }
        Err(panic) => {
            PANIC.set(Some(panic));
            going::note_abandoned();
            Asked::Abandoned
        }
    };
    if reply.len() <= KEPT {
        reply.truncate(0);
        REPLY.set(reply);
    }
    asked
}

/// Copies a reply to where it is converted from.
fn kept(reply: &Reply) -> Asked {
    let mut bytes = BYTES.take();
    if bytes.capacity() > KEPT {
        bytes = Vec::new();
    }
    bytes.clear();
    bytes.extend_from_slice(&reply.since(0));
    let asked = if bytes.is_empty() {
        Asked::Refused(b"ERR the command gave no reply")
    } else {
        Asked::Answered(bytes.as_ptr(), bytes.len())
    };
    BYTES.set(bytes);
    asked
}

/// The text of a number as an argument.
fn digits(number: lua_Number) -> SmallVec<[u8; 32]> {
    let whole = number as i64;
    if whole as f64 == number && whole != i64::MAX {
        return SmallVec::from_slice(itoa::Buffer::new().format(whole).as_bytes());
    }
    let mut digits = Vec::new();
    write_f64(&mut digits, number);
    digits.into()
}

/// Pushes the table that scripts know errors as. `counted`: it is in the statistics already.
unsafe fn push_error(state: *mut lua_State, text: &[u8], counted: bool) {
    // SAFETY: the caller's state has room for three values.
    unsafe {
        lua_createtable(state, 0, 2);
        push_text(state, b"err");
        push_text(state, text);
        lua_rawset(state, -3);
        if counted {
            push_text(state, b"ignore_error_stats_update");
            lua_pushboolean(state, 1);
            lua_rawset(state, -3);
        }
    }
}

/// Takes the line at the front of a reply.
fn line<'r>(reply: &mut &'r [u8]) -> &'r [u8] {
    let end = memchr::memchr(b'\r', reply).unwrap_or(reply.len());
    let (line, rest) = reply.split_at(end);
    *reply = rest.get(2..).unwrap_or_default();
    line
}

fn number(line: &[u8]) -> i64 {
    let (sign, digits) = match line {
        [b'-', digits @ ..] => (-1, digits),
        digits => (1, digits),
    };
    digits.iter().fold(0_i64, |sum, digit| {
        sum.wrapping_mul(10).wrapping_add(sign * i64::from(digit.wrapping_sub(b'0')))
    })
}

/// Takes the text of a bulk string, whose length is in `line`.
fn bulk<'r>(reply: &mut &'r [u8], line: &[u8]) -> &'r [u8] {
    let len = usize::try_from(number(line)).unwrap_or(0).min(reply.len());
    let (text, rest) = reply.split_at(len);
    *reply = rest.get(2..).unwrap_or_default();
    text
}

/// Pushes a table with one field, whose value is on top of the stack.
unsafe fn wrap(state: *mut lua_State, name: &[u8], push: impl FnOnce()) {
    // SAFETY: the caller's state has room for three values.
    unsafe {
        lua_createtable(state, 0, 1);
        push_text(state, name);
        push();
        lua_rawset(state, -3);
    }
}

/// Pushes the value at the front of a reply that the server itself has written, by Redis's rules. Recursive; commands
/// nest their replies a few levels deep.
unsafe fn push_value(state: *mut lua_State, reply: &mut &[u8]) {
    let line = line(reply);
    // SAFETY: room is asked for, and each branch pushes one value. The slices are of bytes that stay where they are.
    unsafe {
        if lua_checkstack(state, 8) == 0 {
            push_text(state, b"stack overflow");
            lua_error(state);
        }
        let Some((mark, text)) = line.split_first() else { return lua_pushnil(state) };
        match mark {
            b':' => lua_pushnumber(state, number(text) as f64),
            b'$' | b'*' if text == b"-1" => lua_pushboolean(state, 0),
            b'$' => push_text(state, bulk(reply, text)),
            b'*' | b'>' => {
                let len = number(text);
                lua_createtable(state, c_int::try_from(len).unwrap_or(0), 0);
                for at in 1..=len {
                    push_value(state, reply);
                    lua_rawseti(state, -2, at);
                }
            }
            b'+' => wrap(state, b"ok", || push_text(state, text)),
            b'-' => push_error(state, text, true),
            b'%' => wrap(state, b"map", || push_pairs(state, reply, number(text))),
            b'~' => wrap(state, b"set", || push_members(state, reply, number(text))),
            b'#' => lua_pushboolean(state, c_int::from(text == b"t")),
            b',' => {
                wrap(state, b"double", || lua_pushnumber(state, parse_f64(text).unwrap_or(f64::NAN)));
            }
            b'(' => wrap(state, b"big_number", || push_text(state, text)),
            b'=' => {
                let bytes = bulk(reply, text);
                wrap(state, b"verbatim_string", || {
                    lua_createtable(state, 0, 2);
                    push_text(state, b"format");
                    push_text(state, bytes.get(..3).unwrap_or_default());
                    lua_rawset(state, -3);
                    push_text(state, b"string");
                    push_text(state, bytes.get(4..).unwrap_or_default());
                    lua_rawset(state, -3);
                });
            }
            b'|' => {
                // Attributes annotate the value behind them.
                push_pairs(state, reply, number(text));
                lua_settop(state, -2);
                push_value(state, reply);
            }
            _ => lua_pushnil(state),
        }
    }
}

unsafe fn push_pairs(state: *mut lua_State, reply: &mut &[u8], pairs: i64) {
    // SAFETY: `push_value` has asked for room.
    unsafe {
        lua_createtable(state, 0, c_int::try_from(pairs).unwrap_or(0));
        for _ in 0..pairs {
            push_value(state, reply);
            push_value(state, reply);
            set_unless_nil(state);
        }
    }
}

unsafe fn push_members(state: *mut lua_State, reply: &mut &[u8], members: i64) {
    // SAFETY: as in `push_pairs`.
    unsafe {
        lua_createtable(state, 0, c_int::try_from(members).unwrap_or(0));
        for _ in 0..members {
            push_value(state, reply);
            lua_pushboolean(state, 1);
            set_unless_nil(state);
        }
    }
}

/// Sets a key and its value, which are on top of the stack, in the table below them. Nothing can be at nil.
unsafe fn set_unless_nil(state: *mut lua_State) {
    // SAFETY: the caller has pushed all three.
    unsafe {
        if lua_type(state, -2) == LUA_TNIL {
            lua_settop(state, -3);
        } else {
            lua_rawset(state, -3);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::lua::{Go, Host, LogLevel, Program, RunEnd, Script, sha_of, with_vm};
    use crate::resp::{Proto, Reply};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    /// Answers with what the command's first argument says, or does what it says.
    struct Answers;

    impl Host for Answers {
        fn call(&mut self, args: &[&[u8]], out: &mut Reply) -> Go {
            match args[0] {
                b"panic" => panic!("a command panics"),
                b"abandon" => return Go::Abandon,
                b"args" => {
                    out.array(args.len() - 1);
                    args[1..].iter().for_each(|arg| out.bulk(arg));
                }
                raw => out.raw(raw),
            }
            Go::On
        }

        fn may_call(&mut self, _args: &[&[u8]]) -> Option<bool> {
            None
        }

        fn log(&mut self, _level: LogLevel, _text: &[u8]) {}

        fn tick(&mut self) -> Go {
            Go::On
        }
    }

    fn run(text: &str, keys: &[&[u8]], args: &[&[u8]], limit: usize) -> Result<String, RunEnd> {
        with_vm(|vm| {
            let script = Arc::new(Script::new(sha_of(text.as_bytes()), text.as_bytes()).unwrap());
            let function = vm.compile(&script).unwrap();
            let mut out = Reply::new(Proto::V2);
            match vm.run(&mut Answers, Program::Script(&function), (keys, args), limit, &mut out) {
                RunEnd::Returned { .. } => Ok(String::from_utf8_lossy(&out.since(0)).into_owned()),
                end => Err(end),
            }
        })
        .unwrap()
    }

    #[test]
    fn replies_of_all_kinds_are_values() {
        const SHOW: &str = "local function show(v) if type(v) ~= 'table' then return type(v)..':'..tostring(v) end \
                            local t = {} for k, w in pairs(v) do t[#t + 1] = tostring(k)..'='..show(w) end \
                            table.sort(t) return '{'..table.concat(t, ' ')..'}' end return show(redis.pcall(ARGV[1]))";
        for (reply, shown) in [
            (":-12\r\n", "number:-12"),
            ("$3\r\na\r\n\r\n", "string:a\r\n"),
            ("$0\r\n\r\n", "string:"),
            ("$-1\r\n", "boolean:false"),
            ("*-1\r\n", "boolean:false"),
            ("*3\r\n:1\r\n*0\r\n$1\r\nx\r\n", "{1=number:1 2={} 3=string:x}"),
            ("+OK\r\n", "{ok=string:OK}"),
            ("-ERR no\r\n", "{err=string:ERR no ignore_error_stats_update=boolean:true}"),
            ("%1\r\n+a\r\n_\r\n", "{map={}}"),
            ("%2\r\n$1\r\na\r\n:1\r\n_\r\n:2\r\n", "{map={a=number:1}}"),
            ("~3\r\n:1\r\n:1\r\n_\r\n", "{set={1=boolean:true}}"),
            ("#t\r\n", "boolean:true"),
            ("#f\r\n", "boolean:false"),
            (",1.5\r\n", "{double=number:1.5}"),
            (",nan\r\n", "{double=number:"),
            ("(123\r\n", "{big_number=string:123}"),
            ("=5\r\ntxt:a\r\n", "{verbatim_string={format=string:txt string=string:a}}"),
            ("|1\r\n+a\r\n:1\r\n:7\r\n", "number:7"),
            ("_\r\n", "nil:nil"),
        ] {
            let got = run(SHOW, &[], &[reply.as_bytes()], 0).unwrap();
            let (_, text) = got.split_once("\r\n").unwrap();
            assert!(text.starts_with(shown), "{reply:?}: {text}");
        }
    }

    #[test]
    fn arguments_are_strings_and_numbers() {
        let got = run(
            "return redis.call('args', KEYS[1], ARGV[1], 3, 2.5, -0.1, 1e17, 2^53)",
            &[b"k\0"],
            &[b"v"],
            0,
        );
        assert_eq!(
            got.unwrap(),
            "*7\r\n$2\r\nk\0\r\n$1\r\nv\r\n$1\r\n3\r\n$3\r\n2.5\r\n$4\r\n-0.1\r\n$18\r\n100000000000000000\r\n$16\r\n\
             9007199254740992\r\n"
        );
        for refused in
            ["redis.call()", "redis.call({})", "redis.call('args', nil)", "redis.call('args', true)"]
        {
            assert!(matches!(run(refused, &[], &[], 0), Err(RunEnd::Failed(_))), "{refused}");
        }
        let many = run("return #redis.call('args', unpack(ARGV))", &[], &vec![&b"x"[..]; 6000], 0);
        assert_eq!(many.unwrap(), ":6000\r\n");
        let most = "local s = ('x'):rep(8200) return #redis.call('args', string.byte(s, 1, 7990))";
        assert_eq!(run(most, &[], &[], 0).unwrap(), ":7990\r\n");
    }

    #[test]
    fn nothing_catches_the_end_and_a_panic_goes_on_outside() {
        for text in ["redis.call('abandon')", "while true do pcall(redis.pcall, 'abandon') end"] {
            assert!(matches!(run(text, &[], &[], 0), Err(RunEnd::Abandoned)), "{text}");
        }
        for text in ["redis.call('panic')", "pcall(redis.call, 'panic') return 1"] {
            let ran = catch_unwind(AssertUnwindSafe(|| run(text, &[], &[], 0)));
            assert!(ran.is_err(), "{text}");
            assert_eq!(run("return 1", &[], &[], 0).unwrap(), ":1\r\n");
        }
    }

    /// A reply is part of what a script makes.
    #[test]
    fn memory_may_be_short_anywhere() {
        let text =
            "local t = {} for n = 1, 1e9 do t[n] = redis.call('args', n, ('x'):rep(100), ({'y'})[1]) end";
        for limit in (1..12).map(|n| (1 << 20) + n * 3331) {
            assert!(matches!(run(text, &[b"k"], &[b"v"], limit), Err(RunEnd::Failed(_))), "{limit}");
        }
        assert_eq!(run("return KEYS[1]", &[b"k"], &[], 1 << 20).unwrap(), "$1\r\nk\r\n");
    }
}
