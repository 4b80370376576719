//! Messages about keys: how events look on the server's own channels.
//!
//! The events of a transaction are queued as they are, whatever the number of channels on which they are told. Their
//! messages are made one after another when they are delivered, so only those of one event are in memory together.

use super::own_channels::OwnChannel;
use super::roster::{Audience, Roster};
use crate::config::KeyspaceEvents;
use crate::engine::{Classes, FieldNames, KeyEvent, KeyEvents};
use crate::log::Lsn;
use std::sync::Arc;

/// So many fields of a hash at most are told of at once; who else has the right to deliver waits that long.
const FIELDS_TOGETHER: usize = 64;

/// The channels on which an event is told before its fields are, one by one, and the letters that choose them.
const FIRST: [(KeyspaceEvents, OwnChannel); 4] = [
    (KeyspaceEvents::KEYSPACE, OwnChannel::Keyspace),
    (KeyspaceEvents::KEYEVENT, OwnChannel::Keyevent),
    (KeyspaceEvents::SUBKEYSPACE, OwnChannel::Subkeyspace),
    (KeyspaceEvents::SUBKEYEVENT, OwnChannel::Subkeyevent),
];
/// The channels of fields.
const FIELDS: [(KeyspaceEvents, OwnChannel); 1] =
    [(KeyspaceEvents::SUBKEYSPACEITEM, OwnChannel::Subkeyspaceitem)];
/// The channels on which it is told after that.
const LAST: [(KeyspaceEvents, OwnChannel); 1] =
    [(KeyspaceEvents::SUBKEYSPACEEVENT, OwnChannel::Subkeyspaceevent)];

/// Sends a message on a channel.
pub(super) type SendMessage<'s> = &'s mut dyn FnMut(&[u8], &[u8], Lsn);

/// The events of a transaction, as they are queued, and how far they were told.
pub(super) struct QueuedEvents {
    events: Arc<KeyEvents>,
    /// Which of them are told.
    classes: Classes,
    /// On which channels.
    on: KeyspaceEvents,
    /// The number of the next event.
    next: usize,
    /// How much was told of the names of its fields one by one, in bytes of [`FieldNames::as_bytes`].
    told: usize,
}

impl QueuedEvents {
    pub(super) fn new(events: &Arc<KeyEvents>, classes: Classes, on: KeyspaceEvents) -> Self {
        Self { events: Arc::clone(events), classes, on, next: 0, told: 0 }
    }

    /// How many events there are.
    pub(super) fn count(&self) -> usize {
        self.events.count()
    }

    /// Whether somebody may hear of one of them.
    pub(super) fn are_heard(&self, roster: &Roster) -> bool {
        let mut hearers = Hearers::of(roster);
        self.events.of(self.classes).any(|event| hearers.hear_of(&event, self.on))
    }

    /// Tells the next events, at most `turn` of them, which it counts down. Returns whether all are told.
    pub(super) fn tell(&mut self, roster: &Roster, turn: &mut usize, send: SendMessage<'_>) -> bool {
        let mut hearers = Hearers::of(roster);
        let events = Arc::clone(&self.events);
        while let Some(event) = events.event(self.next) {
            if *turn == 0 {
                return false;
            }
            *turn -= 1;
            if !self.classes.have(event.class) || self.tell_one(&event, &mut hearers, send) {
                self.next += 1;
                self.told = 0;
            }
        }
        true
    }

    /// Tells of an event, or of some more of its fields. Returns whether it is told.
    fn tell_one(&mut self, event: &KeyEvent<'_>, hearers: &mut Hearers<'_>, send: SendMessage<'_>) -> bool {
        let mut fields = None;
        if self.told == 0 {
            self.tell_on(&FIRST, event, hearers, &mut fields, send);
        }
        if !self.tell_some_fields(event, hearers, send) {
            return false;
        }
        self.tell_on(&LAST, event, hearers, &mut fields, send);
        true
    }

    /// Tells of an event on some kinds of channels. `fields`: the list of its fields, once it was made.
    fn tell_on(
        &self,
        channels: &[(KeyspaceEvents, OwnChannel)],
        event: &KeyEvent<'_>,
        hearers: &mut Hearers<'_>,
        fields: &mut Option<Vec<u8>>,
        send: SendMessage<'_>,
    ) {
        for (letter, kind) in channels {
            if is_told(*kind, *letter, event, self.on)
                && let Some(channel) = hearers.heard_channel(*kind, event)
            {
                send(&channel, &payload(*kind, event, fields), self.events.position());
            }
        }
    }

    /// Tells of some more fields one by one. Returns whether all are told. The names of channels are made one at a
    /// time, so that those of many fields are never in memory together.
    fn tell_some_fields(
        &mut self,
        event: &KeyEvent<'_>,
        hearers: &mut Hearers<'_>,
        send: SendMessage<'_>,
    ) -> bool {
        let [(letter, kind)] = FIELDS;
        if !is_told(kind, letter, event, self.on) {
            return true;
        }
        let Some((mut channel, audience)) = hearers.of_fields(event) else { return true };
        let names = event.names.as_bytes();
        let rest = FieldNames::from_bytes(names.get(self.told..).unwrap_or_default());
        let some = rest.chunks(FIELDS_TOGETHER).next().unwrap_or_default();
        let beginning = channel.len();
        for field in some.each() {
            channel.truncate(beginning);
            channel.extend_from_slice(field);
            if hearers.roster.hears(&audience, &channel) {
                send(&channel, event.name.as_bytes(), self.events.position());
            }
        }
        self.told += some.as_bytes().len();
        some.as_bytes().is_empty() || self.told >= names.len()
    }
}

/// Whether an event is told on channels of a kind, which the letter chooses, if somebody hears of it there.
fn is_told(kind: OwnChannel, letter: KeyspaceEvents, event: &KeyEvent<'_>, on: KeyspaceEvents) -> bool {
    // A line break separates key and field in the name of a field's channel.
    let may_name = kind != OwnChannel::Subkeyspaceitem || !event.key.contains(&b'\n');
    on.has(letter) && may_name && (!kind.is_of_fields() || !event.names.as_bytes().is_empty())
}

/// What a message of an event says. No event's name has a `|`, which separates it from what follows.
fn payload(kind: OwnChannel, event: &KeyEvent<'_>, fields: &mut Option<Vec<u8>>) -> Vec<u8> {
    let KeyEvent { name, key, names, .. } = *event;
    let name = name.as_bytes();
    let listed: &[u8] = if kind.lists_fields() { fields.get_or_insert_with(|| list_of(names)) } else { b"" };
    match kind {
        OwnChannel::Keyspace | OwnChannel::Subkeyspaceitem => name.to_vec(),
        OwnChannel::Keyevent => key.to_vec(),
        OwnChannel::Subkeyspace => [name, b"|", listed].concat(),
        OwnChannel::Subkeyevent => {
            let mut counted = Vec::new();
            put_counted(key, &mut counted);
            [&counted, b"|".as_slice(), listed].concat()
        }
        OwnChannel::Subkeyspaceevent => listed.to_vec(),
    }
}

fn list_of(names: FieldNames<'_>) -> Vec<u8> {
    let mut fields = Vec::new();
    for field in names.each() {
        put_counted(field, &mut fields);
        fields.push(b',');
    }
    fields.pop();
    fields
}

/// Appends a name behind its length, so that it may have any bytes.
fn put_counted(name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(name.len()).as_bytes());
    out.push(b':');
    out.extend_from_slice(name);
}

/// Who may hear of the channels of one kind in a database, and what their names begin with.
struct Known {
    kind: OwnChannel,
    beginning: Vec<u8>,
    audience: Option<Audience>,
}

/// Who hears of events. A transaction may have many of them, and most patterns match no channel of its: so these are
/// looked through only once for each kind of channels.
struct Hearers<'r> {
    roster: &'r Roster,
    /// The database of the last event, and who may hear of the channels there.
    db: u32,
    known: Vec<Known>,
}

impl<'r> Hearers<'r> {
    fn of(roster: &'r Roster) -> Self {
        Self { roster, db: 0, known: Vec::new() }
    }

    /// Whether anybody may hear of channels of this kind; then also what their names begin with.
    fn known(&mut self, kind: OwnChannel, db: u32) -> Option<(&[u8], &Audience)> {
        if self.db != db {
            self.known.clear();
            self.db = db;
        }
        let at = self.known.iter().position(|known| known.kind == kind).unwrap_or_else(|| {
            let beginning = kind.beginning(db);
            let audience = self.roster.audience(kind, &beginning);
            self.known.push(Known { kind, beginning, audience });
            self.known.len() - 1
        });
        let Known { beginning, audience, .. } = self.known.get(at)?;
        Some((beginning, audience.as_ref()?))
    }

    /// The channel of this kind on which an event is told, if anybody hears of it there.
    fn heard_channel(&mut self, kind: OwnChannel, event: &KeyEvent<'_>) -> Option<Vec<u8>> {
        let roster = self.roster;
        let (beginning, audience) = self.known(kind, event.db)?;
        let (name, key) = (event.name.as_bytes(), event.key);
        let channel = match kind {
            OwnChannel::Keyspace | OwnChannel::Subkeyspace => [beginning, key].concat(),
            OwnChannel::Keyevent | OwnChannel::Subkeyevent => [beginning, name].concat(),
            // These are channels of fields, of which each event has some.
            OwnChannel::Subkeyspaceitem => return None,
            OwnChannel::Subkeyspaceevent => [beginning, name, b"|", key].concat(),
        };
        roster.hears(audience, &channel).then_some(channel)
    }

    /// What the channels of the fields of an event begin with, and who may hear of them, if anybody does.
    fn of_fields(&mut self, event: &KeyEvent<'_>) -> Option<(Vec<u8>, Audience)> {
        let roster = self.roster;
        let (beginning, _) = self.known(OwnChannel::Subkeyspaceitem, event.db)?;
        let beginning = [beginning, event.key, b"\n"].concat();
        let audience = roster.audience(OwnChannel::Subkeyspaceitem, &beginning)?;
        Some((beginning, audience))
    }

    /// Whether anybody may hear of an event.
    fn hear_of(&mut self, event: &KeyEvent<'_>, on: KeyspaceEvents) -> bool {
        FIRST.iter().chain(&FIELDS).chain(&LAST).any(|(letter, kind)| {
            is_told(*kind, *letter, event, on)
                && match kind {
                    OwnChannel::Subkeyspaceitem => self.of_fields(event).is_some(),
                    _ => self.heard_channel(*kind, event).is_some(),
                }
        })
    }
}
