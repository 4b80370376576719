//! One client's commands: the gates every command passes, batches of pipelined commands, and transactions.

mod batch;
mod exec;
mod gate;

pub use batch::{Progress, Stop, Worker};
