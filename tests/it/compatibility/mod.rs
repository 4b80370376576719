//! The list of commands in docs/compatibility.md, and the version of Redis that clients are told.
//!
//! `commands.txt` has every command of Redis and Valkey. What is here is read from the command table.

use itemory::command::Registry;
use itemory::text::{REDIS_VERSION, REDIS_VERSION_NUMBER};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Commands that differ, and how; a longer list of differences is above the table.
const DIFFERS: &[(&[&str], &str)] = &[
    (&["script|debug"], "YES and SYNC are refused: there is no debugger"),
    (&["replicaof", "slaveof"], "only NO ONE: there is no replication"),
    (&["wait"], "answers 0: there are no replicas"),
    (&["bgrewriteaof", "bgsave", "save"], "write a checkpoint"),
    (&["latency|doctor", "latency|graph", "lolwut", "memory|doctor"], "in words and pictures of its own"),
    (&["command|docs"], "in words of its own"),
    (&["pfselftest"], "tests less"),
    (&["xread"], "without MAXCOUNT and MAXSIZE of Redis 8.10"),
    (
        &["xreadgroup"],
        "without MAXCOUNT and MAXSIZE of Redis 8.10; with CLAIM, entries that become idle while it waits do not end its wait",
    ),
    (&["xadd"], "without IDMP and IDMPAUTO of Redis 8.6"),
    (&["slowlog|get"], "six parts for each entry, as before Redis 8.10"),
    (&["client|capa"], "no capability changes anything: there are no replicas"),
    (&["increx"], "without NX and XX of Valkey 9.2"),
];

/// Commands up to `REDIS_VERSION` that are missing although they count.
const MISSING: &[&str] = &[];

/// One line of `commands.txt`.
struct Listed {
    name: &'static str,
    group: &'static str,
    redis: Option<Version>,
    valkey: Option<Version>,
    /// Why the command does not count for `REDIS_VERSION`.
    apart: Option<&'static str>,
}

type Version = [u64; 3];

fn version(text: &str) -> Option<Version> {
    let parts: Vec<u64> = text.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    parts.try_into().ok()
}

fn listed() -> Vec<Listed> {
    let lines = include_str!("commands.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [name, group, redis, valkey] = words[..4] else { panic!("{line}") };
            let listed = Listed {
                name,
                group,
                redis: version(redis),
                valkey: version(valkey),
                apart: words.get(4).copied(),
            };
            assert!(words.len() <= 5 && (listed.redis.is_some() || listed.valkey.is_some()), "{line}");
            listed
        })
        .collect()
}

fn is_here(name: &str) -> bool {
    Registry::get().by_full_name(name.as_bytes()).is_some()
}

fn state(name: &str) -> String {
    if !is_here(name) {
        return "not yet".to_owned();
    }
    let how = DIFFERS.iter().find(|(names, _)| names.contains(&name)).map(|(_, how)| how);
    how.map_or_else(|| "yes".to_owned(), |how| format!("differs: {how}"))
}

fn page() -> String {
    let mut text = String::new();
    let mut group = "";
    for listed in listed() {
        if listed.group != group {
            group = listed.group;
            _ = write!(
                text,
                "\n### Commands of the group {group}\n\n| command | Redis | Valkey | here |\n|---|---|---|---|\n"
            );
        }
        let shown = |version: Option<Version>| {
            version.map_or_else(String::new, |[major, minor, patch]| format!("{major}.{minor}.{patch}"))
        };
        let name = listed.name.replace('|', " ").to_uppercase();
        _ = writeln!(
            text,
            "| {name} | {} | {} | {} |",
            shown(listed.redis),
            shown(listed.valkey),
            state(listed.name)
        );
    }
    text
}

#[test]
fn the_page_lists_every_command() {
    const BEGIN: &str = "<!-- commands: generated -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, _) = text.split_once(BEGIN).expect("the marker stands before the list");
    let expected = format!("{before}{BEGIN}{}", page());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(found == expected, "{} is out of date; run the tests with UPDATE_DOCS=1", path.display());
}

#[test]
fn the_list_is_whole() {
    let listed = listed();
    let names: BTreeSet<&str> = listed.iter().map(|listed| listed.name).collect();
    assert_eq!(names.len(), listed.len(), "a command is listed twice");
    let is_own = |name: &str| {
        let own = ["item.", "table.", "ddb", "debug|"];
        own.iter().any(|start| name.starts_with(start)) || ["ddb", "latency|holds"].contains(&name)
    };
    let missing: Vec<&str> = Registry::get()
        .all()
        .map(|command| command.full_name.as_str())
        .filter(|name| !is_own(name) && !names.contains(name))
        .collect();
    assert!(missing.is_empty(), "commands.txt lacks {missing:?}");
    for name in DIFFERS.iter().flat_map(|(names, _)| *names) {
        assert!(names.contains(name), "{name}");
    }
}

/// The commands that a server of this version has and that count, and are missing here.
fn missing_up_to(listed: &[Listed], version: Version) -> Vec<&'static str> {
    let counts =
        |listed: &&Listed| listed.apart.is_none() && listed.redis.is_some_and(|from| from <= version);
    listed.iter().filter(counts).map(|listed| listed.name).filter(|name| !is_here(name)).collect()
}

#[test]
fn clients_are_told_the_highest_version_whose_commands_are_here() {
    let (listed, told) = (listed(), version(REDIS_VERSION).unwrap());
    assert_eq!(missing_up_to(&listed, told), MISSING, "what is missing up to {REDIS_VERSION} has changed");
    let next = listed.iter().filter_map(|listed| listed.redis).filter(|version| *version > told).min();
    let next = next.expect("there is a later version");
    assert!(missing_up_to(&listed, next) != MISSING, "REDIS_VERSION can rise to {next:?}");
    let [major, minor, patch] = told;
    assert_eq!(REDIS_VERSION_NUMBER as u64, major << 16 | minor << 8 | patch);
}
