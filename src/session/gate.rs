//! All gates in one place, in the order in which they stop a command.

use crate::command::{Client, Command, Fail, Server, flag, is_write};
use std::sync::atomic::Ordering::Relaxed;

/// Whether the command may run now (or be queued). The order is Redis's: authentication, then what the transaction allows,
/// then what the server's condition allows.
pub(super) fn check(server: &Server, client: &Client, command: &Command) -> Result<(), Fail> {
    if !client.authenticated && !command.has(flag::NO_AUTH) {
        return Err(Fail::new("NOAUTH Authentication required."));
    }
    if client.multi.is_some() && command.has(flag::NO_MULTI) {
        return Err(Fail::text("ERR Command not allowed inside a transaction"));
    }
    if server.engine.loading.load(Relaxed) && !command.has(flag::LOADING) {
        return Err(Fail::new("LOADING Redis is loading the dataset in memory"));
    }
    if is_write(command)
        && let Some(reason) = server.engine.refusal(0)
    {
        return Err(Fail::text(format!("MISCONF Errors writing to the AOF file: {}", reason.cause())));
    }
    Ok(())
}
