//! Words and texts that the commands on scripts share.

use super::super::{Fail, eq};
use crate::lua::Sha;

/// Whether a word chooses how a flush works.
pub(super) fn is_mode(word: &[u8]) -> bool {
    eq(word, "SYNC") || eq(word, "ASYNC")
}

/// No script has that SHA-1.
pub(super) const NO_SCRIPT: Fail = Fail::new("NOSCRIPT No matching script. Please use EVAL.");

/// The SHA-1 that an argument names, in lower case.
pub(super) fn sha(arg: &[u8]) -> Option<Sha> {
    let mut sha: Sha = arg.try_into().ok()?;
    sha.make_ascii_lowercase();
    Some(sha)
}
