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
        ADMIN | flag::DESPITE_CLOSED,
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
    // Also if the option keeps its value: a transaction that is still running may have set it.
    if pairs.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"notify-keyspace-events")) {
        if cx.client.in_exec {
            cx.tx.at_commit(server.notify_at_commit(), 0);
        } else {
            server.notify_as_configured();
        }
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
    let users = super::acl::config_lines(cx.server, cx.settings);
    cx.server.config.rewrite(&users).map_err(|error| failed(&error))?;
    cx.out.ok();
    Ok(())
}

/// Redis's text for an allocator that cannot defragment.
const NO_DEFRAGMENTATION: &str = "Active defragmentation cannot be enabled: it requires a Redis server compiled with a \
     modified Jemalloc like the one shipped by default with the Redis source distribution";

/// Why the log is not switched while a shard is closed.
const CLOSED_LOG: &str = "a fault of the program interrupted a change, so a part of the data is closed until a restart \
     or DEBUG RELOAD NOSAVE, and the log stays as it is until then";

/// Puts a changed configuration into effect. Steps that can fail come first, so after a refusal nothing is changed.
pub fn apply_settings(server: &Server, changed: &Changed, held: &Locked<'_>) -> Result<(), Refusal> {
    if changed.names.contains(&"activedefrag") && changed.new.accepted.activedefrag {
        // A configuration file may have it without effect; at run time it is refused, because the caller expects an
        // effect.
        return Err(("activedefrag", NO_DEFRAGMENTATION.to_owned()));
    }
    if changed.names.contains(&"appendonly") && server.engine.store.has_closed() {
        // Without the log a closed shard could not be read again, and what would complete the log cannot be written.
        return Err(("appendonly", CLOSED_LOG.to_owned()));
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

#[cfg(test)]
mod tests {
    use crate::command::testing::Harness;
    use crate::config::Caller;
    use crate::engine::AtCommit;

    /// A server, and a client that hears what is told.
    struct Heard {
        t: Harness,
        subscriber: usize,
    }

    impl Heard {
        fn new() -> Self {
            let mut t = Harness::new();
            let subscriber = t.connect();
            t.run_as(subscriber, "psubscribe __key*");
            Self { t, subscriber }
        }

        /// Chooses as a transaction does that is still running. The result is its commit.
        fn choose(&self, letters: &str) -> AtCommit {
            let server = &self.t.server;
            let pairs: [(&[u8], &[u8]); 1] = [(b"notify-keyspace-events", letters.as_bytes())];
            let apply = |changed: &_| {
                let all = server.engine.store.lock_all(crate::store::Mode::Write, 1);
                super::apply_settings(server, changed, &all)
            };
            server.config.set_with(&pairs, Caller::default(), apply).unwrap();
            server.notify_at_commit()
        }

        fn set(&mut self, letters: &str) {
            assert_eq!(self.t.run(&format!("config set notify-keyspace-events '{letters}'")), "+OK");
        }

        /// Whether a change is told now.
        fn tells(&mut self) -> bool {
            self.t.run("set k v");
            self.t.pushed_to(self.subscriber).contains("__keyspace@0__:k")
        }
    }

    #[test]
    fn what_is_told_after_a_transaction_is_what_the_option_says_then() {
        for (earlier, later) in [("", "KA"), ("KA", ""), ("KEA", "")] {
            let mut heard = Heard::new();
            // Another client changes the option while the transaction runs.
            let commit = heard.choose(earlier);
            heard.set(later);
            assert_eq!(heard.tells(), !later.is_empty());
            commit(None);
            assert_eq!(heard.tells(), !later.is_empty(), "{later:?} over {earlier:?}");
            // Two transactions, the earlier one commits last.
            let (first, second) = (heard.choose(earlier), heard.choose(later));
            second(None);
            first(None);
            assert_eq!(heard.tells(), !later.is_empty(), "{later:?} over {earlier:?}");
        }
    }

    #[test]
    fn a_choice_that_a_running_transaction_made_already_holds_for_who_makes_it_too() {
        let mut heard = Heard::new();
        let commit = heard.choose("KA");
        assert!(!heard.tells());
        heard.set("KA");
        assert!(heard.tells());
        commit(None);
        assert!(heard.tells());
    }

    #[test]
    fn changes_of_other_options_do_not_put_a_choice_in_force() {
        let mut heard = Heard::new();
        let commit = heard.choose("KA");
        heard.t.run("config set maxclients 98 hz 20");
        assert!(!heard.tells());
        for line in ["multi", "config set maxclients 99", "exec"] {
            heard.t.run(line);
        }
        assert!(!heard.tells());
        commit(None);
        assert!(heard.tells());
    }

    #[test]
    fn a_choice_is_in_force_also_if_its_transaction_ends_in_a_panic() {
        let mut heard = Heard::new();
        drop(heard.choose("KA"));
        assert!(heard.tells());
    }

    #[test]
    fn each_part_of_a_transaction_is_told_as_it_was_chosen_then() {
        let mut heard = Heard::new();
        for line in [
            "multi",
            "set a v",
            "config set notify-keyspace-events KA",
            "set b v",
            "config set notify-keyspace-events ''",
            "set c v",
            "exec",
        ] {
            heard.t.run(line);
        }
        let told = heard.t.pushed_to(heard.subscriber);
        let of = |key: &str| told.contains(&format!("__keyspace@0__:{key}"));
        assert_eq!([of("a"), of("b"), of("c")], [false, true, false], "{told}");
    }
}
