//! Whether the script that a thread runs goes on.

use super::errors::Raised;
use super::host::{self, Go};
use mlua::{Error, Result};
use std::cell::Cell;

thread_local! {
    /// Whether the script that this thread runs is abandoned.
    static ABANDONED: Cell<bool> = const { Cell::new(false) };
}

/// A script begins.
pub(super) fn begin() {
    ABANDONED.set(false);
}

/// Notes that the running script is abandoned.
pub(super) fn note_abandoned() {
    ABANDONED.set(true);
}

fn abandon() -> Error {
    note_abandoned();
    Raised::Abandoned.into()
}

/// Whether the script is abandoned.
pub(super) fn is_abandoned() -> bool {
    ABANDONED.get()
}

/// Raises what nothing catches, if the script is abandoned.
pub(super) fn check() -> Result<()> {
    if ABANDONED.get() { Err(Raised::Abandoned.into()) } else { Ok(()) }
}

/// Asks the script's host whether it goes on.
pub(super) fn tick() -> Result<()> {
    check()?;
    match host::visit(|host| host.tick()) {
        Some(Go::Abandon) => Err(abandon()),
        _ => Ok(()),
    }
}
