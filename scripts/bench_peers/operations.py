"""CPU time per operation, throughput and latency in a closed loop, the servers in alternation."""

import sys
from contextlib import ExitStack

from .report import BARS, median, rate
from .server import Server

DEFAULT_WORKLOADS = ["get", "set", "incr", "hset", "hgetall"]
TYPE_WORKLOADS = ["lpush-rpop", "lrange-100", "sort-100", "sismember", "sadd-srem", "sinter-100", "zrank", "zrange-10",
                  "zadd", "zincrby", "xread-10", "xadd", "publish-1", "publish-100", "evalsha", "fcall"]


def types(args, client, programs, report):
    """The subcommand `types`."""
    run(args, client, programs, report, TYPE_WORKLOADS, "types")


def run(args, client, programs, report, default=None, table="operations"):
    """The subcommand `operations`; `default` is what it measures if the command line does not say."""
    pipelines = [int(depth) for depth in args.pipelines.split(",")]
    keys = args.keys or (100_000 if args.quick else 1_000_000)
    cells = {}
    for dataset, names in by_dataset(chosen(args, client, default or DEFAULT_WORKLOADS), client):
        with ExitStack() as stack:
            only_itemory = any(client.workloads[name]["itemory_only"] for name in names)
            servers = [
                stack.enter_context(Server(program, args.log, args.server_cores, args.workers))
                for program in programs if program.is_itemory or not only_itemory
            ]
            for server in servers:
                client.fill(server, dataset, keys, value_size=args.value_size)
            for name in names if servers else []:
                for depth in pipelines:
                    cells[name, depth] = alternate(args, client, servers, report, name, depth, keys)
    title = f"log: {args.log}, {keys:,} keys, {args.connections} connections, {args.workers} worker(s)"
    cpu_table(args, programs, report, cells, title, table)
    speed_table(programs, report, cells, title)


def chosen(args, client, default):
    """The workloads that the command line asks for, in the client's order."""
    if args.workloads == "all":
        return list(client.workloads)
    wanted = args.workloads.split(",") if args.workloads else default
    unknown = [name for name in wanted if name not in client.workloads]
    if unknown:
        raise RuntimeError(f"no such workload: {', '.join(unknown)}; there are {', '.join(client.workloads)}")
    return [name for name in client.workloads if name in wanted]


def by_dataset(names, client):
    """The workloads grouped by the data set that they run on."""
    groups = {}
    for name in names:
        groups.setdefault(client.workloads[name]["dataset"], []).append(name)
    return groups.items()


def alternate(args, client, servers, report, name, depth, keys):
    """Measures one workload at one depth on all servers in turn, `rounds` times; {server: measurements}."""
    results = {server.name: [] for server in servers}
    for number in range(args.rounds):
        # Every other round runs backwards, so that neither server always follows the other.
        for server in servers if number % 2 == 0 else reversed(servers):
            measured = client.run(server, name, pipeline=depth, connections=args.connections, keys=keys,
                                  seconds=args.seconds, value_size=args.value_size, seed=number + 1)
            results[server.name].append(measured)
            report.keep("operations", server.name, measured, log=args.log, workers=args.workers, round=number)
    sys.stderr.write(f"  {name} at {depth}: " + ", ".join(
        f"{server} {min(cpu(runs)):.3f} us" for server, runs in results.items()) + "\n")
    return results


def cpu(runs):
    """The CPU microseconds per operation of each run."""
    return [run["server_cpu_us_per_op"] for run in runs]


def cpu_table(args, programs, report, cells, title, table):
    """Minimum and median of each server, and the ratios of the first to each other one."""
    subject, others = programs[0], programs[1:]
    columns = ["workload", "pipeline", f"{subject.name} min", "median"]
    for other in others:
        columns += [f"{other.name} min", "median", "ratio of minima", "of medians"]
    rows = []
    for (name, depth), results in cells.items():
        own = cpu(results[subject.name]) if subject.name in results else None
        row = [name, depth] + (us(own) if own else ["", ""])
        bar = BARS.get(args.log, {}).get(name, {}).get(depth)
        judged = ""
        for number, other in enumerate(others):
            if other.name not in results:
                row += [""] * 4
                continue
            theirs = cpu(results[other.name])
            ratios = [min(own) / min(theirs), median(own) / median(theirs)]
            row += us(theirs) + [f"{ratio:.2f}" for ratio in ratios]
            if number == 0:
                judged = report.verdict(ratios[0], bar)
        rows.append(row + ["" if bar is None else f"{bar:.2f}", judged])
    report.table(f"Server CPU microseconds per operation ({title})", columns + ["bar", "verdict"], rows, name=table)


def us(values):
    """Minimum and median as two cells."""
    return [f"{min(values):.3f}", f"{median(values):.3f}"]


def speed_table(programs, report, cells, title):
    """Throughput, latency and how busy both sides were: medians over the rounds."""
    columns = ["workload", "pipeline", "server", "ops/s", "p50 us", "p99 us", "p99.9 us", "server busy", "client busy"]
    rows = []
    for (name, depth), results in cells.items():
        for program in programs:
            if program.name not in results:
                continue

            def middle(field, runs=results[program.name]):
                return median([run[field] for run in runs])

            rows.append([name, depth, program.name, rate(middle("ops_per_second")),
                         *(f"{middle(field):.0f}" for field in ["p50_us", "p99_us", "p999_us"]),
                         *(f"{middle(field):.0%}" for field in ["server_cores", "client_cores"])])
    report.table(f"Throughput and latency in a closed loop ({title})", columns, rows, name="speed")
