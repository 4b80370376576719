//! The state of durability, event by event and cell by cell.

use super::super::{DurabilityState, Event, Level, LogState, Phase, ReplyGate};

const PHASES: [Phase; 6] =
    [Phase::Serving, Phase::Recovering, Phase::Reloading, Phase::FallingBack, Phase::Ending, Phase::Ended];
const LOGS: [LogState; 5] =
    [LogState::Off, LogState::Incomplete, LogState::Complete, LogState::Failed, LogState::Stranded];
const LEVELS: [Level; 3] = [Level::No, Level::Everysec, Level::Always];
const EVENTS: [Event; 17] = [
    Event::Recovered(LogState::Off),
    Event::Recovered(LogState::Incomplete),
    Event::Recovered(LogState::Complete),
    Event::SwitchedOn,
    Event::SwitchedOff,
    Event::LevelSet(Level::No),
    Event::LevelSet(Level::Everysec),
    Event::LevelSet(Level::Always),
    Event::GapClosed,
    Event::LogFailed,
    Event::ReloadBegun,
    Event::ReloadDone,
    Event::ReloadGivenUp,
    Event::FellBack,
    Event::EndBegun,
    Event::EndGivenUp,
    Event::Closed,
];

/// All states that events lead to from the beginning on.
fn reachable() -> Vec<DurabilityState> {
    let mut found: Vec<DurabilityState> =
        LEVELS.iter().map(|level| DurabilityState::new(Phase::Recovering, LogState::Off, *level)).collect();
    let mut at = 0;
    while at < found.len() {
        let from = found[at];
        for next in EVENTS.iter().filter_map(|event| from.next(*event)) {
            if !found.contains(&next) {
                found.push(next);
            }
        }
        at += 1;
    }
    found
}

#[test]
fn a_state_is_what_it_was_made_of() {
    for phase in PHASES {
        for log in LOGS {
            for level in LEVELS {
                let state = DurabilityState::new(phase, log, level);
                assert_eq!((state.phase(), state.log(), state.level()), (phase, log, level));
            }
        }
    }
}

#[test]
fn what_a_state_permits_holds_together() {
    for state in reachable() {
        let serving = state.phase() == Phase::Serving;
        assert_eq!(state.accepts_writes(), serving && !state.has_failed(), "{state:?}");
        // No write is acknowledged whose record is thrown away: where there is a log that takes writes, they go there.
        assert_eq!(
            state.accepts_writes() && state.appends(),
            state.accepts_writes() && state.log() != LogState::Off
        );
        assert_eq!(state.gate() == ReplyGate::Open, state.log() == LogState::Off, "{state:?}");
        assert!(!state.permits_checkpoint() || state.accepts_writes(), "{state:?}");
        assert!(!state.ends_well() || matches!(state.log(), LogState::Off | LogState::Complete), "{state:?}");
        // What cannot be had from disk is never taken back, and what readers may not see always is.
        let falls_back = state.phase() == Phase::FallingBack;
        assert!(
            !falls_back || (state.log(), state.level()) == (LogState::Failed, Level::Always),
            "{state:?}"
        );
    }
}

#[test]
fn a_log_that_has_failed_stays_failed() {
    for state in reachable().into_iter().filter(|state| state.has_failed()) {
        for event in EVENTS {
            let next = state.next(event).unwrap_or(state);
            assert!(next.has_failed() && next.level() == state.level(), "{state:?} {event:?}");
        }
    }
}

#[test]
fn only_a_checkpoint_or_a_recovery_makes_a_log_complete() {
    for state in reachable().into_iter().filter(|state| state.log() != LogState::Complete) {
        for event in EVENTS {
            let complete = state.next(event).is_some_and(|next| next.log() == LogState::Complete);
            let may = matches!(event, Event::GapClosed | Event::Recovered(LogState::Complete));
            assert!(!complete || may, "{state:?} {event:?}");
        }
    }
}

/// The table in ARCHITECTURE.md, cell by cell.
#[test]
fn the_table_of_states_is_true() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md")).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip_while(|line| !line.starts_with("| state |"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let word = |yes: bool| if yes { "yes" } else { "no" };
    let mut named = Vec::new();
    for state in reachable() {
        let row = rows.iter().find(|row| row[0].trim_matches('`') == state.name());
        let row = row.unwrap_or_else(|| panic!("{} is not in the table", state.name()));
        let expect = |column: &str, cell: &str| {
            let at = rows[0].iter().position(|name| *name == column).unwrap();
            let depends = row[at] == "as before" || row[at].split(" / ").any(|part| part == cell);
            assert!(depends, "{state:?}: {column} is {cell}, the table says {}", row[at]);
        };
        expect("writes", if state.phase() == Phase::Ending { "wait" } else { word(state.accepts_writes()) });
        expect("logged", word(state.appends()));
        expect(
            "a reply waits for",
            match state.gate() {
                ReplyGate::Open => "nothing",
                ReplyGate::Written => "write",
                ReplyGate::Synced => "sync",
            },
        );
        expect("readers", if state.is_loading() { "LOADING" } else { "served" });
        expect("checkpoint", word(state.permits_checkpoint()));
        expect("WAITAOF", word(state.is_complete()));
        expect("exit code", if state.ends_well() { "0" } else { "1" });
        named.push(state.name());
    }
    for row in &rows[2..] {
        assert!(named.contains(&row[0].trim_matches('`')), "no state is called {}", row[0]);
    }
}
