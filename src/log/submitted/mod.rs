//! The log's side of a store that takes batches and tells later what became of them (`submit.rs`).
//!
//! `window.rs` keeps what was handed over until it is durable, and knows what may be submitted next; it has no thread.
//! `driver.rs` has the one thread that submits, takes the store's answers and wakes waiting threads.
//!
//! - A record is kept here until the store has said that it is durable. Up to that LSN, the watermark, the log is
//!   written and synced at once. So a killed process loses nothing that was acknowledged, at any level.
//! - What became of a batch may be unknown. Then the driver stops submitting and asks the store where the log ends. It
//!   drops the records that the log holds and submits the rest again. The log holds no record twice, because a batch is
//!   kept only behind the record that it follows; no record is lost, because all are kept here.
//! - If the log ends with a record that is not ours, another writer appended it. That is final, and so are fencing and
//!   the loss of leadership: the watermark never moves again.

mod driver;
mod window;

pub(super) use driver::Submitted;
