//! Positions on the earth, which are scores of sorted sets: adding (`add`), showing (`show`) and searching (`search`,
//! with the requests of `query`).

mod add;
mod args;
mod query;
mod search;
mod show;
mod table;

pub(super) use table::COMMANDS;
