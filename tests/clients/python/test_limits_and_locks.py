"""Limits of rates (limits), and locks over several servers (pottery's Redlock), which are scripts in Lua."""

import threading

import pytest
import redis
from limits import parse
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter
from pottery import Redlock
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from server import Server


@pytest.mark.parametrize("kind", [FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter])
def test_a_limit_holds_over_a_crash(server, kind):
    storage = RedisStorage(f"redis://127.0.0.1:{server.port}", retry=Retry(ConstantBackoff(0.02), 100))
    limiter, limit = kind(storage), parse("5/hour")
    assert [limiter.hit(limit, "user") for _ in range(3)] == [True] * 3
    server.crash()
    assert [limiter.hit(limit, "user") for _ in range(3)] == [True, True, False]
    assert not limiter.test(limit, "user")
    assert limiter.get_window_stats(limit, "user").remaining == 0
    assert limiter.hit(limit, "other", cost=5)
    assert not limiter.hit(limit, "other")
    limiter.clear(limit, "user")
    assert limiter.hit(limit, "user")


@pytest.fixture
def servers():
    all_servers = [Server() for _ in range(3)]
    yield all_servers
    for one in all_servers:
        one.close()


def test_one_at_a_time_has_a_lock_over_three_servers(servers):
    masters = {redis.Redis(port=one.port, retry=Retry(ConstantBackoff(0.02), 100)) for one in servers}
    inside, most, done = 0, 0, 0

    def work():
        nonlocal inside, most, done
        for _ in range(3):
            with Redlock(key="resource", masters=masters, auto_release_time=60):
                inside += 1
                most = max(most, inside)
                done += 1
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, done) == (1, 12)
    kept = Redlock(key="kept", masters=masters, auto_release_time=60)
    assert kept.acquire(blocking=False)
    for one in servers:
        one.crash()
    assert not Redlock(key="kept", masters=masters, auto_release_time=60).acquire(blocking=False)
    assert kept.locked() > 0
    kept.extend()
    kept.release()
    assert Redlock(key="kept", masters=masters, auto_release_time=60).acquire(blocking=False)
