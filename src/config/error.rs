//! The errors of the configuration, in Redis's words.

use std::path::PathBuf;

/// Where a directive stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectivePlace {
    /// A line of a file; lines are counted from 1. The file is `None` for standard input.
    Line {
        /// The file, or `None` for standard input or plain text.
        file: Option<PathBuf>,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable, by its name.
    Variable(String),
    /// The command line.
    Flag,
}

impl std::fmt::Display for DirectivePlace {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line { file: Some(file), line } => {
                write!(out, "Reading the configuration file {}, at line {line}", file.display())
            }
            Self::Line { file: None, line } => write!(out, "Reading the configuration, at line {line}"),
            Self::Variable(name) => write!(out, "Reading the environment variable {name}"),
            Self::Flag => write!(out, "Reading the command line"),
        }
    }
}

/// Everything that can go wrong while the configuration is read, changed or rewritten.
///
/// The text of the run-time errors ([`Unknown`](Self::Unknown) and below) is Redis's own, without the leading
/// `ERR `. Values of secret options never appear in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A directive at start that is unknown or has a wrong value.
    #[error(
        "*** FATAL CONFIG FILE ERROR (Itemory {version}) ***\n{place}\n>>> '{directive}'\n{reason}",
        version = env!("CARGO_PKG_VERSION")
    )]
    Directive {
        /// Where it stood.
        place: DirectivePlace,
        /// The directive as written, with the values of secret options left out.
        directive: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A configuration file that cannot be read.
    #[error("Fatal error, can't open config file '{}': {reason}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        reason: String,
    },
    /// A command line that is not understood.
    #[error("{0}\nTry 'itemory --help'.")]
    Usage(String),

    /// CONFIG SET of a name that no option has.
    #[error("Unknown option or number of arguments for CONFIG SET - '{}'", String::from_utf8_lossy(.0))]
    Unknown(Vec<u8>),
    /// CONFIG SET of an option that was refused; nothing was changed.
    #[error("CONFIG SET failed (possibly related to argument '{option}') - {reason}")]
    Refused {
        /// The option at fault.
        option: String,
        /// Why.
        reason: String,
    },
    /// CONFIG SET of an option that cannot change while data is being loaded. Front ends answer `LOADING`.
    #[error("the option cannot change while the server is loading the dataset in memory")]
    Loading,
    /// CONFIG REWRITE although no configuration file was given at start.
    #[error("The server is running without a config file")]
    NoFile,
    /// CONFIG REWRITE that could not read, write or replace the file; the old file is intact.
    #[error("Rewriting config file: {0}")]
    Rewrite(String),
}

/// In Redis's words, why `bind` is refused.
pub const CANNOT_BIND: &str = "Failed to bind to specified addresses.";

/// The operating system's words for an error, without Rust's error number.
pub(super) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
