//! Whether a transaction has room for what a command may add to it.

use super::{Command, Fail, flag, is_write};
use crate::config::Settings;
use crate::engine::{EFFECT_BYTES, Tx};

/// How often one item may stand in a record: once itself, once in each of as many indexes as a table of DynamoDB may
/// have, and twice as text in its table's change stream.
const COPIES: u64 = 34;

/// An upper bound for the record of a command whose effects hold its arguments: each argument may be a key or value of
/// an effect of its own, and a key may stand in the record twice.
pub fn record_bytes<'a>(args: impl Iterator<Item = &'a [u8]>) -> usize {
    args.map(|arg| 2 * arg.len() + EFFECT_BYTES).sum()
}

/// Checks that a transaction may keep what a command publishes until it commits.
fn check_told(tx: &Tx<'_>, settings: &Settings, command: &Command, args: &[&[u8]]) -> Result<(), Fail> {
    let publishes = command.has(flag::PUBSUB);
    let more = if publishes { args.iter().map(|arg| arg.len()).sum() } else { 0 };
    let most = settings.transaction_max_memory;
    if (tx.told_bytes() + more) as u64 <= most {
        return Ok(());
    }
    Err(Fail::text(format!(
        "ERR what a transaction publishes and tells may take {most} bytes (transaction-max-memory)"
    )))
}

/// Checks that the transaction's record has room for what a command may add to it, and that the transaction may keep
/// what the command publishes; the commands before it may have filled both.
///
/// # Errors
/// That the change, or what is told, is too large.
pub fn fits(tx: &Tx<'_>, settings: &Settings, command: &Command, args: &[&[u8]]) -> Result<(), Fail> {
    check_told(tx, settings, command, args)?;
    if !is_write(command) {
        return Ok(());
    }
    // An update logs the whole item, and its copies in indexes and change streams.
    let whole = (settings.item_max_size * COPIES).min(settings.log_max_record_size / 4);
    let items = command.spec.item_keys.is_some() || tx.engine().tables.have_views();
    let item = if items { whole as usize } else { 0 };
    Ok(tx.ask_record(record_bytes(args.iter().copied()) + item)?)
}
