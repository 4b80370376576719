//! Keyspace notifications: what happens to keys, as messages on channels that have the keys' and the events' names.
//!
//! An event is queued under the locks of its transaction and delivered once these are given back, as what EXEC
//! publishes. So a client that is told of a change finds it done, and two changes of a key are told in their order.

use super::key_messages::QueuedEvents;
use super::outgoing::Posted;
use super::publish::Broker;
use crate::config::KeyspaceEvents;
use crate::engine::{Classes, Engine, KeyEvents, Listener};
use parking_lot::RwLock;
use std::sync::Arc;

/// The letters of `notify-keyspace-events` that choose channels of fields.
const FIELDS: [KeyspaceEvents; 4] = [
    KeyspaceEvents::SUBKEYSPACE,
    KeyspaceEvents::SUBKEYEVENT,
    KeyspaceEvents::SUBKEYSPACEITEM,
    KeyspaceEvents::SUBKEYSPACEEVENT,
];

/// The classes of events that each letter of `notify-keyspace-events` stands for.
const LETTERS: [(KeyspaceEvents, Classes); 13] = [
    (KeyspaceEvents::GENERIC, Classes::GENERIC),
    (KeyspaceEvents::STRING, Classes::STRING),
    (KeyspaceEvents::LIST, Classes::LIST),
    (KeyspaceEvents::SET, Classes::SET),
    (KeyspaceEvents::HASH, Classes::HASH.and(Classes::FIELDS_EXPIRED)),
    (KeyspaceEvents::ZSET, Classes::ZSET),
    (KeyspaceEvents::EXPIRED, Classes::EXPIRED.and(Classes::ITEM_EXPIRED)),
    (KeyspaceEvents::EVICTED, Classes::EVICTED),
    (KeyspaceEvents::STREAM, Classes::STREAM),
    (KeyspaceEvents::KEY_MISS, Classes::MISSED),
    (KeyspaceEvents::NEW, Classes::NEW),
    (KeyspaceEvents::OVERWRITTEN, Classes::OVERWRITTEN),
    (KeyspaceEvents::TYPE_CHANGED, Classes::TYPE_CHANGED),
];

/// What is told.
#[derive(Clone, Copy, Default)]
struct Wanted {
    classes: Classes,
    /// On which channels.
    on: KeyspaceEvents,
    /// How many choices came before this one.
    number: u64,
}

/// What the option says, and what is told so far. They differ only while a transaction that sets the option runs: what
/// it has done before is told as it was then. What is in force is never older than what was in force before.
#[derive(Clone, Copy, Default)]
struct Choice {
    chosen: Wanted,
    in_force: Wanted,
}

/// A choice that is put in force when this is dropped, unless a later one is in force by then. So it holds also if the
/// transaction that made it ends in a panic, because the option keeps its new value then too.
pub(super) struct LaterChoice {
    notifications: Arc<Notifications>,
    engine: Arc<Engine>,
    wanted: Wanted,
}

impl Drop for LaterChoice {
    fn drop(&mut self) {
        self.notifications.put_in_force(|_| self.wanted);
        self.engine.listeners.wants_changed();
    }
}

/// The listener that has events told on channels.
pub(super) struct Notifications {
    broker: Arc<Broker>,
    choice: RwLock<Choice>,
}

impl Notifications {
    pub(super) fn through(broker: Arc<Broker>) -> Self {
        Self { broker, choice: RwLock::default() }
    }

    /// Chooses what is told once it is put in force. The caller has the listeners' classes worked out again.
    pub(super) fn choose(&self, chosen: KeyspaceEvents) {
        let of_keys = chosen.has(KeyspaceEvents::KEYSPACE) || chosen.has(KeyspaceEvents::KEYEVENT);
        let of_fields = FIELDS.iter().any(|letter| chosen.has(*letter));
        let mut classes = Classes::default();
        for (letter, of_letter) in LETTERS {
            let has_fields = of_fields && letter == KeyspaceEvents::HASH;
            if chosen.has(letter) && (of_keys || has_fields) {
                classes = classes.and(of_letter);
            }
            if chosen.has(letter) && has_fields {
                classes = classes.and(Classes::FIELD_NAMES);
            }
        }
        let mut choice = self.choice.write();
        // Changes of other options make no choice.
        if choice.chosen.on != chosen {
            choice.chosen = Wanted { classes, on: chosen, number: choice.chosen.number + 1 };
        }
    }

    /// Puts the last choice in force.
    pub(super) fn put_chosen_in_force(&self) {
        self.put_in_force(|choice| choice.chosen);
    }

    /// The last choice, to be put in force later.
    pub(super) fn pending(self: &Arc<Self>, engine: &Arc<Engine>) -> LaterChoice {
        let wanted = self.choice.read().chosen;
        LaterChoice { notifications: Arc::clone(self), engine: Arc::clone(engine), wanted }
    }

    /// Puts a choice in force unless a later one is.
    fn put_in_force(&self, wanted: impl FnOnce(&Choice) -> Wanted) {
        let mut choice = self.choice.write();
        let wanted = wanted(&choice);
        if wanted.number >= choice.in_force.number {
            choice.in_force = wanted;
        }
    }
}

impl Listener for Notifications {
    fn classes(&self) -> Classes {
        let Choice { chosen, in_force } = *self.choice.read();
        chosen.classes.and(in_force.classes)
    }

    fn needs_audience(&self) -> bool {
        true
    }

    fn hear(&self, events: &Arc<KeyEvents>) {
        let Wanted { classes, on, .. } = self.choice.read().in_force;
        if !self.broker.roster.has_subscribers() {
            return;
        }
        let events = QueuedEvents::new(events, classes, on);
        if events.are_heard(&self.broker.roster) {
            self.broker.queue(Posted::Events(events));
        }
    }

    fn released(&self) {
        self.broker.deliver();
    }
}
