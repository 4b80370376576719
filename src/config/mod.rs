//! Every option once: name, spellings, type, default, when it may change, and what it does.
//!
//! An option is one entry of the tables in `settings.rs` (it has an effect) or `accepted.rs` (it is only known and
//! reported). CONFIG GET, SET and REWRITE, the flags, the `ITEMORY_*` variables, `--help`, `docs/configuration.md`
//! and `config/itemory.conf` derive from it. [`Settings`] is a plain snapshot of all values.

mod accepted;
mod choice;
mod compound;
mod document;
mod error;
mod live;
mod load;
mod options;
mod reader;
mod rewrite;
mod settings;
mod spec;
mod users;
mod value;

pub use accepted::Accepted;
pub use choice::{
    AppendFsync, EvictionPolicy, LogFormat, LogLevel, NewUserChannels, ProtectedAction, SignalFlags,
    Supervised, Word,
};
pub use compound::{
    KeyspaceEvents, OomScores, OutputLimit, OutputLimits, SavePoint, Upstream, WorkerThreads,
};
pub use document::{help, options_markdown, sample_file, version};
pub use error::{CANNOT_BIND, ConfigError, DirectivePlace};
pub use live::{Caller, Changed, Config, Refusal};
pub use load::{Invocation, Loaded, parse_config_text};
pub use options::{OptionSpec, find, specs};
pub use settings::{RenamedCommand, Settings, UserDirective};
pub use spec::Changeable;
pub use users::{read_users_file, write_users_file};
pub use value::{MemoryOrPercent, Secret};
