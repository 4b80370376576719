//! What a connection's task and its worker's flusher share of the connection.

use super::outbox::Outbox;
use super::stream::WriteHalf;
use crate::node::ClientHandle;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// What the task and the flusher share of a connection.
pub(super) struct Shared {
    pub(super) outbox: RefCell<Outbox>,
    /// The most bytes of replies that may be held, as of the last batch; 0 means no limit.
    pub(super) most: Cell<usize>,
    pub(super) write: WriteHalf,
    pub(super) client: Arc<ClientHandle>,
    /// Whether the connection only waits until its last replies are sent.
    pub(super) draining: Cell<bool>,
    /// Whether the connection is among the worker's parked ones.
    pub(super) is_parked: Cell<bool>,
}
