//! What scripts decode: cjson, cmsgpack and struct take any bytes or refuse them, and what they have decoded they
//! encode again.
#![no_main]

use itemory::lua::{Go, Host, LogLevel, Program, RunEnd, Script, sha_of, with_vm};
use itemory::resp::{Proto, Reply};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

/// Scripts by library. Each fails only where something that was decoded cannot be encoded and decoded again.
const SCRIPTS: [&str; 3] = [
    // Text that was encoded decodes to what encodes to as many bytes; fields may come in another order.
    "local ok, value = pcall(cjson.decode, ARGV[1])
     if not ok then return 0 end
     local encoded, text = pcall(cjson.encode, value)
     if not encoded then return 1 end
     assert(#cjson.encode(cjson.decode(text)) == #text, text)
     return 2",
    "local got = {pcall(cmsgpack.unpack, ARGV[1])}
     if not got[1] then return 0 end
     for at = 2, #got do
         local packed = cmsgpack.pack(got[at])
         local again = cmsgpack.pack((cmsgpack.unpack(packed)))
         assert(#again == #packed)
     end
     pcall(cmsgpack.unpack_one, ARGV[1], #ARGV[1] % 7)
     pcall(cmsgpack.unpack_limit, ARGV[1], 3, #ARGV[1] % 5)
     return 2",
    "local cut = string.find(ARGV[1], '\\n', 1, true) or 0
     local format, bytes = string.sub(ARGV[1], 1, cut - 1), string.sub(ARGV[1], cut + 1)
     pcall(struct.size, format)
     local got = {pcall(struct.unpack, format, bytes)}
     if not got[1] then return 0 end
     got[1] = format
     got[#got] = nil
     local ok, packed = pcall(struct.pack, unpack(got))
     if not ok then return 1 end
     local sized, size = pcall(struct.size, format)
     assert(not sized or size == #packed)
     return 2",
];

/// Scripts here call no commands.
struct Alone;

impl Host for Alone {
    fn call(&mut self, _: &[&[u8]], _: &mut Reply) -> Go {
        Go::Abandon
    }

    fn may_call(&mut self, _: &[&[u8]]) -> Option<bool> {
        None
    }

    fn log(&mut self, _: LogLevel, _: &[u8]) {}

    fn tick(&mut self) -> Go {
        Go::On
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let text = SCRIPTS[usize::from(*choice) % SCRIPTS.len()].as_bytes();
    let script = Arc::new(Script::new(sha_of(text), text).unwrap());
    let mut out = Reply::new(Proto::V2);
    let ended = with_vm(|vm| {
        let function = vm.compile(&script).unwrap();
        vm.run(&mut Alone, Program::Script(&function), (&[], &[bytes]), 256 << 20, &mut out)
    });
    match ended.unwrap() {
        RunEnd::Returned { .. } => {}
        RunEnd::Failed(failure) => {
            let text = String::from_utf8_lossy(&failure.text);
            assert!(text.contains("not enough memory"), "{text}");
        }
        RunEnd::Abandoned => panic!("nothing abandons it"),
    }
});
