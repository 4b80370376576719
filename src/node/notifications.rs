//! Keyspace notifications: what happens to keys, as messages on channels that have the keys' and the events' names.
//!
//! An event is queued under the locks of its transaction and delivered once these are given back, as what EXEC
//! publishes. So a client that is told of a change finds it done, and two changes of a key are told in their order.

use super::outgoing::{OfFields, Posted, Publication};
use super::publish::Broker;
use super::roster::Audience;
use super::subscriptions::ChannelKind;
use crate::config::KeyspaceEvents;
use crate::engine::{Classes, Engine, KeyEvent, KeyEvents, Listener};
use crate::log::Lsn;
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

/// So many fields of a hash at most are told of at once; who else has the right to deliver waits that long.
const FIELDS_TOGETHER: usize = 64;

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

/// The listener that makes messages of events.
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

/// Who may hear of the channels of one kind in a database, and what their names begin with.
struct Hearers {
    kind: &'static str,
    beginning: Vec<u8>,
    audience: Option<Audience>,
}

/// Makes messages of the events of one transaction.
struct Teller<'b> {
    broker: &'b Broker,
    shows: Lsn,
    /// The database of the last event, and who may hear of the channels there.
    db: u32,
    known: Vec<Hearers>,
}

impl<'b> Teller<'b> {
    fn new(broker: &'b Broker, shows: Lsn) -> Self {
        Self { broker, shows, db: 0, known: Vec::new() }
    }

    /// Whether anybody may hear of channels of this kind; then also what their names begin with. A transaction may have
    /// many events, and most patterns match no channel of its: so these are looked through only once for each kind.
    fn hearers(&mut self, kind: &'static str, db: u32) -> Option<(&[u8], &Audience)> {
        if self.db != db {
            self.known.clear();
            self.db = db;
        }
        let at = self.known.iter().position(|known| known.kind == kind).unwrap_or_else(|| {
            let beginning = format!("__{kind}@{db}__:").into_bytes();
            let audience = self.broker.roster.audience(&beginning);
            self.known.push(Hearers { kind, beginning, audience });
            self.known.len() - 1
        });
        let Hearers { beginning, audience, .. } = self.known.get(at)?;
        Some((beginning, audience.as_ref()?))
    }

    /// Queues a message on a channel whose name is made of these parts, if anybody gets it.
    fn publish(&mut self, kind: &'static str, db: u32, name: &[&[u8]], payload: &[&[u8]]) {
        let (broker, shows) = (self.broker, self.shows);
        let Some((beginning, audience)) = self.hearers(kind, db) else { return };
        let channel = [beginning, &name.concat()].concat();
        if broker.roster.hears(audience, &channel) {
            let (channel, payload) = (channel.into(), payload.concat().into());
            let kind = ChannelKind::Channel;
            broker.queue(Posted::Message(Publication { kind, channel, payload, shows }));
        }
    }

    /// Tells of the fields that an event is about. No event's name has a `|`, which separates it from what follows.
    fn publish_fields(&mut self, event: &KeyEvent<'_>, on: KeyspaceEvents) {
        let KeyEvent { name, db, key, names, .. } = *event;
        let name = name.as_bytes();
        let lists = [
            (KeyspaceEvents::SUBKEYSPACE, "subkeyspace"),
            (KeyspaceEvents::SUBKEYEVENT, "subkeyevent"),
            (KeyspaceEvents::SUBKEYSPACEEVENT, "subkeyspaceevent"),
        ];
        let heard = lists.map(|(letter, kind)| on.has(letter) && self.hearers(kind, db).is_some());
        let mut fields = Vec::new();
        if heard.contains(&true) {
            for field in names.each() {
                put_counted(field, &mut fields);
                fields.push(b',');
            }
            fields.pop();
        }
        // An event without fields is not told on these channels.
        let [by_key, by_event, by_both] = heard.map(|heard| heard && !fields.is_empty());
        if by_key {
            self.publish("subkeyspace", db, &[key], &[name, b"|", &fields]);
        }
        if by_event {
            let mut counted = Vec::new();
            put_counted(key, &mut counted);
            self.publish("subkeyevent", db, &[name], &[&counted, b"|", &fields]);
        }
        // A line break separates key and field in the channel's name.
        if on.has(KeyspaceEvents::SUBKEYSPACEITEM) && !key.contains(&b'\n') {
            self.publish_each_field(event);
        }
        if by_both {
            self.publish("subkeyspaceevent", db, &[name, b"|", key], &[&fields]);
        }
    }

    /// Queues a message for each field. Which of them somebody gets is found out once the shards are given back.
    fn publish_each_field(&mut self, event: &KeyEvent<'_>) {
        let (broker, shows) = (self.broker, self.shows);
        let Some((beginning, _)) = self.hearers("subkeyspaceitem", event.db) else { return };
        let beginning: Arc<[u8]> = [beginning, event.key, b"\n"].concat().into();
        if broker.roster.audience(&beginning).is_none() {
            return;
        }
        for some in event.names.chunks(FIELDS_TOGETHER) {
            let (beginning, fields) = (Arc::clone(&beginning), some.as_bytes().into());
            broker.queue(Posted::OfFields(OfFields { beginning, fields, payload: event.name, shows }));
        }
    }
}

/// Appends a name behind its length, so that it may have any bytes.
fn put_counted(name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(name.len()).as_bytes());
    out.push(b':');
    out.extend_from_slice(name);
}

impl Listener for Notifications {
    fn classes(&self) -> Classes {
        let Choice { chosen, in_force } = *self.choice.read();
        chosen.classes.and(in_force.classes)
    }

    fn needs_audience(&self) -> bool {
        true
    }

    fn hear(&self, events: &KeyEvents) {
        let Wanted { classes, on, .. } = self.choice.read().in_force;
        if !self.broker.roster.has_subscribers() {
            return;
        }
        let mut teller = Teller::new(&self.broker, events.position());
        for event in events.of(classes) {
            let KeyEvent { name, db, key, .. } = event;
            if on.has(KeyspaceEvents::KEYSPACE) {
                teller.publish("keyspace", db, &[key], &[name.as_bytes()]);
            }
            if on.has(KeyspaceEvents::KEYEVENT) {
                teller.publish("keyevent", db, &[name.as_bytes()], &[key]);
            }
            teller.publish_fields(&event, on);
        }
    }

    fn released(&self) {
        self.broker.deliver();
    }
}
