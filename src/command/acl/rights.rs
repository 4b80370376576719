//! Whether a client's user may run a command: the one place where users' rules meet commands, in every form in which
//! commands come. A session asks when a command comes or is queued, and again when it runs, under its locks.
//!
//! An item of a table has no name of its own among the keys. A command on items needs the table's name and the
//! partition keys' texts. A key that is a view of an item needs its own name and the table's. What shows or changes
//! items beyond the keys that it names (a query of an index, a scan, a change stream, the tables' definitions), every
//! command on a table whose items have views, and DDB need all keys.

use super::super::key_uses::keys_with_flags;
use super::super::spec::flag;
use super::super::types::{Client, Command, Cx, Server};
use super::super::{Fail, client_list};
use crate::acl::{ChannelUse, CommandUse, Denied, KeyUse, Need, UserRules};
use crate::config::Settings;
use crate::engine::{STREAM_SUFFIX, Tables, VIEW_DB};
use crate::node::{AclEntry, Kill, command_log};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Where a refused command stood, which decides the error and is shown in ACL LOG.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::command) enum Standing {
    /// By itself, or about to be queued.
    Alone,
    /// In a transaction that runs.
    InExec,
    /// In a script.
    InScript,
}

/// What a user is denied: the name of the command, key or channel.
pub(super) struct Denial {
    what: Denied,
    pub(super) name: Vec<u8>,
}

/// Whether a client's user may run a command, which is about to run or to be queued. If not, that is counted and
/// entered in ACL LOG.
///
/// # Errors
/// NOPERM.
#[inline]
pub fn check_rights(
    server: &Server,
    settings: &Settings,
    client: &mut Client,
    command: &Command,
    args: &[&[u8]],
) -> Result<(), Fail> {
    if client.rights.are_unlimited(&server.users) {
        return Ok(());
    }
    check_standing(server, settings, client, (command, args), Standing::Alone)
}

/// As [`check_rights`], for a command that runs now, whose user may have changed since it came.
#[inline]
pub(in crate::command) fn check_running(
    cx: &mut Cx<'_, '_>,
    command: &Command,
    args: &[&[u8]],
) -> Result<(), Fail> {
    if cx.client.rights.are_unlimited(&cx.server.users) {
        return Ok(());
    }
    let standing = if cx.client.in_exec { Standing::InExec } else { Standing::Alone };
    check_standing(cx.server, cx.settings, cx.client, (command, args), standing)
}

/// As [`check_rights`], for a command in a place of its own.
#[cold]
pub(in crate::command) fn check_standing(
    server: &Server,
    settings: &Settings,
    client: &mut Client,
    (command, args): (&Command, &[&[u8]]),
    standing: Standing,
) -> Result<(), Fail> {
    let Some(refusal) = refusal_of(server, client, command, args, None) else { return Ok(()) };
    let counts = &server.counts;
    let (reason, counter) = match refusal.what {
        Denied::Command => ("command", &counts.denied_commands),
        Denied::Key(_) => ("key", &counts.denied_keys),
        Denied::Channel(_) => ("channel", &counts.denied_channels),
    };
    counter.fetch_add(1, Relaxed);
    let fail = refusal.fail(standing, command);
    enter(server, settings, client, Refused { reason, standing, object: &refusal.name, user: None });
    Err(fail)
}

/// Whether a client's user may run a command. It is not counted.
pub(in crate::command) fn has_rights(
    server: &Server,
    client: &mut Client,
    command: &Command,
    args: &[&[u8]],
) -> bool {
    refusal_of(server, client, command, args, None).is_none()
}

/// Whether the user may run the command, and read all keys besides.
pub(in crate::command) fn may_read_every_key(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> bool {
    if cx.client.rights.are_unlimited(&cx.server.users) {
        return true;
    }
    let Ok(command) = cx.server.registry.lookup(args) else { return false };
    let every = Need { read: true, write: false };
    refusal_of(cx.server, cx.client, command, args, Some(every)).is_none()
}

fn refusal_of(
    server: &Server,
    client: &mut Client,
    command: &Command,
    args: &[&[u8]],
    every: Option<Need>,
) -> Option<Denial> {
    let rules = Arc::clone(client.rights.rules(&server.users));
    if client.rights.user().is_gone() {
        // It authenticated while its user was being deleted.
        client.handle.kill(Kill::Now);
        return Some(Denial { what: Denied::Command, name: command.full_name.clone().into_bytes() });
    }
    refusal(&server.engine.tables, &rules, client.db, (command, args), every)
}

/// What rules deny of a command that runs on a database. `every`: besides, all keys are needed.
pub(super) fn refusal(
    tables: &Tables,
    rules: &UserRules,
    db: usize,
    (command, args): (&Command, &[&[u8]]),
    every: Option<Need>,
) -> Option<Denial> {
    if rules.is_unlimited() {
        return None;
    }
    let mut keys = if rules.limits_keys() { key_uses(tables, db, command, args) } else { Keys::new() };
    keys.extend(every.map(every_key));
    let channels = channel_uses(command, args);
    let access = CommandUse {
        number: command.id,
        is_free: command.has(flag::NO_AUTH),
        first_arg: args.get(1).copied(),
        keys: &keys,
        channels: &channels,
    };
    let what = rules.check(&access).err()?;
    let name = match what {
        Denied::Command => command.full_name.clone().into_bytes(),
        Denied::Key(at) => match &keys[at] {
            KeyUse::Key(name, _) | KeyUse::Every(name, _) => name.to_vec(),
        },
        Denied::Channel(at) => match &channels[at] {
            ChannelUse::Named(name) | ChannelUse::Pattern(name) => name.to_vec(),
        },
    };
    Some(Denial { what, name })
}

type Keys<'a> = SmallVec<[KeyUse<'a>; 4]>;

/// ACL LOG shows `*` where all keys are needed.
fn every_key(need: Need) -> KeyUse<'static> {
    KeyUse::Every(Cow::Borrowed(b"*"), need)
}

/// What Redis's words for the use of a key need.
fn need_of(flags: &[&str]) -> Need {
    let has = |word: &str| flags.contains(&word);
    Need { read: has("access"), write: has("insert") || has("delete") || has("update") }
}

fn key_uses<'a>(tables: &Tables, db: usize, command: &Command, args: &[&'a [u8]]) -> Keys<'a> {
    if matches!(command.spec.group, "item" | "table") {
        return item_uses(tables, command, args);
    }
    let mut keys = Keys::new();
    for (at, flags) in keys_with_flags(tables, command, args).unwrap_or_default() {
        let (Some(name), need) = (args.get(at), need_of(flags)) else { continue };
        keys.push(KeyUse::Key(Cow::Borrowed(name), need));
        if tables.is_change_stream(name) {
            let table = name.strip_suffix(STREAM_SUFFIX.as_bytes()).unwrap_or(name);
            keys.push(KeyUse::Key(Cow::Borrowed(table), need));
            keys.push(every_key(need));
        } else if db == VIEW_DB
            && let Ok(Some(view)) = tables.view_of(name)
        {
            keys.push(KeyUse::Key(Cow::Owned(view.table.name.clone().into_bytes()), need));
        }
    }
    keys
}

/// What a command on items or tables uses.
fn item_uses<'a>(tables: &Tables, command: &Command, args: &[&'a [u8]]) -> Keys<'a> {
    let mut keys = Keys::new();
    let name = command.full_name.as_str();
    let changes = command.has(flag::WRITE);
    if name.starts_with("ddb") {
        keys.push(every_key(Need { read: true, write: changes }));
        return keys;
    }
    // The names of all tables are no secret, as those of keys are none to KEYS. A token belongs to its transaction.
    let (false, Some(table)) = (
        command.has(flag::ATOMIC) || name == "table.list" || name == "table.index" || name.ends_with("|help"),
        args.get(if name.contains('|') { 2 } else { 1 }),
    ) else {
        return keys;
    };
    let found = tables.get_any(table);
    let named = keys_with_flags(tables, command, args).unwrap_or_default();
    let need = named.iter().fold(
        if named.is_empty() { Need { read: !changes, write: changes } } else { Need::default() },
        |need, (_, flags)| need.and(need_of(flags)),
    );
    keys.push(KeyUse::Key(Cow::Borrowed(table), need));
    let mut goes_beyond = found.as_ref().is_some_and(|table| table.template.is_some());
    if let (Some(find), Some(table)) = (command.spec.item_keys, &found) {
        // The key of an index is no partition key.
        find(tables, args, &mut |item| goes_beyond |= item.table != table.id);
    }
    if named.is_empty() && name != "table.describe" || goes_beyond {
        keys.push(every_key(need));
    }
    keys.extend(named.iter().filter_map(|(at, _)| Some(KeyUse::Key(Cow::Borrowed(args.get(*at)?), need))));
    keys
}

fn channel_uses<'a>(command: &Command, args: &[&'a [u8]]) -> SmallVec<[ChannelUse<'a>; 2]> {
    let names = args.iter().skip(1).copied();
    match command.spec.name {
        _ if !command.has(flag::PUBSUB) => SmallVec::new(),
        "subscribe" | "ssubscribe" => names.map(ChannelUse::Named).collect(),
        "psubscribe" => names.map(ChannelUse::Pattern).collect(),
        "publish" | "spublish" => names.take(1).map(ChannelUse::Named).collect(),
        _ => SmallVec::new(),
    }
}

impl Denial {
    fn fail(&self, standing: Standing, command: &Command) -> Fail {
        match standing {
            Standing::Alone => match self.what {
                Denied::Command => Fail::text(format!(
                    "NOPERM this user has no permissions to run the '{}' command",
                    command.full_name
                )),
                Denied::Key(_) => Fail::new(
                    "NOPERM this user has no permissions to access one of the keys used as arguments",
                ),
                Denied::Channel(_) => Fail::new(
                    "NOPERM this user has no permissions to access one of the channels used as arguments",
                ),
            },
            Standing::InExec => {
                let reason = match self.what {
                    Denied::Command => "no permission to execute the command or subcommand",
                    Denied::Key(_) => "no permission to touch the specified keys",
                    Denied::Channel(_) => "no permission to access one of the channels used as arguments",
                };
                Fail::text(format!(
                    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. \
                     This command is no longer allowed for the following reason: {reason}"
                ))
            }
            Standing::InScript => Fail::new(match self.what {
                Denied::Command => "ERR The user executing the script can't run this command or subcommand",
                Denied::Key(_) => {
                    "ERR The user executing the script can't access at least one of the keys mentioned in the command \
                     arguments"
                }
                Denied::Channel(_) => {
                    "ERR The user executing the script can't publish to the channel mentioned in the command"
                }
            }),
        }
    }

    /// What ACL DRYRUN answers.
    pub(super) fn shown(&self) -> Vec<u8> {
        let (before, after) = match self.what {
            Denied::Command => ("run the '", "' command"),
            Denied::Key(_) => ("access the '", "' key"),
            Denied::Channel(_) => ("access the '", "' channel"),
        };
        [b"This user has no permissions to ", before.as_bytes(), &self.name, after.as_bytes()].concat()
    }
}

/// What ACL LOG is to show.
pub(super) struct Refused<'e> {
    pub(super) reason: &'static str,
    pub(super) standing: Standing,
    pub(super) object: &'e [u8],
    /// The name that was given with a wrong password; `None` stands for the client's user.
    pub(super) user: Option<&'e [u8]>,
}

/// Enters a refusal in ACL LOG.
#[cold]
pub(super) fn enter(server: &Server, settings: &Settings, client: &Client, entry: Refused<'_>) {
    let now = server.engine.clock.now_ms();
    let context = match entry.standing {
        Standing::InScript => "lua",
        Standing::Alone if client.multi.is_none() && !client.in_exec => "toplevel",
        Standing::Alone | Standing::InExec => "multi",
    };
    let entry = AclEntry {
        id: 0,
        count: 1,
        reason: entry.reason,
        context,
        object: command_log::clip_arg(entry.object),
        user: command_log::clip_arg(entry.user.unwrap_or_else(|| client.rights.user().name())),
        client: client_list::short_line(server, &client.handle),
        created: now,
        updated: now,
        last: server.engine.clock.instant(),
    };
    let capacity = usize::try_from(settings.acllog_max_len).unwrap_or(usize::MAX);
    server.acl_log.lock().add(entry, capacity);
}
