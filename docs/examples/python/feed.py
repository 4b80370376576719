"""A feed of device readings: millions of items in time order, read by time range, forgotten after a week.

    python feed.py [redis://127.0.0.1:6379] [--readings 5000000] [--devices 100]
"""

import argparse
import os
import random
import time

import redis

parser = argparse.ArgumentParser()
parser.add_argument("url", nargs="?", default=os.environ.get("ITEMORY_URL", "redis://127.0.0.1:6379"))
parser.add_argument("--readings", type=int, default=5_000_000, help="of all devices together (%(default)s)")
parser.add_argument("--devices", type=int, default=100, help="(%(default)s)")
options = parser.parse_args()
each = options.readings // options.devices
assert each >= 1000, "a device needs at least 1000 readings"

db = redis.Redis.from_url(options.url, decode_responses=True, protocol=3)
run = db.execute_command

WEEK_S = 7 * 24 * 60 * 60
BATCH = 1000

# A device's readings lie together in the order of their time: one reading a second, the newest of them now.
if "feed" in run("TABLE.LIST")["tables"]:
    run("TABLE.DROP", "feed")
run("TABLE.CREATE", "feed", "PK", "device", "S", "SK", "at", "N", "TTL", "until", "ATTR", "watts", "N")
now = int(time.time())
start = now - each


def device(number):
    return f"meter-{number:05}"


def watts(number, at):
    """What a device measured; a rule, so that the sums below can be checked."""
    return (at + number) % 1000


# Write, many readings with one round trip. Each lives for a week from now.
begin = time.monotonic()
with db.pipeline(transaction=False) as batch:
    for first in range(0, each, BATCH // 10):
        for number in range(options.devices):
            for at in range(start + first, start + min(first + BATCH // 10, each)):
                batch.execute_command("ITEM.PUT", "feed", device(number), at, "SET", 1, "watts", watts(number, at), "EX", WEEK_S)
            if len(batch) >= BATCH:
                assert set(batch.execute()) == {"OK"}
    assert not len(batch) or set(batch.execute()) == {"OK"}
seconds = time.monotonic() - begin
count = each * options.devices
memory = int(db.info("memory")["used_memory"])
print(f"{count:,} readings of {options.devices} devices written in {seconds:.1f} s, {count / seconds:,.0f} a second")
print(f"the server uses {memory / 1e6:,.0f} MB of memory, with everything else in it")


def query(number, *clauses):
    return run("ITEM.QUERY", "feed", device(number), *clauses)


# Read a minute from the middle of a device's feed: in order, or as one figure that the server works out.
middle = start + each // 2
minute = ["SK", "BETWEEN", middle, middle + 59]
readings = query(7, *minute)["items"]
expected = [watts(7, at) for at in range(middle, middle + 60)]
assert [reading["at"] for reading in readings] == list(range(middle, middle + 60))
assert [reading["watts"] for reading in readings] == expected
assert query(7, *minute, "COUNT") == 60
assert query(7, *minute, "MAX", "watts") == max(expected)
# An average that no double says exactly, such as a third, comes as text with 38 digits.
assert abs(float(query(7, *minute, "AVG", "watts")) - sum(expected) / 60) < 1e-9
print("a minute of", device(7), "has", len(readings), "readings, at most", max(expected), "watts")

# The latest reading, and the last ones above a threshold.
[latest] = query(7, "DESC", "LIMIT", 1)["items"]
assert latest["at"] == start + each - 1
high = query(7, "SK", ">=", now - 600, "WHERE", "watts > 990", "DESC", "FIELDS", 1, "at")["items"]
assert [reading["at"] for reading in high] == [at for at in range(now - 1, now - 601, -1) if watts(7, at) > 990]
print("its latest:", latest)

# A long range page by page: send the cursor of the last page to go on behind it.
seen, cursor = [], []
while True:
    page = query(7, "SK", ">=", now - 1000, "LIMIT", 300, *cursor)
    seen += [reading["at"] for reading in page["items"]]
    if page["cursor"] is None:
        break
    cursor = ["CURSOR", page["cursor"]]
assert seen == list(range(now - 1000, now))
print("the last", len(seen), "readings came in pages of 300")

# How long does a query of a minute take, whichever device and time?
times = []
for _ in range(1000):
    at = random.randrange(start, start + each - 60)
    begin = time.perf_counter()
    found = query(random.randrange(options.devices), "SK", "BETWEEN", at, at + 59)["count"]
    times.append(time.perf_counter() - begin)
    assert found == 60
times.sort()
print(f"a minute out of {count:,} readings takes {times[500] * 1e6:.0f} us (median), {times[990] * 1e6:.0f} us (p99)")

# Readings are forgotten by themselves: this one after three seconds.
run("ITEM.PUT", "feed", device(7), now + 1, "SET", 1, "watts", 1, "EX", 3)
assert query(7, "SK", ">", now, "COUNT") == 1
deadline = time.time() + 10
while query(7, "SK", ">", now, "COUNT"):
    assert time.time() < deadline, "the reading outlived its lifetime"
    time.sleep(0.05)
assert query(7, "COUNT") == each
print("a reading that lived for three seconds is gone")
