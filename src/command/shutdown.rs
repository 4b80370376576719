//! SHUTDOWN and its options.

use super::spec::*;
use super::{Cx, Fail, Outcome, fail};
use std::sync::atomic::Ordering::Relaxed;

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec(
    "shutdown",
    -1,
    flag::ADMIN
        | flag::NOSCRIPT
        | flag::LOADING
        | flag::STALE
        | flag::NO_MULTI
        | flag::ALLOW_BUSY
        | flag::LONG,
    shutdown,
)
.doc(
    "server",
    "1.0.0",
    "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
    "Ends the server after everything is on disk.",
    "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]",
)];

/// What SHUTDOWN's options ask for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// End. A checkpoint is written always, never, or if the engine finds it useful (`None`); with `force` the server
    /// ends even if that fails.
    End { save: Option<bool>, force: bool },
    /// Cancel an end that waits for replicas.
    Abort,
}

fn wish(args: &[&[u8]]) -> Result<Wish, Fail> {
    let words: Vec<String> =
        args[1..].iter().map(|word| String::from_utf8_lossy(word).to_ascii_uppercase()).collect();
    // There are no replicas for which SHUTDOWN would wait, so NOW has no effect.
    const KNOWN: [&str; 5] = ["NOSAVE", "SAVE", "NOW", "FORCE", "ABORT"];
    if !words.iter().all(|word| KNOWN.contains(&word.as_str())) {
        return Err(fail::SYNTAX);
    }
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    match (has("SAVE"), has("NOSAVE"), has("ABORT")) {
        (true, true, _) => Err(fail::SYNTAX),
        (_, _, true) if words.iter().any(|word| word != "ABORT") => Err(fail::SYNTAX),
        (_, _, true) => Ok(Wish::Abort),
        (save, no_save, false) => {
            Ok(Wish::End { save: (save || no_save).then_some(save), force: has("FORCE") })
        }
    }
}

fn shutdown(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Wish::End { save: saves, force } = wish(args)? else {
        return Err(Fail::new("ERR No shutdown in progress."));
    };
    if saves == Some(false) {
        cx.server.running.stop_all();
    } else if cx.server.running.all().iter().any(|script| script.is_slow.load(Relaxed)) {
        return Err(Fail::new(
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        ));
    }
    if let Err(reason) = cx.server.engine.end(saves, force) {
        tracing::warn!("SHUTDOWN is refused: {reason}");
        return Err(Fail::new("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    tracing::info!("client {} asked for the shutdown", cx.client.handle.id);
    cx.client.closing = true;
    cx.server.shutdown.request();
    Ok(())
}
