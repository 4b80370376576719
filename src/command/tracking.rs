//! CLIENT TRACKING and what belongs to it: clients that cache what they have read are told when it changes.

use super::{Command, Cx, Fail, Outcome, client_list, eq, fail, flag, is_write, parse_int};
use crate::node::{CachingMode, Kill, TrackingRequest};

/// The options of CLIENT TRACKING.
#[derive(Default)]
struct Options<'a> {
    redirect: Option<u64>,
    broadcast: bool,
    opt_in: bool,
    opt_out: bool,
    no_loop: bool,
    prefixes: Vec<&'a [u8]>,
}

const NO_TARGET: Fail = Fail::new("ERR The client ID you want redirect to does not exist");

impl<'a> Options<'a> {
    fn parse(mut rest: &[&'a [u8]]) -> Result<Self, Fail> {
        let mut options = Self::default();
        while let [option, more @ ..] = rest {
            rest = more;
            match more {
                [id, more @ ..] if eq(option, "REDIRECT") => {
                    if options.redirect.is_some() {
                        return Err(Fail::new("ERR A client can only redirect to a single other client"));
                    }
                    options.redirect = Some(u64::try_from(parse_int(id)?).map_err(|_| NO_TARGET)?);
                    rest = more;
                }
                [prefix, more @ ..] if eq(option, "PREFIX") => {
                    options.prefixes.push(prefix);
                    rest = more;
                }
                _ if eq(option, "BCAST") => options.broadcast = true,
                _ if eq(option, "OPTIN") => options.opt_in = true,
                _ if eq(option, "OPTOUT") => options.opt_out = true,
                _ if eq(option, "NOLOOP") => options.no_loop = true,
                _ => return Err(fail::SYNTAX),
            }
        }
        Ok(options)
    }

    fn mode(&self) -> CachingMode {
        match (self.broadcast, self.opt_in, self.opt_out) {
            (true, ..) => CachingMode::Broadcast,
            (_, true, _) => CachingMode::OptIn,
            (.., true) => CachingMode::OptOut,
            _ => CachingMode::Reads,
        }
    }

    /// Refuses what cannot be together.
    fn check(&self) -> Result<(), Fail> {
        if !self.broadcast && !self.prefixes.is_empty() {
            return Err(Fail::new("ERR PREFIX option requires BCAST mode to be enabled"));
        }
        if self.broadcast && (self.opt_in || self.opt_out) {
            return Err(Fail::new("ERR OPTIN and OPTOUT are not compatible with BCAST"));
        }
        if self.opt_in && self.opt_out {
            return Err(Fail::new("ERR You can't specify both OPTIN mode and OPTOUT mode"));
        }
        Ok(())
    }

    /// Refuses a change of the mode while keys are tracked.
    fn check_change(&self, before: CachingMode) -> Result<(), Fail> {
        use CachingMode::{Broadcast, OptIn, OptOut};
        if (before == Broadcast) != self.broadcast {
            return Err(Fail::new(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling \
                 it with a different mode.",
            ));
        }
        if matches!((before, self.mode()), (OptIn, OptOut) | (OptOut, OptIn)) {
            return Err(Fail::new(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling \
                 it with a different mode.",
            ));
        }
        Ok(())
    }

    /// Refuses prefixes that overlap with each other or with those that the client has: a key would be told twice.
    fn check_prefixes<'p>(&self, existing: impl Iterator<Item = &'p [u8]> + Clone) -> Result<(), Fail> {
        let overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
        let refused = |one: &[u8], with: &str, other: &[u8]| {
            let after = [with.as_bytes(), other].concat();
            let text = "'. Prefixes for a single client must not overlap.";
            Fail::bytes([b"ERR Prefix '", one, b"' overlaps with ", &after, text.as_bytes()].concat())
        };
        for (at, prefix) in self.prefixes.iter().enumerate() {
            if let Some(other) = existing.clone().find(|other| overlap(prefix, other)) {
                return Err(refused(prefix, "an existing prefix '", other));
            }
            if let Some(other) = self.prefixes[at + 1..].iter().find(|other| overlap(prefix, other)) {
                return Err(refused(prefix, "another provided prefix '", other));
            }
        }
        Ok(())
    }
}

/// CLIENT TRACKING.
pub(super) fn switch(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let options = Options::parse(&args[3..])?;
    let target = match options.redirect {
        None => None,
        Some(id) => {
            let found = cx.server.clients.lock().get(&id).cloned();
            Some(found.filter(|client| client.killed() != Kill::Now).ok_or(NO_TARGET)?)
        }
    };
    match args[2] {
        word if eq(word, "ON") => {
            options.check()?;
            if let Some(caching) = cx.client.handle.caching.lock().as_deref() {
                options.check_change(caching.mode)?;
                options.check_prefixes(caching.prefixes.iter().map(|prefix| &**prefix))?;
            } else {
                options.check_prefixes(std::iter::empty())?;
            }
            let (mode, no_loop, prefixes) = (options.mode(), options.no_loop, &options.prefixes[..]);
            cx.server.track(&cx.client.handle, TrackingRequest { mode, no_loop, target, prefixes });
            cx.client.tracks = true;
        }
        word if eq(word, "OFF") => {
            cx.server.stop_tracking(&cx.client.handle);
            (cx.client.tracks, cx.client.caching_given) = (false, false);
        }
        _ => return Err(fail::SYNTAX),
    }
    cx.out.ok();
    Ok(())
}

/// CLIENT CACHING.
pub(super) fn caching(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Some(mode) = cx.client.handle.caching.lock().as_deref().map(|caching| caching.mode) else {
        return Err(Fail::new(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    match args[2] {
        word if eq(word, "YES") && mode != CachingMode::OptIn => {
            Err(Fail::new("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."))
        }
        word if eq(word, "NO") && mode != CachingMode::OptOut => {
            Err(Fail::new("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."))
        }
        word if eq(word, "YES") || eq(word, "NO") => {
            cx.client.caching_given = true;
            cx.out.ok();
            Ok(())
        }
        _ => Err(fail::SYNTAX),
    }
}

/// CLIENT GETREDIR.
pub(super) fn redirection(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.int(client_list::redirection(&cx.client.handle));
    Ok(())
}

/// CLIENT TRACKINGINFO.
pub(super) fn info(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let given = cx.client.caching_given;
    let caching = cx.client.handle.caching.lock();
    let mut flags = Vec::new();
    match caching.as_deref() {
        None => flags.push("off"),
        Some(caching) => {
            flags.push("on");
            flags.extend(match caching.mode {
                CachingMode::Reads => None,
                CachingMode::Broadcast => Some("bcast"),
                CachingMode::OptIn => Some("optin"),
                CachingMode::OptOut => Some("optout"),
            });
            if given {
                flags.push(if caching.mode == CachingMode::OptIn { "caching-yes" } else { "caching-no" });
            }
            flags.extend(caching.no_loop.then_some("noloop"));
            flags.extend(caching.is_broken.then_some("broken_redirect"));
        }
    }
    let out = &mut *cx.out;
    out.map(3);
    out.bulk(b"flags");
    out.set(flags.len());
    flags.iter().for_each(|flag| out.bulk(flag.as_bytes()));
    out.bulk(b"redirect");
    out.int(caching.as_deref().map_or(-1, |caching| caching.redirect as i64));
    out.bulk(b"prefixes");
    let prefixes = caching.as_deref().map(|caching| &caching.prefixes);
    out.array(prefixes.map_or(0, |prefixes| prefixes.len()));
    prefixes.into_iter().flatten().for_each(|prefix| out.bulk(prefix));
    Ok(())
}

/// Enters the client as a reader of the keys of a command that is about to run and whose shards are held, if the client
/// is to be told of them.
#[cold]
pub(super) fn note(command: &Command, cx: &mut Cx<'_, '_>, args: &[&[u8]]) {
    let client = &*cx.client;
    let Some((mode, no_loop, session)) = client
        .handle
        .caching
        .lock()
        .as_deref()
        .map(|caching| (caching.mode, caching.no_loop, caching.session))
    else {
        return;
    };
    if no_loop && is_write(command) {
        cx.tx.set_author(client.handle.id);
    }
    let remembers = match mode {
        CachingMode::Reads => true,
        CachingMode::OptIn => client.caching_given,
        CachingMode::OptOut => !client.caching_given,
        CachingMode::Broadcast => false,
    };
    // Of a script, the commands that it calls count.
    if !remembers || !command.has(flag::READONLY) || command.has(flag::SCRIPT) {
        return;
    }
    let most = usize::try_from(cx.settings.tracking_table_max_keys).unwrap_or(usize::MAX);
    let remember = |name: &[u8]| cx.server.broker.tracking.remember(name, &client.handle, session, most);
    let tables = &cx.tx.engine().tables;
    match command.spec.item_keys {
        Some(find) => find(tables, args, &mut |found| {
            if let Some(name) = tables.partition_text(found.table, found.key) {
                remember(&name);
            }
        }),
        None => command.key_positions(args).unwrap_or_default().iter().for_each(|at| remember(args[*at])),
    }
}
