//! Scripts and functions: EVAL, FCALL and their kin, SCRIPT and FUNCTION.

mod eval;
mod fcall;
mod functions;
mod host;
mod script;
mod table;
mod words;

pub(super) use functions::counts as function_counts;
pub(super) use table::COMMANDS;
