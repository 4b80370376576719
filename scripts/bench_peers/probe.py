"""A probe beside the load, which shows latency over time.

It sends a request every millisecond, whether those before were answered or not, and keeps when it sent each and how long
the reply took; the load client keeps one histogram for a whole run. The probe is a process of its own on the client's
cores. Its latencies hold what a program in Python needs to notice a reply, so what they are to be compared with is what
it saw before the work began. In an open loop the load client polls and never leaves its core of its own accord, so the
probe takes a real-time priority. Where it may not, it waits for milliseconds at a time, which its samples then show.
"""

import gc
import json
import math
import os
import random
import select
import socket
import subprocess
import sys
import time

# Requests a second.
RATE = 1000
# The most requests without a reply, and the seconds for which the probe waits for the last replies.
MAX_UNANSWERED = 100_000
PATIENCE = 60
# The requests of the load client's workloads for a key and a value, and the beginnings of their replies.
REQUESTS = {
    "get": (lambda number, _: ["GET", f"key:{number:012}"], "${size}\r\n"),
    "set": (lambda number, value: ["SET", f"key:{number:012}", value], "+OK\r\n"),
    "item-get": (lambda number, _: ["ITEM.GET", "bench", f"item:{number:011}"], "*12\r\n"),
}


class Probe:
    """Runs the probe while a `with` statement lasts.

    Afterwards `samples` holds, for each request, the second of the monotonic clock when it was sent, and the milliseconds
    that its reply took.
    """

    def __init__(self, server, cores, workload, keys, value_size):
        self.server = server
        self.command = ["taskset", "-c", cores, sys.executable, "-B", "-m", "bench_peers.probe",
                        *map(str, [server.port, workload, keys, value_size])]
        self.samples = []

    def __enter__(self):
        # The probe ends when its standard input is closed, so it does not outlive this process.
        self.process = subprocess.Popen(
            self.command, cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return self

    def stop(self):
        """Makes the probe stop sending; it ends once it has all replies."""
        self.process.stdin.close()

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
        self.stop()
        out, err = self.process.stdout.read(), self.process.stderr.read()
        self.process.wait()
        if kind is None:
            if self.process.returncode != 0:
                raise RuntimeError(f"the probe of {self.server.name} failed: {err.strip()}")
            self.samples = json.loads(out)


def buckets(samples, origin, length):
    """Percentiles of the samples of each `length` seconds, counted from `origin`; a sample belongs where it was sent.

    The first and the last seconds, which are not whole, are left out.
    """
    groups = {}
    for sent, latency in samples:
        groups.setdefault(math.floor((sent - origin) / length), []).append(latency)
    result = []
    for number, latencies in sorted(groups.items())[1:-1]:
        latencies.sort()
        result.append({"at": round(number * length, 3), "count": len(latencies), "p50_ms": quantile(latencies, 0.5),
                       "p99_ms": quantile(latencies, 0.99), "max_ms": round(latencies[-1], 3)})
    return result


def quantile(ordered, share):
    """The smallest value that is not exceeded by at least this share of all values."""
    return round(ordered[max(math.ceil(share * len(ordered)) - 1, 0)], 3)


def end_of_reply(data, at=0):
    """The end of the reply that begins at `at`; None if it is incomplete."""
    line_end = data.find(b"\r\n", at)
    if line_end < 0:
        return None
    kind, after = data[at:at + 1], line_end + 2
    if kind == b"$":
        length = int(data[at + 1:line_end])
        after += length + 2 if length >= 0 else 0
        return after if after <= len(data) else None
    if kind == b"*":
        for _ in range(int(data[at + 1:line_end])):
            after = end_of_reply(data, after)
            if after is None:
                return None
    return after


def probe(port, workload, keys, value_size, ended):
    """Sends requests until `ended` can be read; returns the samples."""
    request, beginning = REQUESTS[workload]
    beginning, value = beginning.format(size=value_size).encode(), "v" * value_size
    waiting, samples, replies, out = [], [], b"", b""
    answered, stop = 0, None
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        due = time.monotonic()
        while stop is None or answered < len(waiting):
            now = time.monotonic()
            while stop is None and due <= now:
                out += packed(request(random.randrange(keys), value))
                waiting.append(now)
                due += 1 / RATE
            if len(waiting) - answered > MAX_UNANSWERED or (stop and now - stop > PATIENCE):
                raise RuntimeError(f"{len(waiting) - answered} requests have no reply")
            if out:
                out = sent(connection, out)
            wait = max(due - time.monotonic(), 0) if stop is None else 0.1
            readers = [connection] if stop else [connection, ended]
            ready, _, _ = select.select(readers, [connection] if out else [], [], wait)
            if ended in ready:
                stop = now
            if connection not in ready:
                continue
            data = connection.recv(1 << 16)
            at, replies = 0, replies + data
            arrived = time.monotonic()
            if not data:
                raise RuntimeError("the server closed the connection")
            while (end := end_of_reply(replies, at)) is not None:
                if not replies.startswith(beginning, at):
                    raise RuntimeError(f"the server answered {replies[at:end][:100]!r}")
                samples.append((waiting[answered], (arrived - waiting[answered]) * 1000))
                answered, at = answered + 1, end
            replies = replies[at:]
    return samples


def sent(connection, data):
    """Sends as much as the socket takes; returns the rest."""
    try:
        return data[connection.send(data):]
    except BlockingIOError:
        return data


def packed(words):
    """A command in RESP."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in (str(word).encode() for word in words)]
    return b"".join(parts)


if __name__ == "__main__":
    # A garbage collection would look like a stall of the server.
    gc.disable()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pass
    try:
        json.dump(probe(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.stdin), sys.stdout)
    except (OSError, RuntimeError) as error:
        sys.exit(str(error))
