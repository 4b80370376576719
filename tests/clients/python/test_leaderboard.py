"""A leaderboard of a million players: scores come in batches, players ask for their rank and for those around them, and
the server is killed in the middle."""

import random

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

PLAYERS = 1_000_000
BATCH = 1000
BOARD = "board"


def player(n):
    return b"player:%07d" % n


def score(n):
    """Scores that are all different, in an order that has nothing to do with that of the names."""
    return n * 7919 % PLAYERS


def at_rank(rank):
    """The player whose rank from the top is `rank` as long as nobody has scored since."""
    return player((PLAYERS - 1 - rank) * pow(7919, -1, PLAYERS) % PLAYERS)


@pytest.fixture
def board(server):
    client = redis.Redis(port=server.port, protocol=2, retry=Retry(ConstantBackoff(0.02), 200))
    yield client
    client.close()


def fill(board, first, end):
    pipe = board.pipeline(transaction=False)
    for start in range(first, end, BATCH):
        pipe.zadd(BOARD, {player(n): score(n) for n in range(start, start + BATCH)})
        if start // BATCH % 20 == 19:
            pipe.execute()
    pipe.execute()


def check(board, numbers):
    """The ranks, scores and neighbours of these players, of whom nobody has scored since the board was filled."""
    pipe = board.pipeline(transaction=False)
    for n in numbers:
        rank = PLAYERS - 1 - score(n)
        pipe.zrevrank(BOARD, player(n))
        pipe.zscore(BOARD, player(n))
        pipe.zrange(BOARD, max(rank - 5, 0), rank + 5, desc=True, withscores=True)
    replies = iter(pipe.execute())
    for n in numbers:
        rank = PLAYERS - 1 - score(n)
        assert next(replies) == rank
        assert next(replies) == score(n)
        ranks = range(max(rank - 5, 0), min(rank + 6, PLAYERS))
        assert next(replies) == [(at_rank(r), PLAYERS - 1 - r) for r in ranks]


def test_a_million_players(server, board):
    draw = random.Random(1)
    fill(board, 0, PLAYERS // 2)
    server.crash()
    assert board.zcard(BOARD) == PLAYERS // 2
    fill(board, PLAYERS // 2, PLAYERS)
    assert board.zcard(BOARD) == PLAYERS
    check(board, [draw.randrange(PLAYERS) for _ in range(1000)])
    assert board.zrange(BOARD, 0, 2, desc=True) == [at_rank(0), at_rank(1), at_rank(2)]
    assert board.zcount(BOARD, 250_000, 749_999) == 500_000

    # Some win, again and again. What was answered when the server is killed is there afterwards.
    winners = [player(n) for n in draw.sample(range(PLAYERS), 200)]
    scores = dict(zip(winners, board.zmscore(BOARD, winners)))
    for turn in range(2000):
        if turn == 1000:
            server.crash()
        name, gain = draw.choice(winners), draw.randrange(1, 5000) / 4
        scores[name] += gain
        assert board.zincrby(BOARD, gain, name) == scores[name]
    assert board.zmscore(BOARD, winners) == [scores[name] for name in winners]
    for name in winners[:50]:
        above = board.zcount(BOARD, "(%r" % scores[name], "+inf")
        same = board.zrange(BOARD, scores[name], scores[name], byscore=True)
        assert board.zrevrank(BOARD, name) == above + sum(other > name for other in same)

    # The season ends: those below the middle go, and the others begin again in a board of their own.
    assert board.zremrangebyrank(BOARD, 0, PLAYERS // 2 - 1) == PLAYERS // 2
    assert board.zrangestore("season", BOARD, 0, 99, desc=True) == 100
    assert board.zcard(BOARD) == PLAYERS // 2
    assert board.zrange("season", 0, -1, withscores=True) == board.zrange(BOARD, -100, -1, withscores=True)
