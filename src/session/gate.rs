//! All gates in one place, in the order in which they stop a command.

use crate::command::{Client, Command, Fail, Server, flag};

/// Whether the command may run now (or be queued). The order is Redis's: authentication, then what the transaction allows,
/// then what the server's condition allows.
pub(super) fn check(server: &Server, client: &Client, command: &Command) -> Result<(), Fail> {
    if !client.authenticated && !command.has(flag::NO_AUTH) {
        return Err(Fail::new("NOAUTH Authentication required."));
    }
    if client.multi.is_some() && command.has(flag::NO_MULTI) {
        return Err(Fail::text("ERR Command not allowed inside a transaction"));
    }
    let _ = server;
    Ok(())
}
