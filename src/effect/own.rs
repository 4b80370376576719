//! The databases that are the server's own.

/// The number of a database of the server's own, which clients neither see nor flush.
pub const SYSTEM: u32 = u32::MAX;

/// The number of another one, of tokens by which transactions are carried out once. No client knows its keys by name,
/// so nobody who watches or waits for a key of the same name is told of them.
pub const TOKENS: u32 = u32::MAX - 1;

/// Whether a database, or its space, which has the same number, is the server's own.
pub fn is_own(db: u32) -> bool {
    matches!(db, SYSTEM | TOKENS)
}
