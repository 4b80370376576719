//! What passes between scripts and commands: replies become values of Lua and replies again, in both protocols; numbers
//! become arguments that read as the same numbers.
#![no_main]

use itemory::lua::{Go, Host, LogLevel, Program, RunEnd, Script, sha_of, with_vm};
use itemory::resp::{Proto, Reply, ReplyDecoder, Value};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

const SCRIPTS: [&str; 2] = [
    "local got = redis.pcall('reply') return {got, tostring(got)}",
    "redis.setresp(3) local got = redis.pcall('reply') return {got, tostring(got)}",
];
const NUMBER: &str =
    "local number = struct.unpack('<d', ARGV[1]) return redis.call('number', number, ARGV[1])";

/// The command `reply` answers with this value, `number` checks that its two arguments are one number.
struct Commands<'v>(&'v Value);

impl Host for Commands<'_> {
    fn call(&mut self, args: &[&[u8]], out: &mut Reply) -> Go {
        match args {
            [b"reply"] => out.value(self.0),
            [b"number", text, bytes] => {
                let number = f64::from_le_bytes((*bytes).try_into().unwrap());
                let read: f64 = std::str::from_utf8(text).unwrap().parse().unwrap();
                assert!(read == number || read.is_nan() && number.is_nan(), "{number} is {read}");
                out.ok();
            }
            _ => panic!("there is no such command"),
        }
        Go::On
    }

    fn may_call(&mut self, _: &[&[u8]]) -> Option<bool> {
        Some(true)
    }

    fn log(&mut self, _: LogLevel, _: &[u8]) {}

    fn tick(&mut self) -> Go {
        Go::On
    }
}

fn run(text: &str, argument: &[u8], value: &Value, proto: Proto) {
    let script = Arc::new(Script::new(sha_of(text.as_bytes()), text.as_bytes()).unwrap());
    let mut out = Reply::new(proto);
    let ended = with_vm(|vm| {
        let function = vm.compile(&script).unwrap();
        vm.run(&mut Commands(value), Program::Script(&function), (&[], &[argument]), 256 << 20, &mut out)
    });
    match ended.unwrap() {
        RunEnd::Returned { .. } => {
            let written = out.since(0).into_owned();
            let (_, end) = ReplyDecoder::default().decode(&written).unwrap().expect("the reply is whole");
            assert_eq!(end, written.len(), "there is one reply");
        }
        RunEnd::Failed(_) => assert!(out.is_empty()),
        RunEnd::Abandoned => panic!("nothing abandons it"),
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(number) = data.try_into() as Result<[u8; 8], _> {
        run(NUMBER, &number, &Value::Null, Proto::V2);
    }
    // Commands answer with one whole reply.
    let Ok(Some((value, _))) = ReplyDecoder::default().decode(data) else { return };
    for script in SCRIPTS {
        for proto in [Proto::V2, Proto::V3] {
            run(script, b"", &value, proto);
        }
    }
});
