//! One client's state: what its connection's task owns, and the handle by which others see and reach it.

use super::blocking::{Parked, Wait};
use super::fail::Fail;
use super::registry::Command;
use super::spec::flag;
use crate::engine::{Engine, NotNow, Phase};
use crate::env::memory::class_bytes;
use crate::env::{AtomicInstant, Instant};
use crate::item::ItemKeys;
use crate::log::Lsn;
use crate::resp::Chain;
use crate::store::Watcher;
use atomic_waker::AtomicWaker;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
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
    /// The names for a history, which keeps no more than 128 bytes of each. What stands for the rest is no blank, for
    /// blanks separate the fields of CLIENT LIST.
    pub(super) fn clipped(&self) -> Self {
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
    /// Send what is there, then close (the client killed itself).
    AfterReply = 1,
    /// Close at once.
    Now = 2,
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
    /// 2 or 3.
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
    /// Bytes that its query buffer takes beside those in use, with what is known of the commands in it.
    pub query_room: AtomicUsize,
    /// Bytes of replies waiting to be sent.
    pub output_bytes: AtomicUsize,
    /// Since when too many bytes wait to be sent; none if they do not.
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
    /// Whether it is a MONITOR.
    pub monitor: AtomicBool,
    /// Whether it wants no replies (CLIENT REPLY OFF), nor what others send it.
    pub silent: AtomicBool,
    /// Whether it waits, see [`super::blocking::state`].
    pub blocked: AtomicU8,
    /// When its waiting ends by itself; none if it does not.
    pub waits_until: AtomicInstant,
    /// Its names.
    pub names: Mutex<ClientNames>,
    /// Replies that others send it (MONITOR lines, later messages), to be written after its own; how many bytes, so
    /// that there being none is seen without the lock.
    pushed: Mutex<(Chain, Lsn)>,
    pushed_bytes: AtomicUsize,
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

    /// Whether it was asked to end.
    #[inline]
    pub fn killed(&self) -> Kill {
        match self.kill.load(Acquire) {
            0 => Kill::No,
            1 => Kill::AfterReply,
            _ => Kill::Now,
        }
    }

    /// Whether the client is on this machine: it came by the unix socket or a loopback address.
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
    }

    /// Adds bytes to be sent once what they show is durable, the log up to `shows`, and wakes the connection. False if
    /// more than `most` bytes would have to be held for it (any number if that is 0): then it is to be closed.
    pub fn push(&self, bytes: &[u8], shows: Lsn, most: usize) -> bool {
        let mut pushed = self.pushed.lock();
        let held = self.output_bytes.load(Relaxed);
        pushed.0.set_most(if most == 0 { 0 } else { most.saturating_sub(held).max(1) });
        pushed.0.put(bytes);
        pushed.1 = pushed.1.max(shows);
        // Release: the connection's task, once woken, sees it.
        self.pushed_bytes.store(pushed.0.held(), Release);
        let taken = !pushed.0.overran();
        drop(pushed);
        self.waker.wake();
        taken
    }

    /// How many bytes others have sent it that are not taken over yet.
    pub fn pushed_bytes(&self) -> usize {
        self.pushed_bytes.load(Acquire)
    }

    /// Takes over what others have sent it, and the log's position up to which that shows it.
    pub fn take_pushed(&self) -> (Chain, Lsn) {
        let mut pushed = self.pushed.lock();
        self.pushed_bytes.store(0, Release);
        std::mem::take(&mut *pushed)
    }
}

/// A command that waits in MULTI.
pub struct Queued {
    /// The command.
    pub command: &'static Command,
    /// Its arguments, owned.
    pub args: Vec<Box<[u8]>>,
}

/// An open MULTI.
#[derive(Default)]
pub struct Multi {
    /// The commands so far.
    pub queue: Vec<Queued>,
    /// Whether a command was refused, so that EXEC must fail.
    pub broken: bool,
    /// Bytes of the queued arguments.
    pub bytes: usize,
    /// How many of the commands were counted already, if EXEC was begun and is to be done again.
    pub concluded: usize,
    /// What the clients of MONITOR are to see of these.
    pub monitored: String,
}

impl Multi {
    /// Whether it is all or nothing.
    pub fn is_atomic(&self) -> bool {
        self.queue.first().is_some_and(|first| first.command.has(flag::ATOMIC))
    }
}

/// The item behind a watched key.
pub struct WatchedItem {
    /// The table's id.
    pub table: u32,
    /// Its keys.
    pub keys: ItemKeys,
}

/// A watched key.
pub struct Watched {
    /// The database's number.
    pub db: usize,
    /// The key.
    pub key: Box<[u8]>,
    /// The hash that chooses the shard.
    pub hash: u64,
    /// The item that it stands for, where it is a view.
    pub item: Option<WatchedItem>,
    /// Whether there was something for readers as it was watched. The removal of what has expired raises no flag, for
    /// nobody sees a change then; what counts is that it was there and no longer is.
    pub live: bool,
    /// When the first of its fields was to expire, in ms since the epoch.
    pub field_deadline: Option<u64>,
}

impl Watched {
    /// About how many bytes it takes, with its place in the store's table of watched keys.
    pub fn memory(&self) -> usize {
        /// A key's place in the table, with the list of who watches it.
        const PLACE: usize = 160;
        let item = self.item.as_ref().map_or(0, |item| 2 * (item.keys.pk.len() + item.keys.sk.len()));
        size_of::<Self>() + PLACE + 2 * class_bytes(self.key.len()) + item
    }
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
pub struct Client {
    /// What others see.
    pub handle: Arc<ClientHandle>,
    /// The database.
    pub db: usize,
    /// Whether it has authenticated, or need not.
    pub authenticated: bool,
    /// The open transaction.
    pub multi: Option<Multi>,
    /// Watched keys.
    pub watched: Vec<Watched>,
    /// Raised when a watched key changes.
    pub watcher: Watcher,
    /// CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// Close once the replies are sent (QUIT, protocol errors).
    pub closing: bool,
    /// Whether the command runs inside EXEC.
    pub in_exec: bool,
    /// Whether there was no room for more data below `maxmemory` when the command passed its gates.
    pub memory_is_short: bool,
    /// The LSN that the log had reached when the client's last write was in it.
    pub wrote_upto: Lsn,
    /// What the command that just ran waits for.
    pub wait: Option<Wait>,
    /// Where the client is to be parked until it is served.
    pub parked: Option<Arc<Parked>>,
    /// Whether the command that just ran has done nothing, and is to be run again once it is known whether the server
    /// ends.
    pub postponed: bool,
}

impl Client {
    /// A fresh client.
    pub fn new(handle: Arc<ClientHandle>, authenticated: bool) -> Self {
        Self {
            handle,
            db: 0,
            authenticated,
            multi: None,
            watched: Vec::new(),
            watcher: Watcher::default(),
            reply_mode: ReplyMode::On,
            closing: false,
            in_exec: false,
            memory_is_short: false,
            wrote_upto: 0,
            wait: None,
            parked: None,
            postponed: false,
        }
    }

    /// What becomes of a command that its gates let through and that is not admitted under its locks. If nothing but an
    /// end holds it up, which may yet be refused, it is postponed. It must have done nothing, or only what it leaves as
    /// it is when it is run again.
    #[cold]
    pub fn hold_up(&mut self, reason: &NotNow, engine: &Engine) -> Fail {
        self.postponed = *reason == NotNow::Ending && engine.state().phase() != Phase::Ended;
        Fail::not_now(reason)
    }

    /// Chooses which commands are answered.
    pub fn set_reply_mode(&mut self, mode: ReplyMode) {
        self.reply_mode = mode;
        self.handle.silent.store(mode == ReplyMode::Off, Relaxed);
    }

    /// Changes the database.
    pub fn select(&mut self, db: usize) {
        self.db = db;
        self.handle.db.store(db as u32, Relaxed);
    }
}
