//! ITEM.ATOMIC [TOKEN s]. EXEC carries out what it asks for.

use crate::command::fail::{self, Fail};
use crate::command::{Cx, ItemKey, Outcome, eq};
use crate::effect::TOKENS;
use crate::engine::Tables;

/// The key in the database of tokens under which a token is remembered; `None` if the command gives no token.
pub fn token_key(args: &[&[u8]]) -> Option<Vec<u8>> {
    match args {
        [_, word, token] if eq(word, "TOKEN") => Some([b"atomic:", *token].concat()),
        _ => None,
    }
}

/// Finds the token's key, whose shard is locked.
pub(super) fn token(_tables: &Tables, args: &[&[u8]], visit: &mut dyn FnMut(ItemKey<'_>)) {
    if let Some(key) = token_key(args) {
        visit(ItemKey { arg: 2, table: TOKENS, key: &key });
    }
}

pub(super) fn atomic(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if !cx.tx.undoable() {
        return Err(fail::NOT_FIRST);
    }
    match args {
        [_] => {}
        [_, _, token] if token_key(args).is_some() => {
            if !(1..=36).contains(&token.len()) {
                return Err(Fail::new("VALIDATION a token has 1 to 36 bytes"));
            }
        }
        _ => return Err(fail::SYNTAX),
    }
    cx.out.ok();
    Ok(())
}
