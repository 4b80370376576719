//! The types of commands, and of the context in which their handlers run. They are in one file because they refer to
//! each other: the table holds handlers, a handler sees the server, and the server holds the table.

use super::fail::{self, Fail};
use crate::config::Settings;
use crate::engine::{Classes, NotNow, Over, Tables, Tx};
use crate::node::handle::state;
use crate::node::{self, Wait};
use crate::resp::Reply;
use crate::store::{Holder, Lent, ValueRef};
use ahash::AHashMap;
use std::any::Any;
use std::sync::atomic::Ordering::Relaxed;

/// A handler. `args[0]` is the command's name; the number of arguments is as the arity demands.
pub type Handler = fn(&mut Cx<'_, '_>, &[&[u8]]) -> Outcome;

/// A key of a command on items.
#[derive(Clone, Copy)]
pub struct ItemKey<'k> {
    /// The number of the argument that is the key; 0 if the key stands within an argument.
    pub arg: usize,
    /// The table's id.
    pub table: u32,
    /// The bytes under which the key is stored, which decide its shard.
    pub key: &'k [u8],
}

/// Calls the visitor with each key of a command on items, as the tables' schemas define them. Arguments that are no
/// valid use of the command have no keys; the handler refuses them.
pub type KeyFinder = fn(&Tables, &[&[u8]], &mut dyn FnMut(ItemKey<'_>));

/// The context in which a request is read.
pub struct Reading<'s> {
    /// The tables that the request may name.
    pub tables: &'s Tables,
    /// The configuration, which has the limits on items.
    pub settings: &'s Settings,
    /// The time in ms since the epoch. A deadline relative to the transaction's time is computed when the request runs,
    /// not from this time.
    pub now: u64,
}

/// How a command's requests are read before its shards are locked.
#[derive(Clone, Copy)]
pub struct Preparation {
    /// Reads a request; `None` if it is short enough to be read under the locks.
    pub read: fn(&Reading<'_>, &[&[u8]]) -> Option<Box<dyn Any>>,
    /// Calls the visitor with each key of a request that was read, for commands whose keys stand within a body.
    pub keys: Option<fn(&dyn Any, &mut dyn FnMut(ItemKey<'_>))>,
}

/// A request that was read ahead.
pub struct Prepared {
    pub(super) request: Box<dyn Any>,
    /// The generation of the tables for which the request was read.
    pub(super) tables: u64,
}

/// What a command does if one of its keys is a view of an item.
#[derive(Clone, Copy)]
pub enum OnView {
    /// A command that only reads sees the item as a hash; any other refuses the key as one of the wrong type.
    Plain,
    /// Another handler runs, for all keys of the call.
    Handler(Handler),
}

/// Where the keys of a specification begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(usize),
    /// After this word, searched from this argument on (backwards from the end if negative).
    Keyword(&'static str, i32),
    /// After this option, wherever it stands. COMMAND shows it as a keyword that is searched from this argument on. The
    /// options that may stand before it are listed with their numbers of arguments, because an argument may be the same
    /// word.
    Option(&'static str, i32, &'static [(&'static str, usize)]),
    /// After the last occurrence of this option, among the arguments from this number on. The known options are listed
    /// with their numbers of arguments.
    LastOption(&'static str, usize, &'static [(&'static str, usize)]),
}

/// Which arguments, counted from the beginning of a specification, are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// Every `step`-th argument up to `last` (relative to the beginning; negative from the end). If `limit` is above 1,
    /// only the first `1/limit` of the remaining arguments.
    Range {
        /// The last key.
        last: i32,
        /// The distance between keys.
        step: usize,
        /// The divisor of the remaining arguments.
        limit: usize,
    },
    /// The argument `at` is the number of keys, which begin at `first`, every `step`-th (both relative to the
    /// beginning).
    Number {
        /// The position of the number.
        at: usize,
        /// The position of the first key.
        first: usize,
        /// The distance between keys.
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
    /// Redis's words for the use of the keys, such as `RW`, `access`, `update`.
    pub flags: &'static [&'static str],
}

/// One command or subcommand.
#[derive(Clone, Copy)]
pub struct Spec {
    /// The name in lower case; a subcommand's own name, without its parent's.
    pub name: &'static str,
    /// The exact number of arguments including the name, or the negative of the least number.
    pub arity: i32,
    /// Bits of [`flag`](super::flag).
    pub flags: u64,
    /// The key specifications.
    pub keys: &'static [KeySpec],
    /// The arguments that are shard channels: no keys, but COMMAND shows them where it shows keys.
    pub channels: &'static [KeySpec],
    /// Finds the keys of commands whose keys are partition keys of tables.
    pub item_keys: Option<KeyFinder>,
    /// The argument that names the first element that the command looks up in the value at its only key; counted from
    /// the end if it is negative, 0 if there is none.
    pub element: i8,
    /// How requests are read before the shards are locked.
    pub prepare: Option<Preparation>,
    /// What the command does if a key is a view of an item.
    pub on_view: OnView,
    /// Whether a call with these arguments needs every shard, whatever its keys are: shared if the command only reads,
    /// else exclusively.
    pub alone: Option<fn(&[&[u8]]) -> bool>,
    /// The handler; for a container, the one that answers if no subcommand fits.
    pub run: Handler,
    /// The group, as in COMMAND DOCS; ACL categories derive from it.
    pub group: &'static str,
    /// The version of Redis that introduced the command.
    pub since: &'static str,
    /// The complexity in O notation.
    pub complexity: &'static str,
    /// The summary, one sentence.
    pub summary: &'static str,
    /// The arguments in Redis's notation, from which COMMAND DOCS derives its tree.
    pub syntax: &'static str,
    /// ACL categories beside those that group and flags imply.
    pub categories: &'static [&'static str],
    /// COMMAND's tips.
    pub tips: &'static [&'static str],
    /// Subcommands.
    pub subs: &'static [Spec],
}

/// A command of the table, with what is derived from its spec once.
pub struct Command {
    /// The declaration.
    pub spec: &'static Spec,
    /// `get`, or `client|list` for a subcommand.
    pub full_name: String,
    /// The command's number in statistics.
    pub id: usize,
    /// The argument that is the only key of every call; 0 if calls may have several keys or none.
    pub only_key: usize,
    /// Subcommands by lower-case name.
    pub subs: AHashMap<&'static [u8], Command>,
}

/// All commands.
pub struct Registry {
    pub(super) by_name: AHashMap<Box<[u8]>, Command>,
    /// Full names by id.
    pub(super) names: Vec<String>,
    /// Specs by id. Users' rules name commands as these do, whatever `rename-command` made of them.
    pub(super) specs: Vec<&'static Spec>,
}

/// A client of a server with this command table.
pub type Client = node::Client<Command>;
/// The transaction that a client has queued.
pub type Multi = node::Multi<Command>;
/// The state of a client that waits for keys.
pub type Parked = node::Parked<Command>;
/// A waiting client that was served.
pub type Served = node::Served<Command>;
/// A server with this command table.
pub type Server = node::Server<Registry>;

/// The result of a handler: the reply is in the sink, or the caller writes the error.
pub type Outcome = Result<(), Fail>;

/// The context in which a handler runs.
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
    /// The database's number, as effects have it.
    #[inline]
    pub fn db(&self) -> u32 {
        self.tx.db as u32
    }

    /// Publishes the event `name` (Redis's name) for a key of the current database. Handlers call it after the change.
    #[inline]
    pub fn tell(&self, class: Classes, name: &'static str, key: &[u8]) {
        self.tx.tell(class, name, key);
    }

    /// The type of the value at a plain key of a database, if a command is about to put another value there and
    /// somebody listens to that.
    #[inline]
    pub fn replaced_type(&self, db: usize, key: &[u8]) -> Option<&'static str> {
        if self.tx.is_heard(Classes::OVERWRITTEN.and(Classes::TYPE_CHANGED)) {
            self.type_at(db, key)
        } else {
            None
        }
    }

    /// The type of the value at a plain key of a database.
    #[cold]
    fn type_at(&self, db: usize, key: &[u8]) -> Option<&'static str> {
        self.tx.peek_in(db, key).map(|entry| entry.type_name())
    }

    /// Tells that the value at a key is overwritten, whose type was `old`, by one of the type `new`. As in Redis, SET
    /// and commands that store a result tell it before their own event, others behind it.
    pub fn tell_replaced(&self, db: usize, key: &[u8], old: Option<&'static str>, new: &'static str) {
        if let Some(old) = old {
            self.tx.tell_in(db as u32, Classes::OVERWRITTEN, "overwritten", key);
            if old != new {
                self.tx.tell_in(db as u32, Classes::TYPE_CHANGED, "type_changed", key);
            }
        }
    }

    /// As [`Cx::tell_replaced`], with the type of the value that is at the key now.
    pub fn tell_replaced_by_present(&self, db: usize, key: &[u8], old: Option<&'static str>) {
        if old.is_some()
            && let Some(new) = self.type_at(db, key)
        {
            self.tell_replaced(db, key, old, new);
        }
    }

    /// As [`Tx::tell_fields`].
    pub fn tell_fields<'n>(&self, name: &'static str, key: &[u8], names: impl Iterator<Item = &'n [u8]>) {
        self.tx.tell_fields(name, key, names);
    }

    /// Refuses a command that needs memory if memory is at its limit, for commands flagged `WEIGHS`.
    ///
    /// # Errors
    /// [`fail::OUT_OF_MEMORY`].
    pub fn need_memory(&self) -> Outcome {
        if self.client.memory_is_short { Err(fail::OUT_OF_MEMORY) } else { Ok(()) }
    }

    /// Whether the command may wait for keys. In a transaction it may not.
    pub fn may_wait(&self) -> bool {
        !self.client.in_exec
    }

    /// Makes the error of a command that is not admitted under its locks. If the command is postponed, the client does
    /// not see it.
    #[cold]
    pub fn hold_up(&mut self, reason: &NotNow) -> Fail {
        held_up(self.client, reason, self.server, self.settings)
    }

    /// Runs a change in a transaction of its own that holds every shard, for a command that locks its shards itself.
    ///
    /// # Errors
    /// Those of `run`, and why no changes may be made now.
    pub fn alone<T>(
        &mut self,
        holder: Holder,
        run: impl FnMut(&mut Tx<'_>) -> Result<T, Fail>,
    ) -> Result<T, Fail> {
        let engine = self.tx.engine();
        let outcome = engine.transact_over(holder, Over::Everything, self.tx.db, &mut Vec::new(), run);
        let outcome = outcome.map_err(|reason| self.hold_up(&reason))?;
        self.tx.acknowledge();
        outcome
    }

    /// Makes the client wait; the command runs again when one of the keys changes. The handler must not have written a
    /// reply.
    pub fn wait(&mut self, wait: Wait) {
        debug_assert!(self.may_wait());
        self.client.wait = Some(wait);
    }

    /// The string at a key; `None` if there is no key.
    ///
    /// # Errors
    /// The key holds another type.
    #[inline]
    pub fn string(&self, key: &[u8]) -> Result<Option<&[u8]>, Fail> {
        match self.tx.entry(key).map(crate::store::Entry::value) {
            None => Ok(None),
            Some(ValueRef::Str(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(fail::WRONG_TYPE),
        }
    }
}

/// Makes the error of a command that is not admitted under its locks. If the command is postponed, the client does not
/// see it. A command that a script keeps waiting is postponed until that script has run for `busy-reply-threshold`.
#[cold]
pub fn held_up(client: &mut Client, reason: &NotNow, server: &Server, settings: &Settings) -> Fail {
    client.hold_up(reason, &server.engine);
    // A client that waits for keys goes on waiting.
    if let NotNow::Lent(Lent(shard)) = reason
        && client.handle.blocked.load(Relaxed) == state::NO
        && let now = server.engine.clock.instant()
        && let Some(script) = server.running.slow(Some(*shard), now, settings.busy_reply_threshold)
    {
        (client.postponed, client.takes_long) = (false, false);
        return Fail::busy(script.is_function);
    }
    Fail::not_now(reason)
}

/// Refuses a write after a failed checkpoint, if `stop-writes-on-bgsave-error` says so.
///
/// # Errors
/// [`fail::NO_CHECKPOINT`].
pub fn check_checkpoint(server: &Server, settings: &Settings) -> Outcome {
    let refuses = !server.engine.save.last_ok.load(Relaxed)
        && settings.stop_writes_on_bgsave_error
        && !settings.save.is_empty();
    if refuses { Err(fail::NO_CHECKPOINT) } else { Ok(()) }
}
