//! The keys of a call, with what happens to them: for COMMAND GETKEYSANDFLAGS and for the rules of users.

use super::registry::keys_of;
use super::spec::*;
use super::{Command, eq};
use crate::engine::Tables;
use smallvec::SmallVec;

/// A key's position among the arguments, and Redis's words for its use.
pub(super) type FoundKey = (usize, &'static [&'static str]);

/// The keys of a call; `None` if the arguments are no valid use of the command. A session locks shards for the same
/// positions ([`Command::each_key`]).
pub(super) fn keys_with_flags(
    tables: &Tables,
    command: &Command,
    args: &[&[u8]],
) -> Option<SmallVec<[FoundKey; 4]>> {
    let mut found = SmallVec::new();
    if let (Some(find), Some(key)) = (command.spec.item_keys, command.spec.keys.first()) {
        // For keys of tables, a table's schema may decide which arguments are keys.
        let flags = flags_of_key(command, key, args);
        find(tables, args, &mut |item| found.push((item.arg, flags)));
        if !found.is_empty() {
            return Some(found);
        }
    }
    for key in command.spec.keys {
        let mut positions = SmallVec::new();
        keys_of(key, args, &mut positions)?;
        found.extend(positions.iter().map(|at| (*at, flags_of_key(command, key, args))));
    }
    Some(found)
}

/// The flags of a key whose specification says that they depend on the arguments.
fn flags_of_key(command: &Command, key: &KeySpec, args: &[&[u8]]) -> &'static [&'static str] {
    const READ_AND_CHANGE: &[&str] = &["RW", "access", "update"];
    let has = |from: usize, words: &[&str]| {
        args.iter().skip(from).any(|arg| words.iter().any(|word| eq(arg, word)))
    };
    match command.full_name.as_str() {
        "set" if has(3, &["GET"]) => READ_AND_CHANGE,
        "set" => &["OW", "update"],
        "bitfield" if has(2, &["SET", "INCRBY"]) => READ_AND_CHANGE,
        "bitfield" => &["RO", "access"],
        // What RETURN shows, and whether a condition holds, tells of the item.
        "item.put" if has(3, &["RETURN", "IF"]) => READ_AND_CHANGE,
        _ => key.flags,
    }
}
