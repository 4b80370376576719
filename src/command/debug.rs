//! DEBUG: commands with which tests look inside the server and cause rare situations. `enable-debug-command` permits
//! them.

use super::keys::{encoding_of, serialised};
use super::spec::*;
use super::views::refuse_claimed;
use super::{Cx, Fail, Outcome, eq, fail, parse_int};
use crate::effect::StringChange;
use crate::engine::{EngineError, Over, Tx};
use crate::lua::LoadTime;
use crate::store::{Entry, Holder, Locked, Mode, Object, Patience, ValueRef};
use crate::text::parse_i64_strict;
use crate::value::digest::{DatasetDigest, Digest, DigestKind, ValueDigest};
use crate::value::stream::StreamId;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const FLAGS: u64 = flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE | flag::PROTECTED;
const LONG: u64 = FLAGS | flag::LONG;
const RELOAD: u64 = LONG | flag::NO_MULTI;

const fn keys_from_2(last: i32) -> KeySpec {
    KeySpec { begin: Begin::Index(2), find: Find::Range { last, step: 1, limit: 0 }, flags: &["RO"] }
}
const KEY: &[KeySpec] = &[keys_from_2(0)];
const KEYS: &[KeySpec] = &[keys_from_2(-1)];

macro_rules! sub {
    ($name:literal, $arity:literal, $flags:expr, $run:expr, $summary:literal, $syntax:literal) => {
        spec($name, $arity, $flags, $run).doc("server", "1.0.0", "Depends on subcommand.", $summary, $syntax)
    };
}

static SUBS: &[Spec] = &[
    sub!("aof-flush-sleep", 3, FLAGS, accept, "Is accepted without effect.", "microsec"),
    sub!("assert", 2, FLAGS, crash, "Ends the process at once, as a failure would.", ""),
    sub!("change-repl-id", 2, FLAGS, accept, "Is accepted without effect.", ""),
    sub!("client-eviction", 2, FLAGS, accept, "Is accepted without effect.", ""),
    sub!("config-rewrite-force-all", 2, LONG, rewrite_config, "Does what CONFIG REWRITE does.", ""),
    sub!(
        "digest",
        2,
        LONG | flag::WHOLE,
        digest,
        "Returns a hash over all data, the same for the same data. Tables of items are not in it.",
        ""
    ),
    sub!("digest-value", -2, FLAGS, digest_value, "Returns a hash over each key's value.", "key [key ...]")
        .keys(KEYS),
    sub!("dict-resizing", 3, FLAGS, accept, "Is accepted without effect.", "<0 | 1>"),
    sub!("error", 3, FLAGS, error, "Answers with the given error.", "string"),
    sub!("help", 2, FLAGS, super::help::help, "Prints this help.", ""),
    sub!("listpack", 3, FLAGS, listpack, "Is accepted without effect if there is such a key.", "key")
        .keys(KEY),
    sub!("htstats", -3, FLAGS, htstats, "Returns figures about a database's part of the store.", "db"),
    sub!("htstats-key", -3, FLAGS, htstats_key, "Returns the number of a large hash's fields.", "key [full]")
        .keys(KEY),
    sub!("leak", 3, FLAGS, accept, "Is accepted without effect.", "string"),
    sub!(
        "loadaof",
        2,
        RELOAD,
        load_aof,
        "Forgets all data and reads it again from the log and its checkpoint.",
        ""
    ),
    sub!("log", 3, FLAGS, log, "Writes a message into the server's log.", "message"),
    sub!("object", 3, FLAGS, object, "Returns how a key's value is kept.", "key").keys(KEY),
    sub!(
        "panic",
        -2,
        FLAGS | flag::WRITE,
        panic,
        "Sets the key, if one is given, and panics, which costs this connection only. WITHIN panics before the change \
         counts as carried out, which also closes the key's shard.",
        "[key [WITHIN]]"
    )
    .keys(KEYS),
    sub!("oom", 2, FLAGS, crash, "Ends the process at once, as a failure would.", ""),
    sub!("pause-cron", 3, FLAGS, accept, "Is accepted without effect.", "<0 | 1>"),
    sub!(
        "populate",
        -3,
        LONG | flag::WRITE | flag::DENYOOM | flag::WHOLE,
        populate,
        "Creates string keys called key:<number>, those that are there already aside.",
        "count [prefix] [size]"
    ),
    sub!("protocol", 3, FLAGS, protocol, "Answers with a value of the given type.", "type"),
    sub!("quicklist", -3, FLAGS, accept, "Is accepted without effect.", "key [detail]"),
    sub!("quicklist-packed-threshold", 3, FLAGS, packed_threshold, "Is accepted without effect.", "size"),
    sub!(
        "reload",
        -2,
        RELOAD,
        reload,
        "Writes a checkpoint, forgets all data and reads it again from disk.",
        "[NOSAVE] [NOFLUSH] [MERGE]"
    ),
    sub!("replicate", -3, FLAGS, accept, "Is accepted without effect.", "string"),
    sub!("replybuffer", -3, FLAGS, accept, "Is accepted without effect.", "option value"),
    sub!("sdslen", 3, FLAGS, sdslen, "Returns the lengths of a key and of the string it holds.", "key")
        .keys(KEY),
    sub!("segfault", 2, FLAGS, crash, "Ends the process at once, as a failure would.", ""),
    sub!(
        "set-active-expire",
        3,
        FLAGS,
        set_active_expire,
        "Whether expired keys are removed in the background.",
        "<0 | 1>"
    ),
    sub!("set-disable-deny-scripts", 3, FLAGS, accept, "Is accepted without effect.", "<0 | 1>"),
    sub!(
        "set-skip-checksum-validation",
        3,
        FLAGS,
        set_skip_checksums,
        "Whether RESTORE takes payloads whatever their checksum.",
        "<0 | 1>"
    ),
    sub!("sleep", 3, LONG, sleep, "Waits.", "seconds"),
    sub!("stringmatch-len", 4, FLAGS, accept, "Is accepted without effect.", "pattern string"),
    sub!("structsize", 2, FLAGS, accept, "Is accepted without effect.", ""),
    sub!("stringmatch-test", 2, FLAGS, stringmatch_test, "Is accepted without effect.", ""),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec("debug", -2, FLAGS | flag::HIDDEN_SUBS, unknown)
    .doc("server", "1.0.0", "Depends on subcommand.", "A container for commands that help testing.", "")
    .subs(SUBS)];

/// Answers if no subcommand fits the name and the number of arguments.
fn unknown(_cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    Err(Fail::sub_syntax(args))
}

fn accept(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.ok();
    Ok(())
}

fn crash(_cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    tracing::error!("DEBUG {} ends the process", String::from_utf8_lossy(args[1]));
    std::process::abort();
}

fn rewrite_config(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let users = super::acl::config_lines(cx.server, cx.settings);
    match cx.server.config.rewrite(&users) {
        Ok(()) => cx.out.ok(),
        Err(error) => return Err(Fail::text(format!("ERR CONFIG-REWRITE-FORCE-ALL failed: {error}"))),
    }
    Ok(())
}

fn stringmatch_test(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.simple("Apparently Itemory did not crash: test passed");
    Ok(())
}

fn packed_threshold(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match crate::text::parse_memory(args[2]) {
        Some(size) if size < 4 << 30 => cx.out.ok(),
        _ => return Err(Fail::new("ERR argument must be a memory value bigger than 1 and smaller than 4gb")),
    }
    Ok(())
}

fn error(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.out.error(args[2]);
    Ok(())
}

fn log(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    /// Redis cuts a message at this length too.
    const MOST_BYTES: usize = 1024;
    let message = args[2].get(..MOST_BYTES).unwrap_or(args[2]);
    tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(message));
    cx.out.ok();
    Ok(())
}

fn panic(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let db = cx.tx.db as u32;
    let set = |key| StringChange::Set { value: b"panic", expire: None }.on(db, key);
    match args[2..] {
        [] => {}
        [key] => cx.tx.apply(set(key)),
        [key, option] if eq(option, "WITHIN") => cx.tx.interrupt(&set(key)),
        _ => return Err(fail::SYNTAX),
    }
    panic!("DEBUG PANIC");
}

fn reload(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let mut save = true;
    for option in &args[2..] {
        match option {
            option if eq(option, "NOSAVE") => save = false,
            // NOFLUSH and MERGE change nothing: memory is always replaced by what is on disk.
            option if eq(option, "NOFLUSH") || eq(option, "MERGE") => {}
            _ => {
                return Err(Fail::new(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    read_again(cx, save)
}

fn load_aof(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    read_again(cx, false)
}

/// Waits for a checkpoint that is being written; Redis reloads beside a save.
fn read_again(cx: &mut Cx<'_, '_>, save: bool) -> Outcome {
    let report = loop {
        match cx.server.engine.reload(save) {
            Err(EngineError::Busy) => std::thread::sleep(Duration::from_millis(5)),
            outcome => break outcome.map_err(|error| Fail::text(format!("ERR {error}")))?,
        }
    };
    super::find_functions(cx.server, LoadTime::Any);
    tracing::warn!("the data was read again from disk: {} keys in {} ms", report.keys, report.millis);
    cx.out.ok();
    Ok(())
}

fn sleep(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    // Redis reads the time with C's `strtod`: a text that is no number counts as 0.
    let seconds = crate::text::parse_f64(args[2]).filter(|s| s.is_finite() && *s > 0.0).unwrap_or(0.0);
    std::thread::sleep(Duration::from_secs_f64(seconds.min(1e6)));
    cx.out.ok();
    Ok(())
}

/// Whether a text begins with a digit and is not `0`. Redis reads it with C's `atoi`.
fn is_on(arg: &[u8]) -> bool {
    arg.first().is_some_and(u8::is_ascii_digit) && arg != b"0"
}

fn set_active_expire(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.server.engine.active_expire.store(is_on(args[2]), Relaxed);
    cx.out.ok();
    Ok(())
}

fn set_skip_checksums(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.server.engine.skip_checksums.store(is_on(args[2]), Relaxed);
    cx.out.ok();
    Ok(())
}

fn protocol(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let out = &mut *cx.out;
    match args[2].to_ascii_lowercase().as_slice() {
        b"string" => out.bulk(b"Hello World"),
        b"integer" => out.int(12345),
        b"double" => out.double(3141.0 / 1000.0),
        b"null" => out.null(),
        b"array" => {
            out.array(3);
            (0..3).for_each(|i| out.int(i));
        }
        b"set" => {
            out.set(3);
            (0..3).for_each(|i| out.int(i));
        }
        b"map" => {
            out.map(3);
            for i in 0..3 {
                out.int(i);
                out.bool(i == 1);
            }
        }
        b"attrib" => {
            if out.is_resp3() {
                out.raw(b"|1\r\n");
                out.bulk(b"key-popularity");
                out.array(2);
                out.bulk(b"key:123");
                out.int(90);
            }
            out.bulk(b"Some real reply following the attribute");
        }
        b"push" => {
            if !out.is_resp3() {
                return Err(Fail::new("ERR RESP2 is not supported by this command"));
            }
            out.push(2);
            out.bulk(b"server-cpu-usage");
            out.int(42);
            out.bulk(b"Some real reply following the push reply");
        }
        b"bignum" => out.big_number(b"1234567999999999999999999999999999999"),
        b"true" => out.bool(true),
        b"false" => out.bool(false),
        b"verbatim" => out.verbatim("txt", b"This is a verbatim\nstring"),
        _ => {
            return Err(Fail::new(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

/// Writes each key in a transaction of its own, so no shard is held for long. EXEC holds all shards already.
fn populate(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if args.len() > 5 {
        return unknown(cx, args);
    }
    let positive = |arg: &[u8]| {
        let number = parse_i64_strict(arg).and_then(|number| usize::try_from(number).ok());
        number.ok_or(fail::NOT_POSITIVE)
    };
    let count = positive(args[2])?;
    let prefix = args.get(3).copied().unwrap_or(b"key");
    let size = args.get(4).map_or(Ok(0), |size| positive(size))?;
    if size as u64 > cx.settings.proto_max_bulk_len {
        return Err(fail::TOO_LONG);
    }
    let mut record = Vec::new();
    cx.tx.acknowledge();
    for number in 0..count {
        let mut key = prefix.to_vec();
        key.push(b':');
        key.extend_from_slice(number.to_string().as_bytes());
        refuse_claimed(cx, cx.tx.db, &key)?;
        let mut value = format!("value:{number}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        let db = cx.db();
        let populate = |tx: &mut Tx<'_>| {
            if !tx.exists(&key) {
                tx.apply(StringChange::Set { value: &value, expire: None }.on(db, &key));
            }
        };
        if cx.tx.locked().holds_all() {
            populate(cx.tx);
            continue;
        }
        let engine = &cx.server.engine;
        let hash = [engine.store.hash(&key)];
        let outcome =
            engine.transact_over(Holder::Populating, Over::Hashes(&hash), cx.tx.db, &mut record, populate);
        outcome.map_err(|reason| cx.hold_up(&reason))?;
    }
    cx.out.ok();
    Ok(())
}

/// The digest of a value; `None` for a partition of a table.
fn digest_of(entry: &Entry, key: Option<&[u8]>, now: u64) -> Option<Digest> {
    let digest = match entry.value() {
        ValueRef::Str(bytes) => {
            let mut digest = ValueDigest::new(key, DigestKind::String);
            digest.element(bytes);
            digest
        }
        ValueRef::Boxed(Object::Stream(stream)) => {
            let mut digest = ValueDigest::new(key, DigestKind::Stream);
            for entry in stream.range(StreamId::MIN, StreamId::MAX) {
                digest.entry(entry.id);
                for (field, value) in entry.fields {
                    digest.element(&field.bytes());
                    digest.element(&value.bytes());
                }
            }
            digest
        }
        ValueRef::Set(..) | ValueRef::Boxed(Object::Set(_)) => {
            let mut digest = ValueDigest::new(key, DigestKind::Set);
            entry.value().set()?.iter().for_each(|member| member.with(|name| digest.member(name)));
            digest
        }
        ValueRef::List(_) | ValueRef::Boxed(Object::List(_)) => {
            let mut digest = ValueDigest::new(key, DigestKind::List);
            for element in entry.value().list()?.iter_from(0) {
                digest.element(&element.bytes());
            }
            digest
        }
        ValueRef::Zset(_) | ValueRef::Boxed(Object::Zset(_)) => {
            let mut digest = ValueDigest::new(key, DigestKind::ZSet);
            entry.value().zset()?.iter().for_each(|(member, score)| digest.scored(member, score));
            digest
        }
        value => {
            let mut digest = ValueDigest::new(key, DigestKind::Hash);
            for field in value.hash()?.live(now) {
                digest.field(field.name, field.value, field.expire != 0);
            }
            digest
        }
    };
    Some(digest.finish(entry.expire().is_some()))
}

fn digest(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let now = cx.tx.now();
    // EXEC holds every shard already.
    let whole = if cx.tx.locked().holds_all() {
        digest_of_all(cx.tx.locked(), now)
    } else {
        match cx.server.engine.store.lock_all_within(Patience::Short, Mode::Read, now) {
            Ok(all) => digest_of_all(&all, now),
            Err(lent) => {
                cx.tx.locked().note_lack(lent);
                return Ok(());
            }
        }
    };
    cx.out.simple(whole.to_string());
    Ok(())
}

fn digest_of_all(locked: &Locked<'_>, now: u64) -> Digest {
    let store = locked.store();
    let mut whole = DatasetDigest::default();
    for db in 0..store.databases() {
        let mut is_first = true;
        store.for_each(locked, store.space(db), &mut |entry| {
            if let Some(digest) = digest_of(entry, Some(entry.key()), now) {
                if std::mem::take(&mut is_first) {
                    whole.database(db as u32);
                }
                whole.key(digest);
            }
        });
    }
    whole.finish()
}

fn digest_value(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.tx.set_no_touch(true);
    let now = cx.tx.now();
    cx.out.array(args.len() - 2);
    for key in &args[2..] {
        let digest = cx.tx.entry(key).and_then(|entry| digest_of(entry, None, now));
        cx.out.simple(digest.unwrap_or_default().to_string());
    }
    Ok(())
}

fn object(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let now = cx.tx.now();
    let Some(entry) = cx.tx.look(args[2]) else { return Err(fail::NO_KEY) };
    // Redis does not count the type and the footer.
    let length = serialised(&cx.server.engine.store, entry, now)?.len().saturating_sub(11);
    let text = format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{length} lru:{} lru_seconds_idle:{}",
        entry.address(),
        encoding_of(entry),
        entry.clock(),
        cx.server.engine.store.idle_seconds(entry, now),
    );
    cx.out.simple(text);
    Ok(())
}

fn listpack(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match cx.tx.look(args[2]).map(encoding_of) {
        None => return Err(fail::NO_KEY),
        Some("listpack") => cx.out.simple("Listpack structure printed on stdout"),
        Some(_) => return Err(Fail::new("ERR Not a listpack encoded object.")),
    }
    Ok(())
}

fn htstats_key(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Some(entry) = cx.tx.look(args[2]) else { return Err(fail::NO_KEY) };
    let elements = match entry.value() {
        ValueRef::Boxed(object) if encoding_of(entry) == "hashtable" => Some(object.elements()),
        _ => None,
    };
    let elements = elements.ok_or(Fail::new(
        "ERR The value stored at the specified key is not represented using an hash table",
    ))?;
    let text = format!("Hash table 0 stats (main hash table):\n number of elements: {elements}\n");
    cx.out.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Strings have no spare room, so `avail` is always 0.
fn sdslen(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Some(entry) = cx.tx.look(args[2]) else { return Err(fail::NO_KEY) };
    let (ValueRef::Str(text), "embstr" | "raw") = (entry.value(), encoding_of(entry)) else {
        return Err(Fail::new("ERR Not an sds encoded string."));
    };
    let (key, value) = (args[2].len(), text.len());
    let text = format!(
        "key_sds_len:{key}, key_sds_avail:0, key_zmalloc: {key}, val_sds_len:{value}, val_sds_avail:0, val_zmalloc: {value}"
    );
    cx.out.simple(text);
    Ok(())
}

fn htstats(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let store = &cx.server.engine.store;
    let db = usize::try_from(parse_int(args[2])?).ok().filter(|db| *db < store.databases());
    let db = db.ok_or(Fail::new("ERR Out of range database"))?;
    let (keys, expires) = store.db_size(db);
    let text = format!(
        "[Dictionary HT]\nshards: {}\nnumber of elements: {keys}\n[Expires HT]\nnumber of elements: {expires}\n",
        store.shard_count()
    );
    cx.out.verbatim("txt", text.as_bytes());
    Ok(())
}
