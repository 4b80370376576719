//! ACL: there is one user, `default`. It may run every command; if there is a password, only after AUTH.

use super::acl_log::log;
use super::introspect::categories;
use super::spec::*;
use super::{Cx, Fail, Outcome, help::help, parse_int};
use crate::config::Settings;
use crate::env::Random;
use sha2::{Digest, Sha256};

const OWN: u64 = flag::NOSCRIPT | flag::LOADING | flag::STALE;
const ADMIN: u64 = OWN | flag::ADMIN;

static SUBS: &[Spec] = &[
    server!(
        "cat",
        -2,
        OWN,
        cat,
        "6.0.0",
        "O(1) since the categories and commands are a fixed set.",
        "Returns the categories, or the commands of one.",
        "[category]"
    ),
    server!(
        "deluser",
        -3,
        ADMIN,
        deluser,
        "6.0.0",
        "O(1) amortized time considering the typical user.",
        "Removes users.",
        "username [username ...]"
    )
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    server!(
        "dryrun",
        -4,
        ADMIN,
        dryrun,
        "7.0.0",
        "O(1).",
        "Tells whether a user may run a command.",
        "username command [arg [arg ...]]"
    ),
    server!("genpass", -2, OWN, genpass, "6.0.0", "O(1)", "Returns random hexadecimal digits.", "[bits]"),
    server!(
        "getuser",
        3,
        ADMIN,
        getuser,
        "6.0.0",
        "O(N). Where N is the number of password, command and pattern rules that the user has.",
        "Returns what a user may do.",
        "username"
    ),
    server!("help", 2, flag::LOADING | flag::STALE, help, "6.0.0", "O(1)", "Prints this help.", ""),
    server!(
        "list",
        2,
        ADMIN,
        list,
        "6.0.0",
        "O(N). Where N is the number of configured users.",
        "Returns a line for each user.",
        ""
    ),
    server!(
        "load",
        2,
        ADMIN,
        no_file,
        "6.0.0",
        "O(N). Where N is the number of configured users.",
        "Reads the file of users.",
        ""
    ),
    server!(
        "log",
        -2,
        ADMIN,
        log,
        "6.0.0",
        "O(N) with N being the number of entries shown.",
        "Returns what was refused to users.",
        "[count | RESET]"
    ),
    server!(
        "save",
        2,
        ADMIN,
        no_file,
        "6.0.0",
        "O(N). Where N is the number of configured users.",
        "Writes the file of users.",
        ""
    ),
    server!(
        "setuser",
        -3,
        ADMIN,
        setuser,
        "6.0.0",
        "O(N). Where N is the number of rules provided.",
        "Makes or changes a user.",
        "username [rule [rule ...]]"
    )
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    server!(
        "users",
        2,
        ADMIN,
        users,
        "6.0.0",
        "O(N). Where N is the number of configured users.",
        "Returns the names of users.",
        ""
    ),
    server!("whoami", 2, OWN, whoami, "6.0.0", "O(1)", "Returns the name of this connection's user.", ""),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    spec("acl", -2, 0, help)
        .doc("server", "6.0.0", "Depends on subcommand.", "A container for commands about users.", "")
        .subs(SUBS),
    spec("module", -2, 0, help)
        .doc("server", "4.0.0", "Depends on subcommand.", "A container for commands about modules.", "")
        .subs(MODULE),
];

static MODULE: &[Spec] = &[
    server!("help", 2, flag::LOADING | flag::STALE, help, "5.0.0", "O(1)", "Prints this help.", ""),
    server!(
        "list",
        2,
        flag::ADMIN | flag::NOSCRIPT,
        modules,
        "4.0.0",
        "O(N) where N is the number of loaded modules.",
        "Returns the loaded modules: there are none.",
        ""
    )
    .tips(&["nondeterministic_output_order"]),
];

/// The ACL categories of Redis in its order, then those of items and tables.
const CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
    "item",
    "table",
];

fn modules(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.array(0);
    Ok(())
}

fn cat(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let names: Vec<&str> = match &args[2..] {
        [] => CATEGORIES.to_vec(),
        [wanted] => {
            let wanted = String::from_utf8_lossy(wanted).to_ascii_lowercase();
            let known = CATEGORIES.contains(&&*wanted);
            let mut names: Vec<&str> = cx
                .server
                .registry
                .all()
                // A container is listed only if it runs itself too (COMMAND).
                .filter(|c| {
                    (c.subs.is_empty() || c.spec.arity == -1) && categories(c.spec).contains(&&*wanted)
                })
                .map(|command| command.full_name.as_str())
                .collect();
            names.sort_unstable();
            names.dedup();
            if names.is_empty() && !known {
                return Err(Fail::about("ERR Unknown category '", args[2], "'"));
            }
            names
        }
        _ => return Err(Fail::sub_syntax(args)),
    };
    cx.out.array(names.len());
    for name in names {
        cx.out.bulk(name.as_bytes());
    }
    Ok(())
}

/// The password as ACL shows it: its SHA-256 in hexadecimal digits; `None` if there is no password.
fn password_hash(settings: &Settings) -> Option<String> {
    let password = settings.requirepass.as_bytes();
    if password.is_empty() {
        return None;
    }
    let digest = Sha256::digest(password);
    Some(digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

fn list(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let password = password_hash(cx.settings).map_or_else(|| "nopass".to_owned(), |hash| format!("#{hash}"));
    cx.out.array(1);
    cx.out.bulk(format!("user default on {password} ~* &* +@all").as_bytes());
    Ok(())
}

fn users(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.array(1);
    cx.out.bulk(b"default");
    Ok(())
}

fn whoami(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.out.bulk(&cx.client.handle.names.lock().user);
    Ok(())
}

fn getuser(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if args[2] != b"default" {
        cx.out.null();
        return Ok(());
    }
    let password = password_hash(cx.settings);
    cx.out.map(6);
    cx.out.bulk(b"flags");
    cx.out.set(1 + usize::from(password.is_none()));
    cx.out.bulk(b"on");
    if password.is_none() {
        cx.out.bulk(b"nopass");
    }
    cx.out.bulk(b"passwords");
    cx.out.array(usize::from(password.is_some()));
    if let Some(hash) = password {
        cx.out.bulk(hash.as_bytes());
    }
    for (name, rules) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
        cx.out.bulk(name.as_bytes());
        cx.out.bulk(rules.as_bytes());
    }
    cx.out.bulk(b"selectors");
    cx.out.array(0);
    Ok(())
}

fn genpass(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let bits = match &args[2..] {
        [] => 256,
        [bits] => {
            let wrong = Fail::new(
                "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
            );
            usize::try_from(parse_int(bits)?).ok().filter(|bits| (1..=4096).contains(bits)).ok_or(wrong)?
        }
        _ => return Err(Fail::sub_syntax(args)),
    };
    let digits = bits.div_ceil(4);
    let mut bytes = vec![0; digits.div_ceil(2)];
    Random::fill_secret(&mut bytes)
        .map_err(|error| Fail::text(format!("ERR the system gives no random bytes: {error}")))?;
    let mut text = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    text.truncate(digits);
    cx.out.bulk(text.as_bytes());
    Ok(())
}

fn deluser(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if args[2..].contains(&&b"default"[..]) {
        return Err(Fail::new("ERR The 'default' user cannot be removed"));
    }
    cx.out.int(0);
    Ok(())
}

fn setuser(_cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    Err(Fail::new(
        "ERR users are not supported yet: there is the default user only, whose password is the option requirepass",
    ))
}

fn dryrun(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if args[2] != b"default" {
        return Err(Fail::about("ERR User '", args[2], "' not found"));
    }
    let Ok(command) = cx.server.registry.lookup(&args[3..]) else {
        return Err(Fail::about("ERR Command '", args[3], "' not found"));
    };
    command.check_arity(args.len() - 3)?;
    cx.out.ok();
    Ok(())
}

fn no_file(_cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    Err(Fail::new(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER \
         command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in \
         the Redis configuration.",
    ))
}
