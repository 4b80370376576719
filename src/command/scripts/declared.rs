//! What a script declares, seen before it runs.

use super::super::{Command, Server};
use super::words::sha;
use crate::lua::Flags;

/// Whether the script or function that a command runs declares that it writes nothing.
pub fn declares_no_writes(server: &Server, command: &Command, args: &[&[u8]]) -> bool {
    let Some(named) = args.get(1) else { return false };
    let name = command.full_name.as_str();
    let flags = if name.starts_with("evalsha") {
        sha(named).and_then(|sha| server.scripts.get(&sha)).map(|script| script.flags)
    } else if name.starts_with("eval") {
        Flags::of(named).ok().map(|(flags, _)| flags)
    } else {
        server.engine.libraries.flags_of(named).map(Flags::of_function)
    };
    flags.is_some_and(|flags| flags.no_writes)
}
