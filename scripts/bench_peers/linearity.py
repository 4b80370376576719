"""Whether an item collection's size matters: many items in one collection against as many collections of one item."""

import random
import time

from .probe import packed
from .report import SAME_ORDER, median
from .server import Server

# The number of requests in one measurement, and how many of them are sent before their replies are read.
REQUESTS = 20_000
DEPTH = 16
PAGE = 100


def linearity(args, client, programs, report):
    """The subcommand `linearity`."""
    subject = programs[0]
    count = args.keys or (100_000 if args.quick else 1_000_000)
    requests = REQUESTS // (10 if args.quick else 1)
    figures = {}
    for dataset, shape in [("one-collection", One(count)), ("many-collections", Many(count))]:
        with Server(subject, args.log, args.server_cores, args.workers) as server:
            client.fill(server, dataset, count, value_size=args.value_size)
            figures[dataset] = measured(server, shape, requests, args.rounds, report, dataset)
    rows = []
    for name, one in figures["one-collection"].items():
        many = figures["many-collections"][name]
        ratio = min(one) / min(many)
        rows.append([name, f"{min(one):.2f}", f"{median(one):.2f}", f"{min(many):.2f}", f"{median(many):.2f}",
                     f"{ratio:.2f}", SAME_ORDER, report.verdict(max(ratio, 1 / ratio), SAME_ORDER)])
    report.table(
        f"{subject.name}: CPU microseconds of the server, {count:,} items in one collection against as many collections of one "
        f"item, pipeline {DEPTH} (log: {args.log}; bar: at most {SAME_ORDER} times the other)",
        ["operation", "one, min", "median", "many, min", "median", "ratio of minima", "bar", "verdict"], rows, name="linearity")


class One:
    """Items c:0 0, c:0 1 ...: a query returns them all in order."""

    def __init__(self, count):
        self.count = count

    def key(self, number):
        return "c:0", number

    def by_score(self, number):
        """The index's key of an item. At first an item's score is its number."""
        return "c:0", number

    def page(self, cursor):
        return ["ITEM.QUERY", "linear", "c:0", "LIMIT", PAGE, *(["CURSOR", cursor] if cursor else [])]

    def some(self, _):
        """A hundred items from a random place in the middle."""
        return ["ITEM.QUERY", "linear", "c:0", "SK", ">=", random.randrange(self.count - PAGE), "LIMIT", PAGE]


class Many:
    """Items c:000000000 0, c:000000001 0 ...: a scan returns them all."""

    def __init__(self, count):
        self.count = count

    def key(self, number):
        return f"c:{number:09}", 0

    def by_score(self, number):
        return f"c:{number:09}", number

    def page(self, cursor):
        return ["ITEM.SCAN", "linear", "LIMIT", PAGE, *(["CURSOR", cursor] if cursor else [])]

    def some(self, cursors):
        """A hundred items from the middle, after a cursor of the walk."""
        return self.page(random.choice(cursors))


def measured(server, shape, requests, rounds, report, dataset):
    """{operation: CPU microseconds in each round}."""
    figures = {}

    def keep(name, value):
        figures.setdefault(name, []).append(value)
        report.keep("linearity", server.name, {"dataset": dataset, "operation": name, "us": value})

    def anywhere():
        return random.randrange(shape.count)

    with Wire(server) as wire:
        for number in range(rounds):
            # The index is read before scores are changed, so that each item is at its first place.
            if number == 0:
                keep("index query of one", wire.cost(
                    lambda: ["ITEM.QUERY", "linear", *index_key(shape, anywhere())], requests, b"*8\r\n$5\r\nitems\r\n*1\r\n"))
            keep("get", wire.cost(lambda: ["ITEM.GET", "linear", *shape.key(anywhere())], requests, b"*8\r\n"))
            keep("update", wire.cost(
                lambda: ["ITEM.UPDATE", "linear", *shape.key(anywhere()), "SET", 1, "v", "x" * 64], requests, b"+OK\r\n"))
            keep("index update", wire.cost(
                lambda: ["ITEM.UPDATE", "linear", *shape.key(anywhere()), "SET", 1, "score:n", anywhere()], requests, b"+OK\r\n"))
            cursors, pages = wire.walk(shape)
            tenth = len(pages) // 10
            keep("paging through all, per page of 100", sum(pages) / len(pages))
            keep("the last tenth of the pages", sum(pages[-tenth:]) / tenth)
            middle = cursors[len(cursors) // 4:-len(cursors) // 4]
            keep("query of 100 from the middle", wire.cost(
                lambda: shape.some(middle), requests // 10, b"*8\r\n$5\r\nitems\r\n*100\r\n"))
    return figures


def index_key(shape, number):
    """Clauses that find one item by its score."""
    partition, score = shape.by_score(number)
    return [partition, "INDEX", "by_score", "SK", "=", score]


class Wire:
    """A second connection that sends requests in pipelines and reads the server's processor clock."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.socket = self.server.connect()
        self.stream = self.socket.makefile("rb", buffering=1 << 16)
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def cost(self, request, count, start):
        """CPU microseconds of the server for each of `count` requests, whose replies must begin with `start`."""
        groups = [b"".join(packed(request()) for _ in range(DEPTH)) for _ in range(max(1, count // DEPTH))]
        time.sleep(0.05)
        before = cpu_seconds(self.server.pid)
        for group in groups:
            self.socket.sendall(group)
            for _ in range(DEPTH):
                reply = self.reply()
                if not reply.startswith(start):
                    raise RuntimeError(f"{self.server.name} answered {reply[:100]!r} where {start!r} was due")
        return (cpu_seconds(self.server.pid) - before) * 1e6 / (len(groups) * DEPTH)

    def walk(self, shape):
        """All cursors of a walk through all items, and the CPU microseconds of each page, as means of several pages."""
        cursors, costs, cursor, seen, together = [], [], None, 0, 20
        while True:
            before = cpu_seconds(self.server.pid)
            pages = 0
            while pages < together:
                self.socket.sendall(packed(shape.page(cursor)))
                reply = self.reply()
                pages += 1
                seen += int(field(reply, b"count"))
                cursor = field(reply, b"cursor")
                if cursor is None:
                    break
                cursors.append(cursor)
            costs += [(cpu_seconds(self.server.pid) - before) * 1e6 / pages] * pages
            if cursor is None:
                break
        if seen != shape.count:
            raise RuntimeError(f"the pages held {seen} items instead of {shape.count}")
        return cursors, costs

    def reply(self):
        """The bytes of one reply."""
        line = self.stream.readline()
        if line[:1] == b"$" and line[1:2] != b"-":
            return line + self.stream.read(int(line[1:]) + 2)
        if line[:1] == b"*" and line[1:2] != b"-":
            return line + b"".join([self.reply() for _ in range(int(line[1:]))])
        if not line:
            raise RuntimeError(f"{self.server.name} closed the connection")
        return line


def field(reply, name):
    """The value of one of the last fields of a page, as text; None if it is nil."""
    value = reply[reply.rindex(b"$%d\r\n%s\r\n" % (len(name), name)):].split(b"\r\n")[2:4]
    if value[0].startswith(b":"):
        return value[0][1:].decode()
    return None if value[0] == b"$-1" else value[1].decode()


def cpu_seconds(pid):
    """Processor time that all threads of a process have used: its clock, as clock_getcpuclockid names it."""
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e9
