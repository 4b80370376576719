//! Commands that wait for keys: what a handler asks for, and the client while it waits.
//!
//! A handler that finds nothing calls [`Cx::wait`](super::Cx::wait) and writes no reply. The session then registers the
//! client for the keys, still under their locks, and the connection parks it here: its state lies in a slot that whoever
//! changes a key can reach. That thread runs the command again in the client's place once its own command is done, so
//! that the order is as if there were one thread: the first who waits is served first, and what follows the change sees
//! it taken. Then it wakes the connection, which sends the reply.

use super::client::Client;
use super::registry::Command;
use super::{ClientHandle, Fail};
use crate::engine::{Engine, State};
use crate::env::memory::class_bytes;
use crate::log::Lsn;
use crate::resp::{Chain, Reply};
use crate::store::{Entry, Store, Waiting};
use crate::text::parse_i64_strict;
use parking_lot::{Mutex, MutexGuard};
use std::any::Any;
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

/// What a client waits for in a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Awaited {
    /// A stream.
    Stream,
}

impl Awaited {
    /// Whether a value may satisfy it.
    pub fn fits(self, entry: &Entry) -> bool {
        match self {
            Self::Stream => entry.value().stream().is_some(),
        }
    }
}

/// What a command that waits for keys asks for.
pub struct Wait {
    /// The keys, in the order in which they are looked at.
    pub keys: Vec<Box<[u8]>>,
    /// What it waits for in them.
    pub awaited: Awaited,
    /// Whether the command is also to be run again when a key is gone or holds another type.
    pub on_absence: bool,
    /// When it gives up, in ms since the epoch; never if there is none.
    pub until: Option<u64>,
    /// The command as it was sent.
    pub args: Vec<Box<[u8]>>,
    /// What takes the place of some of its arguments when it is run again: what referred to "now", worked out.
    pub worked_out: Vec<(usize, Box<[u8]>)>,
    /// Its reply when it gives up.
    pub reply_on_timeout: fn(&mut Reply),
}

/// Reads a timeout in ms, 0 for none, as of `now`; the result is the time at which it ends.
pub fn parse_timeout_ms(arg: &[u8], now: u64) -> Result<Option<u64>, Fail> {
    let timeout = parse_i64_strict(arg).ok_or(Fail::new("ERR timeout is not an integer or out of range"))?;
    let Ok(timeout) = u64::try_from(timeout) else { return Err(Fail::new("ERR timeout is negative")) };
    if timeout == 0 {
        return Ok(None);
    }
    let end = now.checked_add(timeout).filter(|end| i64::try_from(*end).is_ok());
    end.map(Some).ok_or(Fail::new("ERR timeout is out of range"))
}

/// A client that waits.
pub struct Parked {
    /// The client's handle.
    pub handle: Arc<ClientHandle>,
    /// The command that waits.
    pub command: &'static Command,
    /// What it waits for.
    pub wait: Wait,
    /// The keys with the databases that they are kept in.
    keys: Vec<(usize, Box<[u8]>)>,
    slot: Mutex<Slot>,
    /// Whether a key changed before the client was in its slot.
    missed: AtomicBool,
}

/// Where a waiting client is.
pub enum Slot {
    /// Not here: the connection has it.
    Elsewhere,
    /// It waits.
    Waiting(Box<Client>),
    /// It was served.
    Done(Box<Served>),
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
        let mut keys = Vec::with_capacity(wait.keys.len());
        let mut seen = HashSet::new();
        for key in std::mem::take(&mut wait.keys) {
            let name = (engine.tables.home(client.db, &key), key);
            if seen.insert(name.clone()) {
                keys.push(name);
            }
        }
        let parked = Arc::new(Self {
            handle: Arc::clone(&client.handle),
            command,
            wait,
            keys,
            slot: Mutex::new(Slot::Elsewhere),
            missed: AtomicBool::new(false),
        });
        for (db, key) in &parked.keys {
            store.wait(*db, key, store.hash(key), Arc::clone(&parked) as Arc<dyn Waiting>);
        }
        parked
    }

    /// About how many bytes its waiting takes: its command, its keys, each of them twice because the store knows them
    /// too, and its state.
    pub fn memory(&self) -> usize {
        /// A key's place in the table of those who wait, with the queue of its own that it may need.
        const PLACE: usize = 192;
        let keys: usize = self.keys.iter().map(|(_, key)| 2 * class_bytes(key.len()) + PLACE).sum();
        let args = self.wait.args.iter().chain(self.wait.worked_out.iter().map(|(_, arg)| arg));
        let args: usize = args.map(|arg| class_bytes(arg.len()) + size_of::<Box<[u8]>>()).sum();
        size_of::<Self>() + size_of::<Client>() + keys + args
    }

    /// Forgets that the client waits.
    pub fn unregister(&self, store: &Store) {
        for (db, key) in &self.keys {
            store.stop_waiting(*db, key, store.hash(key), self.handle.id);
        }
    }

    /// Puts the client into its slot, where others can serve it. True if a key has changed since it registered.
    pub fn park(&self, store: &Store, client: Client) -> bool {
        let mut slot = self.slot.lock();
        *slot = Slot::Waiting(Box::new(client));
        self.handle.waits_until.store(self.wait.until.unwrap_or(0), Relaxed);
        self.handle.blocked.store(state::WAITING, Release);
        let missed = self.missed.swap(false, AcqRel);
        drop(slot);
        if missed {
            self.look_again(store);
        }
        missed
    }

    /// Has the client's keys looked at again, as if they had changed.
    pub fn look_again(&self, store: &Store) {
        self.keys.iter().for_each(|(db, key)| store.signal_again(*db, key));
    }

    /// The slot, to serve the client that waits in it. None if there is nobody, or CLIENT UNBLOCK was faster.
    pub fn claim(&self) -> Option<MutexGuard<'_, Slot>> {
        let slot = self.slot.lock();
        match *slot {
            Slot::Elsewhere => {
                self.missed.store(true, Release);
                None
            }
            Slot::Waiting(_) => {
                let blocked: &AtomicU8 = &self.handle.blocked;
                blocked.compare_exchange(state::WAITING, state::SERVED, AcqRel, Relaxed).ok().map(|_| slot)
            }
            Slot::Done(_) => None,
        }
    }

    /// The client back if it was served, by its connection.
    pub fn take_served(&self) -> Option<Box<Served>> {
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut *slot, Slot::Elsewhere) {
            Slot::Done(served) => Some(served),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// The client back if it still waits; it is registered no more.
    pub fn withdraw(&self, store: &Store) -> Option<Client> {
        let mut slot = self.slot.lock();
        match std::mem::replace(&mut *slot, Slot::Elsewhere) {
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

    /// Whether CLIENT UNBLOCK has asked it to stop waiting, and then whether with an error.
    pub fn unblocked(&self) -> Option<bool> {
        match self.handle.blocked.load(Acquire) {
            state::TIMED_OUT => Some(false),
            state::FAILED => Some(true),
            _ => None,
        }
    }
}

impl Waiting for Parked {
    fn id(&self) -> u64 {
        self.handle.id
    }

    fn on_absence(&self) -> bool {
        self.wait.on_absence
    }

    fn wake(&self) {
        self.handle.waker.wake();
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
