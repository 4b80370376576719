"""redis-py's client-side caching: CLIENT TRACKING in RESP3."""

import threading
import time

import redis
from redis.cache import CacheConfig

KEYS = ["a", "b", "c", "user:1"]


def caching(server):
    return redis.Redis(port=server.port, protocol=3, decode_responses=True, cache_config=CacheConfig())


def until_equal(client, plain, read):
    """Waits until a client sees what the server has. An invalidation comes behind the writer's own reply."""
    end = time.monotonic() + 30
    while read(client) != read(plain):
        assert time.monotonic() < end, (read(client), read(plain))


def test_a_value_is_read_once_and_again_after_it_has_changed(server):
    with caching(server) as client, redis.Redis(port=server.port, decode_responses=True) as plain:
        plain.set("a", "1")
        assert client.get("a") == "1"
        before = plain.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"]
        assert [client.get("a") for _ in range(100)] == ["1"] * 100
        after = plain.info("commandstats")["cmdstat_get"]["calls"]
        assert after == before, "the values came from the cache"
        assert plain.info("stats")["tracking_total_keys"] == 1
        plain.set("a", "2")
        until_equal(client, plain, lambda r: r.get("a"))
        plain.flushall()
        until_equal(client, plain, lambda r: r.get("a"))


def test_views_of_items_are_cached_too(server):
    with caching(server) as client, redis.Redis(port=server.port, decode_responses=True) as plain:
        plain.execute_command("TABLE.CREATE", "users", "PK", "id", "S", "KEYSPACE", "user:{id}")
        plain.hset("user:1", "name", "bob")
        assert client.hget("user:1", "name") == "bob"
        plain.execute_command("ITEM.UPDATE", "users", "1", "SET", "1", "name", "eve")
        until_equal(client, plain, lambda r: r.hget("user:1", "name"))


def test_no_cache_keeps_what_others_have_changed(server):
    with caching(server) as client, redis.Redis(port=server.port, decode_responses=True) as plain:
        over = threading.Event()

        def write():
            with redis.Redis(port=server.port) as own:
                for n in range(100_000):
                    own.set(KEYS[n % len(KEYS)], n)
                    if over.is_set():
                        return

        writer = threading.Thread(target=write)
        writer.start()
        for n in range(2000):
            client.get(KEYS[n % len(KEYS)])
        over.set()
        writer.join()
        until_equal(client, plain, lambda r: [r.get(key) for key in KEYS])
