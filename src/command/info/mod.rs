//! INFO: sections of `name:value` lines about the server.

mod memory;
mod persistence;
mod report;
mod server;
mod stats;

pub(super) use memory::Figures;

use self::report::Report;
use super::spec::*;
use super::{Cx, Outcome, Server};
use crate::config::Settings;
use std::fmt::Write as _;

/// The family.
pub(super) static COMMANDS: &[Spec] =
    &[spec("info", -1, flag::LOADING | flag::STALE | flag::DANGEROUS | flag::TELLS, info)
        .doc(
            "server",
            "1.0.0",
            "O(1)",
            "Returns figures about the server, by section.",
            "[section [section ...]]",
        )
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])];

/// One section: its name, its title, its writer, and whether INFO shows it without being asked for it.
struct Section {
    name: &'static str,
    title: &'static str,
    write: fn(&mut Report<'_>),
    by_default: bool,
}

const fn section(name: &'static str, title: &'static str, write: fn(&mut Report<'_>)) -> Section {
    Section { name, title, write, by_default: true }
}

const fn on_demand(name: &'static str, title: &'static str, write: fn(&mut Report<'_>)) -> Section {
    Section { name, title, write, by_default: false }
}

/// All sections in the order in which they are shown.
static SECTIONS: &[Section] = &[
    section("server", "Server", server::server),
    section("clients", "Clients", server::clients),
    section("memory", "Memory", memory::memory),
    section("persistence", "Persistence", persistence::persistence),
    section("stats", "Stats", stats::stats),
    section("replication", "Replication", server::replication),
    section("cpu", "CPU", server::cpu),
    section("modules", "Modules", |_| {}),
    on_demand("commandstats", "Commandstats", stats::command_stats),
    section("errorstats", "Errorstats", stats::error_stats),
    on_demand("latencystats", "Latencystats", stats::latency_stats),
    on_demand("holdstats", "Holdstats", stats::hold_stats),
    section("cluster", "Cluster", server::cluster),
    section("keyspace", "Keyspace", server::keyspace),
];

/// The text of the chosen sections; of the default ones if none is chosen.
pub(super) fn report(server: &Server, settings: &Settings, now: u64, chosen: &[&[u8]]) -> String {
    let named = |name: &str| chosen.iter().any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    let everything = named("all") || named("everything");
    let default = chosen.is_empty() || named("default");
    let (instant, text) = (server.engine.clock.instant(), String::with_capacity(8192));
    let mut report = Report { server, settings, now, instant, text };
    for section in SECTIONS {
        if !(everything || named(section.name) || (default && section.by_default)) {
            continue;
        }
        if !report.text.is_empty() {
            report.text += "\r\n";
        }
        let _ = write!(report.text, "# {}\r\n", section.title);
        (section.write)(&mut report);
    }
    report.text
}

fn info(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let text = report(cx.server, cx.settings, cx.tx.now(), &args[1..]);
    cx.out.verbatim("txt", text.as_bytes());
    Ok(())
}
