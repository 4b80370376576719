//! COMMAND: the command table as clients see it.

use super::fail;
use super::key_uses::{FoundKey, keys_with_flags};
use super::registry::{shown_subs, sorted};
use super::spec::*;
use super::{Command, Cx, Fail, Outcome, eq, help::help};
use crate::resp::Reply;
use crate::text::glob_match_nocase;
use smallvec::SmallVec;

const OPEN: u64 = flag::LOADING | flag::STALE | flag::TELLS;
const UNORDERED: &[&str] = &["nondeterministic_output_order"];

macro_rules! sub {
    ($name:literal, $arity:literal, $run:expr, $since:literal, $complexity:literal, $summary:literal, $syntax:literal) => {
        spec($name, $arity, OPEN, $run)
            .doc("server", $since, $complexity, $summary, $syntax)
            .categories(&["connection"])
    };
}

static SUBS: &[Spec] = &[
    sub!("count", 2, count, "2.8.13", "O(1)", "Returns the number of commands.", ""),
    sub!(
        "docs",
        -2,
        super::docs::docs,
        "7.0.0",
        "O(N) where N is the number of commands to look up",
        "Returns what commands are for and which arguments they take.",
        "[command-name [command-name ...]]"
    )
    .tips(UNORDERED),
    sub!(
        "getkeys",
        -4,
        get_keys,
        "2.8.13",
        "O(N) where N is the number of arguments to the command",
        "Returns the keys among the arguments of a command.",
        "command [arg [arg ...]]"
    ),
    sub!(
        "getkeysandflags",
        -4,
        get_keys_and_flags,
        "7.0.0",
        "O(N) where N is the number of arguments to the command",
        "Returns the keys among the arguments of a command, and what happens to them.",
        "command [arg [arg ...]]"
    ),
    sub!("help", 2, help, "5.0.0", "O(1)", "Prints this help.", ""),
    sub!(
        "info",
        -2,
        info,
        "2.8.13",
        "O(N) where N is the number of commands to look up",
        "Returns arity, flags, keys and categories of commands.",
        "[command-name [command-name ...]]"
    )
    .tips(UNORDERED),
    sub!(
        "list",
        -2,
        list,
        "7.0.0",
        "O(N) where N is the total number of commands",
        "Returns the names of commands.",
        "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]"
    )
    .tips(UNORDERED),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec("command", -1, OPEN, command)
    .doc(
        "server",
        "2.8.13",
        "O(N) where N is the total number of commands",
        "Returns arity, flags, keys and categories of all commands.",
        "",
    )
    .categories(&["connection"])
    .tips(UNORDERED)
    .subs(SUBS)];

/// The flags that clients see, with Redis's names for them.
const SHOWN_FLAGS: &[(u64, &str)] = &[
    (flag::WRITE, "write"),
    (flag::READONLY, "readonly"),
    (flag::DENYOOM, "denyoom"),
    (flag::ADMIN, "admin"),
    (flag::PUBSUB, "pubsub"),
    (flag::NOSCRIPT, "noscript"),
    (flag::BLOCKING, "blocking"),
    (flag::LOADING, "loading"),
    (flag::STALE, "stale"),
    (flag::SKIP_MONITOR, "skip_monitor"),
    (flag::SKIP_SLOWLOG, "skip_slowlog"),
    (flag::FAST, "fast"),
    (flag::NO_AUTH, "no_auth"),
    (flag::NO_MANDATORY_KEYS, "no_mandatory_keys"),
    (flag::NO_ASYNC_LOADING, "no_async_loading"),
    (flag::NO_MULTI, "no_multi"),
    (flag::MOVABLE_KEYS, "movablekeys"),
    (flag::ALLOW_BUSY, "allow_busy"),
];

fn shown_flags(spec: &Spec) -> SmallVec<[&'static str; 8]> {
    SHOWN_FLAGS.iter().filter(|(bit, _)| spec.has(*bit)).map(|(_, name)| *name).collect()
}

/// The ACL category of a group of commands. A generic command of category `connection` or `list` is not of category
/// `keyspace`.
fn category_of_group(spec: &Spec) -> Option<&'static str> {
    let elsewhere = ["connection", "list"];
    match spec.group {
        "generic" if spec.categories.iter().any(|name| elsewhere.contains(name)) => None,
        "generic" => Some("keyspace"),
        "server" | "cluster" => None,
        "transactions" => Some("transaction"),
        "sorted-set" => Some("sortedset"),
        group => Some(group),
    }
}

/// The ACL categories of a command, from its flags, its group and its spec. A container that never runs
/// itself (arity -2) has none of its group.
pub(super) fn categories(spec: &Spec) -> SmallVec<[&'static str; 8]> {
    let by_flags: [(bool, &[&'static str]); 8] = [
        (spec.has(flag::WRITE), &["write"]),
        (spec.has(flag::READONLY) && spec.group != "scripting", &["read"]),
        (spec.has(flag::ADMIN), &["admin", "dangerous"]),
        (spec.has(flag::DANGEROUS), &["dangerous"]),
        (spec.has(flag::PUBSUB), &["pubsub"]),
        (spec.has(flag::FAST), &["fast"]),
        (spec.has(flag::BLOCKING), &["blocking"]),
        (!spec.has(flag::FAST), &["slow"]),
    ];
    let mut found: SmallVec<[&'static str; 8]> = SmallVec::new();
    let own = by_flags.iter().filter(|(on, _)| *on).flat_map(|(_, names)| names.iter().copied());
    let is_container = !spec.subs.is_empty() && spec.arity == -2 && !spec.has(flag::HIDDEN_SUBS);
    let group = if is_container { None } else { category_of_group(spec) };
    for name in own.chain(group).chain(spec.categories.iter().copied()) {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// What COMMAND shows as the keys of a command: shard channels too, because they choose a cluster's node as keys do.
fn shown_keys(spec: &Spec) -> &'static [KeySpec] {
    if spec.keys.is_empty() { spec.channels } else { spec.keys }
}

/// First key, last key and step: the form in which clients knew keys before there were key specifications.
fn legacy_range(spec: &Spec) -> (i64, i64, i64) {
    let range = |key: &KeySpec| match (key.begin, key.find) {
        (Begin::Index(at), Find::Range { last, step, .. }) => {
            let last = if last >= 0 { at as i64 + i64::from(last) } else { i64::from(last) };
            Some((at as i64, last, step as i64))
        }
        _ => None,
    };
    let keys = shown_keys(spec);
    if let [only] = keys {
        return range(only).unwrap_or_default();
    }
    // Neighbouring ranges with step 1 are shown as one.
    let mut whole: Option<(i64, i64, i64)> = None;
    for (first, last, step) in keys.iter().filter_map(range) {
        if step != 1 || whole.is_some_and(|(_, end, _)| end != first - 1) {
            return (0, 0, 0);
        }
        whole = Some((whole.map_or(first, |(begin, ..)| begin), last, 1));
    }
    whole.unwrap_or_default()
}

fn statuses(out: &mut Reply, words: &[&str], prefix: &str) {
    out.set(words.len());
    for word in words {
        out.simple(format!("{prefix}{word}"));
    }
}

fn reply_key_spec(out: &mut Reply, key: &KeySpec, notes: Option<&str>) {
    out.map(3 + usize::from(notes.is_some()));
    if let Some(notes) = notes {
        out.bulk(b"notes");
        out.bulk(notes.as_bytes());
    }
    out.bulk(b"flags");
    statuses(out, key.flags, "");
    out.bulk(b"begin_search");
    out.map(2);
    out.bulk(b"type");
    match key.begin {
        Begin::Index(at) => {
            out.bulk(b"index");
            out.bulk(b"spec");
            out.map(1);
            out.bulk(b"index");
            out.len_int(at);
        }
        Begin::LastOption(word, from, _) => keyword(out, word, from as i64),
        Begin::Keyword(word, from) | Begin::Option(word, from, _) => keyword(out, word, i64::from(from)),
    }
    out.bulk(b"find_keys");
    out.map(2);
    out.bulk(b"type");
    let (kind, numbers) = match key.find {
        Find::Range { last, step, limit } => {
            ("range", [("lastkey", i64::from(last)), ("keystep", step as i64), ("limit", limit as i64)])
        }
        Find::Number { at, first, step } => {
            ("keynum", [("keynumidx", at as i64), ("firstkey", first as i64), ("keystep", step as i64)])
        }
    };
    out.bulk(kind.as_bytes());
    out.bulk(b"spec");
    out.map(numbers.len());
    for (name, number) in numbers {
        out.bulk(name.as_bytes());
        out.int(number);
    }
}

fn keyword(out: &mut Reply, word: &str, from: i64) {
    out.bulk(b"keyword");
    out.bulk(b"spec");
    out.map(2);
    out.bulk(b"keyword");
    out.bulk(word.as_bytes());
    out.bulk(b"startfrom");
    out.int(from);
}

/// Redis's notes on the keys of a command.
fn notes_of(command: &Command) -> Option<&'static str> {
    match command.full_name.as_str() {
        "set" => Some("RW and ACCESS due to the optional `GET` argument"),
        "getex" => Some("RW and UPDATE because it changes the TTL"),
        "bitfield" => Some("This command allows both access and modification of the key"),
        "pfcount" => {
            Some("RW because it may change the internal representation of the key, and propagate to replicas")
        }
        "eval" | "fcall" => {
            Some("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE")
        }
        "eval_ro" | "fcall_ro" => {
            Some("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS")
        }
        _ => None,
    }
}

fn reply_command(out: &mut Reply, command: &Command) {
    let spec = command.spec;
    out.array(10);
    out.bulk(command.full_name.as_bytes());
    out.int(i64::from(spec.arity));
    statuses(out, &shown_flags(spec), "");
    let (first, last, step) = legacy_range(spec);
    out.int(first);
    out.int(last);
    out.int(step);
    statuses(out, &categories(spec), "@");
    out.set(spec.tips.len());
    for tip in spec.tips {
        out.bulk(tip.as_bytes());
    }
    let keys = shown_keys(spec);
    out.set(keys.len());
    for key in keys {
        reply_key_spec(out, key, notes_of(command));
    }
    let subs = shown_subs(command);
    if subs.is_empty() {
        out.set(0);
        return;
    }
    out.array(subs.len());
    for sub in subs {
        reply_command(out, sub);
    }
}

fn command(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let commands = sorted(cx.server.registry);
    cx.out.array(commands.len());
    for command in commands {
        reply_command(cx.out, command);
    }
    Ok(())
}

fn count(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.len_int(cx.server.registry.commands().len());
    Ok(())
}

fn info(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if args.len() == 2 {
        return command(cx, args);
    }
    cx.out.array(args.len() - 2);
    for name in &args[2..] {
        match cx.server.registry.by_full_name(name) {
            Some(command) => reply_command(cx.out, command),
            None => cx.out.null(),
        }
    }
    Ok(())
}

fn list(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let registry = cx.server.registry;
    let chosen: Vec<&Command> = match &args[2..] {
        [] => registry.all().collect(),
        [word, kind, wanted] if eq(word, "FILTERBY") => match kind {
            // There are no modules.
            kind if eq(kind, "MODULE") => Vec::new(),
            kind if eq(kind, "ACLCAT") => {
                let wanted = String::from_utf8_lossy(wanted).to_ascii_lowercase();
                registry.all().filter(|command| categories(command.spec).contains(&&*wanted)).collect()
            }
            kind if eq(kind, "PATTERN") => {
                registry.all().filter(|c| glob_match_nocase(wanted, c.full_name.as_bytes())).collect()
            }
            _ => return Err(fail::SYNTAX),
        },
        _ => return Err(fail::SYNTAX),
    };
    let mut names: Vec<&str> = chosen.iter().map(|command| command.full_name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    match args.len() {
        2 => cx.out.set(names.len()),
        _ => cx.out.array(names.len()),
    }
    for name in names {
        cx.out.bulk(name.as_bytes());
    }
    Ok(())
}

/// The keys of the command that begins with the third argument.
fn keys_in(cx: &Cx<'_, '_>, args: &[&[u8]]) -> Result<SmallVec<[FoundKey; 4]>, Fail> {
    let args = &args[2..];
    let invalid = Fail::new("ERR Invalid arguments specified for command");
    let registry = cx.server.registry;
    let found = match registry.command(args[0]) {
        Some(container) if container.has(flag::HIDDEN_SUBS) => Some(container),
        _ => registry.lookup(args).ok(),
    };
    let command = found.ok_or(Fail::new("ERR Invalid command specified"))?;
    if command.spec.keys.is_empty() {
        return Err(Fail::new("ERR The command has no key arguments"));
    }
    if command.check_arity(args.len()).is_err() {
        return Err(Fail::new("ERR Invalid number of arguments specified for command"));
    }
    let found = keys_with_flags(&cx.tx.engine().tables, command, args);
    let is_optional = command.has(flag::NO_MANDATORY_KEYS);
    match found {
        Some(found) if is_optional || !found.is_empty() => Ok(found),
        None if is_optional => Ok(SmallVec::new()),
        _ => Err(invalid),
    }
}

fn get_keys(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let found = keys_in(cx, args)?;
    cx.out.array(found.len());
    for (at, _) in found {
        cx.out.bulk(args[at + 2]);
    }
    Ok(())
}

fn get_keys_and_flags(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let found = keys_in(cx, args)?;
    cx.out.array(found.len());
    for (at, flags) in found {
        cx.out.array(2);
        cx.out.bulk(args[at + 2]);
        statuses(cx.out, flags, "");
    }
    Ok(())
}
