//! The start: command line, environment and file become one configuration.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, DirectivePlace};
use super::live::Config;
use super::options::{OptionSpec, find, specs};
use super::reader::Reader;
use super::settings::Settings;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Run the server.
    Serve,
    /// Print [`help`](super::help) and exit.
    Help,
    /// Print the version and exit.
    Version,
    /// Verify the data folder and exit; `repair` cuts what is damaged and keeps a copy.
    Check {
        /// The data folder.
        dir: PathBuf,
        /// Cut what is damaged.
        repair: bool,
    },
}

/// The result of reading the command line, the environment and the file.
#[derive(Debug)]
pub struct Loaded {
    /// What is to be done.
    pub invocation: Invocation,
    /// The configuration; all defaults unless the server is to run.
    pub config: Config,
    /// Warnings for the user, a sentence each; the server can run nevertheless. They never contain secrets.
    pub warnings: Vec<String>,
}

/// Variables begin with this; the option's name follows in upper case with underscores for dashes.
const PREFIX: &str = "ITEMORY_";

/// Names the configuration file, unless the command line does.
const FILE_VARIABLE: &str = "ITEMORY_CONFIG";

impl Config {
    /// Reads the configuration from the command line (without the program's name), the environment and the file that
    /// one of them names; flags win over variables, variables over the file. Standard input is read when the file is
    /// `-`, and the files named are read; nothing is written.
    pub fn load(
        args: impl Iterator<Item = OsString>,
        env: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Loaded, ConfigError> {
        let args: Vec<Vec<u8>> = args.map(OsString::into_vec).collect();
        if let Some(invocation) = other_invocation(&args)? {
            let config = Self::new(Settings::default(), None);
            return Ok(Loaded { invocation, config, warnings: Vec::new() });
        }
        let line = CommandLine::split(args)?;
        let mut variables = Variables::collect(env);
        let named = line.file.or(variables.file.take());

        let mut reader = Reader::new();
        let mut file = None;
        if let Some(named) = named {
            if named.as_os_str() == "-" {
                reader.read_stdin()?;
            } else {
                reader.read_file(&named)?;
                file = Some(absolute(&named)?);
            }
        }
        if line.stdin_last {
            reader.read_stdin()?;
        }
        reader.begin_source();
        for (variable, words) in variables.directives {
            reader.directive(&words, &DirectivePlace::Variable(variable))?;
        }
        reader.begin_source();
        for words in line.directives {
            reader.directive(&words, &DirectivePlace::Flag)?;
        }
        let (mut settings, mut warnings) = reader.finish();
        settings.dir = absolute(&settings.dir)?;
        warnings.extend(variables.warnings);
        warnings.extend(without_effect(&settings));
        Ok(Loaded { invocation: Invocation::Serve, config: Self::new(settings, file), warnings })
    }
}

/// Reads the text of a configuration file; `include` is refused, so that no other file is touched. Never panics.
pub fn parse_config_text(text: &str) -> Result<Settings, ConfigError> {
    let mut reader = Reader::without_files();
    reader.read_text(text.as_bytes(), None)?;
    Ok(reader.finish().0)
}

fn absolute(path: &Path) -> Result<PathBuf, ConfigError> {
    std::path::absolute(path).map_err(|error| ConfigError::Unreadable {
        file: path.to_owned(),
        reason: super::error::reason(&error),
    })
}

fn without_effect(settings: &Settings) -> impl Iterator<Item = String> + use<> {
    let defaults = Settings::default();
    let changed: Vec<_> = specs().filter(|spec| !(spec.same)(settings, &defaults)).collect();
    changed.into_iter().filter_map(|spec| {
        spec.no_effect.map(|reason| format!("The option '{}' has no effect. {reason}", spec.name))
    })
}

/// Recognises the invocations that do not run the server.
fn other_invocation(args: &[Vec<u8>]) -> Result<Option<Invocation>, ConfigError> {
    let words: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    Ok(Some(match words.as_slice() {
        [b"-h" | b"--help", ..] => Invocation::Help,
        [b"-v" | b"-V" | b"--version", ..] => Invocation::Version,
        // A configuration file of that name can still be given as `./check`.
        [b"check", rest @ ..] => match rest {
            [b"--help" | b"-h"] => Invocation::Help,
            [b"--repair", dir] | [dir, b"--repair"] if !dir.starts_with(b"-") => {
                Invocation::Check { dir: path(dir.to_vec()), repair: true }
            }
            [dir] if !dir.starts_with(b"-") => Invocation::Check { dir: path(dir.to_vec()), repair: false },
            _ => return Err(ConfigError::Usage("usage: itemory check [--repair] DIR".to_owned())),
        },
        _ => return Ok(None),
    }))
}

/// The command line, taken apart.
struct CommandLine {
    file: Option<PathBuf>,
    stdin_last: bool,
    directives: Vec<Vec<Vec<u8>>>,
}

impl CommandLine {
    fn split(mut args: Vec<Vec<u8>>) -> Result<Self, ConfigError> {
        let names_file = args.first().is_some_and(|first| first == b"-" || !first.starts_with(b"-"));
        let file = names_file.then(|| path(args.remove(0)));
        let stdin_last = args.last().is_some_and(|last| last == b"-");
        if stdin_last {
            args.pop();
        }
        let mut directives: Vec<Vec<Vec<u8>>> = Vec::new();
        // The word after a flag is its value, even if it looks like another flag.
        let mut value_follows = false;
        let mut args = args.into_iter().peekable();
        while let Some(arg) = args.next() {
            match arg.strip_prefix(b"--") {
                Some(flag) if !value_follows => {
                    let mut words = flag_words(flag);
                    value_follows = words.len() == 1;
                    // `--save` without a value stands for an empty list: scripts that build command lines leave an
                    // empty value out.
                    let ends = args.peek().is_none_or(|next| next.starts_with(b"--"));
                    let empty_save = value_follows && flag.eq_ignore_ascii_case(b"save") && ends;
                    if empty_save {
                        words.push(Vec::new());
                        value_follows = false;
                    }
                    directives.push(words);
                }
                _ => {
                    // The argument is not shown, because it may be a password whose option was forgotten.
                    let alone = "there is an argument before the first option, '--NAME'";
                    let words = directives.last_mut().ok_or_else(|| ConfigError::Usage(alone.to_owned()))?;
                    words.push(arg);
                    value_follows = false;
                }
            }
        }
        Ok(Self { file, stdin_last, directives })
    }
}

/// The words of `--name`, `--name=value` or the one argument `--name value`.
fn flag_words(flag: &[u8]) -> Vec<Vec<u8>> {
    if let Some(at) = flag.iter().position(|byte| *byte == b'=')
        && find(&flag[..at]).is_some()
    {
        return vec![flag[..at].to_vec(), flag[at + 1..].to_vec()];
    }
    crate::text::split_words(flag)
        .ok()
        .filter(|words| !words.is_empty())
        .unwrap_or_else(|| vec![flag.to_vec()])
}

/// The environment, taken apart.
#[derive(Default)]
struct Variables {
    file: Option<PathBuf>,
    directives: Vec<(String, Vec<Vec<u8>>)>,
    warnings: Vec<String>,
}

impl Variables {
    fn collect(env: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut found = Self::default();
        // The variables of others are none of our business.
        let mut env: Vec<(String, Vec<u8>)> = env
            .filter_map(|(name, value)| {
                let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
                Some((name, value.into_vec()))
            })
            .collect();
        env.sort();
        for (name, value) in env {
            if name == FILE_VARIABLE {
                found.file = Some(path(value)).filter(|file| !file.as_os_str().is_empty());
                continue;
            }
            // Container platforms describe a service named "itemory" in variables with our prefix; ITEMORY_URL tells
            // clients the server's address.
            let injected = name == "ITEMORY_URL"
                || name == "ITEMORY_PORT" && value.windows(3).any(|part| part == b"://")
                || name.starts_with("ITEMORY_SERVICE_")
                || name.starts_with("ITEMORY_PORT_");
            if injected {
                continue;
            }
            let suffix = &name[PREFIX.len()..];
            let option = specs()
                .flat_map(OptionSpec::spellings)
                .find(|known| known.replace('-', "_").eq_ignore_ascii_case(suffix));
            match option {
                Some(option) => {
                    let words = vec![option.as_bytes().to_vec(), value];
                    found.directives.push((name, words));
                }
                None => found.warnings.push(format!("The variable {name} names no option and is ignored.")),
            }
        }
        found
    }
}

fn path(word: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AppendFsync, SavePoint};
    use proptest::prelude::*;

    fn load(args: &[&str], env: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        let env = env.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Config::load(args.iter().map(|arg| (*arg).into()), env)
    }

    fn settings(args: &[&str], env: &[(&str, &str)]) -> std::sync::Arc<Settings> {
        load(args, env).unwrap().config.snapshot()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    /// Loads with arguments and variables that need not be text.
    fn load_raw(args: &[&[u8]], env: &[(&str, &[u8])]) -> Result<Loaded, ConfigError> {
        let raw = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let env = env.iter().map(|(name, value)| ((*name).into(), raw(value)));
        Config::load(args.iter().map(|arg| raw(arg)), env)
    }

    #[test]
    fn bytes_that_are_no_text_are_taken_where_any_bytes_are() {
        let loaded =
            load_raw(&[b"--dir", b"/a\xff"], &[("ITEMORY_REQUIREPASS", b"a\xff"), ("PATH", b"\xff")]);
        let loaded = loaded.unwrap();
        assert!(loaded.warnings.is_empty());
        let settings = loaded.config.snapshot();
        assert_eq!(settings.requirepass.as_bytes(), b"a\xff");
        assert_eq!(settings.dir, path(b"/a\xff".to_vec()));
        for loaded in [load_raw(&[], &[("ITEMORY_LOGFILE", b"a\xff")]), load_raw(&[b"--logfile=a\xff"], &[])]
        {
            let error = loaded.unwrap_err().to_string();
            assert!(error.ends_with(">>> 'logfile \"a\\xff\"'\nargument must be valid UTF-8"), "{error}");
        }
    }

    /// No message shows a password, even if its option is misspelt, malformed or misplaced.
    #[test]
    fn no_message_shows_a_secret() {
        let secrets: [&[u8]; 4] = [b"hunter2", b"hunter2\xff", b"--hunter2", b"hunter2 'x"];
        let names = specs().filter(|spec| spec.is_secret()).map(|spec| spec.name);
        for (name, secret) in names.flat_map(|name| secrets.map(|secret| (name, secret))) {
            let joined = |between: &str| [name.as_bytes(), between.as_bytes(), secret].concat();
            let variable = format!("ITEMORY_{}", name.replace('-', "_").to_uppercase());
            let mut misspelt = joined("=");
            misspelt.insert(1, b'x');
            let mut outcomes = vec![load_raw(&[], &[(&variable, secret), ("ITEMORY_PORT", b"x")])];
            for between in [" ", "=", "\t", ": ", "'", "\"", "x ", " \"", " x "] {
                let line = joined(between);
                let file = tempfile::NamedTempFile::new().unwrap();
                std::fs::write(file.path(), [line.as_slice(), b"\nport x\n"].concat()).unwrap();
                outcomes.push(load(&[file.path().to_str().unwrap()], &[]));
                outcomes.push(load_raw(&[&[&b"--"[..], &line].concat(), b"--port", b"x"], &[]));
                outcomes.push(load_raw(&[&[&b"--"[..], &misspelt].concat()], &[]));
                outcomes.push(load_raw(&[&[&b"-"[..], &line].concat()], &[]));
            }
            outcomes.push(load_raw(&[b"--port", b"0", b"--x", secret], &[]));
            outcomes.push(load_raw(&[b"x.conf", secret], &[]));
            outcomes.push(load_raw(&[b"-x", secret], &[]));
            for dashes in ["", "-"] {
                let named = [dashes, name].concat();
                outcomes.push(load_raw(&[b"--port", b"1234", named.as_bytes(), secret], &[]));
                outcomes.push(load_raw(&[b"--dir", b"/x", named.as_bytes(), secret], &[]));
                outcomes.push(load_raw(&[b"--save", b"x", named.as_bytes(), secret], &[]));
                outcomes.push(load_raw(&[b"--port", joined(" ").as_slice()], &[]));
            }
            for outcome in outcomes {
                let error = outcome.unwrap_err().to_string();
                assert!(!error.contains("hunter2"), "{name}: {error}");
            }
        }
    }

    #[test]
    fn without_anything_the_defaults_hold() {
        let loaded = load(&[], &[]).unwrap();
        let settings = loaded.config.snapshot();
        assert_eq!(loaded.invocation, Invocation::Serve);
        assert_eq!((settings.port, settings.appendonly), (6379, true));
        assert_eq!(settings.appendfsync, AppendFsync::Everysec);
        assert_eq!(settings.dir, std::env::current_dir().unwrap().join("data"));
        assert_eq!((loaded.warnings, loaded.config.file()), (Vec::new(), None));
    }

    #[test]
    fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
        let file = file("port 1\ntimeout 1\nhz 1\nsave 1 1\nsave 2 2\n");
        let path = file.path().to_str().unwrap();
        let env = [("ITEMORY_CONFIG", path), ("ITEMORY_TIMEOUT", "2"), ("ITEMORY_HZ", "2"), ("OTHER", "x")];
        let settings = settings(&["--hz", "3", "--save", "9", "9", "--save", "8 8"], &env);
        assert_eq!((settings.port, settings.timeout, settings.hz), (1, 2, 3));
        let points = [(9, 9), (8, 8)].map(|(seconds, changes)| SavePoint { seconds, changes });
        assert_eq!(settings.save, points, "a source replaces what another one said, and adds up in itself");
        let config = load(&[path], &[("ITEMORY_CONFIG", "/nowhere")]).unwrap().config;
        assert_eq!(config.file(), Some(file.path()), "the command line names the file first");
    }

    #[test]
    fn variables_have_underscores_and_any_spelling() {
        let env = [
            ("ITEMORY_HASH_MAX_ZIPLIST_ENTRIES", "7"),
            ("ITEMORY_SAVE", "60 1 30 2"),
            ("ITEMORY_REQUIREPASS", "a b \"c"),
            ("ITEMORY_BIND", ""),
            ("ITEMORY_NO_SUCH", "x"),
            // Variables that a cluster's service discovery sets for a service of this name.
            ("ITEMORY_PORT", "tcp://10.0.0.1:6379"),
            ("ITEMORY_PORT_6379_TCP_ADDR", "10.0.0.1"),
            ("ITEMORY_SERVICE_HOST", "10.0.0.1"),
            ("ITEMORY_URL", "redis://127.0.0.1:6379"),
        ];
        let loaded = load(&[], &env).unwrap();
        let settings = loaded.config.snapshot();
        assert_eq!((settings.hash_max_listpack_entries, settings.port), (7, 6379));
        assert_eq!(settings.save.len(), 2);
        assert_eq!(settings.requirepass.as_bytes(), b"a b \"c");
        assert!(settings.bind.is_empty());
        assert_eq!(loaded.warnings, ["The variable ITEMORY_NO_SUCH names no option and is ignored."]);
    }

    #[test]
    fn flags_take_values_as_redis_does() {
        let args = ["--port", "1", "--timeout 2", "--hz=3", "--requirepass", "--x", "--unixsocket", "a b"];
        let settings = settings(&args, &[]);
        assert_eq!((settings.port, settings.timeout, settings.hz), (1, 2, 3));
        assert_eq!(settings.requirepass.as_bytes(), b"--x");
        assert_eq!(settings.unixsocket, "a b");
        for args in [&["--save"][..], &["--save", ""], &["--save", "--port", "0"], &["--save="]] {
            assert!(super::tests::settings(args, &[]).save.is_empty(), "{args:?}");
        }
        let args = ["--client-output-buffer-limit", "normal", "1mb", "0", "0", "pubsub", "2mb", "0", "0"];
        let limits = super::tests::settings(&args, &[]).client_output_buffer_limit;
        assert_eq!((limits.normal.hard_bytes, limits.pubsub.hard_bytes), (1 << 20, 2 << 20));
    }

    #[test]
    fn other_invocations_are_recognised() {
        let invocation = |args: &[&str]| load(args, &[]).unwrap().invocation;
        assert_eq!(invocation(&["--help"]), Invocation::Help);
        assert_eq!(invocation(&["-v"]), Invocation::Version);
        assert_eq!(invocation(&["--version"]), Invocation::Version);
        for (args, repair) in [
            (&["check", "d"][..], false),
            (&["check", "--repair", "d"], true),
            (&["check", "d", "--repair"], true),
        ] {
            assert_eq!(invocation(args), Invocation::Check { dir: PathBuf::from("d"), repair });
        }
        for args in [&["check"][..], &["check", "--fix", "d"], &["check", "--repair"], &["file", "stray"]] {
            assert!(load(args, &[]).is_err(), "{args:?}");
        }
    }

    #[test]
    fn errors_name_the_place_the_option_and_the_reason() {
        let bad = file("# comment\n\n  port  70000\n");
        let text = load(&[bad.path().to_str().unwrap()], &[]).unwrap_err().to_string();
        assert!(text.contains(&format!("{}, at line 3", bad.path().display())), "{text}");
        assert!(text.ends_with(">>> 'port 70000'\nargument must be between 0 and 65535 inclusive"), "{text}");

        let text = load(&["--appendfsync", "often"], &[]).unwrap_err().to_string();
        assert!(text.contains("command line\n>>> 'appendfsync often'\nargument(s) must be one of"), "{text}");
        let text = load(&[], &[("ITEMORY_HZ", "fast")]).unwrap_err().to_string();
        assert!(text.contains("variable ITEMORY_HZ\n>>> 'hz fast'"), "{text}");
        let text = load(&["/nowhere/itemory.conf"], &[]).unwrap_err().to_string();
        assert_eq!(
            text,
            "Fatal error, can't open config file '/nowhere/itemory.conf': No such file or directory"
        );
        // The value of a secret, or of a name that may be a misspelt secret, is not shown.
        for args in [["--requirepass", "hunter2", "x"], ["--requirepas", "hunter2", "x"]] {
            let text = load(&args, &[]).unwrap_err().to_string();
            assert!(!text.contains("hunter2") && text.contains(&args[0][2..]), "{text}");
        }
    }

    #[test]
    fn what_has_no_effect_is_said_once_it_differs_from_the_default() {
        let loaded = load(&["--tls-port", "6380", "--rdbcompression", "yes"], &[]).unwrap();
        assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
        assert!(loaded.warnings[0].contains("'tls-port' has no effect. Connections are not encrypted"));
    }

    proptest! {
        #[test]
        fn config_text_never_panics(text in "(([a-z-]{0,8}|save|bind|include|user|port|client-output-buffer-limit)[ \t\"'\\\\]{0,2}[ -~]{0,12}\n?){0,6}") {
            _ = parse_config_text(&text);
        }

        #[test]
        fn every_option_takes_any_words_without_panic(pick in any::<prop::sample::Index>(), words in prop::collection::vec("[ -~é]{0,10}", 0..6)) {
            let all: Vec<_> = specs().collect();
            let words: Vec<String> = words.iter().map(|word| crate::text::repr(word.as_bytes())).collect();
            _ = parse_config_text(&format!("{} {}", pick.get(&all).name, words.join(" ")));
        }
    }
}
