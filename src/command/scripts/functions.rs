//! FUNCTION FLUSH while there are no functions: what clears a server between two tests asks for it beside FLUSHALL.

use super::super::{Cx, Fail, Outcome};
use super::words::is_mode;

pub(super) fn flush(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match &args[2..] {
        [] => {}
        [mode] if is_mode(mode) => {}
        [_] => return Err(Fail::new("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")),
        _ => return Err(Fail::sub_syntax(args)),
    }
    cx.out.ok();
    Ok(())
}
