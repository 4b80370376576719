//! The databases that are the server's own.

/// The number of a database of the server's own, which clients neither see nor flush.
pub const SYSTEM: u32 = u32::MAX;

/// The number of another database of the server's own. It holds the tokens by which a transaction is carried out only
/// once. No client addresses its keys by name, so clients that watch or wait for a key of the same name are not told of
/// its changes.
pub const TOKENS: u32 = u32::MAX - 1;

/// The databases of the server's own.
pub const OWN: [u32; 2] = [SYSTEM, TOKENS];

/// Whether a database, or its space, which has the same number, is the server's own.
pub fn is_own(db: u32) -> bool {
    OWN.contains(&db)
}
