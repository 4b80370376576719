"""Progress of learners: streaks, points, counters and badges, each changed by one update expression.

    python progress.py [redis://127.0.0.1:6379]
"""

import json
import os
import sys

import redis

url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("ITEMORY_URL", "redis://127.0.0.1:6379")
db = redis.Redis.from_url(url, decode_responses=True, protocol=3)
run = db.execute_command

# One item per learner.
if "progress" in run("TABLE.LIST")["tables"]:
    run("TABLE.DROP", "progress")
run("TABLE.CREATE", "progress", "PK", "user", "S", "ATTR", "points", "N")


def enrol(user):
    """Makes the learner's item; one that is there stays as it is."""
    new = {"streak": 0, "best": 0, "points": 0, "last": 0, "lessons": {}}
    return run("ITEM.PUT", "progress", user, "JSON", json.dumps(new), "IF", "attribute_not_exists(user)") == "OK"


def finish_lesson(user, lesson, day, points):
    """Counts a lesson finished on a day (days since 1970), and gives the learner's item as it is then.

    On the day after the last one the streak grows, on the same day it stays, and later it begins again. The three conditions
    exclude each other, so exactly one of these updates happens, and each is one atomic step.
    """
    for condition, streak in [(f"last = {day - 1}", "streak + 1"), (f"last = {day}", "streak"), (f"last < {day - 1}", "1")]:
        item = run(
            "ITEM.UPDATE", "progress", user, "INCR", 1, "points", points,
            "EXPR", f"SET streak = {streak}, last = {day}, started = if_not_exists(started, :day), "
                    "lessons.#name = if_not_exists(lessons.#name, :none) + :one",
            "IF", condition, "NAMES", json.dumps({"#name": lesson}),
            "VALUES", json.dumps({":day": day, ":none": 0, ":one": 1}), "RETURN", "NEW")
        if item:
            break
    # The best streak only ever grows, whoever writes it and in whatever order.
    run("ITEM.UPDATE", "progress", user, "EXPR", "SET best = streak", "IF", "best < streak")
    if item["streak"] == 7:
        award(user, "week")
    if item["points"] >= 100:
        award(user, "century")
    return item


def award(user, badge):
    """Badges are a set: one that the learner has is not added again."""
    run("ITEM.UPDATE", "progress", user, "ADD", 1, "badges:ss", json.dumps([badge]))


assert enrol("ann") and enrol("bob")
assert not enrol("ann")

# Ann learns on seven days in a row, twice on the last of them.
FIRST = 20_000
for n in range(7):
    item = finish_lesson("ann", "algebra", FIRST + n, 10)
    assert item["streak"] == n + 1
item = finish_lesson("ann", "logic", FIRST + 6, 15)
assert item["streak"] == 7 and item["points"] == 85
print("after a week:", run("ITEM.GET", "progress", "ann"))

# She misses a day: the streak begins again, the best one stays.
item = finish_lesson("ann", "logic", FIRST + 8, 15)
ann = run("ITEM.GET", "progress", "ann")
assert (ann["streak"], ann["best"], ann["points"], ann["started"]) == (1, 7, 100, FIRST)
assert ann["lessons"] == {"algebra": 7, "logic": 2}
assert sorted(ann["badges"]) == ["century", "week"]
print("after a missed day:", ann)

# Only what is asked for travels: one counter out of the map.
assert run("ITEM.GET", "progress", "ann", "FIELDS", 1, "lessons.logic") == {"lessons": {"logic": 2}}

# Who has a badge? A condition on one learner, a filter over all.
finish_lesson("bob", "logic", FIRST, 5)
assert run("ITEM.CHECK", "progress", "ann", "IF", 'contains(badges, "week")') == 1
assert run("ITEM.CHECK", "progress", "bob", "IF", 'contains(badges, "week")') is None
holders = run("ITEM.SCAN", "progress", "WHERE", 'contains(badges, "week")', "FIELDS", 1, "user")["items"]
assert holders == [{"user": "ann"}]
print("has the badge `week`:", holders[0]["user"])

# Spending points needs enough of them. A badge can be taken back, too.
assert run("ITEM.UPDATE", "progress", "bob", "INCR", 1, "points", -50, "IF", "points >= 50") is None
assert run("ITEM.UPDATE", "progress", "ann", "INCR", 1, "points", -50, "IF", "points >= 50",
           "EXPR", "DELETE badges :gone", "VALUES", '{":gone":{"SS":["century"]}}', "RETURN", "UPDATED") == \
    {"points": 50, "badges": ["week"]}
print("bob cannot spend 50 points, ann can")
