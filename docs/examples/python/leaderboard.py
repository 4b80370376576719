"""A leaderboard: the best scores from an index in descending order, ranks by counting, scores changed atomically.

    python leaderboard.py [redis://127.0.0.1:6379]
"""

import os
import sys

import redis

url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("ITEMORY_URL", "redis://127.0.0.1:6379")
db = redis.Redis.from_url(url, decode_responses=True, protocol=3)
run = db.execute_command

# One item per game and player, found by the player's name; the index keeps the items of a game in the order of their scores.
if "scores" in run("TABLE.LIST")["tables"]:
    run("TABLE.DROP", "scores")
run("DEL", "chess:played")
run("TABLE.CREATE", "scores", "PK", "game", "S", "SK", "player", "S", "ATTR", "score", "N", "won", "N")
run("TABLE.INDEX", "ADD", "scores", "by_score", "PK", "game", "S", "SK", "score", "N")


def play(game, player, points):
    """Adds points to a score and counts the game in a Redis key: both or neither, and the index with them."""
    with db.pipeline(transaction=True) as step:
        step.execute_command("ITEM.ATOMIC")
        step.execute_command("ITEM.UPDATE", "scores", game, player, "INCR", 2, "score", points, "won", int(points > 0),
                             "RETURN", "NEW")
        step.incr(f"{game}:played")
        return step.execute()[1]["score"]


def best(game, count):
    """The players with the highest scores."""
    found = run("ITEM.QUERY", "scores", game, "INDEX", "by_score", "DESC", "LIMIT", count, "FIELDS", 2, "player", "score")
    return [(item["player"], item["score"]) for item in found["items"]]


def rank(game, player):
    """1 for the highest score: one more than there are players with a higher one."""
    score = run("ITEM.GET", "scores", game, player, "FIELDS", 1, "score")["score"]
    return 1 + run("ITEM.QUERY", "scores", game, "INDEX", "by_score", "SK", ">", score, "COUNT")


# A thousand players, each with a score of its own: player-0000 has 0, player-0999 has 9990.
with db.pipeline(transaction=False) as batch:
    for n in range(1000):
        batch.execute_command("ITEM.PUT", "scores", "chess", f"player-{n:04}", "SET", 1, "score", n * 10)
    assert set(batch.execute()) == {"OK"}
assert best("chess", 3) == [("player-0999", 9990), ("player-0998", 9980), ("player-0997", 9970)]
assert rank("chess", "player-0999") == 1 and rank("chess", "player-0000") == 1000
print("the best:", best("chess", 3))

# Ann comes from nowhere. Each read of the index shows her as she is at that moment: it is never behind the items.
assert play("chess", "ann", 9975) == 9975
assert rank("chess", "ann") == 3
assert play("chess", "ann", 20) == 9995
assert rank("chess", "ann") == 1 and best("chess", 1) == [("ann", 9995)]
assert run("GET", "chess:played") == "2"
print("ann is number", rank("chess", "ann"), "after", run("GET", "chess:played"), "games")

# A game that may not count changes nothing: nobody falls below zero, and no game is counted.
with db.pipeline(transaction=True) as step:
    step.execute_command("ITEM.ATOMIC")
    step.incr("chess:played")
    step.execute_command("ITEM.UPDATE", "scores", "chess", "player-0000", "INCR", 1, "score", -5, "IF", "score >= 5")
    try:
        step.execute()
        sys.exit("a score fell below zero")
    except redis.ResponseError as error:
        assert str(error) == "TXCANCELLED 2:ConditionalCheckFailed", error
        print("player-0000 cannot lose 5 points:", error)
assert run("GET", "chess:played") == "2" and rank("chess", "player-0000") == 1001

# The neighbours of a player: some above, nearest first, and some below.
above = run("ITEM.QUERY", "scores", "chess", "INDEX", "by_score", "SK", ">", 5000, "LIMIT", 2)["items"]
below = run("ITEM.QUERY", "scores", "chess", "INDEX", "by_score", "SK", "<", 5000, "DESC", "LIMIT", 2)["items"]
assert [item["player"] for item in above] == ["player-0501", "player-0502"]
assert [item["player"] for item in below] == ["player-0499", "player-0498"]
print("around player-0500:", [item["player"] for item in reversed(above)], [item["player"] for item in below])
