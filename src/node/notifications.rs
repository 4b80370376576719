//! Keyspace notifications: what happens to keys, as messages on channels that have the keys' and the events' names.
//!
//! An event is queued under the locks of its transaction and delivered once these are given back, as what EXEC
//! publishes. So a client that is told of a change finds it done, and two changes of a key are told in their order.

use super::outgoing::{Posted, Publication};
use super::publish::Broker;
use super::subscriptions::ChannelKind;
use crate::config::KeyspaceEvents;
use crate::engine::{Classes, KeyEvent, KeyEvents, Listener};
use parking_lot::RwLock;
use std::sync::Arc;

/// The classes of events that each letter of `notify-keyspace-events` stands for.
const LETTERS: [(KeyspaceEvents, Classes); 11] = [
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
];

/// What is told.
#[derive(Clone, Copy, Default)]
struct Wanted {
    classes: Classes,
    /// On the channel of the key.
    by_key: bool,
    /// On the channel of the event.
    by_event: bool,
}

/// The listener that makes messages of events.
pub(super) struct Notifications {
    broker: Arc<Broker>,
    wanted: RwLock<Wanted>,
}

impl Notifications {
    pub(super) fn through(broker: Arc<Broker>) -> Self {
        Self { broker, wanted: RwLock::default() }
    }

    /// Chooses what is told. The caller has the listeners' classes worked out again.
    pub(super) fn choose(&self, chosen: KeyspaceEvents) {
        let (by_key, by_event) = (chosen.has(KeyspaceEvents::KEYSPACE), chosen.has(KeyspaceEvents::KEYEVENT));
        let mut classes = Classes::default();
        for (letter, of_letter) in LETTERS {
            if chosen.has(letter) && (by_key || by_event) {
                classes = classes.and(of_letter);
            }
        }
        *self.wanted.write() = Wanted { classes, by_key, by_event };
    }

    fn publish(&self, kind: &str, db: u32, name: &[u8], payload: &[u8], events: &KeyEvents) {
        let channel = [format!("__{kind}@{db}__:").as_bytes(), name].concat();
        let kind = ChannelKind::Channel;
        if self.broker.roster.each_receiver(kind, &channel, |_, _| ()) > 0 {
            let (payload, shows) = (payload.into(), events.position());
            let channel = channel.into();
            self.broker.queue(Posted::Message(Publication { kind, channel, payload, shows }));
        }
    }
}

impl Listener for Notifications {
    fn classes(&self) -> Classes {
        self.wanted.read().classes
    }

    fn hear(&self, events: &KeyEvents) {
        let Wanted { classes, by_key, by_event } = *self.wanted.read();
        if !self.broker.roster.has_subscribers() {
            return;
        }
        for KeyEvent { name, db, key, .. } in events.of(classes) {
            if by_key {
                self.publish("keyspace", db, key, name.as_bytes(), events);
            }
            if by_event {
                self.publish("keyevent", db, name.as_bytes(), key, events);
            }
        }
    }

    fn released(&self) {
        self.broker.deliver();
    }
}
