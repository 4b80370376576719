"""Latency at a fixed rate: plain, during a checkpoint, while an index is filled, while keys expire; and two workers
against one."""

import time
from contextlib import ExitStack

from .operations import chosen, cpu
from .probe import Probe, buckets
from .report import CHECKPOINT_P999, STALL_MS, TWO_WORKERS, median, rate
from .server import Server

LATENCIES = ["p50_us", "p99_us", "p999_us", "max_us"]
# For latency over time: the seconds before and after the work, and the seconds of one bucket.
AROUND = 2.0
BUCKET = 0.25


def millis(measured, field):
    """A latency in milliseconds."""
    return f"{measured[field] / 1000:.2f}"


def saturation(args, client, server, workload, keys, depth=1):
    """Operations per second that a closed loop reaches."""
    measured = client.run(server, workload, pipeline=depth, connections=args.connections, keys=keys,
                          seconds=args.seconds, value_size=args.value_size)
    return measured["ops_per_second"]


def latency(args, client, programs, report):
    """The subcommand `latency`."""
    keys = args.keys or (100_000 if args.quick else 1_000_000)
    rows = []
    for workload in chosen(args, client) if args.workloads else ["get", "set"]:
        with ExitStack() as stack:
            servers = [stack.enter_context(Server(program, args.log, args.server_cores, args.workers))
                       for program in programs]
            for server in servers:
                client.fill(server, client.workloads[workload]["dataset"], keys, value_size=args.value_size)
            half = min(saturation(args, client, server, workload, keys) for server in servers) / 2
            for server in servers:
                runs = []
                for number in range(args.rounds):
                    runs.append(client.run(server, workload, connections=args.connections, keys=keys, rate=half,
                                           seconds=args.seconds, value_size=args.value_size, seed=number + 1))
                    report.keep("latency", server.name, runs[-1], log=args.log, rate=half)
                rows.append([workload, server.name, rate(half)]
                            + [f"{median([run[field] for run in runs]):.0f}" for field in LATENCIES]
                            + [f"{median(cpu(runs)):.2f}"])
    report.table(f"Latency in an open loop, requests one by one, medians of {args.rounds} (log: {args.log})",
                 ["workload", "server", "ops/s", "p50 us", "p99 us", "p99.9 us", "max us", "CPU us/op"], rows, name="latency")


def workers(args, client, programs, report):
    """The subcommand `workers`: the subject alone, one worker on one core against two on two."""
    keys = args.keys or (100_000 if args.quick else 1_000_000)
    subject = programs[0]
    cores = f"{args.server_cores},{args.client_cores}"
    rows = []
    with ExitStack() as stack:
        pair = {count: stack.enter_context(Server(subject, args.log, where, count))
                for count, where in [(1, args.server_cores), (2, cores)]}
        for server in pair.values():
            client.fill(server, "strings", keys, value_size=args.value_size)
        for workload in ["get", "set"]:
            for depth in map(int, args.pipelines.split(",")):
                runs = {1: [], 2: []}
                for number in range(args.rounds):
                    for count, server in pair.items():
                        # With two workers the client has no core of its own; the scheduler chooses one.
                        runs[count].append(client.run(
                            server, workload, cores=args.client_cores if count == 1 else cores, pipeline=depth,
                            connections=args.connections, keys=keys, seconds=args.seconds,
                            value_size=args.value_size, seed=number + 1))
                        report.keep("workers", server.name, runs[count][-1], workers=count, log=args.log)
                one, two = cpu(runs[1]), cpu(runs[2])
                ratio = min(two) / min(one)
                rows.append([workload, depth, f"{min(one):.3f}", f"{median(one):.3f}", f"{min(two):.3f}",
                             f"{median(two):.3f}", f"{ratio:.2f}", TWO_WORKERS, report.verdict(ratio, TWO_WORKERS)])
    report.table(f"{subject.name}: CPU us/op of two workers against one (log: {args.log})",
                 ["workload", "pipeline", "one min", "median", "two min", "median", "ratio of minima", "bar", "verdict"],
                 rows, name="workers")


def checkpoint(args, client, programs, report):
    """The subcommand `checkpoint`: SET at half of saturation, with and without BGSAVE."""
    keys = args.keys or (500_000 if args.quick else 5_000_000)
    log = "everysec" if args.log == "none" else args.log
    rows = []
    for program in programs:
        with Server(program, log, args.server_cores, args.workers) as server:
            client.fill(server, "strings", keys, value_size=args.value_size)
            half = saturation(args, client, server, "set", keys) / 2
            common = {"connections": args.connections, "keys": keys, "rate": half, "value_size": args.value_size}
            without, during = [], []
            for number in range(args.rounds):
                without.append(client.run(server, "set", seconds=max(args.seconds, 2.0), seed=2 * number + 1, **common))
                during.append(client.run(server, "set", seconds=120, during="BGSAVE", seed=2 * number + 2, **common))
                report.keep("checkpoint", server.name, without[-1], during=False, log=log)
                report.keep("checkpoint", server.name, during[-1], during=True, log=log)
            if report.watches:
                over_time(args, client, server, report, "checkpoint", "set", common,
                          f"SET at {rate(half)} a second, BGSAVE of {keys:,} keys, log: {log}", "BGSAVE",
                          lambda: client.run(server, "set", seconds=120, during="BGSAVE", seed=3, **common))
            for label, runs in [("without", without), ("during", during)]:
                middle = {field: median([run[field] for run in runs]) for field in [*LATENCIES, "seconds"]}
                middle["max_us"] = max(run["max_us"] for run in runs)
                judged = ""
                if label == "during" and program is programs[0] and report.judges:
                    ratio = middle["p999_us"] / median([run["p999_us"] for run in without])
                    stall = report.stall_verdict(middle["max_us"], max(run["max_us"] for run in without))
                    judged = (f"p99.9 x {ratio:.2f} (bar {CHECKPOINT_P999}): {report.verdict(ratio, CHECKPOINT_P999)}; "
                              f"stall (bar {STALL_MS} ms): {stall}")
                rows.append([server.name, label, rate(half), f"{middle['seconds']:.1f}",
                             *(millis(middle, field) for field in LATENCIES), judged])
    report.table(f"SET at half of saturation during BGSAVE of {keys:,} keys (log: {log}, {args.rounds} rounds)",
                 ["server", "BGSAVE", "ops/s", "seconds", "p50 ms", "p99 ms", "p99.9 ms", "worst max ms", "verdict"], rows,
                 name="checkpoint")


def indexing(args, client, programs, report):
    """The subcommand `indexing`: ITEM.GET at half of saturation, with and without an index being added to the table."""
    keys = args.keys or (100_000 if args.quick else 1_000_000)
    subject = programs[0]
    without, during = [], []
    with Server(subject, args.log, args.server_cores, args.workers) as server:
        client.fill(server, "items", keys, value_size=args.value_size)
        half = saturation(args, client, server, "item-get", keys) / 2
        common = {"connections": args.connections, "keys": keys, "rate": half, "value_size": args.value_size}
        for number in range(args.rounds):
            without.append(client.run(server, "item-get", seconds=max(args.seconds, 2.0), seed=2 * number + 1, **common))
            # Each of the items has the attribute, so each gets an entry.
            during.append(client.run(server, "item-get", seconds=120, seed=2 * number + 2, **common,
                                     during=f"TABLE.INDEX ADD bench by{number} PK field{number % 5} S PROJECT KEYS"))
            server.ask("TABLE.INDEX", "DROP", "bench", f"by{number}")
            report.keep("indexing", server.name, without[-1], during=False, log=args.log)
            report.keep("indexing", server.name, during[-1], during=True, log=args.log)
        if report.watches:
            over_time(args, client, server, report, "indexing", "item-get", common,
                      f"ITEM.GET at {rate(half)} a second, {keys:,} items, log: {args.log}", "filling the index",
                      lambda: client.run(server, "item-get", seconds=120, seed=3, **common,
                                         during=f"TABLE.INDEX ADD bench by{args.rounds} PK field0 S PROJECT KEYS"))
    rows = []
    for label, runs in [("without", without), ("during", during)]:
        middle = {field: median([run[field] for run in runs]) for field in [*LATENCIES, "seconds"]}
        middle["max_us"] = max(run["max_us"] for run in runs)
        longest_without = max(run["max_us"] for run in without)
        stall = report.stall_verdict(middle["max_us"], longest_without) if label == "during" else ""
        rows.append([label, rate(half), f"{middle['seconds']:.1f}", *(millis(middle, field) for field in LATENCIES), stall])
    report.table(f"{subject.name}: ITEM.GET at half of saturation while an index of {keys:,} items is filled "
                 f"(log: {args.log}, {args.rounds} rounds; bar: no stall above {STALL_MS} ms)",
                 ["filling", "ops/s", "seconds", "p50 ms", "p99 ms", "p99.9 ms", "worst max ms", "verdict"], rows,
                 name="indexing")


def expiry(args, client, programs, report):
    """The subcommand `expiry`: GET at half of saturation while other keys expire, and without that."""
    count = args.keys or (100_000 if args.quick else 1_000_000)
    spread = 6.0 if args.quick else 60.0
    live = 100_000
    # The first keys expire when nearly all are loaded.
    lead = 1.0 + count / 200_000
    lifetimes = f"{int(lead * 1000)}-{int((lead + spread) * 1000)}"
    rows = []
    for program in programs:
        with Server(program, args.log, args.server_cores, args.workers) as server:
            client.fill(server, "strings", live, value_size=args.value_size)
            half = saturation(args, client, server, "get", live) / 2
            common = {"connections": args.connections, "keys": live, "rate": half, "value_size": args.value_size}
            without = client.run(server, "get", seconds=max(args.seconds, 5.0), **common)
            client.fill(server, "expiring", count, value_size=args.value_size, ttl_ms=lifetimes)
            loaded = server.ask("DBSIZE") - live
            during = client.run(server, "get", seconds=lead + spread, **common)
            time.sleep(1.0)
            left = server.ask("DBSIZE") - live
            for label, measured in [("without", without), ("during", during)]:
                report.keep("expiry", server.name, measured, during=label == "during", left=left)
                judge = label == "during" and program is programs[0]
                stall = report.stall_verdict(measured["max_us"], without["max_us"]) if judge else ""
                rows.append([server.name, label, rate(half), *(millis(measured, field) for field in LATENCIES),
                             f"{measured['server_cpu_us_per_op']:.2f}",
                             "" if label == "without" else f"{loaded:,} / {left:,}", stall])
            if report.watches:
                loading = time.monotonic()
                client.fill(server, "expiring", count, value_size=args.value_size, ttl_ms=lifetimes)
                loaded_in = time.monotonic() - loading
                over_time(args, client, server, report, "expiry", "get", common,
                          f"GET at {rate(half)} a second, {count:,} other keys expire, log: {args.log}", "expiry",
                          lambda: client.run(server, "get", seconds=lead + spread, **common),
                          quiet=max(lead - loaded_in, 0))
    report.table(f"GET at half of saturation while {count:,} other keys expire within {spread:.0f} s "
                 f"(bar: no stall above {STALL_MS} ms)",
                 ["server", "expiry", "ops/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "CPU us/op",
                  "keys before / 1 s after the last", "verdict"], rows, name="expiry")


def over_time(args, client, server, report, kind, workload, load, what, work, run, quiet=None):
    """Runs the probe beside the load before, during and after `run`, which starts `work` and ends with it.

    The work begins with the run's measurement; where `quiet` is given, that many seconds after the probe, which then is
    what shows latency without the work.
    """
    begun = time.monotonic()
    with Probe(server, args.client_cores, workload, load["keys"], args.value_size) as probe:
        if quiet is None:
            client.run(server, workload, seconds=AROUND, seed=1, **load)
        measured = run()
        ended = time.monotonic()
        began = ended - measured["seconds"] if quiet is None else begun + quiet
        client.run(server, workload, seconds=AROUND, seed=2, **load)
    report.over_time({"kind": kind, "server": server.name, "what": what, "work": work, "bucket_seconds": BUCKET,
                      "begins": 0.0, "ends": round(ended - began, 3), "buckets": buckets(probe.samples, began, BUCKET)})
