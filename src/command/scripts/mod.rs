//! Scripts and functions: EVAL, FCALL and their kin, SCRIPT and FUNCTION.

mod eval;
mod fcall;
mod functions;
mod host;
mod script;
mod table;
mod words;

pub use functions::find_functions;
pub(super) use table::COMMANDS;
