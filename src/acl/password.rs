//! Passwords, of which only hashes are kept.

use sha2::{Digest, Sha256};
use std::fmt;

/// The SHA-256 of a password. How long a comparison takes does not depend on where two hashes differ.
#[derive(Clone)]
pub struct PasswordHash([u8; Self::BYTES]);

impl PasswordHash {
    const BYTES: usize = 32;

    /// The hash of a password.
    pub fn of(password: &[u8]) -> Self {
        Self(Sha256::digest(password).into())
    }

    /// Reads the hash from 64 lower-case hexadecimal digits.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut hash = [0; Self::BYTES];
        if text.len() != 2 * Self::BYTES {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
            let &[high, low] = pair else { return None };
            *byte = (digit(high)? << 4) | digit(low)?;
        }
        Some(Self(hash))
    }
}

impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0, |differ, (one, two)| differ | (one ^ two)) == 0
    }
}

impl Eq for PasswordHash {}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}
