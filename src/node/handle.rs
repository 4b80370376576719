//! What other threads see of a client, and how they reach it.

use super::caching::Caching;
use super::inbox::Inbox;
use super::subscriptions::{ChannelKind, Subscriptions};
use crate::env::{AtomicInstant, Instant};
use crate::log::Lsn;
use atomic_waker::AtomicWaker;
use bytes::Bytes;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use std::time::Duration;

/// Names that a client gave itself.
#[derive(Default, Clone)]
pub struct ClientNames {
    /// CLIENT SETNAME.
    pub name: Vec<u8>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Vec<u8>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_ver: Vec<u8>,
    /// The user that authenticated.
    pub user: Vec<u8>,
}

impl ClientNames {
    /// The names as a history keeps them: at most 128 bytes of each. The mark for what was cut off contains no blank,
    /// because blanks separate the fields of CLIENT LIST.
    pub fn clipped(&self) -> Self {
        const MOST_BYTES: usize = 128;
        let clip = |name: &[u8]| match name.get(..MOST_BYTES) {
            Some(kept) if kept.len() < name.len() => [kept, b"..."].concat(),
            _ => name.to_vec(),
        };
        let Self { name, lib_name, lib_ver, user } = self;
        Self { name: clip(name), lib_name: clip(lib_name), lib_ver: clip(lib_ver), user: clip(user) }
    }
}

/// Asks a connection to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kill {
    /// Go on.
    No = 0,
    /// Send the replies that are there, then close (a client that killed itself).
    AfterReply = 1,
    /// Close at once.
    Now = 2,
}

/// States of [`ClientHandle::blocked`].
pub mod state {
    /// The client does not wait.
    pub const NO: u8 = 0;
    /// The client waits in a blocking command.
    pub const WAITING: u8 = 1;
    /// The client is to stop waiting as if its time were up.
    pub const TIMED_OUT: u8 = 2;
    /// The client is to stop waiting with an error.
    pub const FAILED: u8 = 3;
    /// The client waits for the end of CLIENT PAUSE, perhaps with a command that could be served but for the pause.
    /// CLIENT UNBLOCK does not concern it.
    pub const PAUSED: u8 = 4;
    /// The client waits, and a thread is running its command again.
    pub const SERVED: u8 = 5;
}

/// What other threads see of a client, and how they reach it.
pub struct ClientHandle {
    /// The id, unique while the server runs.
    pub id: u64,
    /// The client's address, or the socket's path.
    pub addr: String,
    /// The server's address that it connected to.
    pub laddr: String,
    /// Whether it came by the unix socket.
    pub unix: bool,
    /// The socket's file descriptor.
    pub fd: AtomicI32,
    /// When it connected.
    pub created: Instant,
    /// When it last sent something.
    pub last_active: AtomicInstant,
    /// The database.
    pub db: AtomicU32,
    /// The id of the last command, or `u32::MAX`.
    pub last_command: AtomicU32,
    /// 2 or 3. It changes by [`ClientHandle::set_protocol`] only.
    pub resp: AtomicU8,
    /// The number of commands in MULTI, or -1.
    pub multi: AtomicI32,
    /// The number of watched keys.
    pub watching: AtomicU32,
    /// Bytes of the commands that wait in MULTI.
    pub multi_bytes: AtomicUsize,
    /// Bytes that the watched keys take.
    pub watch_bytes: AtomicUsize,
    /// Bytes that a command which waits for keys takes.
    pub wait_bytes: AtomicUsize,
    /// Bytes of the query buffer in use.
    pub query_bytes: AtomicUsize,
    /// Bytes of memory that the query buffer takes beyond `query_bytes`, with what is known of the commands in it.
    pub query_room: AtomicUsize,
    /// Bytes of replies waiting to be sent.
    pub output_bytes: AtomicUsize,
    /// Since when the replies to be sent exceed the soft limit; none if they do not.
    pub slow_since: AtomicInstant,
    /// Bytes received.
    pub bytes_in: AtomicU64,
    /// Bytes sent.
    pub bytes_out: AtomicU64,
    /// Commands done.
    pub commands: AtomicU64,
    /// CLIENT NO-EVICT.
    pub no_evict: AtomicBool,
    /// CLIENT NO-TOUCH.
    pub no_touch: AtomicBool,
    /// Whether the client runs MONITOR.
    pub monitor: AtomicBool,
    /// Whether the client wants neither replies (CLIENT REPLY OFF) nor what others send it.
    pub silent: AtomicBool,
    /// Whether the client waits: one of [`state`].
    pub blocked: AtomicU8,
    /// When the client's waiting ends by itself; none if it has no timeout.
    pub waits_until: AtomicInstant,
    /// Its names.
    pub names: Mutex<ClientNames>,
    /// What others send the client (messages, lines of MONITOR), which is written between its replies. `pushed_bytes`
    /// tells without the lock whether there is anything.
    pushed: Mutex<Inbox>,
    pushed_bytes: AtomicUsize,
    /// How the client's keys are tracked, if they are. The table of tracked keys changes it.
    pub caching: Mutex<Option<Box<Caching>>>,
    /// What the client has subscribed to. The roster changes it.
    pub(super) subscriptions: Mutex<Option<Box<Subscriptions>>>,
    /// How many names of each kind these are.
    pub(super) subscribed: [AtomicUsize; 3],
    kill: AtomicU8,
    /// Wakes the connection's task.
    pub waker: AtomicWaker,
}

impl ClientHandle {
    /// A fresh client.
    pub fn new(id: u64, addr: String, laddr: String, unix: bool, now: Instant) -> Self {
        Self {
            id,
            addr,
            laddr,
            unix,
            fd: AtomicI32::new(-1),
            created: now,
            last_active: AtomicInstant::new(now),
            db: AtomicU32::new(0),
            last_command: AtomicU32::new(u32::MAX),
            resp: AtomicU8::new(2),
            multi: AtomicI32::new(-1),
            watching: AtomicU32::new(0),
            multi_bytes: AtomicUsize::new(0),
            watch_bytes: AtomicUsize::new(0),
            wait_bytes: AtomicUsize::new(0),
            query_bytes: AtomicUsize::new(0),
            query_room: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            slow_since: AtomicInstant::default(),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            monitor: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            blocked: AtomicU8::new(0),
            waits_until: AtomicInstant::default(),
            names: Mutex::new(ClientNames { user: b"default".to_vec(), ..ClientNames::default() }),
            pushed: Mutex::default(),
            pushed_bytes: AtomicUsize::new(0),
            caching: Mutex::default(),
            subscriptions: Mutex::default(),
            subscribed: Default::default(),
            kill: AtomicU8::new(0),
            waker: AtomicWaker::new(),
        }
    }

    /// How long it has been connected, and how long it has sent nothing.
    pub fn age_and_idle(&self, now: Instant) -> (Duration, Duration) {
        let active = self.last_active.load().unwrap_or(self.created);
        (now.since(self.created), now.since(active))
    }

    /// Asks the connection to end, and wakes it.
    pub fn kill(&self, how: Kill) {
        self.kill.fetch_max(how as u8, AcqRel);
        self.waker.wake();
    }

    /// How the connection was asked to end, if it was.
    #[inline]
    pub fn killed(&self) -> Kill {
        match self.kill.load(Acquire) {
            0 => Kill::No,
            1 => Kill::AfterReply,
            _ => Kill::Now,
        }
    }

    /// Whether the client is on this machine: it connected by the unix socket or from a loopback address.
    pub fn is_local(&self) -> bool {
        self.unix || self.addr.parse::<SocketAddr>().is_ok_and(|addr| addr.ip().to_canonical().is_loopback())
    }

    /// Approximate bytes that the client takes.
    pub fn memory(&self) -> usize {
        /// The connection's task, its client and its handle.
        const BASE: usize = 2048;
        let names = self.names.lock();
        let texts = [&names.name, &names.lib_name, &names.lib_ver, &names.user];
        BASE + texts.iter().map(|text| text.capacity()).sum::<usize>()
            + self.query_bytes.load(Relaxed)
            + self.query_room.load(Relaxed)
            + self.output_bytes.load(Relaxed)
            + self.pushed_bytes()
            + self.multi_bytes.load(Relaxed)
            + self.watch_bytes.load(Relaxed)
            + self.wait_bytes.load(Relaxed)
            + self.caching.lock().as_ref().map_or(0, |caching| caching.memory())
            + self.subscriptions.lock().as_ref().map_or(0, |subscriptions| subscriptions.memory())
    }

    /// Sends the client what `encoded` makes for its protocol version, and wakes the connection. What is sent shows the
    /// log up to `shows` and waits until that is durable. False if the bytes that are held for the client would exceed
    /// `most` (0: no limit): then the caller must close the client.
    pub fn push(&self, encoded: impl FnOnce(u8) -> Bytes, shows: Lsn, most: usize) -> bool {
        self.push_some(|version| Some(encoded(version)), shows, most)
    }

    /// As [`ClientHandle::push`], for what cannot be sent in every version of the protocol.
    pub fn push_some(&self, encoded: impl FnOnce(u8) -> Option<Bytes>, shows: Lsn, most: usize) -> bool {
        if self.killed() == Kill::Now {
            return true;
        }
        let mut pushed = self.pushed.lock();
        // The version does not change while the lock is held.
        let Some(message) = encoded(self.resp.load(Relaxed)) else { return true };
        let room = most.saturating_sub(self.output_bytes.load(Relaxed));
        let taken = pushed.put(message, shows, if most == 0 { usize::MAX } else { room });
        // Release: the connection's task, once woken, sees it.
        self.pushed_bytes.store(pushed.bytes(), Release);
        drop(pushed);
        self.waker.wake();
        taken
    }

    /// How many bytes others have sent the client that its connection has not taken over yet.
    #[inline]
    pub fn pushed_bytes(&self) -> usize {
        self.pushed_bytes.load(Acquire)
    }

    /// Takes over what others have sent the client, with the position in the log of the last record that it shows.
    pub fn take_pushed(&self) -> (Vec<Bytes>, Lsn) {
        let mut pushed = self.pushed.lock();
        self.pushed_bytes.store(0, Release);
        pushed.take()
    }

    /// Chooses the version of the protocol for what is sent from here on. What the connection has not taken over yet
    /// follows in this version.
    pub fn set_protocol(&self, version: u8) {
        let mut pushed = self.pushed.lock();
        self.resp.store(version, Relaxed);
        pushed.rewrite(version);
        self.pushed_bytes.store(pushed.bytes(), Release);
    }

    /// How many names of a kind the client has subscribed to.
    pub fn subscribed(&self, kind: ChannelKind) -> usize {
        self.subscribed[kind as usize].load(Relaxed)
    }

    /// Whether the client has a subscription.
    pub fn is_subscriber(&self) -> bool {
        ChannelKind::ALL.into_iter().any(|kind| self.subscribed(kind) > 0)
    }

    /// How many names of all kinds the client has subscribed to.
    pub fn subscriptions(&self) -> usize {
        ChannelKind::ALL.into_iter().map(|kind| self.subscribed(kind)).sum()
    }

    /// Asks a client to stop waiting, as if its time were up or with an error; false if it waits for no keys. If a
    /// thread is running its command again, the client stops waiting in either case: the command serves it, or the
    /// client gives up.
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
