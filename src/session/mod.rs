//! One client's commands: the gates every command passes, batches of pipelined commands, and transactions.

mod atomic;
mod batch;
mod exec;
mod gate;
mod locks;
mod long;
mod observe;
mod serve;
#[cfg(test)]
mod tests;

pub use batch::{Progress, Stop, Worker};
pub use serve::WaitEnd;
