//! HOTKEYS: which keys take most time and most bytes.

use super::spec::*;
use super::{Cx, Fail, Outcome, eq, fail, help::help, parse_int};
use crate::node::hot_keys::{HotKeysAsked, HotKeysFound};

const ADMIN: u64 = flag::ADMIN | flag::NOSCRIPT;

/// How many keys are shown unless COUNT says otherwise.
const SHOWN: usize = 10;
/// The most that COUNT may ask for, and that DURATION may, in seconds.
const MOST_SHOWN: i64 = 64;
const LONGEST_SECONDS: i64 = 1_000_000;

static SUBS: &[Spec] = &[
    server!(
        "get",
        2,
        ADMIN,
        get,
        "8.6.0",
        "O(K) where K is the number of keys that are counted.",
        "Returns the keys that took most, and what all commands took.",
        ""
    )
    .tips(&["request_policy:special", "nondeterministic_output"]),
    server!("help", 2, flag::LOADING | flag::STALE, help, "8.6.1", "O(1)", "Prints this help.", ""),
    server!("reset", 2, ADMIN, reset, "8.6.0", "O(1)", "Forgets what was counted.", ""),
    server!(
        "start",
        -2,
        ADMIN,
        start,
        "8.6.0",
        "O(1)",
        "Begins to count what commands take for each key.",
        "METRICS count [CPU] [NET] [COUNT k] [DURATION seconds] [SAMPLE ratio] [SLOTS count slot [slot ...]]"
    ),
    server!("stop", 2, ADMIN, stop, "8.6.0", "O(1)", "Ends counting, and keeps what was counted.", ""),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec("hotkeys", -2, 0, help)
    .doc(
        "server",
        "8.6.0",
        "Depends on subcommand.",
        "A container for commands about keys that take most.",
        "",
    )
    .subs(SUBS)];

const NO_METRICS: Fail = Fail::new("ERR METRICS parameter is required");

/// Reads a whole number within bounds.
fn number(arg: &[u8], least: i64, most: i64, wrong: &'static str) -> Result<u64, Fail> {
    let number = parse_int(arg).ok().filter(|number| (least..=most).contains(number));
    number.and_then(|number| u64::try_from(number).ok()).ok_or(Fail::new(wrong))
}

/// Reads METRICS, which comes first, and the other options. Of an option that is given twice the last one counts.
fn wanted(args: &[&[u8]]) -> Result<HotKeysAsked, Fail> {
    let mut wanted = HotKeysAsked { cpu: false, net: false, count: SHOWN, sample: 1, duration_ms: None };
    let [word, metrics, rest @ ..] = args else { return Err(NO_METRICS) };
    if !eq(word, "METRICS") {
        return Err(NO_METRICS);
    }
    let metrics = number(metrics, 1, 2, "ERR METRICS count must be positive")? as usize;
    let mut named = 0;
    for word in rest.iter().take(metrics) {
        let (is_named, twice) = match word {
            word if eq(word, "CPU") => (&mut wanted.cpu, "ERR METRICS CPU defined more than once!"),
            word if eq(word, "NET") => (&mut wanted.net, "ERR METRICS NET defined more than once!"),
            _ => break,
        };
        if std::mem::replace(is_named, true) {
            return Err(Fail::new(twice));
        }
        named += 1;
    }
    if named != metrics {
        return Err(Fail::new("ERR METRICS count does not match number of metric types provided"));
    }
    for option in rest[metrics..].chunks(2) {
        let [word, operand] = option else { return Err(fail::SYNTAX) };
        match word {
            word if eq(word, "COUNT") => {
                let count = number(operand, 1, MOST_SHOWN, "ERR COUNT must be between 1 and 64")?;
                wanted.count = count as usize;
            }
            word if eq(word, "DURATION") => {
                let wrong = "ERR DURATION must be between 1 and 1000000";
                wanted.duration_ms = Some(number(operand, 1, LONGEST_SECONDS, wrong)? * 1000);
            }
            word if eq(word, "SAMPLE") => {
                wanted.sample = number(operand, 1, i64::from(i32::MAX), "ERR SAMPLE ratio must be positive")?;
            }
            word if eq(word, "SLOTS") => {
                return Err(Fail::new("ERR SLOTS parameter cannot be used in non-cluster mode"));
            }
            _ => return Err(fail::SYNTAX),
        }
    }
    Ok(wanted)
}

fn start(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let wanted = wanted(&args[2..])?;
    let clock = &cx.server.engine.clock;
    if !cx.server.hot_keys.start(wanted, clock.instant(), clock.now_ms()) {
        return Err(Fail::new("ERR hotkey tracking session already in progress"));
    }
    cx.out.ok();
    Ok(())
}

fn stop(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    if !cx.server.hot_keys.stop(cx.server.engine.clock.instant()) {
        cx.out.null();
        return Ok(());
    }
    cx.out.ok();
    Ok(())
}

fn reset(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    if !cx.server.hot_keys.reset(cx.server.engine.clock.instant()) {
        return Err(Fail::new("ERR hotkey tracking session in progress, stop tracking first"));
    }
    cx.out.ok();
    Ok(())
}

fn get(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let Some(report) = cx.server.hot_keys.report(cx.server.engine.clock.instant()) else {
        cx.out.null();
        return Ok(());
    };
    if cx.out.is_resp3() {
        cx.out.array(1);
    }
    show(cx, &report);
    Ok(())
}

fn show(cx: &mut Cx<'_, '_>, report: &HotKeysFound) {
    let HotKeysAsked { cpu, net, sample, .. } = report.wanted;
    let numbers = [
        ("tracking-active", u64::from(report.active)),
        ("sample-ratio", sample),
        ("all-commands-all-slots-us", report.all.nanos / 1000),
        ("net-bytes-all-commands-all-slots", report.all.bytes),
        ("collection-start-time-unix-ms", report.began_unix_ms),
        ("collection-duration-ms", report.duration_ms),
    ];
    let of_cpu = [("total-cpu-time-user-ms", report.cpu_ms.0), ("total-cpu-time-sys-ms", report.cpu_ms.1)];
    let of_net = [("total-net-bytes", report.all.bytes)];
    let out = &mut *cx.out;
    out.map(1 + numbers.len() + if cpu { 3 } else { 0 } + if net { 2 } else { 0 });
    let mut pair = |(name, number): (&str, u64)| {
        out.bulk(name.as_bytes());
        out.int(number as i64);
    };
    numbers.into_iter().for_each(&mut pair);
    if cpu {
        of_cpu.into_iter().for_each(&mut pair);
    }
    if net {
        of_net.into_iter().for_each(&mut pair);
    }
    out.bulk(b"selected-slots");
    out.array(0);
    for (asked, name, keys, unit) in
        [(cpu, "by-cpu-time-us", &report.by_cpu, 1000), (net, "by-net-bytes", &report.by_net, 1)]
    {
        if asked {
            out.bulk(name.as_bytes());
            out.array(2 * keys.len());
            for (key, amount) in keys {
                out.bulk(key);
                out.int((amount / unit) as i64);
            }
        }
    }
}
