//! Client-side caching: the table of the clients that have read each key, and those that are told by prefixes.
//!
//! A command of a client that caches enters its keys while their shards are held, so a change is either in the reply or
//! finds the client in the table. Keys are known by their names alone, whatever their database is, as in Redis.
//!
//! Locks: each of them is a leaf, and no two of them are held together, except that the prefixes are held while clients
//! are looked up and get their messages.

use super::caching::{Caching, CachingMode};
use super::counts::Counts;
use super::handle::{ClientHandle, Kill};
use super::output;
use crate::config::Config;
use crate::engine::{Classes, KeyEvents};
use crate::log::Lsn;
use crate::resp::{Proto, Reply};
use ahash::{AHashMap, RandomState};
use bytes::Bytes;
use indexmap::{IndexMap, IndexSet};
use parking_lot::{Mutex, RwLock};
use smallvec::{SmallVec, smallvec};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

/// How many parts the table has.
pub const PARTS: usize = 256;
/// The channel that has the messages for a client in RESP2 that is told in another's place.
const CHANNEL: &[u8] = b"__redis__:invalidate";
/// A part of the table with room for more keys than this is shrunk when few of them are left.
const KEPT: usize = 64;

/// A client that has read a key in a session of caching.
pub(super) struct Reader {
    session: u64,
    client: Arc<ClientHandle>,
}

/// The clients that have read a key, in the order of their sessions.
pub(super) type Readers = SmallVec<[Reader; 1]>;

/// Some of the keys that were read.
pub(super) type TrackedKeys = IndexMap<Box<[u8]>, Readers, RandomState>;

/// A client that caches, and the one that is told in its place.
#[derive(Clone)]
struct Member {
    client: Arc<ClientHandle>,
    target: Option<Arc<ClientHandle>>,
}

/// The clients that are told by prefixes.
#[derive(Default)]
struct Prefixes {
    clients: AHashMap<Box<[u8]>, Vec<Arc<ClientHandle>>>,
    /// How many prefixes have each length.
    lengths: BTreeMap<usize, usize>,
}

impl Prefixes {
    fn add(&mut self, prefix: &[u8], client: &Arc<ClientHandle>) {
        let clients = self.clients.entry(prefix.into()).or_insert_with(|| {
            *self.lengths.entry(prefix.len()).or_default() += 1;
            Vec::new()
        });
        clients.push(Arc::clone(client));
    }

    fn remove(&mut self, prefix: &[u8], client: &ClientHandle) {
        let Some(clients) = self.clients.get_mut(prefix) else { return };
        clients.retain(|other| other.id != client.id);
        if clients.is_empty() {
            self.clients.remove(prefix);
            if let Some(count) = self.lengths.get_mut(&prefix.len()) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&prefix.len());
                }
            }
        }
    }

    /// The prefixes that a name begins with, and their clients.
    fn of<'p>(&'p self, name: &'p [u8]) -> impl Iterator<Item = (&'p [u8], &'p [Arc<ClientHandle>])> {
        let prefixes = self.lengths.keys().map_while(|length| name.get(..*length));
        prefixes.filter_map(|prefix| Some((prefix, &**self.clients.get(prefix)?)))
    }
}

/// What clients are to be told once the shards of a transaction are given back. The log must be settled up to `shows`
/// before a client sees it.
pub(super) enum Invalidation {
    /// A key that these clients have read has changed.
    Read { name: Box<[u8]>, readers: Readers, shows: Lsn },
    /// These keys have changed, of which clients are told by prefixes, other than the author.
    Changed { names: IndexSet<Box<[u8]>>, author: u64, shows: Lsn },
    /// Every key may have changed. The parts are what was in the table, to be freed.
    Everything { table: Vec<TrackedKeys>, shows: Lsn },
}

/// A message on its way to several clients.
struct Forms<'n> {
    /// The names of keys; none stands for every key.
    names: Option<Vec<&'n [u8]>>,
    by_version: [Option<Bytes>; 2],
}

impl<'n> Forms<'n> {
    fn of(names: Option<Vec<&'n [u8]>>) -> Self {
        Self { names, by_version: [None, None] }
    }

    fn in_version(&mut self, version: u8) -> Bytes {
        let Self { names, by_version } = self;
        let encode = || {
            let mut reply = Reply::new(if version == 3 { Proto::V3 } else { Proto::V2 });
            if version == 3 {
                reply.push(2);
                reply.bulk(b"invalidate");
            } else {
                reply.push(3);
                reply.bulk(b"message");
                reply.bulk(CHANNEL);
            }
            match names {
                Some(names) => {
                    reply.array(names.len());
                    names.iter().for_each(|name| reply.bulk(name));
                }
                None => reply.null(),
            }
            Bytes::from(reply.since(0).into_owned())
        };
        by_version[usize::from(version == 3)].get_or_insert_with(encode).clone()
    }
}

/// What a client asks for with CLIENT TRACKING ON.
pub struct TrackingRequest<'w> {
    /// Of which keys it is to be told.
    pub mode: CachingMode,
    /// Whether not of its own changes.
    pub no_loop: bool,
    /// Who is told in its place.
    pub target: Option<Arc<ClientHandle>>,
    /// The prefixes that are added to those that it has.
    pub prefixes: &'w [&'w [u8]],
}

/// What is known of all clients that cache.
pub struct Tracking {
    parts: Box<[Mutex<TrackedKeys>]>,
    hasher: RandomState,
    /// How many keys are in the table, and how many readers they have.
    keys: AtomicUsize,
    items: AtomicUsize,
    sessions: AtomicU64,
    members: RwLock<AHashMap<u64, Member>>,
    prefixes: RwLock<Prefixes>,
    /// How many different prefixes there are.
    prefix_count: AtomicUsize,
    /// Whether a session has ended whose keys may be in the table.
    has_left: AtomicBool,
    /// Chooses keys to forget.
    cursor: AtomicUsize,
    config: Arc<Config>,
    counts: Arc<Counts>,
}

impl Tracking {
    pub(super) fn new(config: Arc<Config>, counts: Arc<Counts>) -> Self {
        let hasher = RandomState::new();
        let part = || Mutex::new(IndexMap::with_hasher(hasher.clone()));
        Self {
            parts: (0..PARTS).map(|_| part()).collect(),
            hasher,
            keys: AtomicUsize::new(0),
            items: AtomicUsize::new(0),
            sessions: AtomicU64::new(0),
            members: RwLock::default(),
            prefixes: RwLock::default(),
            prefix_count: AtomicUsize::new(0),
            has_left: AtomicBool::new(false),
            cursor: AtomicUsize::new(0),
            config,
            counts,
        }
    }

    fn part(&self, name: &[u8]) -> &Mutex<TrackedKeys> {
        &self.parts[self.hasher.hash_one(name) as usize % PARTS]
    }

    /// How many clients cache.
    pub fn clients(&self) -> usize {
        self.members.read().len()
    }

    /// How many keys the table has, how many readers they have, and how many prefixes clients are told by.
    pub fn totals(&self) -> (usize, usize, usize) {
        (self.keys.load(Relaxed), self.items.load(Relaxed), self.prefix_count.load(Relaxed))
    }

    /// Begins to track the keys of a client, or changes how they are tracked. The caller then has the listeners'
    /// classes worked out again.
    pub(super) fn begin(&self, client: &Arc<ClientHandle>, wanted: TrackingRequest<'_>) {
        let TrackingRequest { mode, no_loop, target, prefixes } = wanted;
        let redirect = target.as_ref().map_or(0, |target| target.id);
        self.members.write().insert(client.id, Member { client: Arc::clone(client), target });
        let mut added: Vec<&[u8]> = Vec::new();
        {
            let mut caching = client.caching.lock();
            let caching = caching.get_or_insert_with(|| {
                let session = self.sessions.fetch_add(1, Relaxed) + 1;
                let prefixes = BTreeSet::new();
                Box::new(Caching { mode, no_loop, redirect, is_broken: false, prefixes, session })
            });
            (caching.mode, caching.no_loop, caching.redirect) = (mode, no_loop, redirect);
            caching.is_broken = false;
            if mode == CachingMode::Broadcast {
                let wanted = if prefixes.is_empty() { &[&b""[..]][..] } else { prefixes };
                let is_new = |prefix: &&[u8]| caching.prefixes.insert((*prefix).into());
                added.extend(wanted.iter().copied().filter(is_new));
            }
        }
        let mut all = self.prefixes.write();
        added.iter().for_each(|prefix| all.add(prefix, client));
        self.prefix_count.store(all.clients.len(), Relaxed);
    }

    /// Ends the tracking of a client's keys; false if they were not tracked. The caller then has the listeners' classes
    /// worked out again. What the client has read is taken out of the table later, by [`Tracking::sweep`].
    pub(super) fn end(&self, client: &ClientHandle) -> bool {
        let Some(caching) = client.caching.lock().take() else { return false };
        self.members.write().remove(&client.id);
        let mut all = self.prefixes.write();
        caching.prefixes.iter().for_each(|prefix| all.remove(prefix, client));
        self.prefix_count.store(all.clients.len(), Relaxed);
        self.has_left.store(true, Release);
        true
    }

    /// Enters a client as a reader of a key, in a session. The caller holds the key's shard. If the table then has more
    /// than `most` keys (0: no limit), others are forgotten, and their readers are told that they have changed. O(1),
    /// and O(log readers) where there are many.
    pub fn remember(&self, name: &[u8], client: &Arc<ClientHandle>, session: u64, most: usize) {
        {
            let mut part = self.part(name).lock();
            if !part.contains_key(name) {
                part.insert(name.into(), Readers::new());
                self.keys.fetch_add(1, Relaxed);
            }
            let Some(readers) = part.get_mut(name) else { return };
            let Err(at) = readers.binary_search_by_key(&session, |reader| reader.session) else { return };
            readers.insert(at, Reader { session, client: Arc::clone(client) });
            self.items.fetch_add(1, Relaxed);
        }
        // One more than has come, so that a limit that was lowered is reached at last.
        self.trim(most, 2);
    }

    /// Forgets keys beyond `most` (0: no limit), but no more than `at_once`.
    pub fn trim(&self, most: usize, at_once: usize) {
        for _ in 0..at_once {
            if most == 0 || self.keys.load(Relaxed) <= most {
                return;
            }
            if let Some(forgotten) = self.forget_any() {
                self.tell(forgotten);
            }
        }
    }

    /// Forgets some key.
    #[cold]
    fn forget_any(&self) -> Option<Invalidation> {
        let number = self.cursor.fetch_add(1, Relaxed);
        for at in 0..PARTS {
            let mut part = self.parts[(number + at) % PARTS].lock();
            if part.is_empty() {
                continue;
            }
            let chosen = self.hasher.hash_one(number) as usize % part.len();
            let (name, readers) = part.swap_remove_index(chosen)?;
            self.keys.fetch_sub(1, Relaxed);
            self.items.fetch_sub(readers.len(), Relaxed);
            return Some(Invalidation::Read { name, readers, shows: 0 });
        }
        None
    }

    /// Takes the readers of a key that has changed out of the table. The author of the change, if there is one, does
    /// not want to be told, and goes on caching what it has written; so it stays.
    fn forget(&self, name: &[u8], author: u64) -> Option<(Box<[u8]>, Readers)> {
        let mut part = self.part(name).lock();
        let (name, mut readers) = part.swap_remove_entry(name)?;
        self.keys.fetch_sub(1, Relaxed);
        let before = readers.len();
        if author != 0
            && let Some(at) = readers.iter().position(|reader| reader.client.id == author)
        {
            let own = readers.remove(at);
            part.insert(name.clone(), smallvec![own]);
            self.keys.fetch_add(1, Relaxed);
            self.items.fetch_add(1, Relaxed);
        }
        self.items.fetch_sub(before, Relaxed);
        shrink(&mut part);
        (!readers.is_empty()).then_some((name, readers))
    }

    /// Takes everything out of the table.
    fn forget_all(&self) -> Vec<TrackedKeys> {
        let take = |part: &Mutex<TrackedKeys>| {
            let part = std::mem::replace(&mut *part.lock(), IndexMap::with_hasher(self.hasher.clone()));
            self.keys.fetch_sub(part.len(), Relaxed);
            self.items.fetch_sub(part.values().map(SmallVec::len).sum(), Relaxed);
            part
        };
        self.parts.iter().map(take).collect()
    }

    /// Calls `queue` with what clients must be told of the events of a transaction, which holds its shards.
    pub(super) fn each_invalidation(&self, events: &KeyEvents, mut queue: impl FnMut(Invalidation)) {
        let (shows, author) = (events.position(), events.author());
        let mut names = IndexSet::new();
        let mut everything = false;
        for event in events.of(Classes::CHANGED.and(Classes::CLEARED)) {
            if event.class == Classes::CLEARED {
                everything = true;
                continue;
            }
            if let Some((name, readers)) = self.forget(event.key, author) {
                queue(Invalidation::Read { name, readers, shows });
            }
            if self.prefix_count.load(Relaxed) > 0
                && self.prefixes.read().of(event.key).next().is_some()
                && !names.contains(event.key)
            {
                names.insert(event.key.into());
            }
        }
        if !names.is_empty() {
            queue(Invalidation::Changed { names, author, shows });
        }
        if everything {
            queue(Invalidation::Everything { table: self.forget_all(), shows });
        }
    }

    /// Puts what clients are told into their inboxes.
    pub(super) fn tell(&self, what: Invalidation) {
        match what {
            Invalidation::Read { name, readers, shows } => {
                let mut forms = Forms::of(Some(vec![&name]));
                for Reader { session, client } in readers {
                    self.send(&client, Some(session), &mut forms, shows);
                }
            }
            Invalidation::Changed { names, author, shows } => {
                let all = self.prefixes.read();
                let mut by_prefix: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
                for name in &names {
                    all.of(name).for_each(|(prefix, _)| by_prefix.entry(prefix).or_default().push(name));
                }
                for (prefix, names) in by_prefix {
                    let mut forms = Forms::of(Some(names));
                    for client in all.clients.get(prefix).into_iter().flatten() {
                        if client.id != author {
                            self.send(client, None, &mut forms, shows);
                        }
                    }
                }
            }
            Invalidation::Everything { table, shows } => {
                drop(table);
                let members: Vec<Member> = self.members.read().values().cloned().collect();
                let mut forms = Forms::of(None);
                members.iter().for_each(|member| self.send(&member.client, None, &mut forms, shows));
            }
        }
    }

    /// Sends a client a message, or the client that is told in its place. Nothing is sent if the session is over.
    fn send(&self, client: &ClientHandle, session: Option<u64>, forms: &mut Forms<'_>, shows: Lsn) {
        let redirect = match client.caching.lock().as_deref() {
            Some(caching) if session.is_none_or(|session| session == caching.session) => caching.redirect,
            _ => return,
        };
        if redirect == 0 {
            return self.push(client, |version| (version == 3).then(|| forms.in_version(version)), shows);
        }
        let target = self.members.read().get(&client.id).and_then(|member| member.target.clone());
        if let Some(target) = target.filter(|target| target.killed() != Kill::Now) {
            let hears = |version| version == 3 || target.is_subscriber();
            return self.push(&target, |version| hears(version).then(|| forms.in_version(version)), shows);
        }
        if let Some(caching) = client.caching.lock().as_deref_mut() {
            caching.is_broken = true;
        }
        self.push(client, |version| (version == 3).then(|| broken(redirect)), shows);
    }

    fn push(&self, to: &ClientHandle, encoded: impl FnOnce(u8) -> Option<Bytes>, shows: Lsn) {
        let most = output::most(&self.config.snapshot(), to, true);
        if !to.push_some(encoded, shows, most) {
            output::close(&self.counts, to);
        }
    }

    /// Whether sessions have ended since the last call. Then the caller has every part swept.
    pub fn take_has_left(&self) -> bool {
        self.has_left.load(Relaxed) && self.has_left.swap(false, Acquire)
    }

    /// Takes the readers out of a part of the table whose sessions have ended. O(keys of the part).
    pub fn sweep(&self, part: usize) {
        let Some(part) = self.parts.get(part) else { return };
        let mut part = part.lock();
        part.retain(|_, readers| {
            let before = readers.len();
            readers.retain(|reader| {
                reader.client.caching.lock().as_deref().is_some_and(|now| now.session == reader.session)
            });
            self.items.fetch_sub(before - readers.len(), Relaxed);
            self.keys.fetch_sub(usize::from(readers.is_empty()), Relaxed);
            !readers.is_empty()
        });
        shrink(&mut part);
    }
}

/// Gives back the room of a part that has few keys left.
fn shrink(part: &mut TrackedKeys) {
    if part.capacity() > KEPT && part.len() < part.capacity() / 8 {
        part.shrink_to(part.len() * 2);
    }
}

/// The message that the client which was told in another's place is gone.
fn broken(redirect: u64) -> Bytes {
    let mut reply = Reply::new(Proto::V3);
    reply.push(2);
    reply.bulk(b"tracking-redir-broken");
    reply.int(redirect as i64);
    Bytes::from(reply.since(0).into_owned())
}
