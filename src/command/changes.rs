//! Change streams of tables under the names of keys, `t@stream`. Clients read them like any other stream, in every
//! database, and may make consumer groups on them; no other command writes to them.

#[cfg(test)]
mod tests;

use super::{Command, Cx, Fail, Outcome, is_write};
use crate::engine::STREAM_SUFFIX;

/// Refuses a command that would write to a change stream.
///
/// # Errors
/// For such a command.
#[inline]
pub(super) fn guard(command: &Command, cx: &Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if cx.tx.engine().tables.any_stream() && is_write(command) && !only_reads_streams(command) {
        return refuse_streams(command, cx, args);
    }
    Ok(())
}

/// Whether the command only changes consumer groups of a stream, not its entries.
fn only_reads_streams(command: &Command) -> bool {
    let name = command.full_name.as_str();
    name.starts_with("xgroup") || matches!(name, "xreadgroup" | "xack" | "xclaim" | "xautoclaim")
}

#[cold]
fn refuse_streams(command: &Command, cx: &Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let named = args.iter().any(|arg| arg.ends_with(STREAM_SUFFIX.as_bytes()));
    if !named || command.spec.item_keys.is_some() {
        return Ok(());
    }
    let tables = &cx.tx.engine().tables;
    let positions = command.key_positions(args).unwrap_or_default();
    let mut keys = positions.iter().filter_map(|at| args.get(*at));
    match keys.find(|key| tables.is_change_stream(key)) {
        None => Ok(()),
        Some(key) => {
            let table = key.strip_suffix(STREAM_SUFFIX.as_bytes()).unwrap_or(key);
            Err(Fail::about(
                "ERR the change stream of table '",
                table,
                "' is written by changes of its items only",
            ))
        }
    }
}
