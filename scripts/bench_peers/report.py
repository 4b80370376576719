"""Bars, verdicts and tables."""

import os
import platform
import time

from . import results
from .pictures import draw

# The greatest allowed ratio of CPU time per operation to redis-server 7.0's, by workload and pipeline.
PLAIN = {1: 0.92, 16: 0.40, 64: 0.25}
ALWAYS = {1: 1.00, 16: 0.50, 64: 0.50}
OTHER = {1: 0.95, 16: 0.60, 64: 0.50}
BARS = {
    "none": {"get": PLAIN, "set": PLAIN, "incr": OTHER, "hset": OTHER, "hgetall": OTHER},
    "everysec": {"get": PLAIN, "set": PLAIN, "incr": OTHER, "hset": OTHER, "hgetall": OTHER},
    "always": {"set": ALWAYS},
}
# The same for the other types, for messages, and for scripts.
OF_TYPES = {1: 1.00, 16: 0.60, 64: 0.50}
OF_SCRIPTS = {1: 1.00, 16: 1.00, 64: 1.00}
BARS["none"].update({name: OF_TYPES for name in [
    "lpush-rpop", "lrange-100", "sort-100", "sismember", "sadd-srem", "sinter-100", "zrank", "zrange-10", "zadd",
    "zincrby", "xread-10", "xadd", "publish-1", "publish-100"]})
BARS["none"].update({name: OF_SCRIPTS for name in ["evalsha", "fcall"]})
# The other limits, absolute or relative to the subject's own figure.
TWO_WORKERS = 1.1
CHECKPOINT_P999 = 2.0
STALL_MS = 5.0
BYTES_PER_KEY = 125
BYTES_PER_HASH = 170
RESIDENT_OVER_LIVE = 1.4
# Resident bytes of an element, where the bar is not the peer's own.
ELEMENT = {"ranking": 70}
START_AGAINST_AOF = 1 / 3
# Items: the ratio of CPU time to a workload of Redis on the same data, at every pipeline; bytes of memory beyond an
# item's size; and the ratio between the costs of one large collection and of many small ones.
ITEMS = {("item-get", "hgetall"): 1.0, ("item-put", "hset-5"): 1.5}
ITEM_OVERHEAD = 120
SAME_ORDER = 3.0


def median(values):
    """The middle value, or the mean of the two in the middle."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def rate(ops_per_second):
    """Operations per second as a short text."""
    return f"{ops_per_second / 1e6:.2f}M" if ops_per_second >= 1e6 else f"{ops_per_second / 1e3:.0f}k"


class Report:
    """Collects tables and single measurements; prints each table when it is ready."""

    def __init__(self, args, programs):
        self.args = args
        self.text = []
        self.results = results.empty()
        self.judges = programs[0].is_itemory
        self.results["measured"] = (f"Measured {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores ({processor()}), "
                                    f"Linux {platform.release()}")
        self.say(f"{self.results['measured']}.")
        for program in programs:
            self.results["servers"][program.name] = program.version()
            self.say(f"- {program.name}: {program.version()}")
        self.say()

    @property
    def watches(self):
        """Whether latency over time is wanted."""
        return bool(self.args.json or self.args.draw)

    def say(self, line=""):
        """One line of markdown."""
        print(line, flush=True)
        self.text.append(line)

    def table(self, title, columns, rows, name):
        """Adds a markdown table; its key in the results is `name` and the log's durability."""
        rows = [[str(cell) for cell in row] for row in rows]
        self.results["tables"].append(
            {"name": name, "log": self.args.log, "title": title, "columns": columns, "rows": rows})
        self.say(f"### {title}")
        self.say()
        self.say("| " + " | ".join(columns) + " |")
        self.say("|" + "---|" * len(columns))
        for row in rows:
            self.say("| " + " | ".join(row) + " |")
        self.say()

    def verdict(self, value, bar):
        """`met` or `MISSED`; empty if there is no limit, or if the subject is not Itemory."""
        return "" if bar is None or not self.judges else "met" if value <= bar else "MISSED"

    def stall_verdict(self, longest_us, longest_without_us):
        """Judges the longest latency of a run, unless the machine stalled as long in a run without background work."""
        if min(longest_us, longest_without_us) / 1000 > STALL_MS:
            return "open (the machine stalls as long)" if self.judges else ""
        return self.verdict(longest_us / 1000, STALL_MS)

    def keep(self, kind, server, measurement, **more):
        """Keeps a single measurement for --json."""
        self.results["measurements"].append({"kind": kind, "server": server, **more, **measurement})

    def over_time(self, timeline):
        """Keeps latencies over time."""
        self.results["timelines"].append(timeline)

    def write(self):
        """Writes the files that were asked for."""
        if self.args.markdown:
            with open(self.args.markdown, "w", encoding="utf-8") as file:
                file.write("\n".join(self.text) + "\n")
        if self.args.json:
            results.write(self.results, self.args.json)
        if self.args.draw:
            for path in draw([self.results], self.args.draw):
                self.say(f"drawn: {path}")


def processor():
    """The processor's name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            return next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
