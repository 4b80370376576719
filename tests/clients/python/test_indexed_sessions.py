"""Sessions with an index by user, as Spring Session keeps them: a hash for each session, a key that expires first, a set
for each minute, and keyspace events that tell the application which session has ended."""

import time

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry


class Sessions:
    """The keys are Spring Session's. The hash outlives the key that expires, so that the event's receiver can read it."""

    def __init__(self, client):
        self.client = client

    def save(self, name, user, milliseconds):
        with self.client.pipeline(transaction=True) as pipe:
            pipe.hset(f"spring:session:sessions:{name}", mapping={"sessionAttr:user": user, "maxInactiveInterval": milliseconds})
            pipe.pexpire(f"spring:session:sessions:{name}", milliseconds + 300_000)
            pipe.sadd(f"spring:session:index:{user}", name)
            pipe.sadd("spring:session:expirations:1", f"expires:{name}")
            pipe.set(f"spring:session:sessions:expires:{name}", "", px=milliseconds)
            pipe.execute()

    def names(self, user):
        return self.client.smembers(f"spring:session:index:{user}")

    def end(self, name):
        user = self.client.hget(f"spring:session:sessions:{name}", "sessionAttr:user")
        with self.client.pipeline(transaction=True) as pipe:
            pipe.srem(f"spring:session:index:{user}", name)
            pipe.delete(f"spring:session:sessions:{name}")
            pipe.execute()


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_index_follows_what_expires_and_what_is_deleted(server, protocol):
    client = redis.Redis(port=server.port, protocol=protocol, decode_responses=True, retry=Retry(ConstantBackoff(0.02), 100))
    sessions = Sessions(client)

    def listen():
        # The option does not outlive the server, as in Redis, so the application sets it when it starts.
        client.config_set("notify-keyspace-events", "Egx")
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        pubsub.psubscribe("__keyevent@0__:expired", "__keyevent@0__:del")
        while client.pubsub_numpat() < 2:
            pass
        return pubsub

    def follow(pubsub, until):
        """Handles events until a condition holds; returns the events about keys that expire."""
        seen, deadline = [], time.monotonic() + 30
        while not until():
            assert time.monotonic() < deadline
            message = pubsub.get_message(timeout=0.05)
            if message and message["data"].startswith("spring:session:sessions:expires:"):
                name = message["data"].rsplit(":", 1)[1]
                assert client.exists(message["data"]) == 0
                sessions.end(name)
                seen.append((message["channel"].rsplit(":", 1)[1], name))
        return seen

    pubsub = listen()
    sessions.save("short", "ann", 50)
    sessions.save("long", "ann", 600_000)
    sessions.save("other", "bob", 600_000)
    assert sessions.names("ann") == {"short", "long"}
    assert follow(pubsub, lambda: sessions.names("ann") == {"long"}) == [("expired", "short")]
    client.delete("spring:session:sessions:expires:other")
    assert follow(pubsub, lambda: not sessions.names("bob")) == [("del", "other")]
    sessions.save("soon", "ann", 50)
    pubsub.close()
    server.kill9()
    time.sleep(0.1)
    server.up()
    # The session expired while nobody listened, so the application looks through what is to expire in each minute.
    assert sessions.names("ann") == {"soon", "long"}
    for name in client.smembers("spring:session:expirations:1"):
        if not client.exists(f"spring:session:sessions:{name}"):
            sessions.end(name.removeprefix("expires:"))
    assert sessions.names("ann") == {"long"}
    assert client.hget("spring:session:sessions:long", "sessionAttr:user") == "ann"
    pubsub = listen()
    sessions.save("last", "ann", 50)
    assert follow(pubsub, lambda: sessions.names("ann") == {"long"}) == [("expired", "last")]
    pubsub.close()
    client.close()
