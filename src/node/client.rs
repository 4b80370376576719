//! The state of one client, which its connection's task owns, and where that state lies while the client's command
//! waits for keys.
//!
//! A handler that finds nothing asks for a [`Wait`] and writes no reply. The session then registers the client for the
//! keys, still under their locks, and the connection parks the client: it puts the client's state into a slot that
//! other threads can reach. A thread that changes one of the keys runs the command again, for that key alone and in the
//! client's place, once its own command is done. So the order is as if there were one thread: the client that waited
//! longest is served first, and the commands after the change see what that client took. Then the thread wakes the
//! connection, which sends the reply and takes the client out of the lines of its other keys.

use super::handle::{ClientHandle, Kill, state};
use super::running::Inside;
use super::transaction::{Multi, Watched, WatchedItem};
use super::users::{Rights, User, Users};
use crate::engine::{DurabilityState, Engine, NotNow, Phase};
use crate::env::Instant;
use crate::env::memory::class_bytes;
use crate::log::Lsn;
use crate::resp::{Chain, Reply};
use crate::store::{Awaited, KeyAt, Lent, Store, Waiter, Waiting, Watcher};
use crate::value::stream::StreamId;
use parking_lot::{Mutex, MutexGuard};
use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU8,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// A key that a client waits for.
pub struct AwaitedKey {
    /// The key.
    pub key: Box<[u8]>,
    /// What the client waits for in the key.
    pub awaited: Awaited,
    /// The client waits for entries behind this identifier; [`StreamId::MIN`] where the key's state alone decides.
    pub behind: StreamId,
}

/// What a command that waits for keys asks for.
pub struct Wait {
    /// The keys, in the order in which they are looked at.
    pub keys: Vec<AwaitedKey>,
    /// When the client gives up; `None` if it never does.
    pub until: Option<Instant>,
    /// The command as it was sent.
    pub args: Vec<Box<[u8]>>,
    /// The index of the first key in `args`.
    pub first_key: usize,
    /// Builds the command that is run when a key has changed: its only key is the changed one, and what referred to
    /// "now" is worked out. So it costs the same however many keys the client waits for.
    pub alone: for<'a> fn(&'a Wait, &'a AwaitedKey) -> Vec<Cow<'a, [u8]>>,
    /// Writes the reply when the client gives up.
    pub reply_on_timeout: fn(&mut Reply),
}

/// CLIENT REPLY.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReplyMode {
    /// Replies are sent.
    #[default]
    On,
    /// No replies.
    Off,
    /// The command that set this and the next one get no reply.
    Skip,
    /// This command gets no reply, then replies are sent.
    SkipThis,
}

/// What a connection's task owns.
pub struct Client<C: 'static> {
    /// What others see.
    pub handle: Arc<ClientHandle>,
    /// The database.
    pub db: usize,
    /// Whether it has authenticated, or need not.
    pub authenticated: bool,
    /// What it may do.
    pub rights: Rights,
    /// The open transaction.
    pub multi: Option<Multi<C>>,
    /// Watched keys.
    pub watched: Vec<Watched>,
    /// Raised when a watched key changes.
    pub watcher: Watcher,
    /// CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// Whether it has a subscription.
    pub subscriber: bool,
    /// Whether its keys are tracked, see [`ClientHandle::caching`].
    pub tracks: bool,
    /// Whether CLIENT CACHING was given for the next command or transaction.
    pub caching_given: bool,
    /// Close once the replies are sent (QUIT, protocol errors).
    pub closing: bool,
    /// Whether the command runs inside EXEC.
    pub in_exec: bool,
    /// Whether memory was full (see `maxmemory`) when the command passed its gates.
    pub memory_is_short: bool,
    /// A position of the log that includes the client's last write.
    pub wrote_upto: Lsn,
    /// What the command that just ran waits for.
    pub wait: Option<Wait>,
    /// Where the client is to be parked until it is served.
    pub parked: Option<Arc<Parked<C>>>,
    /// Whether the command that just ran was not admitted for a reason that passes: the server may be ending, or a
    /// script has its shards. The command is run again.
    pub postponed: bool,
    /// The shard that a script has, if that is why the command was postponed.
    pub lacks: Option<Lent>,
    /// Whether the command that just ran, a script, turned out to take long: it was undone, and is to be run again on
    /// a thread of its own.
    pub takes_long: bool,
    /// Whether the client's command runs on a thread of its own.
    pub has_own_thread: bool,
    /// What the script that just ran has to tell once it is not undone any more.
    pub inside: Cell<Option<Box<Inside>>>,
}

impl<C> Client<C> {
    /// A fresh client, which is the user `default`.
    pub fn new(handle: Arc<ClientHandle>, users: &Users) -> Self {
        Self {
            handle,
            db: 0,
            authenticated: users.is_open(),
            rights: Rights::of(users, Arc::clone(users.default_user())),
            multi: None,
            watched: Vec::new(),
            watcher: Watcher::default(),
            reply_mode: ReplyMode::On,
            subscriber: false,
            tracks: false,
            caching_given: false,
            closing: false,
            in_exec: false,
            memory_is_short: false,
            wrote_upto: 0,
            wait: None,
            parked: None,
            postponed: false,
            lacks: None,
            takes_long: false,
            has_own_thread: false,
            inside: Cell::default(),
        }
    }

    /// Takes note that a command which passed its gates was not admitted under its locks. The command is postponed if
    /// the only reason is a pause, a script, or an end of the server that may yet be refused. Up to here the command
    /// must have changed nothing, or nothing that a second run would change again.
    #[cold]
    pub fn hold_up(&mut self, reason: &NotNow, engine: &Engine) {
        self.lacks = if let NotNow::Lent(lent) = reason { Some(*lent) } else { None };
        self.postponed = match reason {
            NotNow::Paused | NotNow::TakesLong | NotNow::Lent(_) => true,
            NotNow::Ending => engine.state().phase() != Phase::Ended,
            NotNow::Loading | NotNow::Closed | NotNow::Refused(_) => false,
        };
    }

    /// Chooses which commands are answered.
    pub fn set_reply_mode(&mut self, mode: ReplyMode) {
        self.reply_mode = mode;
        self.handle.silent.store(mode == ReplyMode::Off, Relaxed);
    }

    /// Takes note that a command is done, other than one of CLIENT: CLIENT CACHING holds for it, or for the transaction
    /// that it is part of, and no longer.
    pub fn end_caching_given(&mut self) {
        if self.multi.is_none() {
            self.caching_given = false;
        }
    }

    /// Makes it a client of a user.
    pub fn become_user(&mut self, users: &Users, user: Arc<User>) {
        self.handle.names.lock().user = user.name().to_vec();
        self.rights = Rights::of(users, user);
    }

    /// Changes the database.
    pub fn select(&mut self, db: usize) {
        self.db = db;
        self.handle.db.store(db as u32, Relaxed);
    }
}

/// Ends an open transaction without running it, and forgets the watched keys.
pub fn end_transaction<C>(store: &Store, client: &mut Client<C>) {
    client.multi = None;
    client.handle.multi.store(-1, Relaxed);
    client.handle.multi_bytes.store(0, Relaxed);
    forget_watched(store, client);
}

/// Forgets all watched keys.
pub fn forget_watched<C>(store: &Store, client: &mut Client<C>) {
    for w in std::mem::take(&mut client.watched) {
        match &w.item {
            Some(WatchedItem { table, keys }) => {
                store.unwatch_item(*table, (&keys.pk, &keys.sk), w.hash, &client.watcher);
            }
            None => store.unwatch(w.db, &w.key, w.hash, &client.watcher),
        }
    }
    client.watcher.store(false, Release);
    client.handle.watching.store(0, Relaxed);
    client.handle.watch_bytes.store(0, Relaxed);
}

/// A client that waits.
pub struct Parked<C: 'static> {
    /// The client's handle.
    pub handle: Arc<ClientHandle>,
    /// The command that waits.
    pub command: &'static C,
    /// What it waits for.
    pub wait: Wait,
    /// For each key of `wait`: the database in which it is kept, and its hash.
    places: Vec<(usize, u64)>,
    /// The client's place in the order of all waiting clients.
    ticket: u64,
    slot: Mutex<StateSlot<C>>,
    /// The numbers of the keys for which the client would have been served if CLIENT PAUSE had not held its command up.
    held_up: Mutex<Vec<usize>>,
    /// Whether the client's waiting is over.
    over: AtomicBool,
}

/// Where the state of a waiting client is.
pub enum StateSlot<C: 'static> {
    /// It is not in the slot yet. The numbers are the client's keys that have changed meanwhile.
    Coming(Vec<usize>),
    /// The client waits.
    Waiting(Box<Client<C>>),
    /// The client was served.
    Done(Box<Served<C>>),
    /// The client is not in the slot, or the thread that runs its command again has it.
    Gone,
}

/// A client that was served.
pub struct Served<C: 'static> {
    /// The client.
    pub client: Client<C>,
    /// The reply.
    pub reply: Chain,
    /// Whether the command changed something.
    pub wrote: bool,
    /// The position in the log of the last record that the reply shows.
    pub shows: Lsn,
    /// The state of durability before the command ran.
    pub began: DurabilityState,
}

impl<C: Sync> Parked<C> {
    /// Registers a client for what it waits for. The caller holds the keys' shards.
    pub fn register(engine: &Engine, client: &Client<C>, command: &'static C, mut wait: Wait) -> Arc<Self> {
        let store = &engine.store;
        // If a command names a key twice, the first one counts.
        let mut seen = HashSet::new();
        let is_first: Vec<bool> = wait.keys.iter().map(|key| seen.insert(&*key.key)).collect();
        let mut is_first = is_first.into_iter();
        wait.keys.retain(|_| is_first.next().unwrap_or(true));
        let place = |key: &AwaitedKey| (engine.tables.home(client.db, &key.key), store.hash(&key.key));
        let parked = Arc::new(Self {
            handle: Arc::clone(&client.handle),
            command,
            places: wait.keys.iter().map(place).collect(),
            wait,
            ticket: store.next_ticket(),
            slot: Mutex::new(StateSlot::Coming(Vec::new())),
            held_up: Mutex::default(),
            over: AtomicBool::new(false),
        });
        for (number, (at, key)) in parked.keys().enumerate() {
            let who = Arc::clone(&parked) as Arc<dyn Waiting>;
            store.wait(at, &key.awaited, Waiter { ticket: parked.ticket, behind: key.behind, number, who });
        }
        parked
    }

    /// About how many bytes the waiting takes: the command, its keys (twice, because the store keeps them too), the
    /// places in their lines, and the client's state.
    pub fn memory(&self) -> usize {
        let keys: usize =
            self.wait.keys.iter().map(|key| 2 * class_bytes(key.key.len()) + Waiter::MEMORY).sum();
        let lists = self.wait.keys.capacity() * size_of::<AwaitedKey>()
            + self.places.capacity() * size_of::<(usize, u64)>()
            + self.wait.args.capacity() * size_of::<Box<[u8]>>();
        // All keys of one command wait for the same group, so its name counts once.
        let name = self.wait.keys.first().map_or(0, |key| key.awaited.memory());
        let args: usize = self.wait.args.iter().map(|arg| class_bytes(arg.len())).sum();
        size_of::<Self>() + size_of::<Client<C>>() + keys + lists + name + args
    }

    fn keys(&self) -> impl Iterator<Item = (KeyAt<'_>, &AwaitedKey)> {
        (0..self.places.len()).filter_map(|number| self.key(number))
    }

    /// One of the keys: where it is, and what the client waits for in it.
    pub fn key(&self, number: usize) -> Option<(KeyAt<'_>, &AwaitedKey)> {
        let (key, (db, hash)) = (self.wait.keys.get(number)?, *self.places.get(number)?);
        Some((KeyAt { db, key: &key.key, hash }, key))
    }

    /// Ends the waiting: from here on the client is passed over in the lines in which it still stands.
    pub fn end(&self) {
        self.over.store(true, Release);
    }

    /// How many lines the client stood in when it began to wait.
    pub fn lines(&self) -> usize {
        self.places.len()
    }

    /// Takes the client out of some of its lines, by their numbers. Its waiting is over.
    pub fn leave(&self, store: &Store, lines: Range<usize>) {
        let keys = lines.filter_map(|number| self.key(number));
        keys.for_each(|(at, key)| store.stop_waiting(at, &key.awaited, self.ticket));
    }

    /// Puts the client into its slot, where other threads can serve it. True if a key has changed since the client
    /// registered.
    pub fn park(&self, store: &Store, client: Client<C>) -> bool {
        let mut slot = self.slot.lock();
        let before = std::mem::replace(&mut *slot, StateSlot::Waiting(Box::new(client)));
        self.handle.waits_until.store(self.wait.until);
        self.handle.blocked.store(state::WAITING, Release);
        drop(slot);
        let StateSlot::Coming(missed) = before else { return false };
        missed.iter().for_each(|number| self.look_again(store, *number));
        !missed.is_empty()
    }

    /// Has one of the client's keys looked at again, as if it had changed.
    pub fn look_again(&self, store: &Store, number: usize) {
        if let Some((at, _)) = self.key(number) {
            store.signal_again(at);
        }
    }

    /// The slot of a client that waits, to serve that client for one of its keys. `None` if no client is in the slot,
    /// or CLIENT UNBLOCK came first.
    pub fn claim(&self, number: usize) -> Option<MutexGuard<'_, StateSlot<C>>> {
        let mut slot = self.slot.lock();
        match &mut *slot {
            StateSlot::Coming(missed) => {
                missed.push(number);
                None
            }
            StateSlot::Waiting(_) => {
                let blocked: &AtomicU8 = &self.handle.blocked;
                // A client that a pause held up is tried again: the pause may be over.
                let waits = |now: u8| matches!(now, state::WAITING | state::PAUSED).then_some(state::SERVED);
                blocked.fetch_update(AcqRel, Relaxed, waits).ok().map(|_| slot)
            }
            StateSlot::Done(_) | StateSlot::Gone => None,
        }
    }

    /// Puts a client back that [`Parked::claim`] gave and that goes on waiting. If CLIENT UNBLOCK has asked it to stop
    /// since, its connection takes it from there.
    pub fn wait_on(&self, mut slot: MutexGuard<'_, StateSlot<C>>, client: Box<Client<C>>) {
        *slot = StateSlot::Waiting(client);
        // This fails if CLIENT UNBLOCK came meanwhile, which has woken the connection.
        let _ = self.handle.blocked.compare_exchange(state::SERVED, state::WAITING, AcqRel, Relaxed);
    }

    /// Puts a client back that [`Parked::claim`] gave and whose command, for key `number`, a pause holds up. Its
    /// connection waits for the pause to end, and then calls [`Parked::go_on`].
    pub fn hold_up(&self, mut slot: MutexGuard<'_, StateSlot<C>>, client: Box<Client<C>>, number: usize) {
        *slot = StateSlot::Waiting(client);
        let mut held_up = self.held_up.lock();
        if !held_up.contains(&number) {
            held_up.push(number);
        }
        let _ = self.handle.blocked.compare_exchange(state::SERVED, state::PAUSED, AcqRel, Relaxed);
        self.handle.waker.wake();
    }

    /// Whether a pause holds the client's command up. While it does, the client's time is not up, whatever its timeout.
    pub fn is_held_up(&self) -> bool {
        match self.handle.blocked.load(Acquire) {
            state::PAUSED => true,
            // The command was run again for another of the client's keys, or is being run.
            state::WAITING | state::SERVED => !self.held_up.lock().is_empty(),
            _ => false,
        }
    }

    /// Signals the keys for which a pause has held the client up, so that the first client in each of their lines is
    /// served. True if there are any. The connection calls it when the pause is over, and when the client has left the
    /// lines.
    pub fn go_on(&self, store: &Store) -> bool {
        let held_up = std::mem::take(&mut *self.held_up.lock());
        let _ = self.handle.blocked.compare_exchange(state::PAUSED, state::WAITING, AcqRel, Relaxed);
        held_up.iter().for_each(|number| self.look_again(store, *number));
        !held_up.is_empty()
    }

    /// For the connection: gives the client back if it was served. The connection then has it leave its lines.
    pub fn take_served(&self) -> Option<Box<Served<C>>> {
        self.take_served_or(|| ())
    }

    /// As [`Parked::take_served`]. If the client was not served, it calls `meanwhile` before anybody can serve it.
    pub fn take_served_or(&self, meanwhile: impl FnOnce()) -> Option<Box<Served<C>>> {
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut *slot, StateSlot::Gone) {
            StateSlot::Done(served) => Some(served),
            other => {
                *slot = other;
                meanwhile();
                None
            }
        }
    }

    /// For the connection: gives the client back if it still waits. No thread serves it any more, and the connection
    /// has it leave its lines.
    pub fn withdraw(&self) -> Option<Client<C>> {
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut *slot, StateSlot::Gone) {
            StateSlot::Waiting(client) => {
                drop(slot);
                self.end();
                self.handle.blocked.store(state::NO, Release);
                Some(*client)
            }
            other => {
                *slot = other;
                None
            }
        }
    }

    /// Ends the waiting and the connection of a client whose state was lost when its command panicked. The connection
    /// has it leave its lines.
    pub fn give_up(&self) {
        self.end();
        self.handle.kill(Kill::Now);
    }

    /// Whether CLIENT UNBLOCK has asked the client to stop waiting; `Some(true)` if with an error.
    pub fn unblocked(&self) -> Option<bool> {
        match self.handle.blocked.load(Acquire) {
            state::TIMED_OUT => Some(false),
            state::FAILED => Some(true),
            _ => None,
        }
    }
}

impl<C: Sync> Waiting for Parked<C> {
    fn is_over(&self) -> bool {
        self.over.load(Acquire)
    }

    fn wake(&self) {
        self.handle.waker.wake();
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
