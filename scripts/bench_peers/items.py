"""Items beside Redis's strings and hashes with the same data: CPU time per operation, and memory."""

import json
import sys
import time
from contextlib import ExitStack

from .operations import cpu, us
from .report import ITEM_OVERHEAD, ITEMS, median
from .server import Server
from .storage import SETTLE_SECONDS

# The workloads of items, each with the workload of Redis beside it; None if Redis has no such workload.
PAIRS = [
    ("item-get", "hgetall"),
    ("item-get", "get"),
    ("item-put", "hset-5"),
    ("item-put", "set"),
    ("item-update", "hset"),
    ("item-transact-4", "transact-hset-4"),
    ("item-query-10", None),
    ("item-query-100", None),
    ("item-index-10", None),
]
# Items in a collection of the data set `collections`; as COLLECTION in benches/load/workload.rs.
COLLECTION = 100
# The bytes of a sized item by DynamoDB's rules, and its data sets.
SIZED = [
    ("items-200", "each its own partition key"),
    ("items-200-collected", "a hundred to a partition key"),
    ("items-200-indexed", "the same, in an index of keys, too"),
]


def items(args, client, programs, report):
    """The subcommand `items`."""
    operations(args, client, programs, report)
    overhead(args, client, programs[0], report)


def operations(args, client, programs, report):
    """CPU time per operation of the subject's items, in alternation with the workload of Redis beside them."""
    subject, peer = programs[0], (programs[1:] or [None])[0]
    keys = args.keys or (100_000 if args.quick else 1_000_000)
    keys -= keys % COLLECTION
    pairs = [(name, beside) for name, beside in PAIRS if not args.workloads or name in args.workloads.split(",")]
    rows = []
    for dataset in dict.fromkeys(client.workloads[name]["dataset"] for name, _ in pairs):
        here = [(name, beside) for name, beside in pairs if client.workloads[name]["dataset"] == dataset]
        with ExitStack() as stack:
            own = filled(stack, args, client, subject, [dataset], keys)
            kept = sorted({client.workloads[beside]["dataset"] for _, beside in here if beside})
            other = filled(stack, args, client, peer, kept, keys) if peer and kept else None
            for depth in map(int, args.pipelines.split(",")):
                for name, beside in here:
                    rows.append(row(args, client, report, own, other, name, beside, depth, keys))
    title = (f"items, server CPU microseconds per operation (log: {args.log}, {keys:,} keys or items, {args.connections} "
             f"connections, {args.workers} worker(s))")
    name = peer.name if peer else "no peer"
    report.table(title, ["items", "pipeline", f"{subject.name} min", "median", f"beside, in {name}", "min", "median",
                         "ratio of minima", "of medians", "bar", "verdict"], rows, name="items")


def filled(stack, args, client, program, datasets, keys):
    """A running server with these data sets."""
    server = stack.enter_context(Server(program, args.log, args.server_cores, args.workers))
    for dataset in datasets:
        client.fill(server, dataset, keys, value_size=args.value_size)
    return server


def row(args, client, report, own, other, name, beside, depth, keys):
    """One line of the table: a workload of items alone, or in alternation with one of the peer."""
    both = [(own, name, [])] + ([(other, beside, [])] if beside and other else [])
    for number in range(args.rounds):
        # Every other round runs backwards, so that neither server always follows the other.
        for server, workload, runs in both if number % 2 == 0 else reversed(both):
            runs.append(client.run(server, workload, pipeline=depth, connections=args.connections, keys=keys,
                                   seconds=args.seconds, value_size=args.value_size, seed=number + 1))
            report.keep("items", server.name, runs[-1], log=args.log, workers=args.workers, round=number)
    figures = [cpu(runs) for _, _, runs in both]
    sys.stderr.write(f"  {name} at {depth}: " + ", ".join(f"{min(figure):.3f} us" for figure in figures) + "\n")
    if len(figures) == 1:
        return [name, depth, *us(figures[0]), *[""] * 7]
    ratios = [min(figures[0]) / min(figures[1]), median(figures[0]) / median(figures[1])]
    bar = ITEMS.get((name, beside))
    return [name, depth, *us(figures[0]), beside, *us(figures[1]), *(f"{ratio:.2f}" for ratio in ratios),
            "" if bar is None else f"{bar:.2f}", report.verdict(ratios[0], bar)]


def overhead(args, client, subject, report):
    """Resident bytes of items beyond their size by DynamoDB's rules."""
    if not subject.is_itemory:
        return
    count = args.keys or (100_000 if args.quick else 1_000_000)
    count -= count % COLLECTION
    rows = []
    for dataset, how in SIZED:
        with Server(subject, "none", args.server_cores, args.workers) as server:
            before = server.resident_bytes()
            client.fill(server, dataset, count)
            time.sleep(SETTLE_SECONDS)
            table = json.loads(server.ask("DDB", "DescribeTable", '{"TableName":"sized"}'))["Table"]
            if table["ItemCount"] != count:
                raise RuntimeError(f"{server.name} holds {table['ItemCount']} items instead of {count}")
            resident, own = (server.resident_bytes() - before) / count, table["TableSizeBytes"] / count
        report.keep("item memory", subject.name, {"dataset": dataset, "resident": resident, "own": own})
        judged = dataset != "items-200-indexed"
        rows.append([how, f"{own:.0f}", f"{resident:.0f}", f"{resident - own:.0f}", ITEM_OVERHEAD if judged else "",
                     report.verdict(resident - own, ITEM_OVERHEAD if judged else None)])
    report.table(f"{subject.name}: resident bytes of {count:,} items",
                 ["items", "bytes by DynamoDB's rules", "resident", "overhead", "bar", "verdict"], rows, name="item memory")
