//! Commands about the connection itself: HELLO, AUTH, PING, ECHO, SELECT, RESET, QUIT.

use super::spec::*;
use super::{Client, Cx, Fail, Outcome, acl, eq, fail, parse_small_int};
use crate::node::{DEFAULT_USER, ReplyMode, end_transaction};
use crate::resp::Proto;
use crate::store::shown;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

const ALWAYS: u64 =
    flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::FAST | flag::NO_AUTH | flag::ALLOW_BUSY;

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    spec("hello", -1, ALWAYS, hello).doc(
        "connection",
        "6.0.0",
        "O(1)",
        "Chooses the protocol version, and may authenticate and name the connection.",
        "[protover [AUTH username password] [SETNAME clientname]]",
    ),
    spec("auth", -2, ALWAYS, auth).doc(
        "connection",
        "1.0.0",
        "O(N) where N is the number of passwords defined for the user",
        "Authenticates the connection.",
        "[username] password",
    ),
    spec("ping", -1, flag::FAST | flag::PROBE | flag::TELLS | flag::IN_SUBSCRIPTION, ping)
        .doc("connection", "1.0.0", "O(1)", "Answers PONG, or the given text.", "[message]")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    spec("echo", 2, flag::LOADING | flag::STALE | flag::FAST | flag::TELLS, echo).doc(
        "connection",
        "1.0.0",
        "O(1)",
        "Answers the given text.",
        "message",
    ),
    spec("select", 2, flag::LOADING | flag::STALE | flag::FAST | flag::TELLS, select).doc(
        "connection",
        "1.0.0",
        "O(1)",
        "Chooses the database of the connection.",
        "index",
    ),
    spec("reset", 1, ALWAYS | flag::IN_MULTI | flag::IN_SUBSCRIPTION | flag::SUBSCRIPTIONS, reset).doc(
        "connection",
        "6.2.0",
        "O(1)",
        "Takes the connection back to the state it began in.",
        "",
    ),
    spec("quit", -1, ALWAYS | flag::IN_MULTI | flag::IN_SUBSCRIPTION, quit).doc(
        "connection",
        "1.0.0",
        "O(1)",
        "Closes the connection.",
        "",
    ),
];

/// The options of a HELLO.
#[derive(Default)]
struct HelloOptions<'a> {
    proto: Option<Proto>,
    auth: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

fn hello_options<'a>(args: &[&'a [u8]]) -> Result<HelloOptions<'a>, Fail> {
    let mut options = HelloOptions::default();
    let Some(version) = args.get(1) else { return Ok(options) };
    options.proto = Some(match crate::text::parse_i64_strict(version) {
        Some(2) => Proto::V2,
        Some(3) => Proto::V3,
        Some(_) => return Err(Fail::new("NOPROTO unsupported protocol version")),
        None => return Err(Fail::new("ERR Protocol version is not an integer or out of range")),
    });
    let mut rest = &args[2..];
    while let [word, more @ ..] = rest {
        rest = match more {
            [user, password, more @ ..] if eq(word, "AUTH") => {
                options.auth = Some((user, password));
                more
            }
            [name, more @ ..] if eq(word, "SETNAME") => {
                check_name(name)?;
                options.name = Some(name);
                more
            }
            _ => return Err(Fail::about("ERR Syntax error in HELLO option '", word, "'")),
        };
    }
    Ok(options)
}

fn hello(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let options = hello_options(args)?;
    if let Some((user, password)) = options.auth {
        authenticate(cx, args[0], user, password)?;
    }
    if !cx.client.authenticated && !cx.server.users.is_open() {
        return Err(Fail::new(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol \
             version at the same time",
        ));
    }
    if let Some(name) = options.name {
        cx.client.handle.names.lock().name = name.to_vec();
    }
    if let Some(proto) = options.proto {
        choose_protocol(cx, proto);
    }
    let proto = cx.out.proto() as i64;
    let out = &mut *cx.out;
    out.map(7);
    out.bulk(b"server");
    out.bulk(b"redis");
    out.bulk(b"version");
    out.bulk(crate::text::REDIS_VERSION.as_bytes());
    out.bulk(b"proto");
    out.int(proto);
    out.bulk(b"id");
    out.int(cx.client.handle.id as i64);
    out.bulk(b"mode");
    out.bulk(b"standalone");
    out.bulk(b"role");
    out.bulk(b"master");
    out.bulk(b"modules");
    out.array(0);
    Ok(())
}

/// Changes the protocol of what follows. What others have sent the client stands behind the reply, or behind that of
/// the transaction, as after any command.
fn choose_protocol(cx: &mut Cx<'_, '_>, proto: Proto) {
    if proto != cx.out.proto() {
        cx.client.handle.set_protocol(proto as u8);
        cx.out.set_proto(proto);
    }
}

/// Refuses a name that would break a line of CLIENT LIST.
pub(super) fn check_name(name: &[u8]) -> Result<(), Fail> {
    if is_printable(name) {
        return Ok(());
    }
    Err(Fail::new("ERR Client names cannot contain spaces, newlines or special characters."))
}

/// Whether a text has only visible ASCII characters.
pub(super) fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

fn authenticate(cx: &mut Cx<'_, '_>, command: &[u8], user: &[u8], password: &[u8]) -> Result<(), Fail> {
    let Some(user) = cx.server.users.authenticate(user, password) else {
        cx.server.counts.auth_failures.fetch_add(1, Relaxed);
        acl::note_auth(cx, command, user);
        return Err(Fail::new("WRONGPASS invalid username-password pair or user is disabled."));
    };
    cx.client.authenticated = true;
    cx.client.become_user(&cx.server.users, user);
    Ok(())
}

fn auth(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (user, password) = match args {
        [_, password] => {
            if cx.server.users.default_user().rules().needs_no_password() {
                return Err(Fail::new(
                    "ERR AUTH <password> called without any password configured for the default user. Are you \
                     sure your configuration is correct?",
                ));
            }
            (DEFAULT_USER, *password)
        }
        [_, user, password] => (*user, *password),
        _ => return Err(fail::SYNTAX),
    };
    authenticate(cx, args[0], user, password)?;
    cx.out.ok();
    Ok(())
}

fn ping(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let text = match args {
        [_] => None,
        [_, text] => Some(*text),
        _ => return Err(Fail::arity("ping")),
    };
    match text {
        // Among messages the answer looks like one.
        text if cx.client.subscriber && !cx.out.is_resp3() => {
            cx.out.array(2);
            cx.out.bulk(b"pong");
            cx.out.bulk(text.unwrap_or_default());
        }
        None => cx.out.pong(),
        Some(text) => cx.out.bulk(text),
    }
    Ok(())
}

fn echo(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.out.bulk(args[1]);
    Ok(())
}

fn select(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let db = parse_small_int(args[1])?;
    match usize::try_from(db) {
        Ok(db) if db < cx.server.engine.store.databases() => cx.client.select(db),
        _ => return Err(fail::DB_RANGE),
    }
    cx.out.ok();
    Ok(())
}

fn reset(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    end_transaction(&cx.tx.engine().store, cx.client);
    cx.server.broker.roster.leave(&cx.client.handle);
    cx.client.subscriber = false;
    cx.server.stop_tracking(&cx.client.handle);
    (cx.client.tracks, cx.client.caching_given) = (false, false);
    // No message comes behind the reply: the client has left every channel.
    let (messages, shows) = cx.client.handle.take_pushed();
    shown::note(shows);
    messages.into_iter().for_each(|message| cx.out.share(message));
    choose_protocol(cx, Proto::V2);
    forget(cx);
    cx.out.simple("RESET");
    Ok(())
}

/// Resets the client's state to that of a new connection, except for the transaction.
fn forget(cx: &mut Cx<'_, '_>) {
    // After CLIENT REPLY SKIP the mode is kept, so the reply of RESET is skipped too.
    if cx.client.reply_mode == ReplyMode::Off {
        cx.client.set_reply_mode(ReplyMode::On);
    }
    let users = &cx.server.users;
    cx.client.become_user(users, Arc::clone(users.default_user()));
    let Client { handle, authenticated, .. } = &mut *cx.client;
    *authenticated = users.is_open();
    handle.no_evict.store(false, Relaxed);
    handle.no_touch.store(false, Relaxed);
    if handle.monitor.swap(false, Relaxed) {
        cx.server.monitors.fetch_sub(1, Relaxed);
    }
    handle.names.lock().name.clear();
    cx.client.select(0);
}

fn quit(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.client.closing = true;
    cx.out.ok();
    Ok(())
}
