"""redis-py with asyncio, in RESP2 and RESP3."""

import asyncio

import pytest
import redis
import redis.asyncio as aredis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff


def client(server, protocol):
    return aredis.Redis(port=server.port, protocol=protocol, decode_responses=True,
                        max_connections=1000,
                        retry=Retry(ConstantBackoff(0.02), 20))


def test_commands(server, protocol):
    async def story():
        async with client(server, protocol) as r:
            assert await r.ping()
            assert await r.set("k", "v", ex=100)
            assert await r.get("k") == "v"
            assert 90 < await r.ttl("k") <= 100
            assert await r.hset("h", mapping={"a": 1}) == 1
            assert await r.hgetall("h") == {"a": "1"}
            assert [k async for k in r.scan_iter()] and await r.dbsize() == 2
            async with r.pipeline(transaction=True) as p:
                assert await p.incr("n").incr("n").get("n").execute() == [1, 2, "2"]
            async with r.pipeline() as p:
                await p.watch("n")
                await r.incr("n")
                p.multi()
                p.incr("n")
                with pytest.raises(redis.WatchError):
                    await p.execute()
            with pytest.raises(redis.ResponseError):
                await r.execute_command("NOSUCH")
    asyncio.run(story())


def test_many_at_once(server, protocol):
    async def story():
        async with client(server, protocol) as r:
            await asyncio.gather(*(r.incr("n") for _ in range(500)))
            assert await r.get("n") == "500"
    asyncio.run(story())


def test_kill_9(server, protocol):
    async def story():
        async with client(server, protocol) as r:
            await asyncio.gather(*(r.set(f"k{i}", i, ex=1000) for i in range(200)))
            server.crash()
            assert await r.mget([f"k{i}" for i in range(200)]) == [str(i) for i in range(200)]
            assert 990 < await r.ttl("k0") <= 1000
    asyncio.run(story())
