//! A call of a command: its arguments, and what was read of them before its shards are locked.

use crate::command::{Command, Prepared, Reading, flag};
use crate::config::Settings;
use crate::engine::{Engine, Tables, Tx};
use crate::node::Foreseen;

/// The hash of a command's only key.
#[derive(Clone, Copy)]
pub(super) enum KnownHash {
    /// It is that of the key's own name.
    Name(u64),
    /// It is that of the partition key of the only item that the command names.
    Partition(u64),
}

impl KnownHash {
    /// Tells the transaction, so that the hash is not computed again.
    #[inline]
    pub(super) fn tell(self, tx: &mut Tx<'_>, command: &Command, args: &[&[u8]]) {
        match self {
            Self::Name(hash) => tx.hint(args[command.only_key], hash),
            Self::Partition(hash) => tx.hint_partition(hash),
        }
    }
}

/// One command to run with its arguments.
pub(super) struct Call<'a> {
    pub(super) command: &'static Command,
    pub(super) args: &'a [&'a [u8]],
    /// The request, if it was read ahead.
    pub(super) prepared: Option<Prepared>,
    /// What was looked up of the only key when the command came.
    foreseen: Option<Foreseen>,
}

impl<'a> Call<'a> {
    #[inline]
    pub(super) fn new(command: &'static Command, args: &'a [&'a [u8]]) -> Self {
        Self { command, args, prepared: None, foreseen: None }
    }

    /// The call of a queued command.
    pub(super) fn queued(
        command: &'static Command,
        args: &'a [&'a [u8]],
        foreseen: Option<Foreseen>,
    ) -> Self {
        Self { foreseen, ..Self::new(command, args) }
    }

    /// What was looked up of the only key, if it holds for the present tables in any database. A key that may be a view
    /// depends on the database, which an earlier command of the transaction may change.
    #[inline]
    pub(super) fn foreseen(&self, tables: &Tables) -> Option<Foreseen> {
        let may_be_view = self.command.spec.item_keys.is_none() && tables.have_views();
        self.foreseen.filter(|foreseen| foreseen.tables == tables.generation() && !may_be_view)
    }

    /// Reads the request ahead, unless it was read for the present tables already. No shard is held.
    #[inline]
    pub(super) fn prepare(&mut self, engine: &Engine, settings: &Settings, now: u64) {
        if let Some(how) = &self.command.spec.prepare
            && !self.prepared.as_ref().is_some_and(|read| read.is_current(&engine.tables))
        {
            let with = Reading { tables: &engine.tables, settings, now };
            self.prepared = Prepared::read(how, &with, self.args);
        }
    }

    /// The hash of the only key, as far as it was looked up when the command came.
    #[inline]
    pub(super) fn known_hash(&self, tables: &Tables) -> Option<KnownHash> {
        self.foreseen(tables).map(|foreseen| match self.command.spec.item_keys {
            None => KnownHash::Name(foreseen.hash),
            Some(_) => KnownHash::Partition(foreseen.hash),
        })
    }

    /// Visits the keys as [`Command::each_key`] does. The keys come from the request that was read ahead, if it has
    /// them.
    pub(super) fn each_key(&self, tables: &Tables, visit: &mut dyn FnMut(Option<u32>, &[u8])) {
        let keys = self.command.spec.prepare.as_ref().and_then(|how| how.keys);
        match (keys, self.prepared.as_ref().filter(|read| read.is_current(tables))) {
            (Some(keys), Some(read)) => {
                keys(read.request(), &mut |found| visit(Some(found.table), found.key));
            }
            _ => self.command.each_key(tables, self.args, visit),
        }
    }

    /// The bytes of the arguments that a transaction keeps as they were read until it ends: those of requests on items.
    /// What RESTORE reads ahead is bounded when it is read.
    pub(super) fn kept_bytes(command: &Command, bytes: usize) -> usize {
        if command.spec.item_keys.is_some() { Self::body_bytes(command, bytes) } else { 0 }
    }

    /// The bytes of the arguments if the command has a body that takes time to read, else 0.
    pub(super) fn body_bytes(command: &Command, bytes: usize) -> usize {
        if command.has(flag::HEAVY) { bytes } else { 0 }
    }
}
