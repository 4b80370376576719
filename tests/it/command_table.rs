//! The command table is the referee's, for all commands that it knows, but for differences with a reason.

use crate::harness::{Client, Server, Value};
use std::collections::BTreeMap;

/// What of a command differs from the referee's, and why.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("blmove", "flags", WAITS),
    ("blpop", "flags", WAITS),
    ("brpop", "flags", WAITS),
    ("brpoplpush", "flags", WAITS),
    ("bzpopmax", "flags", WAITS),
    ("bzpopmin", "flags", WAITS),
    ("wait", "flags", WAITS),
    ("client|reply", "flags", "it is refused in a transaction"),
    ("move", "key specifications", "7.2 has the flag for removal"),
    ("sort", "key specifications", "STORE's key can be found, and keys made by BY and GET are no arguments"),
    ("sort_ro", "key specifications", "keys made by BY and GET are no arguments"),
    ("xautoclaim", "key specifications", "it returns entries"),
    ("acl|deluser", "tips", NEWER_TIPS),
    ("acl|setuser", "tips", NEWER_TIPS),
    ("config|resetstat", "tips", NEWER_TIPS),
    ("config|rewrite", "tips", NEWER_TIPS),
    ("randomkey", "tips", NEWER_TIPS),
    ("scan", "tips", NEWER_TIPS),
    ("pubsub|help", "categories", "it has those of the other subcommands"),
    ("zrank", "arity", "7.2 has WITHSCORE"),
    ("zrevrank", "arity", "7.2 has WITHSCORE"),
    ("lolwut", "documentation", "all commands have a complexity"),
    ("monitor", "documentation", "all commands have a complexity, and 7.2 tells its history"),
    ("psetex", "documentation", "7.2 calls it deprecated"),
    ("quit", "documentation", "7.2 calls it deprecated"),
    ("setex", "documentation", "7.2 calls it deprecated"),
    ("setnx", "documentation", "7.2 calls it deprecated"),
];

const WAITS: &str = "scripts may call it since 7.2";
const NEWER_TIPS: &str = "7.2 has these tips";

/// Commands of the referee that are not there: clusters, replicas, modules.
const MISSING: &[&str] = &[
    "failover",
    "migrate",
    "module|load",
    "module|loadex",
    "module|unload",
    "psync",
    "replconf",
    "restore-asking",
    "sync",
];

/// The table's columns behind the name; the keys' first, last and step are one.
const COLUMNS: &[(&str, std::ops::Range<usize>)] = &[
    ("arity", 1..2),
    ("flags", 2..3),
    ("positions", 3..6),
    ("categories", 6..7),
    ("tips", 7..8),
    ("key specifications", 8..9),
];

/// A reply without the notes in it, which are prose.
fn without_notes(value: &Value) -> Value {
    match value {
        Value::Array(items) if items.first().is_some_and(|first| first.text() == "notes") => {
            without_notes(&Value::Array(items[2..].to_vec()))
        }
        Value::Array(items) => Value::Array(items.iter().map(without_notes).collect()),
        other => other.clone(),
    }
}

/// Commands and subcommands by name, each with its row as text.
fn rows(command: &Value, into: &mut BTreeMap<String, Vec<(&'static str, String)>>) {
    let items = command.items();
    let cell = |columns: &std::ops::Range<usize>| {
        let shown = |item: &Value| without_notes(item).sorted().to_string();
        items[columns.clone()].iter().map(shown).collect::<Vec<_>>().join(" ")
    };
    into.insert(items[0].text(), COLUMNS.iter().map(|(name, columns)| (*name, cell(columns))).collect());
    items[9].items().iter().for_each(|sub| rows(sub, into));
}

/// The table of a server, with what COMMAND DOCS tells of each command: the names of its parts, its version and group.
fn table(client: &mut Client) -> BTreeMap<String, Vec<(&'static str, String)>> {
    let mut table = BTreeMap::new();
    client.run("COMMAND").items().iter().for_each(|command| rows(command, &mut table));
    let docs = client.run("COMMAND DOCS").items();
    for pair in docs.chunks(2) {
        let parts = pair[1].items();
        let told = parts.chunks(2).map(|part| match part[0].text() {
            name if name == "since" || name == "group" => format!("{name} {}", part[1].text()),
            name => name,
        });
        let mut told: Vec<String> = told.collect();
        told.sort();
        if let Some(row) = table.get_mut(&pair[0].text()) {
            row.push(("documentation", told.join(", ")));
        }
    }
    table
}

#[test]
fn the_command_table_is_the_referees() {
    let (ours, referee) = (Server::start(&[]), Server::referee(&[]));
    let (ours, right) = (table(&mut ours.client()), table(&mut referee.client()));
    assert!(right.len() > 300, "{}", right.len());
    let (mut wrong, mut differing) = (Vec::new(), Vec::new());
    for (name, row) in &right {
        let Some(own) = ours.get(name) else {
            if !MISSING.contains(&name.as_str()) {
                wrong.push(format!("{name} is missing"));
            }
            continue;
        };
        for ((column, own), (_, right)) in own.iter().zip(row).filter(|(own, right)| own != right) {
            if DIFFERENT.iter().any(|(command, part, _)| command == name && part == column) {
                differing.push((name.as_str(), *column));
            } else {
                wrong.push(format!("{name}: {column}: {own} for {right}"));
            }
        }
    }
    for (name, column, why) in DIFFERENT {
        if !differing.contains(&(*name, *column)) {
            wrong.push(format!("{name}: {column} is not different ({why})"));
        }
    }
    wrong.extend(
        MISSING.iter().filter(|name| ours.contains_key(**name)).map(|name| format!("{name} is there")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
