//! Binaries as text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ItemError;

/// Base64 with padding.
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes base64 with padding, in its one form.
///
/// # Errors
/// With the text of AWS's deserialiser.
pub fn from_base64(text: &str) -> Result<Vec<u8>, ItemError> {
    let length = text.chars().count();
    if !length.is_multiple_of(4) {
        return Err(ItemError::Serialization(format!(
            "Base64 encoded length is expected a multiple of 4 bytes but found: {length}"
        )));
    }
    STANDARD
        .decode(text)
        .map_err(|_| ItemError::Serialization("Invalid last non-pad Base64 character dectected".to_owned()))
}
