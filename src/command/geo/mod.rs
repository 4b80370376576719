//! Positions on the earth, which are scores of sorted sets: `add` adds them, `show` shows them, and `search` searches
//! them with the arguments that `query` reads.

mod add;
mod args;
mod query;
mod search;
mod show;
mod table;

pub(super) use table::COMMANDS;
