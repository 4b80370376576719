"""Memory per key, and the time to start with data."""

import signal
import time

from .report import BYTES_PER_HASH, BYTES_PER_KEY, ELEMENT, RESIDENT_OVER_LIVE, START_AGAINST_AOF
from .server import Server

# The allocator returns memory with a delay; memory that is still to be returned is not the data's.
SETTLE_SECONDS = 1.5


def grown(client, server, dataset, keys, **options):
    """Resident bytes per key that loading a data set costs."""
    before = server.resident_bytes()
    client.fill(server, dataset, keys, **options)
    time.sleep(SETTLE_SECONDS)
    if server.ask("DBSIZE") != keys:
        raise RuntimeError(f"{server.name} holds {server.ask('DBSIZE')} keys instead of {keys}")
    return (server.resident_bytes() - before) / keys


def memory(args, client, programs, report):
    """The subcommand `memory`."""
    scale = 10 if args.quick else 1
    keys, hashes = args.keys or 5_000_000 // scale, 1_000_000 // scale
    sized, overwrites = 1_000_000 // scale, 10_000_000 // scale
    rows = []
    for number, program in enumerate(programs):
        def judge(value, bar, first=number == 0):
            return report.verdict(value, bar) if first else ""

        per_key = {}
        for dataset, count in [("strings", keys), ("hashes", hashes)]:
            with Server(program, "none", args.server_cores, args.workers) as server:
                per_key[dataset] = grown(client, server, dataset, count, value_size=args.value_size)
        fresh, churned, live = churn(args, client, program, sized, overwrites)
        rows.append([program.name,
                     f"{per_key['strings']:.0f}", judge(per_key["strings"], BYTES_PER_KEY),
                     f"{per_key['hashes']:.0f}", judge(per_key["hashes"], BYTES_PER_HASH),
                     f"{fresh:.0f}", f"{churned:.0f}", f"{churned / fresh:.2f}",
                     f"{churned / live:.2f}", judge(churned / live, RESIDENT_OVER_LIVE)])
        report.keep("memory", program.name, {"bytes_per_key": per_key["strings"], "bytes_per_hash": per_key["hashes"],
                                             "sized_fresh": fresh, "sized_churned": churned, "sized_live": live})
    report.table(
        f"Resident bytes: {keys:,} keys of 16 + {args.value_size} bytes (bar {BYTES_PER_KEY}), {hashes:,} hashes of 5 "
        f"short fields (bar {BYTES_PER_HASH}), {sized:,} keys of 16 + 32-159 bytes before and after {overwrites:,} "
        f"overwrites of random size (bar {RESIDENT_OVER_LIVE} times live, by the server's used_memory)",
        ["server", "per key", "", "per hash", "", "sized, fresh", "after churn", "after / fresh", "resident / live", ""],
        rows, name="memory")


def churn(args, client, program, keys, overwrites):
    """Resident bytes per key of random size when fresh and after overwrites, and live bytes per key then."""
    with Server(program, "none", args.server_cores, args.workers) as server:
        empty, used_empty = server.resident_bytes(), int(server.info("memory")["used_memory"])
        fresh = grown(client, server, "sized", keys)
        client.fill(server, "sized", keys, requests=overwrites, random=True, seed=2)
        time.sleep(SETTLE_SECONDS)
        live = int(server.info("memory")["used_memory"]) - used_empty
        return fresh, (server.resident_bytes() - empty) / keys, live / keys


# The data sets of types, and what is counted in each.
ELEMENTS = [("queue", "elements of one list"), ("lists", "elements of lists of 100"), ("set", "members of one set"),
            ("sets", "members of sets of 100"), ("ranking", "members of one sorted set"),
            ("rankings", "members of sorted sets of 100"), ("streams", "entries of streams of 100")]


def elements(args, client, programs, report):
    """The subcommand `elements`."""
    count = args.keys or (100_000 if args.quick else 1_000_000)
    rows = []
    for dataset, what in ELEMENTS:
        cost = []
        for program in programs:
            with Server(program, "none", args.server_cores, args.workers) as server:
                before = server.resident_bytes()
                client.fill(server, dataset, count)
                time.sleep(SETTLE_SECONDS)
                cost.append((server.resident_bytes() - before) / count)
            report.keep("elements", program.name, {"dataset": dataset, "resident": cost[-1]})
        bar = ELEMENT.get(dataset, cost[1] if len(cost) > 1 else None)
        rows.append([what, *(f"{one:.1f}" for one in cost), "" if bar is None else f"{bar:.1f}",
                     report.verdict(cost[0], bar)])
    report.table(f"Resident bytes of each of {count:,} elements; elements of lists and streams have 16 bytes, members 16",
                 ["elements", *(program.name for program in programs), "bar", "verdict"], rows, name="elements")


def start(args, client, programs, report):
    """The subcommand `start`: kills and starts the server with all keys in the log, then with a checkpoint alone."""
    keys = args.keys or (500_000 if args.quick else 5_000_000)
    rounds = min(args.rounds, 3)
    times = {}
    for program in programs:
        times[program.name, "log"] = restarts(args, client, program, keys, rounds, "everysec", checkpoint=False)
        times[program.name, "checkpoint"] = restarts(args, client, program, keys, rounds, "none", checkpoint=True)
        for source in ["log", "checkpoint"]:
            report.keep("start", program.name, {"source": source, "keys": keys, "seconds": times[program.name, source]})
    rows = []
    for program in programs:
        for source in ["log", "checkpoint"]:
            best = min(times[program.name, source])
            against = judged = ""
            if program is programs[0] and len(programs) > 1:
                ratio = best / min(times[programs[1].name, "log"])
                against, judged = f"{ratio:.2f}", report.verdict(ratio, START_AGAINST_AOF)
            rows.append([program.name, source, f"{best:.2f}", f"{max(times[program.name, source]):.2f}", against, judged])
    peer = programs[1].name if len(programs) > 1 else "the peer"
    report.table(f"Seconds from the process's start to the first answer, {keys:,} keys, page cache warm, {rounds} starts",
                 ["server", "from", "best", "worst", f"against {peer}'s log (bar {START_AGAINST_AOF:.2f})", "verdict"], rows,
                 name="start")


def restarts(args, client, program, keys, rounds, log, checkpoint):
    """Loads the keys, then kills and starts the server `rounds` times; the seconds of each start."""
    with Server(program, log, cores=None, workers=2 if program.is_itemory else 1) as server:
        client.fill(server, "strings", keys, value_size=args.value_size)
        if checkpoint:
            server.save_in_background()
        else:
            # Waits for a sync, which everysec makes once a second; a killed process loses nothing in any case.
            time.sleep(1.5)
        times = []
        for _ in range(rounds):
            server.stop(signal.SIGKILL)
            times.append(server.start())
            if server.ask("DBSIZE") != keys:
                raise RuntimeError(f"{server.name} came back with {server.ask('DBSIZE')} keys instead of {keys}")
        return times
