"""redis-py's publish and subscribe, in RESP2 and RESP3."""

import threading

import redis


def messages(pubsub, count):
    """The next messages but confirmations, as (type, pattern, channel, data)."""
    got = []
    while len(got) < count:
        message = pubsub.get_message(ignore_subscribe_messages=True, timeout=30)
        if message:
            got.append((message["type"], message["pattern"], message["channel"], message["data"]))
    return got


def until_subscribed(r, **counts):
    """Waits until channels have so many subscribers: a client sends SUBSCRIBE without waiting for the confirmation."""
    while any(dict(r.pubsub_numsub(name))[name] != count for name, count in counts.items()):
        pass


def test_channels_and_patterns(r):
    with r.pubsub() as pubsub:
        pubsub.subscribe("news", "other")
        pubsub.psubscribe("n*")
        confirmed = [pubsub.get_message(timeout=30) for _ in range(3)]
        assert [m["type"] for m in confirmed] == ["subscribe", "subscribe", "psubscribe"]
        assert [m["data"] for m in confirmed] == [1, 2, 3]
        assert sorted(r.pubsub_channels()) == ["news", "other"]
        assert r.pubsub_numpat() == 1
        assert r.publish("news", "hello") == 2
        assert messages(pubsub, 2) == [("message", None, "news", "hello"), ("pmessage", "n*", "news", "hello")]
        pubsub.unsubscribe()
        pubsub.punsubscribe()
        while pubsub.subscribed:
            pubsub.get_message(timeout=30)
        assert r.publish("news", "nobody") == 0


def test_shard_channels(r):
    with r.pubsub() as pubsub:
        pubsub.ssubscribe("orders")
        assert pubsub.get_message(timeout=30)["type"] == "ssubscribe"
        assert r.spublish("orders", "one") == 1
        assert r.publish("orders", "another world") == 0
        assert messages(pubsub, 1) == [("smessage", None, "orders", "one")]
        assert dict(r.pubsub_shardnumsub("orders")) == {"orders": 1}


def test_handlers_in_a_thread(r):
    got, done = [], threading.Event()

    def handler(message):
        got.append(message["data"])
        if len(got) == 100:
            done.set()

    with r.pubsub() as pubsub:
        pubsub.subscribe(jobs=handler)
        thread = pubsub.run_in_thread(sleep_time=0.01)
        until_subscribed(r, jobs=1)
        with r.pipeline(transaction=True) as pipe:
            for n in range(100):
                pipe.publish("jobs", n)
            assert pipe.execute() == [1] * 100
        assert done.wait(30)
        thread.stop()
        thread.join()
    assert got == [str(n) for n in range(100)]


def test_binary(server, protocol):
    client = redis.Redis(port=server.port, protocol=protocol)
    with client.pubsub() as pubsub:
        pubsub.subscribe(b"\x00\r\n\xff")
        assert pubsub.get_message(timeout=30)["type"] == "subscribe"
        data = bytes(range(256)) * 1000
        assert client.publish(b"\x00\r\n\xff", data) == 1
        assert messages(pubsub, 1) == [("message", None, b"\x00\r\n\xff", data)]


def test_the_ping_of_a_subscriber(server):
    # In RESP3 the answer is that of any client, which redis-py does not take for a message.
    with redis.Redis(port=server.port, protocol=2, decode_responses=True).pubsub() as pubsub:
        pubsub.subscribe("a")
        assert pubsub.get_message(timeout=30)["type"] == "subscribe"
        pubsub.ping("are you there")
        message = pubsub.get_message(timeout=30)
        assert (message["type"], message["data"]) == ("pong", "are you there")


def test_subscriptions_come_back_after_kill_9(server, r):
    with r.pubsub() as pubsub:
        pubsub.subscribe("a")
        assert pubsub.get_message(timeout=30)["type"] == "subscribe"
        server.kill9()
        server.up()
        while not (message := pubsub.get_message(timeout=30)) or message["type"] != "subscribe":
            pass
        assert r.publish("a", "back") == 1
        assert messages(pubsub, 1) == [("message", None, "a", "back")]
