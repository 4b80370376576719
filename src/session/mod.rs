//! One client's commands: the gates every command passes, batches of pipelined commands, and transactions.

mod atomic;
mod batch;
mod call;
mod exec;
mod gate;
mod locks;
mod long;
mod names;
mod observe;
mod run;
mod serve;
#[cfg(test)]
mod tests;
mod worker;

pub use serve::WaitEnd;
pub use worker::{Progress, Stop, Worker};
