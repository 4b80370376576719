//! The listener that tells clients which cache of changes.

use super::outgoing::Posted;
use super::publish::Broker;
use crate::engine::{Classes, KeyEvents, Listener};
use std::sync::Arc;

/// While any client caches, all changes are heard; what clients are to be told is queued in their order with messages.
pub(super) struct Invalidations {
    broker: Arc<Broker>,
}

impl Invalidations {
    pub(super) fn through(broker: Arc<Broker>) -> Self {
        Self { broker }
    }
}

impl Listener for Invalidations {
    fn classes(&self) -> Classes {
        if self.broker.tracking.clients() > 0 {
            Classes::CHANGED.and(Classes::CLEARED)
        } else {
            Classes::default()
        }
    }

    fn hear(&self, events: &Arc<KeyEvents>) {
        let queue = |what| self.broker.queue(Posted::Invalidation(what));
        self.broker.tracking.each_invalidation(events, queue);
    }

    fn released(&self) {
        self.broker.deliver();
    }
}
