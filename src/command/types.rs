//! What a command is, and what its handler works with. These types name each other: the table holds handlers, a handler
//! sees the server, and the server holds the table.

use super::fail::{self, Fail};
use crate::config::Settings;
use crate::engine::{Classes, NotNow, Tables, Tx};
use crate::node::{self, Wait};
use crate::resp::Reply;
use crate::store::ValueRef;
use ahash::AHashMap;
use std::any::Any;

/// A handler. `args[0]` is the command's name; the arity was checked.
pub type Handler = fn(&mut Cx<'_, '_>, &[&[u8]]) -> Outcome;

/// A key of a command on items.
#[derive(Clone, Copy)]
pub struct ItemKey<'k> {
    /// The argument that it is, 0 if it stands within one.
    pub arg: usize,
    /// The table's id.
    pub table: u32,
    /// The bytes under which it is stored, which choose its shard.
    pub key: &'k [u8],
}

/// Finds the keys of a command on items, which the tables' schemas decide, and calls the visitor with each. Arguments
/// that are no valid use of the command have no keys; the handler refuses them.
pub type KeyFinder = fn(&Tables, &[&[u8]], &mut dyn FnMut(ItemKey<'_>));

/// What a request is read with.
pub struct Reading<'s> {
    /// The tables that it may name.
    pub tables: &'s Tables,
    /// The configuration, which has the limits on items.
    pub settings: &'s Settings,
    /// The time in ms since the epoch. A deadline that counts from the transaction's time is worked out from that one
    /// when the request runs.
    pub now: u64,
}

/// How the requests of a command are read before its shards are locked.
#[derive(Clone, Copy)]
pub struct Preparation {
    /// Reads a request; `None` if it may as well be read under the locks.
    pub read: fn(&Reading<'_>, &[&[u8]]) -> Option<Box<dyn Any>>,
    /// Calls the visitor with each key in what was read, for commands whose keys stand within a body.
    pub keys: Option<fn(&dyn Any, &mut dyn FnMut(ItemKey<'_>))>,
}

/// A request that was read ahead.
pub struct Prepared {
    pub(super) request: Box<dyn Any>,
    /// The tables' generation that it was read for.
    pub(super) tables: u64,
}

/// What a command does where one of its keys is a view of an item.
#[derive(Clone, Copy)]
pub enum OnView {
    /// It reads the item as a hash if it only reads, and else refuses the key as one of the wrong type.
    Plain,
    /// A handler of its own, for all its keys.
    Handler(Handler),
}

/// Where a key specification begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(usize),
    /// Behind this word, searched from an argument on (backwards from the end if negative).
    Keyword(&'static str, i32),
    /// Behind this option, wherever it stands, for clients searched from an argument on. The options that may stand
    /// before it are named with the numbers of their arguments, for those may be the same word.
    Option(&'static str, i32, &'static [(&'static str, usize)]),
    /// The same behind the last one of several, among the arguments from a number on.
    LastOption(&'static str, usize, &'static [(&'static str, usize)]),
}

/// Which arguments from the beginning on are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// Up to `last` (relative to the beginning; negative from the end), every `step`-th; of what remains only the first
    /// `1/limit`-th if `limit` is above 1.
    Range {
        /// Last key.
        last: i32,
        /// Distance of keys.
        step: usize,
        /// Which part of the rest holds keys.
        limit: usize,
    },
    /// A number at `at` says how many keys follow from `first` on, every `step`-th (both relative to the beginning).
    Number {
        /// Where the number stands.
        at: usize,
        /// Where the first key stands.
        first: usize,
        /// Distance of keys.
        step: usize,
    },
}

/// A group of keys among a command's arguments, as in COMMAND INFO.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// Where the group begins.
    pub begin: Begin,
    /// Which arguments of it are keys.
    pub find: Find,
    /// Redis's words for what happens to the keys, such as `RW`, `access`, `update`.
    pub flags: &'static [&'static str],
}

/// One command or subcommand.
#[derive(Clone, Copy)]
pub struct Spec {
    /// Lower-case name; a subcommand's own name without its parent's.
    pub name: &'static str,
    /// Exact number of arguments with the name, or its negative minimum.
    pub arity: i32,
    /// Bits of [`flag`](super::flag).
    pub flags: u64,
    /// The keys.
    pub keys: &'static [KeySpec],
    /// Finds the keys where they are partition keys of tables.
    pub item_keys: Option<KeyFinder>,
    /// How its requests are read before its shards are locked.
    pub prepare: Option<Preparation>,
    /// What it does where a key is a view of an item.
    pub on_view: OnView,
    /// Whether a use of it, by its arguments, needs every shard exclusively whatever its keys are.
    pub alone: Option<fn(&[&[u8]]) -> bool>,
    /// The handler; for a container, what answers when no subcommand fits.
    pub run: Handler,
    /// The group, as in COMMAND DOCS; also an ACL category.
    pub group: &'static str,
    /// The Redis version that introduced it.
    pub since: &'static str,
    /// What it costs.
    pub complexity: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The arguments in Redis's notation, from which COMMAND DOCS derives its tree.
    pub syntax: &'static str,
    /// More ACL categories than group and flags imply.
    pub categories: &'static [&'static str],
    /// COMMAND's tips.
    pub tips: &'static [&'static str],
    /// Subcommands.
    pub subs: &'static [Spec],
}

/// A command of the table with what is worked out once.
pub struct Command {
    /// The declaration.
    pub spec: &'static Spec,
    /// `get`, or `client|list` for a subcommand.
    pub full_name: String,
    /// The number that statistics are kept under.
    pub id: usize,
    /// The argument that is the only key, when that is all there is to know about its keys; 0 if not.
    pub only_key: usize,
    /// Subcommands by lower-case name.
    pub subs: AHashMap<&'static [u8], Command>,
}

/// All commands.
pub struct Registry {
    pub(super) by_name: AHashMap<Box<[u8]>, Command>,
    /// Full names by id.
    pub(super) names: Vec<String>,
}

/// A client of a server with this command table.
pub type Client = node::Client<Command>;
/// What a client has queued in MULTI.
pub type Multi = node::Multi<Command>;
/// One of these commands.
pub type Queued = node::Queued<Command>;
/// A client that waits for keys.
pub type Parked = node::Parked<Command>;
/// A client that was served while it waited.
pub type Served = node::Served<Command>;
/// A server with this command table.
pub type Server = node::Server<Registry>;

/// What a handler returns: its reply is in the sink, or an error that is written for it.
pub type Outcome = Result<(), Fail>;

/// What a handler works with.
pub struct Cx<'a, 't> {
    /// The transaction: locked keys, effects, time.
    pub tx: &'a mut Tx<'t>,
    /// The reply.
    pub out: &'a mut Reply,
    /// The connection's state.
    pub client: &'a mut Client,
    /// The server's state.
    pub server: &'a Server,
    /// The configuration as of this batch of commands.
    pub settings: &'a Settings,
    /// The request, if it was read before the shards were locked.
    pub prepared: &'a mut Option<Prepared>,
}

impl Cx<'_, '_> {
    /// The database's number as effects carry it.
    #[inline]
    pub fn db(&self) -> u32 {
        self.tx.db as u32
    }

    /// Tells what was done to a key of the current database, under Redis's name for it; after the change.
    #[inline]
    pub fn tell(&self, class: Classes, name: &'static str, key: &[u8]) {
        self.tx.tell(class, name, key);
    }

    /// Refuses a command that needs memory where there is none, for those that find out by themselves that they do.
    ///
    /// # Errors
    /// [`fail::OUT_OF_MEMORY`].
    pub fn need_memory(&self) -> Outcome {
        if self.client.memory_is_short { Err(fail::OUT_OF_MEMORY) } else { Ok(()) }
    }

    /// Whether the command may wait for keys. Inside a transaction it takes what there is.
    pub fn may_wait(&self) -> bool {
        !self.client.in_exec
    }

    /// The error of a command that is not admitted under its locks. The client does not see it if the command is
    /// postponed.
    #[cold]
    pub fn hold_up(&mut self, reason: &NotNow) -> Fail {
        self.client.hold_up(reason, self.tx.engine());
        Fail::not_now(reason)
    }

    /// Has the command wait: it is run again when one of the keys changes. There must be no reply.
    pub fn wait(&mut self, wait: Wait) {
        debug_assert!(self.may_wait());
        self.client.wait = Some(wait);
    }

    /// The string at a key.
    #[inline]
    pub fn string(&self, key: &[u8]) -> Result<Option<&[u8]>, Fail> {
        match self.tx.entry(key).map(crate::store::Entry::value) {
            None => Ok(None),
            Some(ValueRef::Str(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(fail::WRONG_TYPE),
        }
    }
}
