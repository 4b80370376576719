//! Commands that wait for keys: what a handler asks for, and the client while it waits.
//!
//! A handler that finds nothing calls [`Cx::wait`](super::Cx::wait) and writes no reply. The session then registers the
//! client for the keys, still under their locks, and the connection parks it here: its state lies in a slot that
//! whoever changes a key can reach. That thread runs the command again, for that key alone and in the client's place,
//! once its own command is done, so that the order is as if there were one thread: the first who waits is served first,
//! and what follows the change sees it taken. Then it wakes the connection, which sends the reply, and takes the client
//! out of the lines of its other keys.

use super::client::{Client, Kill};
use super::registry::Command;
use super::{ClientHandle, Fail};
use crate::engine::{Engine, State};
use crate::env::Instant;
use crate::env::memory::class_bytes;
use crate::log::Lsn;
use crate::resp::{Chain, Reply};
use crate::store::{Awaited, KeyAt, Store, Waiter, Waiting};
use crate::text::parse_i64_strict;
use crate::value::stream::StreamId;
use parking_lot::{Mutex, MutexGuard};
use std::any::Any;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU8,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// States of [`ClientHandle::blocked`].
pub mod state {
    /// It does not wait.
    pub const NO: u8 = 0;
    /// It waits in a blocking command.
    pub const WAITING: u8 = 1;
    /// It is to stop waiting as if its time were up.
    pub const TIMED_OUT: u8 = 2;
    /// It is to stop waiting with an error.
    pub const FAILED: u8 = 3;
    /// It waits for the end of CLIENT PAUSE; CLIENT UNBLOCK does not concern it.
    pub const PAUSED: u8 = 4;
    /// It waits, and its command is being run again.
    pub const SERVED: u8 = 5;
}

/// A key that a client waits for.
pub struct AwaitedKey {
    /// The key.
    pub key: Box<[u8]>,
    /// What it waits for in it.
    pub awaited: Awaited,
    /// The identifier behind which entries are awaited; [`StreamId::MIN`] where the key's state decides.
    pub behind: StreamId,
}

/// What a command that waits for keys asks for.
pub struct Wait {
    /// The keys, in the order in which they are looked at.
    pub keys: Vec<AwaitedKey>,
    /// When it gives up; never if there is none.
    pub until: Option<Instant>,
    /// The command as it was sent.
    pub args: Vec<Box<[u8]>>,
    /// Where the keys begin in it.
    pub first_key: usize,
    /// What is run when a key has changed: the command with this key as its only one, and with what referred to "now"
    /// worked out. So it costs the same however many keys are waited for.
    pub alone: for<'a> fn(&'a Wait, &'a AwaitedKey) -> Vec<Cow<'a, [u8]>>,
    /// Its reply when it gives up.
    pub reply_on_timeout: fn(&mut Reply),
}

/// Reads a timeout in ms, 0 for none. One that would end beyond all times is refused, `now` being the system's time in
/// ms.
pub fn parse_timeout_ms(arg: &[u8], now: u64) -> Result<Option<u64>, Fail> {
    let timeout = parse_i64_strict(arg).ok_or(Fail::new("ERR timeout is not an integer or out of range"))?;
    let Ok(timeout) = u64::try_from(timeout) else { return Err(Fail::new("ERR timeout is negative")) };
    if timeout == 0 {
        return Ok(None);
    }
    let end = now.checked_add(timeout).filter(|end| i64::try_from(*end).is_ok());
    end.map(|_| Some(timeout)).ok_or(Fail::new("ERR timeout is out of range"))
}

/// A client that waits.
pub struct Parked {
    /// The client's handle.
    pub handle: Arc<ClientHandle>,
    /// The command that waits.
    pub command: &'static Command,
    /// What it waits for.
    pub wait: Wait,
    /// Of each key of `wait`, the database in which it is kept and its hash.
    places: Vec<(usize, u64)>,
    /// Its place in the order of those who wait.
    ticket: u64,
    slot: Mutex<Slot>,
    /// Whether its waiting is over.
    over: AtomicBool,
}

/// Where a waiting client is.
pub enum Slot {
    /// Not here yet; which of its keys have changed meanwhile.
    Coming(Vec<usize>),
    /// It waits.
    Waiting(Box<Client>),
    /// It was served.
    Done(Box<Served>),
    /// Not here any more, or its command is being run: whoever does that has it.
    Gone,
}

/// A client that was served.
pub struct Served {
    /// The client.
    pub client: Client,
    /// The reply.
    pub reply: Chain,
    /// Whether the command changed something.
    pub wrote: bool,
    /// The log's position up to which the reply shows it.
    pub shows: Lsn,
    /// What durability was before it ran.
    pub began: State,
}

impl Parked {
    /// Registers a client for what it waits for. The caller holds the keys' shards.
    pub fn register(
        engine: &Engine,
        client: &Client,
        command: &'static Command,
        mut wait: Wait,
    ) -> Arc<Self> {
        let store = &engine.store;
        // Of a key that is named twice the first counts.
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
            slot: Mutex::new(Slot::Coming(Vec::new())),
            over: AtomicBool::new(false),
        });
        for (number, (at, key)) in parked.keys().enumerate() {
            let who = Arc::clone(&parked) as Arc<dyn Waiting>;
            store.wait(at, &key.awaited, Waiter { ticket: parked.ticket, behind: key.behind, number, who });
        }
        parked
    }

    /// About how many bytes its waiting takes: its command, its keys, each of them twice because the store knows them
    /// too, its places in their lines, and its state.
    pub fn memory(&self) -> usize {
        let keys: usize =
            self.wait.keys.iter().map(|key| 2 * class_bytes(key.key.len()) + Waiter::MEMORY).sum();
        let lists = self.wait.keys.capacity() * size_of::<AwaitedKey>()
            + self.places.capacity() * size_of::<(usize, u64)>()
            + self.wait.args.capacity() * size_of::<Box<[u8]>>();
        // All keys share one group's name.
        let name = self.wait.keys.first().map_or(0, |key| key.awaited.memory());
        let args: usize = self.wait.args.iter().map(|arg| class_bytes(arg.len())).sum();
        size_of::<Self>() + size_of::<Client>() + keys + lists + name + args
    }

    fn keys(&self) -> impl Iterator<Item = (KeyAt<'_>, &AwaitedKey)> {
        (0..self.places.len()).filter_map(|number| self.key(number))
    }

    /// One of the keys, and where it is.
    pub fn key(&self, number: usize) -> Option<(KeyAt<'_>, &AwaitedKey)> {
        let (key, (db, hash)) = (self.wait.keys.get(number)?, *self.places.get(number)?);
        Some((KeyAt { db, key: &key.key, hash }, key))
    }

    /// Says that its waiting is over: from here on it is passed over in the lines in which it still stands.
    pub fn end(&self) {
        self.over.store(true, Release);
    }

    /// Takes it out of all lines.
    fn unregister(&self, store: &Store) {
        self.end();
        self.keys().for_each(|(at, key)| store.stop_waiting(at, &key.awaited, self.ticket));
    }

    /// Puts the client into its slot, where others can serve it. True if a key has changed since it registered.
    pub fn park(&self, store: &Store, client: Client) -> bool {
        let mut slot = self.slot.lock();
        let before = std::mem::replace(&mut *slot, Slot::Waiting(Box::new(client)));
        self.handle.waits_until.store(self.wait.until);
        self.handle.blocked.store(state::WAITING, Release);
        drop(slot);
        let Slot::Coming(missed) = before else { return false };
        missed.iter().for_each(|number| self.look_again(store, *number));
        !missed.is_empty()
    }

    /// Has one of the client's keys looked at again, as if it had changed.
    pub fn look_again(&self, store: &Store, number: usize) {
        if let Some((at, _)) = self.key(number) {
            store.signal_again(at);
        }
    }

    /// The slot, to serve the client that waits in it because of one of its keys. None if there is nobody, or CLIENT
    /// UNBLOCK was faster.
    pub fn claim(&self, number: usize) -> Option<MutexGuard<'_, Slot>> {
        let mut slot = self.slot.lock();
        match &mut *slot {
            Slot::Coming(missed) => {
                missed.push(number);
                None
            }
            Slot::Waiting(_) => {
                let blocked: &AtomicU8 = &self.handle.blocked;
                blocked.compare_exchange(state::WAITING, state::SERVED, AcqRel, Relaxed).ok().map(|_| slot)
            }
            Slot::Done(_) | Slot::Gone => None,
        }
    }

    /// Puts a client back that [`Parked::claim`] gave and that waits on, unless CLIENT UNBLOCK has asked it to stop
    /// since.
    pub fn wait_on(&self, mut slot: MutexGuard<'_, Slot>, client: Box<Client>) {
        *slot = Slot::Waiting(client);
        // Its connection was woken if this fails.
        let _ = self.handle.blocked.compare_exchange(state::SERVED, state::WAITING, AcqRel, Relaxed);
    }

    /// The client back if it was served, by its connection.
    pub fn take_served(&self, store: &Store) -> Option<Box<Served>> {
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut *slot, Slot::Gone) {
            Slot::Done(served) => {
                drop(slot);
                self.unregister(store);
                Some(served)
            }
            other => {
                *slot = other;
                None
            }
        }
    }

    /// The client back if it still waits; it is registered no more.
    pub fn withdraw(&self, store: &Store) -> Option<Client> {
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut *slot, Slot::Gone) {
            Slot::Waiting(client) => {
                drop(slot);
                self.unregister(store);
                self.handle.blocked.store(state::NO, Release);
                Some(*client)
            }
            other => {
                *slot = other;
                None
            }
        }
    }

    /// After a panic of its command, which has cost it its client: ends its waiting and its connection.
    pub fn give_up(&self, store: &Store) {
        self.unregister(store);
        self.handle.kill(Kill::Now);
    }

    /// Whether CLIENT UNBLOCK has asked it to stop waiting, and then whether with an error.
    pub fn unblocked(&self) -> Option<bool> {
        match self.handle.blocked.load(Acquire) {
            state::TIMED_OUT => Some(false),
            state::FAILED => Some(true),
            _ => None,
        }
    }
}

impl ClientHandle {
    /// Asks a client to stop waiting, as if its time were up or with an error; false if it waits for no keys. Where
    /// its command is just being run again it stops waiting in any case: it is served by that, or gives up.
    pub fn unblock(&self, with_error: bool) -> bool {
        let how = if with_error { state::FAILED } else { state::TIMED_OUT };
        let asked = |now: u8| matches!(now, state::WAITING | state::SERVED).then_some(how);
        let unblocked = self.blocked.fetch_update(AcqRel, Acquire, asked).is_ok();
        if unblocked {
            self.waker.wake();
        }
        unblocked
    }
}

impl Waiting for Parked {
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
