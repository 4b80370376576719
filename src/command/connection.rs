//! The connection itself.

use super::spec::*;
use super::{Cx, Fail, Outcome};

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec("ping", -1, flag::FAST, ping).doc(
    "connection",
    "1.0.0",
    "O(1)",
    "Answers PONG, or the argument.",
    "[message]",
)];

fn ping(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match args {
        [_] => cx.out.pong(),
        [_, text] => cx.out.bulk(text),
        _ => return Err(Fail::arity("ping")),
    }
    Ok(())
}
