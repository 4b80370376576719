"""Items as hashes: a library that keeps its data in hashes works on a table, across kill -9."""

import pytest
import redis


class Sessions:
    """Sessions in hashes, as web frameworks keep them."""

    def __init__(self, client, lifetime_s):
        self.client, self.lifetime_s = client, lifetime_s

    def save(self, sid, values):
        with self.client.pipeline(transaction=True) as p:
            p.hset(f"sess:{sid}", mapping=values)
            p.expire(f"sess:{sid}", self.lifetime_s)
            p.execute()

    def load(self, sid):
        return self.client.hgetall(f"sess:{sid}")

    def rotate(self, old, new):
        self.client.rename(f"sess:{old}", f"sess:{new}")


def test_an_item_is_a_hash(r):
    assert r.execute_command("TABLE.CREATE", "users", "PK", "id", "S", "TTL", "until", "ATTR", "age", "N",
                             "KEYSPACE", "user:{id}")
    assert r.hset("user:7", mapping={"name": "Ann", "age": 30}) == 2
    assert r.hgetall("user:7") == {"id": "7", "name": "Ann", "age": "30"}
    assert r.hincrby("user:7", "age", 1) == 31
    assert r.hincrbyfloat("user:7", "age", 0.5) == 31.5
    assert r.hmget("user:7", "name", "none") == ["Ann", None]
    assert r.type("user:7") == "hash"
    assert r.expire("user:7", 100)
    assert 90 <= r.ttl("user:7") <= 100
    assert r.persist("user:7")
    assert r.execute_command("ITEM.CHECK", "users", "7", "IF", "age = 31.5 and attribute_not_exists(until)") == 1
    with pytest.raises(redis.ResponseError, match="WRONGTYPE|wrong kind"):
        r.set("user:7", "x")
    with pytest.raises(redis.ResponseError, match="is a key"):
        r.hset("user:7", "id", "8")
    assert list(r.scan_iter("user:*")) == ["user:7"]
    assert dict(r.hscan_iter("user:7")) == {"id": "7", "name": "Ann", "age": "31.5"}
    assert r.delete("user:7", "none") == 1
    assert not r.exists("user:7")


def test_optimistic_locking_notices_item_commands(r):
    r.execute_command("TABLE.CREATE", "users", "PK", "id", "S", "KEYSPACE", "user:{id}")
    with r.pipeline() as p:
        p.watch("user:7")
        r.execute_command("ITEM.PUT", "users", "7", "SET", "1", "a", "b")
        p.multi()
        p.hset("user:7", "a", "c")
        with pytest.raises(redis.WatchError):
            p.execute()
    assert r.hget("user:7", "a") == "b"


def test_sessions_move_into_a_table(server, protocol):
    client = redis.Redis(port=server.port, protocol=protocol, decode_responses=True)
    sessions = Sessions(client, 3600)
    for n in range(50):
        sessions.save(n, {"user": f"u{n % 5}", "visits": n})
    client.execute_command("TABLE.CREATE", "sessions", "KEYSPACE", "sess:*", "PK", "key", "TTL", "until",
                           "ATTR", "visits", "N", "INDEX", "by-user", "PK", "user", "S")
    loaded = sessions.load(7)
    assert loaded["user"] == "u2" and loaded["visits"] == "7" and loaded["key"] == "sess:7"
    assert 3590 <= client.ttl("sess:7") <= 3600
    sessions.save("new", {"user": "u2", "visits": 1})
    sessions.rotate(7, "rotated")
    count = ("ITEM.QUERY", "sessions", "u2", "INDEX", "by-user", "COUNT")
    assert client.execute_command(*count) == 11

    client.close()
    server.crash()

    client = redis.Redis(port=server.port, protocol=protocol, decode_responses=True)
    sessions = Sessions(client, 3600)
    assert client.execute_command(*count) == 11
    assert sessions.load("rotated")["visits"] == "7"
    assert not client.exists("sess:7")
    assert 3580 <= client.ttl("sess:rotated") <= 3600
    client.close()
