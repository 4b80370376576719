//! The report into which the sections are written.

use crate::command::Server;
use crate::config::Settings;
use crate::env::Instant;
use std::fmt::Write as _;

/// The text so far, and the state that sections report.
pub(super) struct Report<'a> {
    pub(super) server: &'a Server,
    pub(super) settings: &'a Settings,
    /// The time in ms since the epoch.
    pub(super) now: u64,
    pub(super) instant: Instant,
    pub(super) text: String,
}

impl Report<'_> {
    /// Writes one line.
    pub(super) fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        let _ = write!(self.text, "{name}:{value}\r\n");
    }

    /// Writes lines with constant values, given as `name:value` separated by white space.
    pub(super) fn constant(&mut self, lines: &str) {
        for line in lines.split_whitespace() {
            self.text += line;
            self.text += "\r\n";
        }
    }
}
