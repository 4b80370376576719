//! Reads directives, one line or flag at a time, into settings.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::error::{ConfigError, DirectivePlace};
use super::options::{OptionSpec, find, specs};
use super::settings::{RenamedCommand, Settings, UserDirective};
use crate::text::{glob_match, quoted, split_words};

/// How deep files may include each other.
const MAX_DEPTH: usize = 16;

/// Directives of older releases, which are ignored as in Redis.
const OUTDATED: [&[u8]; 3] =
    [b"list-max-ziplist-entries", b"list-max-ziplist-value", b"lua-replicate-commands"];

/// Collects settings from any number of sources; a later directive wins over an earlier one.
pub(super) struct Reader {
    settings: Settings,
    warnings: Vec<String>,
    /// Options that this source has named. Some options add up the lines of one source.
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

    /// Begins another source. Its first line for an option replaces the earlier sources' value.
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
            let place = DirectivePlace::Line { file: file.map(Path::to_owned), line: index + 1 };
            let Ok(words) = split_words(line) else {
                return Err(ConfigError::Directive {
                    place,
                    directive: format!("{} ...", name_in(line)),
                    reason: "Unbalanced quotes in configuration line".to_owned(),
                });
            };
            self.directive(&words, &place)?;
        }
        Ok(())
    }

    /// Takes one directive: its name and what follows it.
    pub(super) fn directive(&mut self, words: &[Vec<u8>], place: &DirectivePlace) -> Result<(), ConfigError> {
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

    fn option(&mut self, spec: &'static OptionSpec, values: &[Vec<u8>]) -> Result<Vec<PathBuf>, String> {
        let again = !self.named.insert(spec.name);
        let split;
        let words = match values {
            [one] if spec.multi && !one.is_empty() => {
                split = split_words(one).map_err(|_| "Unbalanced quotes in configuration line")?;
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
            if !hidden && glob_match(pattern.as_bytes(), name.as_bytes()) {
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
            (b"user", [name, rules @ ..]) => {
                self.settings.users.push(UserDirective { name: name.clone(), rules: rules.to_vec() });
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

/// The name at the beginning of a line that cannot be parsed. The rest is not shown, because it may hold a secret.
fn name_in(line: &[u8]) -> String {
    let in_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    line.iter().take_while(in_name).copied().map(char::from).collect()
}

/// Whether the name of a secret is part of a value.
fn names_secret(value: &[u8]) -> bool {
    let value = value.to_ascii_lowercase();
    specs()
        .filter(|spec| spec.is_secret())
        .any(|spec| memchr::memmem::find(&value, spec.name.as_bytes()).is_some())
}

/// A directive for an error. The values of secrets, and of names that may be misspelt secrets, are left out.
fn shown(spec: Option<&OptionSpec>, name: &[u8], values: &[Vec<u8>]) -> String {
    let mut text = name_in(name);
    if spec.is_none_or(OptionSpec::is_secret) && (!values.is_empty() || text.len() < name.len()) {
        return format!("{text} ...");
    }
    let is_multi = spec.is_some_and(|spec| spec.multi);
    for (number, value) in values.iter().enumerate() {
        // What follows the only value may be another option with its value, without its two dashes.
        if number > 0 && !is_multi || names_secret(value) {
            text.push_str(" ...");
            break;
        }
        text.push(' ');
        text.push_str(&quoted(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, ConfigError> {
        let mut reader = Reader::new();
        reader.read_text(text.as_bytes(), None)?;
        Ok(reader.finish().0)
    }

    fn reason(text: &str) -> String {
        match read(text).unwrap_err() {
            ConfigError::Directive { reason, .. } => reason,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn lines_are_read_with_comments_quotes_and_any_case() {
        let settings = read(concat!(
            "# a comment\r\n",
            "\tPort 7000 \r\n",
            "requirepass \"a\\x00b \\\"c\"\n",
            "logfile 'it''s'\n",
        ));
        assert!(settings.is_err(), "a quote glued to a quote is unbalanced");
        let settings =
            read("# a comment\r\n\tPort 7000 \r\nrequirepass \"a\\x00b \\\"c\"\nlogfile 'x y'").unwrap();
        assert_eq!(settings.port, 7000);
        assert_eq!(settings.requirepass.as_bytes(), b"a\0b \"c");
        assert_eq!(settings.logfile, "x y");
    }

    #[test]
    fn lines_of_one_file_add_up_where_they_do_in_redis() {
        assert_eq!(read("save 1 1\nsave 2 2 3 3").unwrap().save.len(), 3);
        assert_eq!(read("save 1 1\nsave \"\"").unwrap().save.len(), 0);
        assert_eq!(read("save \"1 1 2 2\"").unwrap().save.len(), 2);
        let limits = read("client-output-buffer-limit normal 1 0 0\nclient-output-buffer-limit slave 2 0 0");
        let limits = limits.unwrap().client_output_buffer_limit;
        assert_eq!((limits.normal.hard_bytes, limits.replica.hard_bytes), (1, 2));
        assert_eq!(read("bind a\nbind b").unwrap().bind, ["b"]);
    }

    #[test]
    fn bad_lines_are_refused_in_the_words_of_redis() {
        for (text, expected) in [
            ("nosuch 1", "Bad directive or wrong number of arguments"),
            ("include", "Bad directive or wrong number of arguments"),
            ("rename-command get", "Bad directive or wrong number of arguments"),
            ("port 1 2", "wrong number of arguments"),
            ("port", "wrong number of arguments"),
            ("port \"1", "Unbalanced quotes in configuration line"),
            ("save \"1 'x\"", "Unbalanced quotes in configuration line"),
            ("sentinel monitor", "sentinel directive while not in sentinel mode"),
            ("appenddirname \"\"", "appenddirname can't be empty"),
            ("dbfilename a/b", "dbfilename can't be a path, just a filename"),
            ("replicaof host nine", "Invalid master port"),
            ("proc-title-template {title", "template format is invalid or contains unknown variables"),
            ("proc-title-template {x}", "template format is invalid or contains unknown variables"),
        ] {
            assert_eq!(reason(text), expected, "{text}");
        }
    }

    #[test]
    fn other_directives_are_understood() {
        let settings =
            read("rename-command CONFIG \"\"\nrename-command get fetch\nlua-replicate-commands yes");
        let settings = settings.unwrap();
        let renamed = |from: &str, to: &str| RenamedCommand { from: from.into(), to: to.into() };
        assert_eq!(settings.renamed_commands, [renamed("CONFIG", ""), renamed("get", "fetch")]);
        let mut reader = Reader::new();
        reader.read_text(b"user a on \">x y\"\nuser b\nloadmodule x.so", None).unwrap();
        let (settings, warnings) = reader.finish();
        assert_eq!(warnings.len(), 1);
        let rules = vec![b"on".to_vec(), b">x y".to_vec()];
        let users =
            [("a", rules), ("b", vec![])].map(|(name, rules)| UserDirective { name: name.into(), rules });
        assert_eq!(settings.users, users);
    }

    #[test]
    fn files_include_files_and_patterns_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(
            path("main.conf"),
            format!("port 1\ninclude {}/[0-9]*.conf\nhz 3\n", folder.path().display()),
        )
        .unwrap();
        fs::write(path("1.conf"), "port 2\nhz 2\nsave 1 1\n").unwrap();
        fs::write(path("2.conf"), "port 3\nsave 2 2\n").unwrap();
        fs::write(path("other.conf"), "port 4\n").unwrap();
        let mut reader = Reader::new();
        reader.read_file(&path("main.conf")).unwrap();
        let settings = reader.finish().0;
        assert_eq!((settings.port, settings.hz, settings.save.len()), (3, 3, 2));
    }

    #[test]
    fn includes_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("loop.conf");
        fs::write(&file, format!("include {}", file.display())).unwrap();
        let error = Reader::new().read_file(&file).unwrap_err().to_string();
        assert!(error.contains("levels deep"), "{error}");

        fs::write(&file, "include /nowhere.conf").unwrap();
        let error = Reader::new().read_file(&file).unwrap_err();
        assert!(matches!(error, ConfigError::Unreadable { .. }));
        let error = super::super::parse_config_text("include x.conf").unwrap_err();
        assert!(error.to_string().contains("include is not possible here"));
    }
}
