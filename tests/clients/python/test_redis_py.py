"""redis-py, blocking, in RESP2 and RESP3."""

import time

import pytest
import redis


def test_handshake(server, protocol):
    client = redis.Redis(port=server.port, protocol=protocol, client_name="suite", decode_responses=True)
    assert client.ping()
    me = client.client_info()
    assert me["name"] == "suite"
    assert str(me["resp"]) == str(protocol)
    assert client.info("server")["redis_version"]


def test_strings(r):
    assert r.set("k", "v")
    assert r.get("k") == "v"
    assert r.get("missing") is None
    assert r.set("k", "w", nx=True) is None
    assert r.set("k", "w", xx=True, get=True) == "v"
    assert r.set("k", "x", ex=100)
    assert 90 < r.ttl("k") <= 100
    assert r.set("k", "y", keepttl=True)
    assert 90 < r.ttl("k") <= 100
    assert r.getex("k", persist=True) == "y"
    assert r.ttl("k") == -1
    assert r.incr("n") == 1
    assert r.incrby("n", 41) == 42
    assert r.decrby("n", 2) == 40
    assert r.incrbyfloat("f", 1.5) == 1.5
    assert r.append("k", "z") == 2
    assert r.getrange("k", 0, 0) == "y"
    assert r.setrange("k", 1, "q") == 2
    assert r.strlen("k") == 2
    assert r.mset({"a": 1, "b": 2})
    assert r.mget("a", "missing", "b") == ["1", None, "2"]
    assert r.msetnx({"a": 1, "c": 2}) is False
    assert r.getdel("a") == "1"
    assert r.setbit("bits", 7, 1) == 0
    assert r.getbit("bits", 7) == 1
    assert r.bitcount("bits") == 1
    assert r.bitfield("field").set("u8", 0, 255).get("u8", 0).execute() == [0, 255]


def test_binary(server, protocol):
    client = redis.Redis(port=server.port, protocol=protocol)
    value = bytes(range(256)) * 100
    assert client.set(b"\x00key\r\n", value)
    assert client.get(b"\x00key\r\n") == value
    payload = client.dump(b"\x00key\r\n")
    assert client.restore(b"copy", 0, payload)
    assert client.get(b"copy") == value


def test_keys(r):
    r.mset({f"k{i}": i for i in range(300)})
    assert set(r.scan_iter(match="k*", count=20)) == {f"k{i}" for i in range(300)}
    assert len(r.keys("k1?")) == 10
    assert r.exists("k1", "k2", "nope") == 2
    assert r.expire("k1", 100) is True
    assert r.expire("k1", 50, gt=True) is False
    assert r.pexpire("k1", 100000) is True
    assert r.persist("k1") is True
    assert r.rename("k1", "renamed")
    assert r.copy("renamed", "copied") is True
    assert r.type("renamed") == "string"
    assert r.object("encoding", "renamed") == "int"
    assert r.delete("renamed", "copied") == 2
    assert r.unlink("k2") == 1
    assert r.dbsize() == 298
    assert r.flushdb()


def test_sets(r):
    assert r.sadd("s", "a", "b", "c") == 3
    assert r.smembers("s") == {"a", "b", "c"}
    assert r.sismember("s", "a") in (1, True)
    assert r.smismember("s", ["a", "x"]) == [1, 0]
    assert r.srem("s", "c", "x") == 1
    assert r.sadd("t", "b", "d") == 2
    assert r.sinter("s", "t") == {"b"}
    assert r.sunion("s", "t") == {"a", "b", "d"}
    assert r.sdiff("s", "t") == {"a"}
    assert r.sintercard(2, ["s", "t"], limit=1) == 1
    assert r.sunionstore("u", "s", "t") == 3
    assert r.smove("u", "s", "d") in (1, True)
    assert r.srandmember("s") in {"a", "b", "d"}
    assert sorted(r.srandmember("s", 9)) == ["a", "b", "d"]
    assert r.spop("t", 5) and not r.exists("t")
    r.sadd("large", *range(1000))
    assert set(r.sscan_iter("large", count=50)) == {str(n) for n in range(1000)}
    assert r.spop("large") not in r.smembers("large")
    assert r.type("large") == "set"
    assert r.object("encoding", "large") == "hashtable"


def test_hashes(r):
    assert r.hset("h", mapping={"a": 1, "b": 2}) == 2
    assert r.hgetall("h") == {"a": "1", "b": "2"}
    assert r.hget("h", "a") == "1"
    assert r.hmget("h", "a", "nope") == ["1", None]
    assert r.hincrby("h", "a", 5) == 6
    assert r.hincrbyfloat("h", "f", 1.5) == 1.5
    assert r.hexists("h", "a") is True
    assert r.hlen("h") == 3
    assert sorted(r.hkeys("h")) == ["a", "b", "f"]
    assert dict(r.hscan_iter("h")) == {"a": "6", "b": "2", "f": "1.5"}
    assert r.hdel("h", "f") == 1
    assert sorted(r.hrandfield("h", 2)) == ["a", "b"]
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        r.get("h")


def test_lists(r):
    assert r.rpush("l", "a", "b", 3) == 3
    assert r.lpush("l", "z") == 4
    assert r.lrange("l", 0, -1) == ["z", "a", "b", "3"]
    assert (r.llen("l"), r.lindex("l", -1), r.lpos("l", "b")) == (4, "3", 2)
    assert r.lset("l", 1, "x")
    assert r.linsert("l", "BEFORE", "x", "w") == 5
    assert r.lrem("l", 0, "w") == 1
    assert r.lmove("l", "m", "LEFT", "RIGHT") == "z"
    assert r.lmpop(2, "none", "l", direction="LEFT", count=2) == ["l", ["x", "b"]]
    assert r.lpop("none") is None
    assert r.lpop("none", 2) is None
    assert r.rpop("l", 5) == ["3"]
    assert list(r.blpop(["l", "m"], 1)) == ["m", "z"]
    assert r.blpop(["l", "m"], 0.01) is None
    assert r.blmove("l", "m", 0.01, "LEFT", "LEFT") is None
    assert r.rpush("n", 3, 1, 2) == 3
    assert r.sort("n", desc=True) == ["3", "2", "1"]
    assert r.sort("n", store="sorted") == 3
    assert r.ltrim("sorted", 1, 1)
    assert r.lrange("sorted", 0, -1) == ["2"]


def test_sorted_sets(r):
    assert r.zadd("z", {"a": 1, "b": 2.5, "c": 3}) == 3
    assert r.zadd("z", {"a": 2}, gt=True, ch=True) == 1
    assert r.zincrby("z", 0.5, "a") == 2.5
    assert r.zscore("z", "b") == 2.5 and r.zscore("z", "nope") is None
    assert r.zmscore("z", ["a", "nope"]) == [2.5, None]
    assert r.zrank("z", "c") == 2 and r.zrevrank("z", "c") == 0
    assert [tuple(pair) for pair in r.zrange("z", 0, -1, withscores=True)] == [("a", 2.5), ("b", 2.5), ("c", 3.0)]
    assert r.zrangebyscore("z", 2, "(3") == ["a", "b"]
    assert r.zcount("z", "-inf", "+inf") == 3
    assert dict(r.zscan_iter("z")) == {"a": 2.5, "b": 2.5, "c": 3.0}
    assert r.zunionstore("u", {"z": 2}) == 3
    assert [tuple(pair) for pair in r.zunion(["z", "u"], withscores=True)][0] == ("a", 7.5)
    assert r.zmpop(2, ["nope", "z"], max=True)[0] == "z"
    popped = r.zpopmin("z", 1)
    assert [float(score) for _, score in [popped[0]]] == [2.5]
    assert r.zremrangebyrank("z", 0, -1) == 1
    assert r.exists("z") == 0


def test_field_times(r):
    if tuple(int(n) for n in r.info("server")["redis_version"].split(".")[:2]) < (7, 4):
        pytest.skip("the server is older than field times")
    r.hset("h", mapping={"a": 1, "b": 2})
    assert r.hexpire("h", 100, "a") == [1]
    left, *others = r.httl("h", "a", "b", "nope")
    assert 90 < left <= 100 and others == [-1, -2]
    assert r.hpersist("h", "a") == [1]
    assert r.hsetex("h", mapping={"c": 3}, ex=50) == 1
    assert r.hgetex("h", "c", persist=True) == ["3"]
    assert r.hgetdel("h", "c") == ["3"]


def test_pipelines_and_transactions(r):
    with r.pipeline(transaction=False) as p:
        for i in range(1000):
            p.set(f"p{i}", i)
        assert all(p.execute())
    with r.pipeline() as p:
        p.incr("n")
        p.get("n")
        assert p.execute() == [1, "1"]
    with r.pipeline() as p:
        p.set("s", "text")
        p.incr("s")
        with pytest.raises(redis.ResponseError, match="not an integer"):
            p.execute()
    with r.pipeline() as p:
        p.watch("watched")
        r.set("watched", 1)
        p.multi()
        p.set("watched", 2)
        with pytest.raises(redis.WatchError):
            p.execute()
    assert r.transaction(lambda p: p.multi() or p.incr("n"), "n") == [2]


def test_errors(r):
    with pytest.raises(redis.ResponseError, match="unknown command"):
        r.execute_command("NOSUCH")
    with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
        r.execute_command("GET")
    with pytest.raises(redis.ResponseError, match="unknown subcommand"):
        r.execute_command("CLIENT NOSUCH")


def test_server_commands(r, server):
    info = r.info()
    assert info["connected_clients"] >= 1
    assert info["role"] == "master"
    assert r.config_get("appendonly") == {"appendonly": "yes"}
    assert r.config_set("maxmemory-policy", "allkeys-lru")
    assert r.command_count() > 100
    assert r.command_getkeys("SET", "k", "v") == ["k"]
    assert "get" in r.command()
    assert len(r.time()) == 2
    assert any(c["addr"] for c in r.client_list())
    assert r.client_setname("me") and r.client_getname() == "me"
    assert r.slowlog_len() >= 0 and r.slowlog_reset()
    assert r.memory_usage("nope") is None
    r.set("k", "v")
    assert r.memory_usage("k") > 0
    assert r.bgsave()
    assert r.lastsave()


def test_another_database(server, protocol):
    one = redis.Redis(port=server.port, db=1, protocol=protocol, decode_responses=True)
    zero = redis.Redis(port=server.port, db=0, protocol=protocol, decode_responses=True)
    one.set("k", "one")
    assert zero.get("k") is None
    assert zero.swapdb(0, 1)
    assert zero.get("k") == "one"


def test_monitor(server, r):
    with r.monitor() as m:
        redis.Redis(port=server.port).set("seen", "1")
        for _ in range(20):
            if m.next_command()["command"] == "SET seen 1":
                break
        else:
            pytest.fail("MONITOR did not show the command")


def test_url_with_password(protocol):
    from server import Server
    s = Server("--requirepass", "secret")
    try:
        client = redis.from_url(f"redis://:secret@127.0.0.1:{s.port}/2?protocol={protocol}")
        assert client.ping()
        assert client.client_info()["db"] == 2
        with pytest.raises(redis.AuthenticationError):
            redis.from_url(f"redis://:wrong@127.0.0.1:{s.port}?protocol={protocol}").ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=s.port, protocol=protocol).ping()
    finally:
        s.close()


def test_kill_9(server, r):
    r.set("stays", "here", ex=1000)
    r.hset("session", mapping={"user": "ann"})
    r.expire("session", 2000)
    server.crash()
    assert r.get("stays") == "here"
    assert 990 < r.ttl("stays") <= 1000
    assert r.hgetall("session") == {"user": "ann"}
    assert 1990 < r.ttl("session") <= 2000


def test_expiry_over_a_restart(server, r):
    r.set("short", "x", px=300)
    server.crash()
    time.sleep(0.35)
    assert r.get("short") is None
