//! The file `MANIFEST`: what the log is and who wrote it last.
//!
//! It is replaced as a whole (temporary file, fsync, rename, fsync of the folder) and holds lines of text:
//!
//! ```text
//! itemory-log 2                              format version; a log of version 1 has no marks (see `mark.rs`)
//! id 00112233445566778899aabbccddeeff        log id
//! epoch 7                                    epoch of the last writer; 0 before the first segment was durable
//! incarnation 0123…                          the system and mount that it wrote under
//! trimmed 1000                               records up to this LSN are no longer needed
//! closed 1234 | open                         the last LSN, if the log was closed in order
//! crc 89abcdef                               crc32 of all lines above
//! ```

use super::frame::LogId;
use super::{LogError, Lsn};
use crate::env::Disk;
use std::fmt::Write;
use std::io;
use std::path::Path;

/// The file's name.
pub(super) const MANIFEST: &str = "MANIFEST";
/// The version that is written. A build that knows only version 1 refuses it, because it would take marks for damage.
const VERSION: u32 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) id: LogId,
    pub(super) epoch: u64,
    pub(super) incarnation: u128,
    pub(super) trimmed: Lsn,
    pub(super) closed: Option<Lsn>,
}

impl Manifest {
    pub(super) fn encode(&self) -> String {
        let Self { id, epoch, incarnation, trimmed, closed } = self;
        let closed = closed.map_or_else(|| "open".to_owned(), |lsn| format!("closed {lsn}"));
        let mut text = format!("itemory-log {VERSION}\nid {id}\nepoch {epoch}\n");
        // Writing to a String cannot fail.
        let _ = write!(text, "incarnation {incarnation:032x}\ntrimmed {trimmed}\n{closed}\n");
        let sum = crc32fast::hash(text.as_bytes());
        let _ = writeln!(text, "crc {sum:08x}");
        text
    }

    pub(super) fn decode(file: &str, bytes: &[u8]) -> Result<Self, LogError> {
        let corrupt =
            |what: &str| LogError::Corrupt { file: file.to_owned(), offset: 0, what: what.to_owned() };
        let text = std::str::from_utf8(bytes).map_err(|_| corrupt("it is not text"))?;
        let first = text.lines().next().unwrap_or_default();
        let version = first.strip_prefix("itemory-log ").and_then(|v| v.parse().ok());
        match version {
            None => return Err(corrupt("it does not begin with `itemory-log` and a version")),
            Some(1 | VERSION) => {}
            // If the checksum matches with a version that this build reads, the version itself is damaged.
            Some(version)
                if [1, VERSION].iter().any(|known| is_whole(&with_version(text, version, *known))) =>
            {
                return Err(corrupt("the version does not match the checksum"));
            }
            Some(version) => {
                return Err(LogError::UnknownVersion { file: file.to_owned(), version, known: VERSION });
            }
        }
        if !is_whole(text) {
            return Err(corrupt("it does not match its checksum"));
        }
        parse_lines(text).ok_or_else(|| corrupt("a line is missing or wrong"))
    }

    /// Reads the manifest in `dir`; `None` when there is none.
    pub(super) fn load(disk: &dyn Disk, dir: &Path) -> Result<Option<Self>, LogError> {
        let path = dir.join(MANIFEST);
        match disk.read(&path) {
            Ok(bytes) => Self::decode(&path.display().to_string(), &bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::io("read", &path, &error)),
        }
    }

    /// Puts the manifest in place; its name is durable when the folder is.
    pub(super) fn put(&self, disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
        let path = dir.join(MANIFEST);
        disk.put(&path, self.encode().as_bytes()).map_err(|error| LogError::io("replace", &path, &error))
    }
}

/// The text with another version in its first line.
fn with_version(text: &str, version: u32, other: u32) -> String {
    text.replacen(&format!(" {version}"), &format!(" {other}"), 1)
}

/// Whether the text ends with the checksum of what is before it.
fn is_whole(text: &str) -> bool {
    text.rfind("crc ")
        .map(|at| text.split_at(at))
        .is_some_and(|(body, sum)| sum == format!("crc {:08x}\n", crc32fast::hash(body.as_bytes())))
}

fn parse_lines(body: &str) -> Option<Manifest> {
    let mut lines = body.lines().skip(1);
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let id = u128::from_str_radix(field("id")?, 16).ok()?;
    let epoch = field("epoch")?.parse().ok()?;
    let incarnation = u128::from_str_radix(field("incarnation")?, 16).ok()?;
    let trimmed = field("trimmed")?.parse().ok()?;
    let closed = match lines.next()? {
        "open" => None,
        line => Some(line.strip_prefix("closed ")?.parse().ok()?),
    };
    Some(Manifest { id: LogId(id.to_be_bytes()), epoch, incarnation, trimmed, closed })
}
