//! ACL: users, what they may do, and what was refused to them.

mod files;
mod log;
mod names;
mod rights;
#[cfg(test)]
mod tests;
mod users;

pub(super) use files::config_lines;
pub use files::load_users;
pub(super) use log::note_auth;
pub use rights::check_rights;
pub(super) use rights::{Standing, check_running, check_standing, has_rights, may_read_every_key};
pub(super) use users::subscribed;

use super::introspect::categories;
use super::spec::*;
use super::{Cx, Fail, Outcome, help::help, parse_int};
use crate::env::Random;
use files::{load, save};
use log::log;
use names::CATEGORIES;
use users::{deluser, getuser, list, setuser, users, whoami};

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
        load,
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
        save,
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

fn dryrun(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (name, call) = (args[2], &args[3..]);
    let Some(user) = cx.server.users.get(name) else {
        return Err(Fail::about("ERR User '", name, "' not found"));
    };
    let Ok(command) = cx.server.registry.lookup(call) else {
        return Err(Fail::about("ERR Command '", args[3], "' not found"));
    };
    command.check_arity(call.len())?;
    let tables = &cx.tx.engine().tables;
    match rights::refusal(tables, &user.rules(), cx.client.db, (command, call), None) {
        None => cx.out.ok(),
        Some(refusal) => cx.out.bulk(&refusal.shown()),
    }
    Ok(())
}
