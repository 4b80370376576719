//! Whether a transaction has room for what a command may add to it.

use super::{Command, Fail, flag, is_write};
use crate::config::Settings;
use crate::engine::{Classes, EFFECT_BYTES, Tx};

/// How often one item may stand in a record: once itself, once in each of as many indexes as a table of DynamoDB may
/// have, and twice as text in its table's change stream.
const COPIES: u64 = 34;

/// An upper bound for the record of a command whose effects hold its arguments: each argument may be a key or value of
/// an effect of its own, and a key may stand in the record twice.
pub fn record_bytes<'a>(args: impl Iterator<Item = &'a [u8]>) -> usize {
    args.map(|arg| 2 * arg.len() + EFFECT_BYTES).sum()
}

/// Once what a transaction tells takes all that it may, commands that need no memory may tell this part of it more: so
/// a script can still remove its locks.
const RESERVE: u64 = 8;

/// Checks that a transaction may keep the events of a command until it commits. Commands that tell none pass.
fn check_told(tx: &Tx<'_>, settings: &Settings, command: &Command) -> Result<(), Fail> {
    let (told, most) = (tx.told_bytes() as u64, settings.transaction_max_memory);
    if told <= most {
        return Ok(());
    }
    let adds = command.has(flag::WRITE) && tx.tells_changes();
    let misses = command.has(flag::READONLY | flag::WRITE) && tx.is_heard(Classes::MISSED);
    let into_reserve = adds && command.has(flag::DENYOOM);
    if into_reserve || (adds || misses) && told > most + most / RESERVE {
        return Err(Fail::tells_too_much(settings));
    }
    Ok(())
}

/// Checks that the transaction's record has room for what a command may add to it, and that the transaction may keep
/// what the command tells; the commands before it may have filled both.
///
/// # Errors
/// That the change, or what is told, is too large.
pub fn fits(tx: &Tx<'_>, settings: &Settings, command: &Command, args: &[&[u8]]) -> Result<(), Fail> {
    check_told(tx, settings, command)?;
    if !is_write(command) {
        return Ok(());
    }
    // An update logs the whole item, and its copies in indexes and change streams.
    let whole = (settings.item_max_size * COPIES).min(settings.log_max_record_size / 4);
    let items = command.spec.item_keys.is_some() || tx.engine().tables.have_views();
    let item = if items { whole as usize } else { 0 };
    Ok(tx.ask_record(record_bytes(args.iter().copied()) + item)?)
}
