"""The layers of Django's channels: lists and sorted sets with scripts, and publish and subscribe."""

import asyncio

import pytest
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer


@pytest.mark.parametrize("kind", [RedisChannelLayer, RedisPubSubChannelLayer])
def test_messages_reach_channels_and_groups_over_a_crash(server, kind):
    async def run():
        layer = kind(hosts=[f"redis://127.0.0.1:{server.port}"])
        one, other = await layer.new_channel(), await layer.new_channel()
        await layer.send(one, {"type": "hello", "n": 1, "bytes": b"\x00\xff"})
        assert await layer.receive(one) == {"type": "hello", "n": 1, "bytes": b"\x00\xff"}
        for channel in (one, other):
            await layer.group_add("room", channel)
        await layer.group_send("room", {"type": "talk"})
        assert [await layer.receive(channel) for channel in (one, other)] == [{"type": "talk"}] * 2
        await layer.group_discard("room", other)
        await layer.group_send("room", {"type": "again"})
        assert await layer.receive(one) == {"type": "again"}
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(layer.receive(other), 0.05)
        await layer.send("tasks", {"type": "task"})
        await asyncio.to_thread(server.crash)
        # The application's processes start again as well, with channels of their own.
        layer = kind(hosts=[f"redis://127.0.0.1:{server.port}"])
        if kind is RedisChannelLayer:
            assert await layer.receive("tasks") == {"type": "task"}
        channel = await layer.new_channel()
        await layer.group_add("room", channel)
        await layer.group_send("room", {"type": "back"})
        assert await layer.receive(channel) == {"type": "back"}
        await layer.flush()

    asyncio.run(asyncio.wait_for(run(), 60))
