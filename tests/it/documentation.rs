//! Runs every example in README.md and docs/, and compares the replies with what the page shows.
//!
//! A block fenced with `redis` has commands after a prompt, and what redis-cli prints for them:
//!
//! ```text
//! > SET greeting hello
//! OK
//! > TTL greeting
//! (integer) -1
//! ```
//!
//! The prompt is `>`, with or without an address before it. A line of `...` stands for any number of lines. The blocks
//! of one file are one conversation with one server; a block fenced with `redis fresh` begins with a new server. Blocks
//! fenced with `redis resp3` are shown as RESP3. The binary's `--help` and shell commands are not run.

use crate::harness::{Client, Server, Value};
use crate::script::{TIME_LEFT, arguments, slack};
use std::fs;
use std::path::{Path, PathBuf};

/// Commands whose text redis-cli prints without quotes.
const RAW: [&str; 7] =
    ["INFO", "LOLWUT", "CLIENT LIST", "CLIENT INFO", "LATENCY DOCTOR", "LATENCY GRAPH", "MEMORY DOCTOR"];

/// One command, and the lines that the page shows after it.
struct Example {
    line: usize,
    command: String,
    shown: Vec<String>,
    fresh: bool,
    resp3: bool,
}

fn examples(text: &str) -> Vec<Example> {
    let mut out: Vec<Example> = Vec::new();
    let mut inside = false;
    let (mut fresh, mut resp3) = (false, false);
    for (n, line) in text.lines().enumerate() {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            let words: Vec<&str> = info.split_whitespace().collect();
            inside = !inside && words.first() == Some(&"redis");
            fresh = words.contains(&"fresh");
            resp3 = words.contains(&"resp3");
        } else if inside {
            let prompt = line.split_once("> ").filter(|(before, _)| !before.contains(['"', ' ']));
            if let Some((_, command)) = prompt {
                let command = command.to_owned();
                out.push(Example { line: n + 1, command, shown: Vec::new(), fresh, resp3 });
                fresh = false;
            } else if let Some(example) = out.last_mut() {
                example.shown.push(line.trim_end().to_owned());
            }
        }
    }
    out
}

/// A reply as redis-cli prints it on a terminal.
fn printed(value: &Value, indent: usize) -> String {
    let list = |values: Vec<(String, String)>, mark: char| {
        let width = values.len().to_string().len();
        let lines = values.iter().enumerate().map(|(n, (name, value))| {
            let pad = if n == 0 { String::new() } else { " ".repeat(indent) };
            format!("{pad}{:>width$}{mark} {name}{value}", n + 1)
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let inner = |length: usize| indent + length.to_string().len() + 2;
    match value {
        Value::Simple(b) => String::from_utf8_lossy(b).into_owned(),
        Value::Error(b) => format!("(error) {}", String::from_utf8_lossy(b)),
        Value::Int(i) => format!("(integer) {i}"),
        Value::Double(d) => format!("(double) {d}"),
        Value::Bool(b) => format!("({b})"),
        v if v.is_null() => "(nil)".into(),
        Value::Bulk(_) => value.to_string(),
        Value::Verbatim(b) => String::from_utf8_lossy(&b[4..]).into_owned(),
        Value::Array(v) if v.is_empty() => "(empty array)".into(),
        Value::Set(v) if v.is_empty() => "(empty set)".into(),
        Value::Map(v) if v.is_empty() => "(empty hash)".into(),
        Value::Array(v) | Value::Push(v) | Value::Set(v) => {
            let lines = v.iter().map(|e| (String::new(), printed(e, inner(v.len())))).collect();
            list(lines, if matches!(value, Value::Set(_)) { '~' } else { ')' })
        }
        Value::Map(v) => {
            let lines = v
                .iter()
                .map(|(k, e)| (format!("{} => ", printed(k, 0)), printed(e, inner(v.len()))))
                .collect();
            list(lines, '#')
        }
        other => other.to_string(),
    }
}

/// Whether the printed lines are the shown ones; `...` stands for any number of lines.
fn agrees(shown: &[String], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first.trim() == "..." => {
            (0..=printed.len()).any(|skip| agrees(rest, &printed[skip..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(p, more)| p.trim_end() == first.trim_end() && agrees(rest, more)),
    }
}

/// README.md, ARCHITECTURE.md and every page under docs/.
fn pages() -> Vec<PathBuf> {
    fn pages_in(folder: &Path, out: &mut Vec<PathBuf>) {
        for path in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if path.is_dir() && !path.ends_with("node_modules") {
                pages_in(&path, out);
            } else if path.extension().is_some_and(|e| e == "md") {
                out.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut out = vec![root.join("README.md"), root.join("ARCHITECTURE.md")];
    pages_in(&root.join("docs"), &mut out);
    out.sort();
    out
}

/// The targets of a page's links within the repository, without their anchors.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://")).collect()
}

#[test]
fn links_lead_somewhere() {
    assert_eq!(links("[a](b.md#c) [d](#e) [f](https://g/h) [i](../j)"), ["b.md", "../j"]);
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            count += 1;
            assert!(page.parent().unwrap().join(target).exists(), "{}: {target}", page.display());
        }
    }
    assert!(count > 20, "{count}");
}

/// Every file that a page names in code style, from the repository's root or from `src`, exists.
#[test]
fn files_that_are_named_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = |word: &str| {
        let ending = [".rs", ".py", ".txt", ".conf", ".service"].iter().any(|end| word.ends_with(end));
        let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_/.-".contains(&b));
        ending && plain && word.contains('/')
    };
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for named in text.split('`').skip(1).step_by(2).filter(|word| file(word)) {
            count += 1;
            let there = [root.join(named), root.join("src").join(named)].iter().any(|path| path.exists());
            assert!(there, "{}: {named}", page.display());
        }
    }
    assert!(count > 20, "{count}");
}

/// Whether the lines are the shown ones, except that times left at the ends of lines may be a little less.
fn a_little_later(shown: &[String], lines: &[&str]) -> bool {
    let parts = |line: &str| {
        let (before, last) = line.rsplit_once(' ')?;
        Some((before.to_owned(), last.parse::<i64>().ok()?))
    };
    let close = |shown: &str, line: &str| match (parts(shown), parts(line)) {
        (Some((a, most)), Some((b, left))) => a == b && (most - slack(most)..=most).contains(&left),
        _ => shown == line,
    };
    shown.len() == lines.len() && shown.iter().zip(lines).all(|(shown, line)| close(shown, line))
}

/// Runs a page's examples and returns the differences.
fn differences(text: &str, start: impl Fn() -> Server) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut running: Option<(Server, [Client; 2])> = None;
    for example in examples(text) {
        if example.fresh || running.is_none() {
            let server = start();
            let clients = [server.client_with(2), server.client_with(3)];
            running = Some((server, clients));
        }
        let client = &mut running.as_mut().unwrap().1[usize::from(example.resp3)];
        let reply = client.call(&arguments(&example.command));
        let text = match &reply {
            Value::Bulk(b) if RAW.iter().any(|c| example.command.to_ascii_uppercase().starts_with(c)) => {
                String::from_utf8_lossy(b).into_owned()
            }
            reply => printed(reply, 0),
        };
        let mut shown = example.shown.clone();
        while shown.last().is_some_and(String::is_empty) {
            shown.pop();
        }
        let lines: Vec<&str> = text.lines().collect();
        let name = example.command.split(' ').next().unwrap_or_default();
        let time_left = TIME_LEFT.contains(&name) && a_little_later(&shown, &lines);
        if !agrees(&shown, &lines) && !time_left {
            wrong.push(format!(
                "line {}: {}\nshown:\n{}\ncame:\n{text}",
                example.line,
                example.command,
                shown.join("\n")
            ));
        }
    }
    wrong
}

#[test]
fn every_example_is_true() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        count += examples(&text).len();
        let start = || Server::start(&["--enable-debug-command", "yes"]);
        wrong.extend(differences(&text, start).into_iter().map(|w| format!("{}: {w}", page.display())));
    }
    eprintln!("{count} examples");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Every test that docs/durability.md names for a fault exists.
#[test]
fn the_tests_of_faults_are_there() {
    fn sources(folder: &Path, out: &mut String) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                sources(&entry, out);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                out.push_str(&fs::read_to_string(&entry).unwrap());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    ["src", "tests"].iter().for_each(|folder| sources(&root.join(folder), &mut all));
    let page = fs::read_to_string(root.join("docs/durability.md")).unwrap();
    let table = page.lines().skip_while(|line| !line.starts_with("| fault |")).skip(2);
    let mut named = 0;
    for row in table.take_while(|line| line.starts_with('|')) {
        let tests = row.trim_matches('|').rsplit('|').next().unwrap();
        for test in tests.split('`').skip(1).step_by(2) {
            assert!(all.contains(&format!("fn {test}(")), "there is no test {test}: {row}");
            named += 1;
        }
    }
    assert!(named > 30, "only {named} tests are named");
}

/// The runner itself is tested on the referee.
#[test]
fn examples_are_read_and_compared() {
    let page = "text\n```redis\n> SET k \"a b\"\nOK\n127.0.0.1:6379> GET k\n\"a b\"\n> HSET h f v\n(integer) 1\n```\n\n```redis resp3\n> HGETALL h\n1# \"f\" => \"v\"\n> GET none\n(nil)\n```\n```sh\n> not run\n```\n```redis\n> SCAN 0 MATCH h\n1) \"0\"\n2) 1) \"h\"\n> INFO server\n# Server\n...\n> KEYS none\n(empty array)\n```\n";
    assert_eq!(examples(page).len(), 8);
    let start = || Server::referee(&[]);
    assert_eq!(differences(page, start), Vec::<String>::new());
    let later = |shown: &str, came: &str| a_little_later(&[shown.to_owned()], &[came]);
    assert!(later("(integer) 100", "(integer) 97") && later("(integer) -1", "(integer) -1"));
    assert!(!later("(integer) 100", "(integer) 101") && !later("(integer) 100", "(integer) -1"));
    assert_eq!(differences("```redis\n> GET k\n\"wrong\"\n```\n", start).len(), 1);
}
