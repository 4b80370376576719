//! The commands that make, change, show and delete users.

use super::super::{Cx, Fail, Outcome, Server};
use crate::acl::{ChannelUse, RuleContext, Selector, UserRules, merged};
use crate::config::{NewUserChannels, Settings};
use crate::node::{ChannelKind, ClientHandle, DEFAULT_USER, Kill, Roster, UserChange};
use crate::resp::Reply;
use std::sync::Arc;

/// What rules are read with.
pub(super) fn context<'c>(server: &'c Server, settings: &Settings) -> RuleContext<'c> {
    RuleContext { names: server.registry, all_channels: settings.acl_pubsub_default == NewUserChannels::All }
}

pub(super) fn setuser(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let name = args[2];
    if name.iter().any(|byte| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x0b)) {
        return Err(Fail::new("ERR Usernames can't contain spaces or null characters"));
    }
    let rules = merged(args[3..].iter().copied())
        .map_err(|open| Fail::about("ERR Unmatched parenthesis in acl selector starting at '", open, "'."))?;
    let context = context(cx.server, cx.settings);
    let change = cx.server.users.change(name, |before| {
        let fresh = || UserRules::fresh(context.names.count(), context.all_channels);
        let mut changed = before.cloned().unwrap_or_else(fresh);
        for rule in &rules {
            let refused =
                |error| Fail::about("ERR Error in ACL SETUSER modifier '", rule, &format!("': {error}"));
            changed.apply(rule, context).map_err(refused)?;
        }
        Ok::<_, Fail>(changed)
    })?;
    disconnect(cx, &[change]);
    cx.out.ok();
    Ok(())
}

pub(super) fn deluser(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if args[2..].contains(&DEFAULT_USER) {
        return Err(Fail::new("ERR The 'default' user cannot be removed"));
    }
    let deleted = cx.server.users.delete(&args[2..]);
    disconnect(cx, &deleted);
    cx.out.len_int(deleted.len());
    Ok(())
}

/// Closes the connections of deleted users, and of those that have lost a channel to which they have subscribed. The
/// connection that runs the command gets its reply first.
pub(super) fn disconnect(cx: &mut Cx<'_, '_>, changes: &[UserChange]) {
    let clients: Vec<Arc<ClientHandle>> = cx.server.clients.lock().values().cloned().collect();
    for client in clients {
        let user = client.names.lock().user.clone();
        let Some((_, rules)) = changes.iter().find(|(name, _)| **name == *user) else { continue };
        if rules.as_ref().is_some_and(|rules| keeps_channels(&client, rules)) {
            continue;
        }
        if client.id == cx.client.handle.id {
            cx.client.closing = true;
        } else {
            client.kill(Kill::Now);
        }
    }
}

/// Whether the rules allow all channels and patterns to which a client has subscribed.
fn keeps_channels(client: &ClientHandle, rules: &UserRules) -> bool {
    ChannelKind::ALL.into_iter().all(|kind| {
        Roster::names_of(client, kind).iter().all(|name| {
            rules.allows_channel(match kind {
                ChannelKind::Pattern => ChannelUse::Pattern(name),
                ChannelKind::Channel | ChannelKind::Shard => ChannelUse::Named(name),
            })
        })
    })
}

/// Closes a client that has just subscribed if it has lost the right to meanwhile. A change of its user that comes
/// later finds the subscription.
pub(in crate::command) fn subscribed(cx: &mut Cx<'_, '_>) {
    if cx.client.rights.are_unlimited(&cx.server.users) {
        return;
    }
    let rules = Arc::clone(cx.client.rights.rules(&cx.server.users));
    if !keeps_channels(&cx.client.handle, &rules) {
        cx.client.handle.kill(Kill::Now);
    }
}

pub(super) fn list(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let users = cx.server.users.all();
    cx.out.array(users.len());
    for user in users {
        cx.out.bulk(&[b"user ", user.name(), b" ", &user.rules().text()].concat());
    }
    Ok(())
}

pub(super) fn users(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let users = cx.server.users.all();
    cx.out.array(users.len());
    users.iter().for_each(|user| cx.out.bulk(user.name()));
    Ok(())
}

pub(super) fn whoami(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.bulk(cx.client.rights.user().name());
    Ok(())
}

pub(super) fn getuser(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Some(user) = cx.server.users.get(args[2]) else {
        cx.out.null();
        return Ok(());
    };
    let (rules, out) = (user.rules(), &mut *cx.out);
    out.map(6);
    out.bulk(b"flags");
    out.set(rules.flags().count());
    rules.flags().for_each(|flag| out.bulk(flag.as_bytes()));
    out.bulk(b"passwords");
    out.array(rules.passwords().len());
    rules.passwords().iter().for_each(|hash| out.bulk(hash.to_string().as_bytes()));
    let mut selectors = rules.selectors();
    if let Some(root) = selectors.next() {
        show(out, root);
    }
    out.bulk(b"selectors");
    out.array(rules.selectors().count() - 1);
    for selector in selectors {
        out.map(3);
        show(out, selector);
    }
    Ok(())
}

/// Writes the three pairs that describe a selector.
fn show(out: &mut Reply, selector: &Selector) {
    out.bulk(b"commands");
    out.bulk(selector.commands_text().as_bytes());
    out.bulk(b"keys");
    out.bulk(&selector.keys_text());
    out.bulk(b"channels");
    out.bulk(&selector.channels_text());
}
