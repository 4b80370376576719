//! The log's side of a store that takes batches and tells later what became of them (`submit.rs`).
//!
//! `window.rs` keeps what was handed over until it is durable, and knows what may be submitted next; it has no thread.
//! `driver.rs` has the one thread that submits, takes the store's news and wakes those who wait.
//!
//! - A record is kept here until the store has said that it is durable. Up to that LSN, the watermark, the log is
//!   written and synced at once. So a killed process loses nothing that was acknowledged at whichever level.
//! - What became of a batch may be unknown. Then nothing is submitted any more, the store is asked where the log ends,
//!   what it has is let go and the rest submitted again. No record is there twice, because a batch is kept only behind
//!   the record that it follows; none is lost, because all are kept here.
//! - A log that ends with another record than ours has another writer: that is final, and so are fencing and the loss
//!   of leadership. The watermark never moves again then.

mod driver;
mod window;

pub(super) use driver::Submitted;
