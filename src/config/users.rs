//! The file of users that `aclfile` names. What its lines mean is not known here.

use super::error::reason;
use super::rewrite::{OWNER, replace};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Reads a file of users.
///
/// # Errors
/// The operating system's words.
pub fn read_users_file(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| reason(&error))
}

/// Replaces a file of users in one step. Only its owner may read it, because it holds hashes of passwords.
///
/// # Errors
/// The operating system's words; the file is as before.
pub fn write_users_file(file: &Path, text: &[u8]) -> Result<(), String> {
    write(file, text).map_err(|error| reason(&error))
}

fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    // A link stays a link: what it leads to is replaced.
    let target = match fs::canonicalize(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => file.to_owned(),
        target => target?,
    };
    let permissions = match fs::metadata(&target) {
        Ok(known) => fs::Permissions::from_mode(known.permissions().mode() & OWNER),
        Err(_) => fs::Permissions::from_mode(OWNER),
    };
    replace(&target, text, permissions)
}
