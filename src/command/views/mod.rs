//! Keys that are views of items: chooses the handler of a command if one of its keys is a view.
//!
//! A command that only reads runs on a stand-in, a hash made of the item, as on any hash. A command that writes has a
//! handler for views in its spec, which changes the item through `ops`; without such a handler a view has the wrong
//! type.

#[cfg(test)]
mod tests;

use super::items::limits;
use super::spec::Handler;
use super::{Command, Cx, Fail, OnView, Outcome, counts_lookups, flag, is_write};
use crate::engine::{Classes, LocalTable, VIEW_DB};
use crate::item::{ItemError, ItemKeys, ItemLimits, ItemRef};
use crate::ops::{self, At, OpError, Write, Written};

/// Runs a command, if the client's user may run it. Keys that are views of items are read and changed as items; a
/// command that would write to a change stream is refused. Inlined into the caller that makes nearly all calls.
#[inline(always)]
#[allow(clippy::inline_always)]
pub fn run(command: &Command, cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    super::acl::check_running(cx, command, args)?;
    super::changes::guard(command, cx, args)?;
    if cx.tx.is_heard(Classes::MISSED) {
        cx.tx.set_tells_misses(counts_lookups(command));
    }
    if cx.client.tracks {
        super::tracking::note(command, cx, args);
    }
    if cx.tx.engine().tables.have_views() && cx.tx.db == VIEW_DB && !command.spec.keys.is_empty() {
        return routed(command, cx, args);
    }
    (command.spec.run)(cx, args)
}

#[cold]
#[inline(never)]
fn routed(command: &Command, cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let positions = match command.spec.item_keys {
        Some(_) => None,
        None => command.key_positions(args),
    };
    let Some(positions) = positions else { return (command.spec.run)(cx, args) };
    if cx.tx.engine().tables.any_lifting() {
        lift_first(cx, &positions, args);
        if cx.tx.lacks_shards() {
            // The session locks more shards and runs the command again.
            return Ok(());
        }
    }
    let mut subjects = Vec::new();
    for at in positions {
        subjects.extend(Subject::find(cx, args[at])?.map(|subject| (args[at], subject)));
    }
    let Some((key, first)) = subjects.first() else { return (command.spec.run)(cx, args) };
    match command.spec.on_view {
        OnView::Handler(run) => {
            let Cx { tx, out, client, server, settings, prepared } = cx;
            tx.naming_keys(|tx| run(&mut Cx { tx, out, client, server, settings, prepared }, args))
        }
        OnView::Plain if is_write(command) || command.has(flag::BLOCKING) => Err(first.wrong_type(key)),
        OnView::Plain => {
            subjects.iter().for_each(|(key, subject)| cx.tx.stand_in(key, &subject.table, &subject.keys));
            let outcome = (command.spec.run)(cx, args);
            cx.tx.forget_stand_ins();
            outcome
        }
    }
}

/// Converts the hashes under the given keys that a lifting table has not converted yet. A hash that cannot become an
/// item stays a hash.
#[cold]
fn lift_first(cx: &mut Cx<'_, '_>, positions: &[usize], args: &[&[u8]]) {
    let limits = limits(cx.settings);
    for at in positions {
        let Ok(Some(view)) = cx.tx.engine().tables.view_of(args[*at]) else { continue };
        if view.table.schema.lifting
            && let Ok(keys) = view.keys(&limits)
        {
            let _ = cx.tx.lift(&view.table, (args[*at], &keys), &limits);
        }
    }
}

/// Runs the plain handler of a command that writes on a stand-in, for a call that only reads. The key is argument 1.
pub(super) fn as_read(cx: &mut Cx<'_, '_>, args: &[&[u8]], run: Handler) -> Outcome {
    let subject = Subject::of(cx, args[1])?;
    cx.tx.stand_in(args[1], &subject.table, &subject.keys);
    let outcome = run(cx, args);
    cx.tx.forget_stand_ins();
    outcome
}

/// The item of which a key is a view.
pub(super) struct Subject {
    pub(super) table: LocalTable,
    pub(super) keys: ItemKeys,
    pub(super) limits: ItemLimits,
}

impl Subject {
    /// The item of which a key of the current database is a view; `None` if it is a plain key.
    pub(super) fn find(cx: &Cx<'_, '_>, key: &[u8]) -> Result<Option<Self>, Fail> {
        Self::find_in(cx, cx.tx.db, key)
    }

    /// The item of which a key of a database is a view; `None` if it is a plain key.
    pub(super) fn find_in(cx: &Cx<'_, '_>, db: usize, key: &[u8]) -> Result<Option<Self>, Fail> {
        if db != VIEW_DB {
            return Ok(None);
        }
        let tables = &cx.tx.engine().tables;
        if tables.any_lifting() && stays_plain(cx, key) {
            return Ok(None);
        }
        let Some(view) = tables.view_of(key)? else { return Ok(None) };
        let limits = limits(cx.settings);
        let keys = view.keys(&limits)?;
        Ok(Some(Self { table: view.table, keys, limits }))
    }

    /// The item of a key that is known to be a view.
    pub(super) fn of(cx: &Cx<'_, '_>, key: &[u8]) -> Result<Self, Fail> {
        Self::find(cx, key)?.ok_or(super::fail::WRONG_TYPE)
    }

    /// The item; `None` if it does not exist.
    pub(super) fn item<'t>(&self, cx: &'t Cx<'_, '_>) -> Option<ItemRef<'t>> {
        cx.tx.item(&self.table, &self.keys)
    }

    /// The item's deadline in ms since the epoch.
    pub(super) fn deadline(&self, cx: &Cx<'_, '_>) -> Option<u64> {
        self.table.deadline(&self.item(cx)?, cx.tx.now())
    }

    /// Deletes the item and returns whether there was one.
    pub(super) fn delete(&self, cx: &mut Cx<'_, '_>) -> Result<bool, Fail> {
        Ok(self.write(cx, Write::Delete)?.existed)
    }

    /// Carries out an operation on the item.
    pub(super) fn write<'s>(
        &'s self,
        cx: &mut Cx<'_, '_>,
        write: impl FnOnce(At<'s>) -> Write<'s>,
    ) -> Result<Written, Fail> {
        ops::write(cx.tx, &write(At::new(&self.table, &self.keys))).map_err(|error| match error {
            OpError::Item(error) => fit(error),
            error => error.into(),
        })
    }

    /// The error for a command on a view that has no handler for it.
    pub(super) fn wrong_type(&self, key: &[u8]) -> Fail {
        let before = "WRONGTYPE Operation against a key holding the wrong kind of value: '";
        Fail::about(before, key, &format!("' is an item of table '{}'", self.table.name))
    }

    /// The error for an operation that items do not have.
    pub(super) fn refuses(&self, key: &[u8], what: &str) -> Fail {
        Fail::about("ERR '", key, &format!("' is an item of table '{}': {what}", self.table.name))
    }
}

/// Whether a key fits the template of a lifting table but is still a plain key, because it cannot become an item.
#[cold]
fn stays_plain(cx: &Cx<'_, '_>, key: &[u8]) -> bool {
    let mut lifting = cx.tx.engine().tables.with_templates();
    lifting.retain(|table| table.schema.lifting);
    let claimed = lifting.iter().any(|table| table.template.as_ref().is_some_and(|t| t.claims(key)));
    claimed && cx.tx.is_stored(key)
}

/// The error for a text that does not fit its attribute.
pub(super) fn fit(error: ItemError) -> Fail {
    match error {
        ItemError::NotOfType { .. } => Fail::text(format!("WRONGTYPE {error}")),
        ItemError::KeyReadOnly(_) => Fail::text(format!("ERR {error}")),
        error => error.into(),
    }
}

/// Refuses a key of a database that is a view, for commands that put a value at the key itself.
pub(super) fn refuse_claimed(cx: &Cx<'_, '_>, db: usize, key: &[u8]) -> Outcome {
    if db != VIEW_DB {
        return Ok(());
    }
    match cx.tx.engine().tables.view_of(key)? {
        None => Ok(()),
        Some(view) => {
            let after = format!("' is an item of table '{}', which no other database has", view.table.name);
            Err(Fail::about("ERR '", key, &after))
        }
    }
}
