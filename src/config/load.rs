//! The start: command line, environment and file become one configuration.

use std::path::{Path, PathBuf};

use super::error::{ConfigError, Place};
use super::live::Config;
use super::reader::Reader;
use super::settings::Settings;
use super::spec::{find, specs};

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

/// What came out of the command line, the environment and the file.
#[derive(Debug)]
pub struct Loaded {
    /// What is to be done.
    pub invocation: Invocation,
    /// The configuration; all defaults unless the server is to run.
    pub config: Config,
    /// What the user should know although the server can run, a sentence each. Secrets never stand in it.
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
        args: impl Iterator<Item = String>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigError> {
        let args: Vec<String> = args.collect();
        if let Some(invocation) = other_invocation(&args)? {
            let config = Self::new(Settings::default(), None);
            return Ok(Loaded { invocation, config, warnings: Vec::new() });
        }
        let line = CommandLine::split(args)?;
        let mut variables = Variables::collect(env);
        let named = line.file.or(variables.file.take().map(PathBuf::from));

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
            reader.directive(&words, &Place::Variable(variable))?;
        }
        reader.begin_source();
        for words in line.directives {
            reader.directive(&words, &Place::Flag)?;
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
fn other_invocation(args: &[String]) -> Result<Option<Invocation>, ConfigError> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    Ok(Some(match words.as_slice() {
        ["-h" | "--help", ..] => Invocation::Help,
        ["-v" | "-V" | "--version", ..] => Invocation::Version,
        // A configuration file of that name can still be given as `./check`.
        ["check", rest @ ..] => match rest {
            ["--help" | "-h"] => Invocation::Help,
            ["--repair", dir] | [dir, "--repair"] if !dir.starts_with('-') => {
                Invocation::Check { dir: PathBuf::from(dir), repair: true }
            }
            [dir] if !dir.starts_with('-') => Invocation::Check { dir: PathBuf::from(dir), repair: false },
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
    fn split(mut args: Vec<String>) -> Result<Self, ConfigError> {
        let names_file = args.first().is_some_and(|first| first == "-" || !first.starts_with('-'));
        let file = names_file.then(|| PathBuf::from(args.remove(0)));
        let stdin_last = args.last().is_some_and(|last| last == "-");
        if stdin_last {
            args.pop();
        }
        let mut directives: Vec<Vec<Vec<u8>>> = Vec::new();
        // The word after a flag is its value, even if it looks like another flag.
        let mut value_follows = false;
        let mut args = args.into_iter().peekable();
        while let Some(arg) = args.next() {
            match arg.strip_prefix("--") {
                Some(flag) if !value_follows => {
                    let mut words = flag_words(flag);
                    value_follows = words.len() == 1;
                    // Scripts that build a command line leave the value of an empty list out.
                    let ends = args.peek().is_none_or(|next| next.starts_with("--"));
                    let empty_save = value_follows && flag.eq_ignore_ascii_case("save") && ends;
                    if empty_save {
                        words.push(Vec::new());
                        value_follows = false;
                    }
                    directives.push(words);
                }
                _ => match directives.last_mut() {
                    Some(words) => {
                        words.push(arg.into_bytes());
                        value_follows = false;
                    }
                    None => return Err(ConfigError::Usage(format!("unexpected argument '{arg}'"))),
                },
            }
        }
        Ok(Self { file, stdin_last, directives })
    }
}

/// The words of `--name`, `--name=value` or the one argument `--name value`.
fn flag_words(flag: &str) -> Vec<Vec<u8>> {
    if let Some((name, value)) = flag.split_once('=')
        && find(name.as_bytes()).is_some()
    {
        return vec![name.as_bytes().to_vec(), value.as_bytes().to_vec()];
    }
    super::line::split_words(flag.as_bytes())
        .filter(|words| !words.is_empty())
        .unwrap_or_else(|| vec![flag.as_bytes().to_vec()])
}

/// The environment, taken apart.
#[derive(Default)]
struct Variables {
    file: Option<String>,
    directives: Vec<(String, Vec<Vec<u8>>)>,
    warnings: Vec<String>,
}

impl Variables {
    fn collect(env: impl Iterator<Item = (String, String)>) -> Self {
        let mut found = Self::default();
        let mut env: Vec<_> = env.filter(|(name, _)| name.starts_with(PREFIX)).collect();
        env.sort();
        for (name, value) in env {
            if name == FILE_VARIABLE {
                found.file = Some(value).filter(|file| !file.is_empty());
                continue;
            }
            // Container platforms describe a service called "itemory" in variables that look like ours.
            let injected = name == "ITEMORY_PORT" && value.contains("://")
                || name.starts_with("ITEMORY_SERVICE_")
                || name.starts_with("ITEMORY_PORT_");
            if injected {
                continue;
            }
            let suffix = &name[PREFIX.len()..];
            let option = specs()
                .flat_map(super::spec::Spec::spellings)
                .find(|known| known.replace('-', "_").eq_ignore_ascii_case(suffix));
            match option {
                Some(option) => {
                    let words = vec![option.as_bytes().to_vec(), value.into_bytes()];
                    found.directives.push((name, words));
                }
                None => found.warnings.push(format!("The variable {name} names no option and is ignored.")),
            }
        }
        found
    }
}
