//! A call of a command: its arguments, and what was read of them before its shards are locked.

use crate::command::{Command, Prepared, Reading, flag};
use crate::config::Settings;
use crate::engine::{Engine, Tables};

/// One command to run with its arguments.
pub(super) struct Call<'a> {
    pub(super) command: &'static Command,
    pub(super) args: &'a [&'a [u8]],
    /// The request, if it was read ahead.
    pub(super) prepared: Option<Prepared>,
}

impl<'a> Call<'a> {
    #[inline]
    pub(super) fn new(command: &'static Command, args: &'a [&'a [u8]]) -> Self {
        Self { command, args, prepared: None }
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
    pub(super) fn kept_bytes(command: &Command, args: impl Iterator<Item = usize>) -> usize {
        if command.spec.item_keys.is_some() { Self::body_bytes(command, args) } else { 0 }
    }

    /// The bytes of the arguments if the command has a body that takes time to read, else 0.
    pub(super) fn body_bytes(command: &Command, args: impl Iterator<Item = usize>) -> usize {
        if command.has(flag::HEAVY) { args.sum() } else { 0 }
    }
}
