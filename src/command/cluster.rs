//! CLUSTER, READONLY, READWRITE and ASKING. There is no cluster mode; the commands answer as Redis does with cluster
//! support disabled, which client libraries recognise.

use super::spec::*;
use super::{Cx, Fail, Outcome};

const SHOWS: u64 = flag::STALE;
const ADMIN: u64 = flag::ADMIN | flag::STALE;
const CHANGES: u64 = ADMIN | flag::NO_ASYNC_LOADING;
const NODES: &str = "O(N) where N is the number of nodes";
const SLOTS: &str = "O(N) where N is the number of slots named";
const UNSTEADY: &[&str] = &["nondeterministic_output"];

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    of_cluster(
        spec("cluster", -2, 0, container),
        "3.0.0",
        "Depends on subcommand.",
        "Holds the commands on a cluster.",
        "",
    )
    .subs(SUBS),
    of_cluster(
        spec("asking", 1, flag::FAST, disabled),
        "3.0.0",
        "O(1)",
        "Asks a node for a key that is on its way to it.",
        "",
    )
    .categories(&["connection"]),
    of_cluster(
        spec("readonly", 1, flag::LOADING | flag::STALE | flag::FAST, disabled),
        "3.0.0",
        "O(1)",
        "Lets the connection read from a replica of a cluster's node.",
        "",
    )
    .categories(&["connection"]),
    of_cluster(
        spec("readwrite", 1, flag::LOADING | flag::STALE | flag::FAST, disabled),
        "3.0.0",
        "O(1)",
        "Takes back READONLY.",
        "",
    )
    .categories(&["connection"]),
];

static SUBS: &[Spec] = &[
    sub("addslots", -3, CHANGES, "3.0.0", SLOTS, "Gives this node hash slots.", "slot [slot ...]"),
    sub(
        "addslotsrange",
        -4,
        CHANGES,
        "7.0.0",
        SLOTS,
        "Gives this node ranges of hash slots.",
        "start-slot end-slot [start-slot end-slot ...]",
    ),
    sub("bumpepoch", 2, CHANGES, "3.0.0", "O(1)", "Advances the configuration epoch.", "").tips(UNSTEADY),
    sub(
        "count-failure-reports",
        3,
        ADMIN,
        "3.0.0",
        "O(N) where N is the number of reports",
        "Counts the reports that a node has failed.",
        "node-id",
    )
    .tips(UNSTEADY),
    sub("countkeysinslot", 3, SHOWS, "3.0.0", "O(1)", "Counts the keys in a hash slot.", "slot"),
    sub("delslots", -3, CHANGES, "3.0.0", SLOTS, "Takes hash slots from this node.", "slot [slot ...]"),
    sub(
        "delslotsrange",
        -4,
        CHANGES,
        "7.0.0",
        SLOTS,
        "Takes ranges of hash slots from this node.",
        "start-slot end-slot [start-slot end-slot ...]",
    ),
    sub("failover", -2, CHANGES, "3.0.0", "O(1)", "Makes a replica take over.", "[FORCE | TAKEOVER]"),
    sub("flushslots", 2, CHANGES, "3.0.0", "O(1)", "Takes all hash slots from this node.", ""),
    sub("forget", 3, CHANGES, "3.0.0", "O(1)", "Removes a node from those that are known.", "node-id"),
    sub(
        "getkeysinslot",
        4,
        SHOWS,
        "3.0.0",
        "O(N) where N is the number of keys asked for",
        "Names keys in a hash slot.",
        "slot count",
    )
    .tips(UNSTEADY),
    sub("help", 2, flag::LOADING | SHOWS, "5.0.0", "O(1)", "Describes the subcommands.", ""),
    sub("info", 2, SHOWS, "3.0.0", "O(1)", "Tells the state of the cluster.", "").tips(UNSTEADY),
    sub(
        "keyslot",
        3,
        SHOWS,
        "3.0.0",
        "O(N) where N is the length of the key",
        "Tells a key's hash slot.",
        "key",
    ),
    sub("links", 2, SHOWS, "7.0.0", NODES, "Lists the links between nodes.", "").tips(UNSTEADY),
    sub("meet", -4, CHANGES, "3.0.0", "O(1)", "Joins this node with another.", "ip port [cluster-bus-port]"),
    sub("myid", 2, SHOWS, "3.0.0", "O(1)", "Tells this node's id.", ""),
    sub("myshardid", 2, SHOWS, "7.2.0", "O(1)", "Tells the id of this node's shard.", "").tips(UNSTEADY),
    sub("nodes", 2, SHOWS, "3.0.0", NODES, "Lists the nodes.", "").tips(UNSTEADY),
    sub(
        "replicas",
        3,
        ADMIN,
        "5.0.0",
        "O(N) where N is the number of replicas",
        "Lists a node's replicas.",
        "node-id",
    )
    .tips(UNSTEADY),
    sub("replicate", 3, CHANGES, "3.0.0", "O(1)", "Makes this node a replica.", "node-id"),
    sub(
        "reset",
        -2,
        ADMIN | flag::NOSCRIPT,
        "3.0.0",
        NODES,
        "Takes this node out of the cluster.",
        "[HARD | SOFT]",
    ),
    sub("saveconfig", 2, CHANGES, "3.0.0", "O(1)", "Writes the node's configuration to disk.", ""),
    sub("set-config-epoch", 3, CHANGES, "3.0.0", "O(1)", "Sets a new node's epoch.", "config-epoch"),
    sub(
        "setslot",
        -4,
        CHANGES,
        "3.0.0",
        "O(1)",
        "Says whose a hash slot is.",
        "slot <IMPORTING node-id | MIGRATING node-id | NODE node-id | STABLE>",
    ),
    sub("shards", 2, SHOWS, "7.0.0", NODES, "Lists shards with their nodes.", "").tips(UNSTEADY),
    sub(
        "slaves",
        3,
        ADMIN,
        "3.0.0",
        "O(N) where N is the number of replicas",
        "Lists a node's replicas.",
        "node-id",
    )
    .tips(UNSTEADY),
    sub("slots", 2, SHOWS, "3.0.0", NODES, "Lists hash slots with their nodes.", "").tips(UNSTEADY),
];

in_group!(of_cluster, "cluster");

const fn sub(
    name: &'static str,
    arity: i32,
    flags: u64,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
    syntax: &'static str,
) -> Spec {
    of_cluster(spec(name, arity, flags, disabled), since, complexity, summary, syntax)
}

/// A container's own handler is never reached: a call without a subcommand fails by its arity.
fn container(_cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    Err(Fail::unknown_sub("cluster", args.get(1).copied().unwrap_or_default()))
}

fn disabled(_cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    Err(Fail::new("ERR This instance has cluster support disabled"))
}
