//! LATENCY: the latency monitor, and how long commands take.

use super::spec::*;
use super::{Command, Cx, Fail, Outcome, Server, help::help};
use crate::node::{Histogram, OCTAVES, Series, octave_micros};
use crate::store::{Holder, Holds};
use std::fmt::Write as _;

const ADMIN: u64 = flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE;
const TIPS: &[&str] = &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

macro_rules! sub {
    ($name:literal, $arity:literal, $run:expr, $since:literal, $complexity:literal, $summary:literal, $syntax:literal) => {
        spec($name, $arity, ADMIN, $run).doc("server", $since, $complexity, $summary, $syntax).tips(TIPS)
    };
}

static SUBS: &[Spec] = &[
    sub!("doctor", 2, doctor, "2.8.13", "O(1)", "Returns a report on latency for people.", ""),
    sub!("graph", 3, graph, "2.8.13", "O(1)", "Returns a graph of an event's latency.", "event"),
    spec("help", 2, flag::LOADING | flag::STALE, help).doc(
        "server",
        "2.8.13",
        "O(1)",
        "Prints this help.",
        "",
    ),
    sub!(
        "histogram",
        -2,
        histogram,
        "7.0.0",
        "O(N) where N is the number of commands with latency information being retrieved.",
        "Returns how the durations of commands are distributed.",
        "[command [command ...]]"
    ),
    sub!("history", 3, history, "2.8.13", "O(1)", "Returns the samples of an event.", "event"),
    sub!(
        "holds",
        -2,
        holds,
        "0.1.0",
        "O(N) where N is the number of commands.",
        "Returns for how long commands, and what works in the background, held shards that others may want.",
        "[name [name ...]]"
    ),
    sub!("latest", 2, latest, "2.8.13", "O(1)", "Returns the newest sample of every event.", ""),
    spec("reset", -2, ADMIN, reset)
        .doc("server", "2.8.13", "O(1)", "Forgets the samples of some or all events.", "[event [event ...]]")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec("latency", -2, 0, help)
    .doc("server", "2.8.13", "Depends on subcommand.", "A container for commands about latency.", "")
    .subs(SUBS)];

fn latest(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let all = cx.server.latency.all();
    cx.out.array(all.len());
    for (event, series) in &all {
        let (second, millis) = series.samples.back().copied().unwrap_or_default();
        cx.out.array(4);
        cx.out.bulk(event.as_bytes());
        cx.out.int(second as i64);
        cx.out.int(millis as i64);
        cx.out.int(series.worst as i64);
    }
    Ok(())
}

fn history(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let samples = cx.server.latency.get(args[2]).unwrap_or_default().samples;
    cx.out.array(samples.len());
    for (second, millis) in samples {
        cx.out.array(2);
        cx.out.int(second as i64);
        cx.out.int(millis as i64);
    }
    Ok(())
}

fn reset(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.out.len_int(cx.server.latency.reset(&args[2..]));
    Ok(())
}

/// Draws one column a sample, four rows high with three heights a row, the newest on the right.
fn draw(series: &Series, now: u64) -> String {
    const ROWS: u64 = 4;
    const COLUMNS: usize = 80;
    const HEIGHTS: [char; 3] = ['_', 'o', '#'];
    let shown: Vec<(u64, u64)> = series.samples.iter().rev().take(COLUMNS).rev().copied().collect();
    let high = shown.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
    let low = shown.iter().map(|(_, ms)| *ms).min().unwrap_or(0);
    let steps = ROWS * HEIGHTS.len() as u64;
    let level = |ms: u64| ((ms - low) * (steps - 1)).checked_div(high - low).unwrap_or(0);
    let mut text = String::new();
    for row in (0..ROWS).rev() {
        let bottom = row * HEIGHTS.len() as u64;
        let line: String = shown
            .iter()
            .map(|(_, ms)| match level(*ms).checked_sub(bottom) {
                Some(above) => HEIGHTS.get(above as usize).copied().unwrap_or('|'),
                None => ' ',
            })
            .collect();
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text.push('\n');
    let ages: Vec<String> = shown.iter().map(|(second, _)| age(now.saturating_sub(*second))).collect();
    for at in 0..ages.iter().map(String::len).max().unwrap_or(0) {
        let line: String =
            ages.iter().map(|age| age.as_bytes().get(at).map_or(' ', |byte| *byte as char)).collect();
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn graph(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Some(series) = cx.server.latency.get(args[2]) else {
        return Err(Fail::about("ERR No samples available for event '", args[2], "'"));
    };
    let high = series.samples.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
    let low = series.samples.iter().map(|(_, ms)| *ms).min().unwrap_or(0);
    let event = String::from_utf8_lossy(args[2]);
    let text = format!(
        "{event} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n{}",
        series.worst,
        "-".repeat(80),
        draw(&series, cx.tx.now() / 1000)
    );
    cx.out.verbatim("txt", text.as_bytes());
    Ok(())
}

fn doctor(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    let text = report(cx.server, cx.settings.latency_monitor_threshold);
    cx.out.verbatim("txt", text.as_bytes());
    Ok(())
}

fn report(server: &Server, threshold: u64) -> String {
    if threshold == 0 {
        return "Latency is not monitored: latency-monitor-threshold is 0. To keep what takes 100 ms or longer, use \
                CONFIG SET latency-monitor-threshold 100.\n"
            .to_owned();
    }
    let all = server.latency.all();
    if all.is_empty() {
        return format!("No event took {threshold} ms or longer since the last LATENCY RESET.\n");
    }
    let mut text = format!("Events that took {threshold} ms or longer since the last LATENCY RESET:\n\n");
    for (event, series) in &all {
        let count = series.samples.len() as u64;
        let mean = series.samples.iter().map(|(_, ms)| ms).sum::<u64>() / count.max(1);
        let _ = writeln!(text, "- {event}: {count} samples, mean {mean} ms, worst {} ms.", series.worst);
    }
    if all.contains_key("command") {
        text += "\nSLOWLOG GET shows which commands were slow. Commands over many elements (KEYS, HGETALL of large \
                 hashes, large ranges) take time in proportion; SCAN and its kin split the work.\n";
    }
    text
}

fn histogram(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let registry = cx.server.registry;
    let mut commands: Vec<&Command> = Vec::new();
    if args.len() == 2 {
        commands.extend(registry.all());
    }
    for name in &args[2..] {
        let Some(command) = registry.by_full_name(name) else { continue };
        if command.subs.is_empty() || command.has(flag::HIDDEN_SUBS) {
            commands.push(command);
        } else {
            commands.extend(command.subs.values());
        }
    }
    let mut seen = vec![false; registry.count()];
    commands.retain(|command| !std::mem::replace(&mut seen[command.id], true));
    let begun = cx.out.begin_deferred();
    let mut count = 0;
    for command in commands {
        let sum = cx.server.histogram(command.id);
        if sum.total() == 0 {
            continue;
        }
        count += 1;
        cx.out.bulk(command.full_name.as_bytes());
        reply_histogram(cx, &sum);
    }
    cx.out.end_map(begun, count);
    Ok(())
}

fn reply_histogram(cx: &mut Cx<'_, '_>, histogram: &Histogram) {
    cx.out.map(2);
    cx.out.bulk(b"calls");
    cx.out.int(histogram.total() as i64);
    cx.out.bulk(b"histogram_usec");
    let begun = cx.out.begin_deferred();
    let (mut pairs, mut before) = (0, 0);
    for octave in 0..=OCTAVES {
        let below = histogram.below_octave(octave);
        if below > before {
            cx.out.int(octave_micros(octave) as i64);
            cx.out.int(below as i64);
            pairs += 1;
            before = below;
        }
    }
    cx.out.end_map(begun, pairs);
}

/// Answers, for each command and background job that held shards for long, or for those that `args` name, with the
/// number of long holds, the longest, and the holds by size. Sizes double from [`crate::store::holds::SHORT_NANOS`] on.
fn holds(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let wanted =
        |name: &str| args.len() == 2 || args[2..].iter().any(|arg| arg.eq_ignore_ascii_case(name.as_bytes()));
    let server = cx.server;
    let begun = cx.out.begin_deferred();
    let mut count = 0;
    for (name, holds) in all_holds(server).into_iter().filter(|(name, _)| wanted(name)) {
        count += 1;
        cx.out.bulk(name.as_bytes());
        cx.out.map(3);
        cx.out.bulk(b"holds");
        cx.out.int(holds.total() as i64);
        cx.out.bulk(b"longest_usec");
        cx.out.int(holds.longest_micros() as i64);
        cx.out.bulk(b"from_usec");
        let sizes: Vec<(u64, u64)> = holds.by_size().collect();
        cx.out.map(sizes.len());
        for (micros, count) in sizes {
            cx.out.int(micros as i64);
            cx.out.int(count as i64);
        }
    }
    cx.out.end_map(begun, count);
    Ok(())
}

/// The holders that held shards for long, with their holds: background jobs first, then commands by name.
pub(super) fn all_holds(server: &Server) -> Vec<(&str, &Holds)> {
    let background =
        Holder::ALL.into_iter().map(|holder| (holder.name(), server.engine.store.holds.of(holder)));
    let mut all: Vec<(&str, &Holds)> = background.filter(|(_, holds)| holds.total() > 0).collect();
    let named = |id: usize| server.registry.name_of(id).zip(server.holds_of(id));
    let mut commands: Vec<(&str, &Holds)> = (0..server.registry.count()).filter_map(named).collect();
    commands.sort_unstable_by_key(|(name, _)| *name);
    all.append(&mut commands);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_is_highest_where_the_latency_is() {
        let series = Series { samples: [(98, 1), (99, 12), (100, 6)].into(), worst: 12 };
        assert_eq!(draw(&series, 100), " #\n |\n |#\n_||\n\n210\nsss\n");
    }
}
