"""Streams through redis-py: reading, waiting, consumer groups."""

import threading
import time

import pytest
import redis


def entries(reply, key):
    """The entries of a stream, whichever shape the protocol gives the reply."""
    if isinstance(reply, dict):
        found = reply.get(key, [])
        return found[0] if found and isinstance(found[0], list) else found
    return next((found for name, found in reply if name == key), [])


def test_entries(r):
    first = r.xadd("s", {"a": 1, "b": "x"})
    second = r.xadd("s", {"a": 2})
    assert r.xlen("s") == 2
    assert r.xrange("s") == [(first, {"a": "1", "b": "x"}), (second, {"a": "2"})]
    assert r.xrevrange("s", count=1) == [(second, {"a": "2"})]
    assert entries(r.xread({"s": first}), "s") == [(second, {"a": "2"})]
    assert r.xtrim("s", maxlen=1, approximate=False) == 1
    assert r.xdel("s", second) == 1
    info = r.xinfo_stream("s")
    assert info["length"] == 0 and info["last-generated-id"] == second


def test_waiting(server, r, protocol):
    def add():
        with redis.Redis(port=server.port, protocol=protocol) as other:
            while not other.info("clients")["blocked_clients"]:
                time.sleep(0.01)
            other.xadd("s", {"n": 1}, id="5-1")

    assert not r.xread({"s": "$"}, block=20)
    thread = threading.Thread(target=add)
    thread.start()
    assert entries(r.xread({"s": "$"}, block=30000), "s") == [("5-1", {"n": "1"})]
    thread.join()


def test_groups_over_kill_9(server, r):
    for n in range(6):
        r.xadd("s", {"n": n}, id=f"{n + 1}-0")
    assert r.xgroup_create("s", "g", id="0")
    with pytest.raises(redis.ResponseError, match="BUSYGROUP"):
        r.xgroup_create("s", "g")
    got = entries(r.xreadgroup("g", "ann", {"s": ">"}, count=4), "s")
    assert [id for id, _ in got] == ["1-0", "2-0", "3-0", "4-0"]
    assert r.xack("s", "g", "1-0") == 1
    server.crash()
    pending = r.xpending("s", "g")
    assert pending["pending"] == 3 and pending["consumers"] == [{"name": "ann", "pending": 3}]
    assert [id for id, _ in entries(r.xreadgroup("g", "bob", {"s": ">"}), "s")] == ["5-0", "6-0"]
    claimed = r.xautoclaim("s", "g", "bob", min_idle_time=0, count=2)
    assert claimed[0] == "4-0" and [id for id, _ in claimed[1]] == ["2-0", "3-0"]
    group = r.xinfo_groups("s")[0]
    assert group["lag"] == 0 and group["entries-read"] == 6 and group["pending"] == 5
    assert {c["name"]: c["pending"] for c in r.xinfo_consumers("s", "g")} == {"ann": 1, "bob": 4}


def test_workers_share_a_stream(server, r, protocol):
    r.xgroup_create("jobs", "g", mkstream=True)
    done, lock, deadline = [], threading.Lock(), time.monotonic() + 60

    def work(name):
        with redis.Redis(port=server.port, protocol=protocol, decode_responses=True) as client:
            while len(done) < 200 and time.monotonic() < deadline:
                got = client.xreadgroup("g", name, {"jobs": ">"}, count=1, block=100)
                for id, fields in entries(got or [], "jobs"):
                    assert client.xack("jobs", "g", id) == 1
                    with lock:
                        done.append(int(fields["n"]))

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for n in range(200):
        r.xadd("jobs", {"n": n})
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(200))
    assert r.xpending("jobs", "g")["pending"] == 0
