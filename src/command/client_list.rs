//! CLIENT LIST, INFO, ID and KILL.

use super::{Cx, Fail, Outcome, Server, eq, fail};
use crate::env::Instant;
use crate::node::{Caching, CachingMode, ChannelKind, ClientHandle, ClientNames, Kill};
use crate::text::parse_i64_strict;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The types of clients that LIST and KILL choose by. There are no replicas.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Normal,
    Master,
    Replica,
    Pubsub,
}

impl Class {
    fn parse(word: &[u8]) -> Result<Self, Fail> {
        Ok(match word.to_ascii_lowercase().as_slice() {
            b"normal" => Self::Normal,
            b"master" => Self::Master,
            b"replica" | b"slave" => Self::Replica,
            b"pubsub" => Self::Pubsub,
            _ => return Err(Fail::about("ERR Unknown client type '", word, "'")),
        })
    }

    fn of(client: &ClientHandle) -> Self {
        if client.is_subscriber() { Self::Pubsub } else { Self::Normal }
    }
}

/// Bytes of the buffer into which a worker reads.
const READ_BYTES: usize = 16 * 1024;
/// The size that is shown for a smaller reply buffer, as in Redis.
const LEAST_REPLY_BYTES: usize = 1024;

/// All clients that were not killed, by id.
fn living(server: &Server) -> Vec<Arc<ClientHandle>> {
    server.clients.lock().values().filter(|client| client.killed() != Kill::Now).cloned().collect()
}

fn flags_of(client: &ClientHandle) -> String {
    let caching = client.caching.lock();
    let caches = |how: fn(&Caching) -> bool| caching.as_deref().is_some_and(how);
    let marks = [
        (client.monitor.load(Relaxed), 'O'),
        (client.is_subscriber(), 'P'),
        (client.multi.load(Relaxed) >= 0, 'x'),
        (client.blocked.load(Relaxed) != 0, 'b'),
        (caches(|_| true), 't'),
        (caches(|caching| caching.is_broken), 'R'),
        (caches(|caching| caching.mode == CachingMode::Broadcast), 'B'),
        (client.killed() == Kill::AfterReply, 'c'),
        (client.unix, 'U'),
        (client.no_evict.load(Relaxed), 'e'),
        (client.no_touch.load(Relaxed), 'T'),
    ];
    let flags: String = marks.iter().filter(|(on, _)| *on).map(|(_, mark)| *mark).collect();
    if flags.is_empty() { "N".to_owned() } else { flags }
}

/// The client that is told of a client's keys in its place; 0 if it is told itself, and -1 if nobody is.
pub(super) fn redirection(client: &ClientHandle) -> i64 {
    client.caching.lock().as_deref().map_or(-1, |caching| caching.redirect as i64)
}

/// The bytes of a command's arguments alone, and of the whole command in RESP.
fn sizes(args: &[&[u8]]) -> (usize, usize) {
    let digits = |number: usize| number.checked_ilog10().unwrap_or(0) as usize + 1;
    let argv = args.iter().map(|arg| arg.len()).sum();
    let frames: usize = args.iter().map(|arg| digits(arg.len()) + b"$\r\n\r\n".len()).sum();
    (argv, argv + frames + digits(args.len()) + b"*\r\n".len())
}

/// One line of CLIENT LIST, without the line break. `args` are the arguments of the running command if `client` is the
/// client that runs it.
pub(super) fn line(server: &Server, client: &ClientHandle, args: Option<&[&[u8]]>) -> String {
    let names = client.names.lock().clone();
    line_of(server, client, &names, args)
}

/// The line with clipped names, for a log that keeps it. The client's own arguments are not counted.
pub(super) fn short_line(server: &Server, client: &ClientHandle) -> String {
    let names = client.names.lock().clipped();
    line_of(server, client, &names, None)
}

fn line_of(server: &Server, client: &ClientHandle, names: &ClientNames, args: Option<&[&[u8]]>) -> String {
    let (age, idle) = client.age_and_idle(server.engine.clock.instant());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let command = server.registry.name_of(client.last_command.load(Relaxed) as usize).unwrap_or("NULL");
    // All connections of a worker share its read buffer; a connection's own buffer holds only an incomplete command.
    let (argv, request) = args.map_or((0, 0), sizes);
    let query = client.query_bytes.load(Relaxed).max(request);
    let room = client.query_room.load(Relaxed);
    let spare = if args.is_some() { READ_BYTES.saturating_sub(query) } else { room };
    let output = client.output_bytes.load(Relaxed);
    let reply = output.max(LEAST_REPLY_BYTES);
    let mut line = String::with_capacity(384);
    let _ = write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={} \
         watch={} qbuf={query} qbuf-free={spare} argv-mem={argv} multi-mem={} rbs={reply} rbp={output} obl=0 oll=0 omem={output} \
         tot-mem={} events={} cmd={command} user={} redir={} resp={} lib-name={} lib-ver={} \
         tot-net-in={} tot-net-out={} tot-cmds={}",
        client.id,
        client.addr,
        client.laddr,
        client.fd.load(Relaxed),
        text(&names.name),
        age.as_secs(),
        idle.as_secs(),
        flags_of(client),
        client.db.load(Relaxed),
        client.subscribed(ChannelKind::Channel),
        client.subscribed(ChannelKind::Pattern),
        client.subscribed(ChannelKind::Shard),
        client.multi.load(Relaxed),
        client.watching.load(Relaxed),
        client.multi_bytes.load(Relaxed),
        client.memory() + argv,
        if output > 0 { "rw" } else { "r" },
        text(&names.user),
        redirection(client),
        client.resp.load(Relaxed),
        text(&names.lib_name),
        text(&names.lib_ver),
        client.bytes_in.load(Relaxed),
        client.bytes_out.load(Relaxed),
        client.commands.load(Relaxed),
    );
    line
}

fn reply_lines<'c>(
    cx: &mut Cx<'_, '_>,
    args: &[&[u8]],
    clients: impl Iterator<Item = &'c Arc<ClientHandle>>,
) {
    let mut text = String::new();
    for client in clients {
        let own = client.id == cx.client.handle.id;
        text += &line(cx.server, client, own.then_some(args));
        text.push('\n');
    }
    cx.out.verbatim("txt", text.as_bytes());
}

pub(super) fn list(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let clients = living(cx.server);
    match &args[2..] {
        [] => reply_lines(cx, args, clients.iter()),
        // Clients are shown in the order of these ids. If other options are given too, `Filter` reads the ids, and
        // clients are shown in the order of all.
        [option, ids @ ..] if eq(option, "ID") && !ids.is_empty() && !ids.iter().any(|id| is_option(id)) => {
            let invalid = Fail::new("ERR Invalid client ID");
            let ids: Option<Vec<i64>> = ids.iter().map(|id| parse_i64_strict(id)).collect();
            let ids = ids.ok_or(invalid)?;
            let chosen = ids.iter().filter_map(|id| clients.iter().find(|c| c.id as i64 == *id));
            reply_lines(cx, args, chosen);
        }
        options => {
            let filter = Filter::parse(cx.server, options, false)?;
            let (own, now) = (cx.client.handle.id, cx.server.engine.clock.instant());
            reply_lines(cx, args, clients.iter().filter(|client| filter.fits(client, own, now)));
        }
    }
    Ok(())
}

pub(super) fn info(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let own = Arc::clone(&cx.client.handle);
    reply_lines(cx, args, std::iter::once(&own));
    Ok(())
}

pub(super) fn id(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.int(cx.client.handle.id as i64);
    Ok(())
}

fn is_option(word: &[u8]) -> bool {
    ["ID", "TYPE", "USER", "ADDR", "LADDR", "SKIPME", "MAXAGE"].iter().any(|option| eq(word, option))
}

/// The conditions for CLIENT KILL and LIST. A condition that is absent is met by every client.
#[derive(Default)]
struct Filter<'a> {
    /// The client has one of these ids; empty if every id fits.
    ids: Vec<i64>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    class: Option<Class>,
    user: Option<&'a [u8]>,
    max_age: Option<i64>,
    keep_self: bool,
}

impl<'a> Filter<'a> {
    fn parse(server: &Server, args: &[&'a [u8]], keep_self: bool) -> Result<Self, Fail> {
        let mut filter = Self { keep_self, ..Self::default() };
        let mut rest = args;
        while let [option, value, more @ ..] = rest {
            let value: &'a [u8] = value;
            rest = more;
            match option.to_ascii_lowercase().as_slice() {
                b"id" => {
                    let id = parse_i64_strict(value).filter(|id| *id > 0);
                    filter.ids.push(id.ok_or(Fail::new("ERR client-id should be greater than 0"))?);
                    while let [number, more @ ..] = rest
                        && let Some(id) = parse_i64_strict(number).filter(|id| *id > 0)
                    {
                        filter.ids.push(id);
                        rest = more;
                    }
                }
                b"maxage" => {
                    let age = parse_i64_strict(value)
                        .ok_or(Fail::new("ERR maxage is not an integer or out of range"))?;
                    if age <= 0 {
                        return Err(Fail::new("ERR maxage should be greater than 0"));
                    }
                    filter.max_age = Some(age);
                }
                b"type" => filter.class = Some(Class::parse(value)?),
                b"addr" => filter.addr = Some(value),
                b"laddr" => filter.laddr = Some(value),
                b"user" => {
                    if server.users.get(value).is_none() {
                        return Err(Fail::about("ERR No such user '", value, "'"));
                    }
                    filter.user = Some(value);
                }
                b"skipme" if eq(value, "yes") => filter.keep_self = true,
                b"skipme" if eq(value, "no") => filter.keep_self = false,
                _ => return Err(fail::SYNTAX),
            }
        }
        if rest.is_empty() { Ok(filter) } else { Err(fail::SYNTAX) }
    }

    fn fits(&self, client: &ClientHandle, own: u64, now: Instant) -> bool {
        let age = client.age_and_idle(now).0.as_secs() as i64;
        (self.ids.is_empty() || self.ids.contains(&(client.id as i64)))
            && self.addr.is_none_or(|addr| addr == client.addr.as_bytes())
            && self.laddr.is_none_or(|addr| addr == client.laddr.as_bytes())
            && self.class.is_none_or(|class| class == Class::of(client))
            && self.user.is_none_or(|user| user == client.names.lock().user)
            && self.max_age.is_none_or(|least| age >= least)
            && !(self.keep_self && client.id == own)
    }
}

pub(super) fn kill(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let old_form = args.len() == 3;
    let filter = if old_form {
        Filter { addr: Some(args[2]), ..Filter::default() }
    } else {
        Filter::parse(cx.server, &args[2..], true)?
    };
    let own = cx.client.handle.id;
    let now = cx.server.engine.clock.instant();
    let mut killed = 0;
    for client in living(cx.server) {
        if !filter.fits(&client, own, now) {
            continue;
        }
        killed += 1;
        if client.id == own {
            // The client that runs the command is closed after its reply was sent.
            cx.client.closing = true;
        } else {
            client.kill(Kill::Now);
        }
    }
    match (old_form, killed) {
        (true, 0) => return Err(Fail::new("ERR No such client")),
        (true, _) => cx.out.ok(),
        (false, killed) => cx.out.int(killed),
    }
    Ok(())
}
