//! Scripts: EVAL and its kin, SCRIPT, and what there is to say of functions while there are none.

mod eval;
mod functions;
mod host;
mod script;
mod table;
mod words;

pub(super) use table::COMMANDS;
