//! SHUTDOWN and its options.

use super::spec::*;
use super::{Cx, Fail, Outcome, fail};
use std::time::Duration;

/// How often it is looked whether a script still runs.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

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
    } else {
        wait_for_scripts(cx)?;
    }
    if let Err(reason) = cx.server.engine.end(saves, force) {
        cx.server.running.go_on();
        tracing::warn!("SHUTDOWN is refused: {reason}");
        return Err(Fail::new("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    tracing::info!("client {} asked for the shutdown", cx.client.handle.id);
    cx.client.closing = true;
    cx.server.shutdown.request();
    Ok(())
}

/// Waits until no script runs; refuses the end once one has run for `busy-reply-threshold`.
fn wait_for_scripts(cx: &Cx<'_, '_>) -> Outcome {
    while cx.server.running.any() {
        let now = cx.server.engine.clock.instant();
        if let Some(script) = cx.server.running.slow(None, now, cx.settings.busy_reply_threshold) {
            return Err(Fail::busy(script.is_function));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}
