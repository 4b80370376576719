//! Who has subscribed to what.
//!
//! Channels are dealt to parts by their names' hashes, and each part has a lock. Who publishes holds the lock of the
//! channel's part while the message is put into the subscribers' inboxes. So all subscribers of a channel, and those of
//! patterns that match it, see its messages in one order. Who subscribes is confirmed under the same lock: the
//! confirmation stands in front of the first message, and behind the last one when the subscription ends.
//!
//! Locks are taken in this order: a part's, that of the patterns, a client's own. The holder of none of them waits for
//! a socket or takes a shard of the store.

use super::handle::ClientHandle;
use super::own_channels::OwnChannel;
use super::subscriptions::{ChannelKind, Subscriptions};
use crate::text::{glob_match, glob_may_match};
use ahash::{AHashMap, RandomState};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many parts the channels are dealt to.
const PARTS: usize = 64;

/// Subscribers of one name, by their ids.
type Subscribers = Vec<(u64, Arc<ClientHandle>)>;

#[derive(Default)]
struct Names(AHashMap<Arc<[u8]>, Subscribers>);

impl Names {
    /// Adds a subscriber; false if it is one already. O(subscribers) at worst; O(log n) for the youngest client.
    fn add(&mut self, kind: ChannelKind, name: &[u8], client: &Arc<ClientHandle>) -> bool {
        let name = match self.0.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(name),
        };
        let subscribers = self.0.entry(Arc::clone(&name)).or_default();
        let Err(at) = subscribers.binary_search_by_key(&client.id, |(id, _)| *id) else { return false };
        subscribers.insert(at, (client.id, Arc::clone(client)));
        client.subscriptions.lock().get_or_insert_default().add(kind, name);
        client.subscribed[kind as usize].fetch_add(1, Relaxed);
        true
    }

    /// Takes a subscriber out; false if it is none.
    fn remove(&mut self, kind: ChannelKind, name: &[u8], client: &ClientHandle) -> bool {
        let Some(subscribers) = self.0.get_mut(name) else { return false };
        let Ok(at) = subscribers.binary_search_by_key(&client.id, |(id, _)| *id) else { return false };
        subscribers.remove(at);
        if subscribers.is_empty() {
            self.0.remove(name);
            if self.0.capacity() > 64 && self.0.len() < self.0.capacity() / 8 {
                let room = self.0.len() * 2;
                self.0.shrink_to(room);
            }
        } else if subscribers.len() < subscribers.capacity() / 4 {
            subscribers.shrink_to(subscribers.len() * 2);
        }
        let mut subscriptions = client.subscriptions.lock();
        if subscriptions.as_mut().is_some_and(|own| own.remove(kind, name)) {
            client.subscribed[kind as usize].fetch_sub(1, Relaxed);
        }
        if !client.is_subscriber() {
            *subscriptions = None;
        }
        true
    }
}

/// Names that are dealt to parts.
struct Directory {
    parts: [Mutex<Names>; PARTS],
    hasher: RandomState,
}

impl Directory {
    fn new() -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }

    fn part(&self, name: &[u8]) -> &Mutex<Names> {
        &self.parts[self.hasher.hash_one(name) as usize % PARTS]
    }
}

/// All subscriptions.
pub struct Roster {
    channels: Directory,
    shards: Directory,
    patterns: RwLock<Names>,
    /// How many subscriptions there are to channels and patterns.
    subscriptions: Arc<AtomicUsize>,
    /// How many of them are to channels of each [`OwnChannel`] by their names.
    own: [AtomicUsize; OwnChannel::ALL.len()],
}

/// Who may hear of channels of the server of one kind, whose names begin alike.
pub(super) struct Audience {
    /// The patterns that may match some of them.
    patterns: Vec<Arc<[u8]>>,
    /// Whether somebody may have subscribed to one of them by its name.
    by_name: bool,
}

impl Roster {
    /// A roster that counts its subscriptions to channels and patterns there.
    pub(super) fn counting(subscriptions: Arc<AtomicUsize>) -> Self {
        Self {
            channels: Directory::new(),
            shards: Directory::new(),
            patterns: RwLock::default(),
            subscriptions,
            own: Default::default(),
        }
    }

    fn directory(&self, kind: ChannelKind) -> Option<&Directory> {
        match kind {
            ChannelKind::Channel => Some(&self.channels),
            ChannelKind::Shard => Some(&self.shards),
            ChannelKind::Pattern => None,
        }
    }

    /// Subscribes a client to a name, or ends that, and calls `then` before any other message of that name.
    pub fn change(
        &self,
        kind: ChannelKind,
        name: &[u8],
        client: &Arc<ClientHandle>,
        subscribes: bool,
        then: impl FnOnce(),
    ) {
        let counts = usize::from(kind != ChannelKind::Shard);
        let own = OwnChannel::of(name).filter(|_| kind == ChannelKind::Channel);
        let own = own.map(|own| &self.own[own as usize]);
        let change = |names: &mut Names| {
            if subscribes && names.add(kind, name, client) {
                self.subscriptions.fetch_add(counts, Relaxed);
                if let Some(own) = own {
                    own.fetch_add(1, Relaxed);
                }
            } else if !subscribes && names.remove(kind, name, client) {
                self.subscriptions.fetch_sub(counts, Relaxed);
                if let Some(own) = own {
                    own.fetch_sub(1, Relaxed);
                }
            }
            then();
        };
        match self.directory(kind) {
            Some(directory) => change(&mut directory.part(name).lock()),
            None => change(&mut self.patterns.write()),
        }
    }

    /// Whether anybody has subscribed to a channel or pattern. A client whose subscription was confirmed is seen.
    pub fn has_subscribers(&self) -> bool {
        self.subscriptions.load(Relaxed) > 0
    }

    /// Ends all of a client's subscriptions.
    pub fn leave(&self, client: &Arc<ClientHandle>) {
        self.leave_some(client, usize::MAX);
    }

    /// Ends some of a client's subscriptions, at most so many of each kind; returns whether others are left.
    pub fn leave_some(&self, client: &Arc<ClientHandle>, most: usize) -> bool {
        for kind in ChannelKind::ALL {
            for name in Self::some_names_of(client, kind, most) {
                self.change(kind, &name, client, false, || ());
            }
        }
        client.is_subscriber()
    }

    /// The names of a kind that a client has subscribed to, in no order.
    pub fn names_of(client: &ClientHandle, kind: ChannelKind) -> Vec<Arc<[u8]>> {
        Self::some_names_of(client, kind, usize::MAX)
    }

    fn some_names_of(client: &ClientHandle, kind: ChannelKind, most: usize) -> Vec<Arc<[u8]>> {
        let subscriptions = client.subscriptions.lock();
        let some = |own: &Subscriptions| own.of(kind).iter().take(most).cloned().collect();
        subscriptions.as_deref().map(some).unwrap_or_default()
    }

    /// Who may hear of channels of this kind whose names begin with this; `None` if nobody. O(patterns).
    pub(super) fn audience(&self, kind: OwnChannel, beginning: &[u8]) -> Option<Audience> {
        let by_name = self.own[kind as usize].load(Relaxed) > 0;
        let patterns = self.patterns.read();
        let may_match = |pattern: &&Arc<[u8]>| glob_may_match(pattern, beginning);
        let patterns: Vec<_> = patterns.0.keys().filter(may_match).cloned().collect();
        (by_name || !patterns.is_empty()).then_some(Audience { patterns, by_name })
    }

    /// Whether a message on one of these channels would go to somebody of its audience. O(patterns of the audience).
    pub(super) fn hears(&self, audience: &Audience, channel: &[u8]) -> bool {
        audience.by_name && self.subscribers(ChannelKind::Channel, channel) > 0
            || audience.patterns.iter().any(|pattern| glob_match(pattern, channel))
    }

    /// Calls `send` for each subscriber that a message on a channel goes to, with the pattern by which it does. No
    /// other message is sent on the channel meanwhile. Returns how many calls these were.
    pub fn each_receiver(
        &self,
        kind: ChannelKind,
        channel: &[u8],
        mut send: impl FnMut(Option<&[u8]>, &ClientHandle),
    ) -> usize {
        let Some(directory) = self.directory(kind) else { return 0 };
        let mut receivers = 0;
        let mut send_all = |pattern: Option<&[u8]>, subscribers: &Subscribers| {
            subscribers.iter().for_each(|(_, client)| send(pattern, client));
            receivers += subscribers.len();
        };
        let part = directory.part(channel).lock();
        if let Some(subscribers) = part.0.get(channel) {
            send_all(None, subscribers);
        }
        if kind == ChannelKind::Channel {
            let patterns = self.patterns.read();
            for (pattern, subscribers) in &patterns.0 {
                if glob_match(pattern, channel) {
                    send_all(Some(pattern), subscribers);
                }
            }
        }
        receivers
    }

    /// How many clients have subscribed to a name itself.
    pub fn subscribers(&self, kind: ChannelKind, name: &[u8]) -> usize {
        let count = |names: &Names| names.0.get(name).map_or(0, Vec::len);
        match self.directory(kind) {
            Some(directory) => count(&directory.part(name).lock()),
            None => count(&self.patterns.read()),
        }
    }

    /// How many names of a kind have subscribers.
    pub fn count(&self, kind: ChannelKind) -> usize {
        match self.directory(kind) {
            Some(directory) => directory.parts.iter().map(|part| part.lock().0.len()).sum(),
            None => self.patterns.read().0.len(),
        }
    }

    /// The names of a kind, other than patterns, that have subscribers and match a pattern, in no order.
    pub fn names(&self, kind: ChannelKind, pattern: &[u8]) -> Vec<Arc<[u8]>> {
        let Some(directory) = self.directory(kind) else { return Vec::new() };
        let all = pattern == b"*";
        let mut found = Vec::new();
        for part in &directory.parts {
            let part = part.lock();
            found.extend(part.0.keys().filter(|name| all || glob_match(pattern, name)).cloned());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Clock;

    #[test]
    fn who_has_subscribed_to_one_kind_of_channels_is_no_audience_of_others() {
        let roster = Roster::counting(Arc::default());
        let now = Clock::manual(1).instant();
        let client = Arc::new(ClientHandle::new(1, String::new(), String::new(), false, now));
        for kind in OwnChannel::ALL {
            let name = [kind.beginning(0), b"a".to_vec()].concat();
            roster.change(ChannelKind::Channel, &name, &client, true, || ());
            for other in OwnChannel::ALL {
                let audience = roster.audience(other, &other.beginning(0));
                assert_eq!(audience.is_some(), other == kind, "{kind:?} {other:?}");
            }
            roster.change(ChannelKind::Channel, &name, &client, false, || ());
            assert!(roster.audience(kind, &kind.beginning(0)).is_none(), "{kind:?}");
        }
    }
}
