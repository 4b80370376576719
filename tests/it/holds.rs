//! Checks that the bench of holds (`benches/holds`) has every command and every background job, that its cases run, and
//! that the page for operators agrees with it.

#[path = "../../benches/holds/calls.rs"]
mod calls;
#[path = "../../benches/holds/cases.rs"]
#[allow(dead_code, reason = "the bench uses all of it")]
mod cases;
#[path = "../../benches/holds/jobs.rs"]
mod jobs;
#[path = "../../benches/holds/reasons.rs"]
mod reasons;

use crate::harness::Server;
use calls::{CALLS, LOADS};
use cases::{Answer, Client, Scale, commands, is_done, run_case, stripped, words};
use itemory::command::Registry;
use itemory::store::Holder;
use jobs::JOBS;
use reasons::{EXCEPTIONS, NOT_CALLED};
use std::collections::BTreeSet;
use std::net::TcpStream;

/// The full names of all commands that can be called.
fn all_commands() -> BTreeSet<&'static str> {
    Registry::get()
        .all()
        .filter(|c| c.spec.subs.is_empty() || c.full_name == "debug")
        .map(|c| c.full_name.as_str())
        .collect()
}

/// The command that a case measures.
fn measured(case: &str) -> &'static str {
    let all = commands(case);
    let words = words(stripped(all.last().unwrap()).0, 0, Scale::Small);
    let command = Registry::get().lookup(&words.iter().map(Vec::as_slice).collect::<Vec<_>>());
    command.unwrap_or_else(|_| panic!("{case}")).full_name.as_str()
}

#[test]
fn every_command_is_measured_or_has_a_reason_not_to_be() {
    let called: BTreeSet<&str> =
        CALLS.iter().copied().chain(JOBS.iter().map(|job| job.case)).map(measured).collect();
    let not_called: BTreeSet<&str> = NOT_CALLED.iter().map(|(name, _)| *name).collect();
    assert!(called.is_disjoint(&not_called), "{:?}", called.intersection(&not_called));
    let known = called.union(&not_called).copied().collect();
    let all = all_commands();
    let missing: Vec<_> = all.difference(&known).collect();
    assert!(missing.is_empty(), "benches/holds/calls.rs lacks {missing:?}");
    assert!(not_called.is_subset(&all));
}

#[test]
fn everything_that_works_in_the_background_is_measured() {
    let jobs: BTreeSet<&str> = JOBS.iter().map(|job| job.holder).collect();
    for holder in Holder::ALL {
        assert!(jobs.contains(holder.name()), "{}", holder.name());
    }
}

#[test]
fn long_holds_have_reasons_that_the_page_for_operators_gives_too() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with("What holds others up\n")).unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = EXCEPTIONS
        .iter()
        .map(|(names, reason)| {
            let names: Vec<String> =
                names.iter().map(|name| format!("`{}`", name.replace('|', " "))).collect();
            format!("| {} | {reason} |", names.join(", "))
        })
        .collect();
    assert_eq!(rows, expected, "docs/operations.md and benches/holds/reasons.rs differ");
    let mut known = all_commands();
    known.extend(Holder::ALL.map(Holder::name));
    let mut seen = BTreeSet::new();
    for name in EXCEPTIONS.iter().flat_map(|(names, _)| *names) {
        assert!(known.contains(name) && seen.insert(*name), "{name}");
    }
}

#[test]
fn every_case_runs() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let connect = || Client::new(TcpStream::connect(server.address()).unwrap());
    let mut loader = connect();
    for load in LOADS {
        loader.run(load, Scale::Small, &Answer::default());
    }
    let mut faults = loader.faults;
    for case in CALLS {
        let mut client = connect();
        run_case(&mut client, &mut connect(), case, Scale::Small, |_| {});
        faults.append(&mut client.faults);
    }
    for job in JOBS {
        let mut client = connect();
        run_case(&mut client, &mut connect(), job.case, Scale::Small, |watcher| {
            watcher.wait(job.ask, Scale::Small, |text| is_done(&job.done, Scale::Small, text));
        });
        faults.append(&mut client.faults);
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
