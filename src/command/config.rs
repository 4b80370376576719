//! CONFIG, and the effects of a changed configuration on the running server.

use super::spec::*;
use super::{Cx, Fail, Outcome, Server, fail, help::help};
use crate::config::{Caller, Changed, ConfigError, Refusal};
use crate::engine::Engine;
use crate::store::Locked;
use std::sync::Arc;

const ADMIN: u64 = flag::ADMIN | flag::NOSCRIPT | flag::LOADING | flag::STALE;

static SUBS: &[Spec] = &[
    server!(
        "get",
        -3,
        ADMIN | flag::TELLS,
        get,
        "2.0.0",
        "O(N) when N is the number of configuration parameters provided",
        "Returns the options whose names fit the patterns, and their values.",
        "parameter [parameter ...]"
    ),
    server!("help", 2, flag::LOADING | flag::STALE, help, "5.0.0", "O(1)", "Prints this help.", ""),
    server!(
        "resetstat",
        2,
        ADMIN,
        reset_stat,
        "2.0.0",
        "O(1)",
        "Sets the counters of INFO back to zero.",
        ""
    )
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    server!(
        "rewrite",
        2,
        ADMIN | flag::LONG,
        rewrite,
        "2.8.0",
        "O(1)",
        "Writes the options as they are now into the configuration file.",
        ""
    )
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    server!(
        "set",
        -4,
        ADMIN,
        set,
        "2.0.0",
        "O(N) when N is the number of configuration parameters provided",
        "Changes options while the server runs: all of them or none.",
        "parameter value [parameter value ...]"
    )
    .alone(|args| args.iter().skip(2).step_by(2).any(|option| Engine::concerns_durability(option)))
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[spec("config", -2, 0, help)
    .doc("server", "2.0.0", "Depends on subcommand.", "A container for commands about the configuration.", "")
    .subs(SUBS)];

fn get(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let found = cx.server.config.get(&args[2..]);
    cx.out.map(found.len());
    for (name, value) in found {
        cx.out.bulk(&name);
        cx.out.bulk(&value);
    }
    Ok(())
}

fn failed(error: &ConfigError) -> Fail {
    match error {
        ConfigError::Loading => fail::LOADING,
        ConfigError::Unknown(name) => {
            Fail::about("ERR Unknown option or number of arguments for CONFIG SET - '", name, "'")
        }
        other => Fail::text(format!("ERR {other}")),
    }
}

fn set(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (pairs, rest) = args[2..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(fail::SYNTAX);
    }
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|[name, value]| (*name, *value)).collect();
    let caller = Caller { local: cx.client.handle.is_local(), loading: cx.server.engine.is_loading() };
    let server = cx.server;
    {
        let held = cx.tx.locked();
        server
            .config
            .set_with(&pairs, caller, |changed| apply_settings(server, changed, held))
            .map_err(|error| failed(&error))?;
    }
    if cx.client.in_exec {
        cx.tx.at_commit(server.notify_at_commit(), 0);
    } else {
        server.notify_as_configured();
    }
    if !cx.client.in_exec && !cx.tx.locked().holds_all() {
        // Eviction takes shards, so it does not run here if the transaction holds some; the next command evicts then.
        server.engine.evict_at_once();
    }
    cx.out.ok();
    Ok(())
}

fn reset_stat(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.server.reset_statistics();
    cx.out.ok();
    Ok(())
}

fn rewrite(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    cx.server.config.rewrite().map_err(|error| failed(&error))?;
    cx.out.ok();
    Ok(())
}

/// Redis's text for an allocator that cannot defragment.
const NO_DEFRAGMENTATION: &str = "Active defragmentation cannot be enabled: it requires a Redis server compiled with a \
     modified Jemalloc like the one shipped by default with the Redis source distribution";

/// Puts a changed configuration into effect. Steps that can fail come first, so after a refusal nothing is changed.
pub fn apply_settings(server: &Server, changed: &Changed, held: &Locked<'_>) -> Result<(), Refusal> {
    if changed.names.contains(&"activedefrag") && changed.new.accepted.activedefrag {
        // A configuration file may have it without effect; at run time it is refused, because the caller expects an
        // effect.
        return Err(("activedefrag", NO_DEFRAGMENTATION.to_owned()));
    }
    if let Some(hook) = server.reconfigured.get() {
        hook(changed)?;
    }
    if let Err(error) = server.engine.reconfigure(&changed.new, held) {
        if let Some(hook) = server.reconfigured.get() {
            // Sockets and log levels go back to the old configuration.
            let (old, new) = (Arc::clone(&changed.new), Arc::clone(&changed.old));
            let _ = hook(&Changed { old, new, names: changed.names.clone() });
        }
        return Err(("appendonly", error.to_string()));
    }
    server.configure(&changed.new);
    Ok(())
}
