//! Scripts and functions: EVAL, FCALL and their kin, SCRIPT and FUNCTION.

mod declared;
mod eval;
mod fcall;
mod functions;
mod host;
mod script;
mod table;
mod words;

pub use declared::declares_no_writes;
pub use fcall::has_function;
pub use functions::find_functions;
pub(super) use table::COMMANDS;
