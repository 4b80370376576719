"""Sessions: they expire by themselves, live on while they are used, and can be listed and ended per user.

    python sessions.py [redis://127.0.0.1:6379]
"""

import os
import secrets
import sys
import time

import redis

url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("ITEMORY_URL", "redis://127.0.0.1:6379")
db = redis.Redis.from_url(url, decode_responses=True, protocol=3)
run = db.execute_command

LIFETIME_S = 30 * 60

# A user's sessions share a partition key, so that they can be listed. A cookie holds both keys: user and id.
if "sessions" in run("TABLE.LIST")["tables"]:
    run("TABLE.DROP", "sessions")
run("TABLE.CREATE", "sessions", "PK", "user", "S", "SK", "id", "S", "TTL", "expires", "ATTR", "requests", "N")


def log_in(user, device):
    """Begins a session that ends by itself when its lifetime is over."""
    session = secrets.token_urlsafe(16)
    made = run("ITEM.PUT", "sessions", user, session, "SET", 2, "device", device, "requests", 0,
               "IF", "attribute_not_exists(id)", "EX", LIFETIME_S)
    assert made == "OK"
    return session


def touch(user, session):
    """Counts a request and sets the lifetime anew, in one step. None if there is no such session any more."""
    return run("ITEM.UPDATE", "sessions", user, session, "INCR", 1, "requests", 1,
               "IF", "attribute_exists(id)", "EX", LIFETIME_S, "RETURN", "NEW")


def devices(user):
    """All sessions of a user; those that have expired are not among them."""
    return sorted(session["device"] for session in run("ITEM.QUERY", "sessions", user)["items"])


def log_out_elsewhere(user, keep):
    """Ends all sessions of a user but one, all at once."""
    others = run("ITEM.QUERY", "sessions", user, "FIELDS", 1, "id")["items"]
    with db.pipeline(transaction=True) as step:
        for other in others:
            if other["id"] != keep:
                step.execute_command("ITEM.DEL", "sessions", user, other["id"])
        return sum(step.execute())


phone, laptop = log_in("ann", "phone"), log_in("ann", "laptop")
log_in("bob", "tablet")
assert devices("ann") == ["laptop", "phone"] and devices("bob") == ["tablet"]
print("ann is logged in on", devices("ann"))

# Each request finds the session and prolongs it.
touch("ann", phone)
before = int(time.time())
session = touch("ann", phone)
assert session["requests"] == 2 and session["device"] == "phone"
assert before <= session["expires"] - LIFETIME_S <= time.time() + 1
print("her phone's session:", session)

# A session that was made up, or belongs to somebody else, is none.
assert touch("ann", "made-up") is None and touch("bob", phone) is None

# A session that nobody uses is over at its second, for every reader; touching it does not bring it back. This one is given
# a second more.
kiosk = log_in("ann", "kiosk")
assert "kiosk" in devices("ann")
run("ITEM.UPDATE", "sessions", "ann", kiosk, "EX", 1)
deadline = time.time() + 10
while run("ITEM.GET", "sessions", "ann", kiosk):
    assert time.time() < deadline, "the session outlived its lifetime"
    time.sleep(0.05)
assert touch("ann", kiosk) is None and devices("ann") == ["laptop", "phone"]
print("the kiosk's session has expired; left are", devices("ann"))

# Ann changes her password on the phone and is logged out everywhere else.
assert log_out_elsewhere("ann", phone) == 1
assert devices("ann") == ["phone"] and touch("ann", laptop) is None and devices("bob") == ["tablet"]
print("after logging out elsewhere:", devices("ann"))
