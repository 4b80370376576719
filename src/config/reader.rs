//! Reads directives, one line or flag at a time, into settings.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Place};
use super::glob;
use super::line::split_words;
use super::settings::{RenamedCommand, Settings};
use super::spec::{Spec, find};

/// How deep files may include each other.
const MAX_DEPTH: usize = 16;

/// Directives of older releases that are read over, as in Redis.
const OUTDATED: [&[u8]; 3] =
    [b"list-max-ziplist-entries", b"list-max-ziplist-value", b"lua-replicate-commands"];

/// Collects settings from any number of sources; a later directive wins over an earlier one.
pub(super) struct Reader {
    settings: Settings,
    warnings: Vec<String>,
    /// Options that this source has named, for those whose lines add up within one source.
    named: HashSet<&'static str>,
    depth: usize,
    may_include: bool,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            settings: Settings::default(),
            warnings: Vec::new(),
            named: HashSet::new(),
            depth: 0,
            may_include: true,
        }
    }

    /// A reader that refuses `include`.
    pub(super) fn without_files() -> Self {
        Self { may_include: false, ..Self::new() }
    }

    /// The settings, and what the user should know.
    pub(super) fn finish(self) -> (Settings, Vec<String>) {
        (self.settings, self.warnings)
    }

    /// From here on directives come from another source, which replaces what it names.
    pub(super) fn begin_source(&mut self) {
        self.named.clear();
    }

    pub(super) fn read_stdin(&mut self) -> Result<(), ConfigError> {
        let mut text = Vec::new();
        io::stdin().lock().read_to_end(&mut text).map_err(|error| unreadable(Path::new("-"), &error))?;
        self.read_text(&text, None)
    }

    pub(super) fn read_file(&mut self, file: &Path) -> Result<(), ConfigError> {
        let text = fs::read(file).map_err(|error| unreadable(file, &error))?;
        self.read_text(&text, Some(file))
    }

    /// Reads the lines of a file.
    pub(super) fn read_text(&mut self, text: &[u8], file: Option<&Path>) -> Result<(), ConfigError> {
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let place = Place::Line { file: file.map(Path::to_owned), line: index + 1 };
            let Some(words) = split_words(line) else {
                let name = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
                return Err(ConfigError::Directive {
                    place,
                    directive: format!("{} ...", String::from_utf8_lossy(name)),
                    reason: "Unbalanced quotes in configuration line".to_owned(),
                });
            };
            self.directive(&words, &place)?;
        }
        Ok(())
    }

    /// Takes one directive: its name and what follows it.
    pub(super) fn directive(&mut self, words: &[Vec<u8>], place: &Place) -> Result<(), ConfigError> {
        let Some((name, values)) = words.split_first() else { return Ok(()) };
        let spec = find(name);
        let outcome = match spec {
            Some(spec) => self.option(spec, values),
            None if name.eq_ignore_ascii_case(b"include") && values.len() == 1 => self.include(&values[0]),
            None => self.other(name, values).map(|()| Vec::new()),
        };
        let files = outcome.map_err(|reason| ConfigError::Directive {
            place: place.clone(),
            directive: shown(spec, name, values),
            reason,
        })?;
        self.depth += 1;
        for file in files {
            self.read_file(&file)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn option(&mut self, spec: &'static Spec, values: &[Vec<u8>]) -> Result<Vec<PathBuf>, String> {
        let again = !self.named.insert(spec.name);
        let split;
        let words = match values {
            [one] if spec.multi && !one.is_empty() => {
                split = split_words(one).ok_or("Unbalanced quotes in configuration line")?;
                &split
            }
            _ => values,
        };
        (spec.parse)(&mut self.settings, words, again)?;
        Ok(Vec::new())
    }

    /// The files that an `include` names; a pattern in the last part of the path stands for all files that match.
    fn include(&self, path: &[u8]) -> Result<Vec<PathBuf>, String> {
        use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
        if !self.may_include {
            return Err("include is not possible here".to_owned());
        }
        if self.depth >= MAX_DEPTH {
            return Err(format!("files include each other more than {MAX_DEPTH} levels deep"));
        }
        let path = PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()));
        let (Some(folder), Some(pattern)) = (path.parent(), path.file_name()) else {
            return Err("include needs the path of a file".to_owned());
        };
        if !pattern.as_bytes().iter().any(|byte| b"*?[".contains(byte)) {
            return Ok(vec![path]);
        }
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let entries = fs::read_dir(folder).map_err(|error| super::error::reason(&error))?;
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| super::error::reason(&error))?;
            let name = entry.file_name();
            let hidden = name.as_bytes().starts_with(b".");
            if !hidden && glob::matches(pattern.as_bytes(), name.as_bytes()) {
                files.push(folder.join(name));
            }
        }
        files.sort();
        Ok(files)
    }

    /// Directives that are not options.
    fn other(&mut self, name: &[u8], values: &[Vec<u8>]) -> Result<(), String> {
        match (name.to_ascii_lowercase().as_slice(), values) {
            (b"rename-command", [from, to]) => {
                self.settings.renamed_commands.push(RenamedCommand { from: from.clone(), to: to.clone() });
            }
            (b"user", [_, ..]) => {
                self.warn("'user' lines have no effect: there are no users beside the default one yet.");
            }
            (b"loadmodule", [_, ..]) => self.warn("'loadmodule' lines have no effect: there are no modules."),
            (b"sentinel", _) => return Err("sentinel directive while not in sentinel mode".to_owned()),
            (known, [_]) if OUTDATED.contains(&known) => {}
            _ => return Err("Bad directive or wrong number of arguments".to_owned()),
        }
        Ok(())
    }

    fn warn(&mut self, warning: &str) {
        if !self.warnings.iter().any(|known| known == warning) {
            self.warnings.push(warning.to_owned());
        }
    }
}

fn unreadable(file: &Path, error: &io::Error) -> ConfigError {
    ConfigError::Unreadable { file: file.to_owned(), reason: super::error::reason(error) }
}

/// A directive for an error. The values of secrets, and of names that may be a misspelt secret, are left out.
fn shown(spec: Option<&Spec>, name: &[u8], values: &[Vec<u8>]) -> String {
    let name = String::from_utf8_lossy(name);
    if spec.is_none_or(Spec::is_secret) && !values.is_empty() {
        return format!("{name} ...");
    }
    let mut text = name.into_owned();
    for value in values {
        let plain =
            !value.is_empty() && value.iter().all(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(byte));
        text.push(' ');
        text.push_str(&if plain {
            String::from_utf8_lossy(value).into_owned()
        } else {
            super::line::quote(value)
        });
    }
    text
}
