"""A shopping cart: stock that cannot be oversold, and an order that is placed as a whole or not at all.

    python cart.py [redis://127.0.0.1:6379]
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import redis

url = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("ITEMORY_URL", "redis://127.0.0.1:6379")
db = redis.Redis.from_url(url, decode_responses=True, protocol=3)
run = db.execute_command

# Three tables. A cart's lines share the partition key `user`, so one query reads a whole cart; a line that nobody
# touches for a day expires by its attribute `until`.
for table in set(run("TABLE.LIST")["tables"]) & {"products", "carts", "orders"}:
    run("TABLE.DROP", table)
run("DEL", "orders:placed")
run("TABLE.CREATE", "products", "PK", "sku", "S", "ATTR", "stock", "N", "price", "N")
run("TABLE.CREATE", "carts", "PK", "user", "S", "SK", "sku", "S", "TTL", "until", "ATTR", "qty", "N")
run("TABLE.CREATE", "orders", "PK", "user", "S", "SK", "number", "N", "ATTR", "total", "N")
for sku, stock, price in [("board", 10, 40), ("clock", 1, 25), ("book", 5, 18)]:
    run("ITEM.PUT", "products", sku, "SET", 2, "stock", stock, "price", price)


def stock(sku):
    return run("ITEM.GET", "products", sku, "FIELDS", 1, "stock")["stock"]


def add_to_cart(user, sku, qty):
    run("ITEM.UPDATE", "carts", user, sku, "INCR", 1, "qty", qty, "EX", 24 * 60 * 60)


def order_of(user):
    """The transaction that takes each line of a user's cart out of stock, writes the order and empties the cart."""
    number = run("INCR", "orders:number")
    lines = run("ITEM.QUERY", "carts", user)["items"]
    total = sum(line["qty"] * run("ITEM.GET", "products", line["sku"])["price"] for line in lines)
    order = {"total": total, "lines": [{"sku": line["sku"], "qty": line["qty"]} for line in lines]}
    return number, [
        # The token makes it safe to send this very transaction again when its reply was lost.
        ["ITEM.ATOMIC", "TOKEN", f"order-{number}"],
        *(["ITEM.UPDATE", "products", line["sku"], "INCR", 1, "stock", -line["qty"],
           "IF", "stock >= :n", "VALUES", json.dumps({":n": line["qty"]})] for line in lines),
        ["ITEM.PUT", "orders", user, number, "JSON", json.dumps(order), "IF", "attribute_not_exists(number)"],
        # A cart that was changed meanwhile on another device is not emptied.
        *(["ITEM.DEL", "carts", user, line["sku"], "IF", f"qty = {line['qty']}"] for line in lines),
        ["INCR", "orders:placed"],
    ]


def transact(commands):
    """Sends the commands between MULTI and EXEC."""
    with db.pipeline(transaction=True) as transaction:
        for command in commands:
            transaction.execute_command(*command)
        return transaction.execute()


# One product, one condition: the update happens only if there is enough, and its reply is nil otherwise.
assert run("ITEM.UPDATE", "products", "book", "INCR", 1, "stock", -100, "IF", "stock >= 100") is None
print("a hundred books: refused, and there are still", stock("book"))

# Twenty buyers at the same time, five books: five get one.
with ThreadPoolExecutor(20) as buyers:
    replies = list(buyers.map(
        lambda _: run("ITEM.UPDATE", "products", "book", "INCR", 1, "stock", -1, "IF", "stock >= 1"), range(20)))
assert replies.count("OK") == 5 and stock("book") == 0
print("twenty buyers of five books:", replies.count("OK"), "got one,", stock("book"), "left")

# Ann buys two boards and the only clock.
add_to_cart("ann", "board", 1)
add_to_cart("ann", "board", 1)
add_to_cart("ann", "clock", 1)
assert [(line["sku"], line["qty"]) for line in run("ITEM.QUERY", "carts", "ann")["items"]] == [("board", 2), ("clock", 1)]
number, order = order_of("ann")
transact(order)
assert (stock("board"), stock("clock")) == (8, 0)
assert run("ITEM.QUERY", "carts", "ann", "COUNT") == 0
assert run("ITEM.GET", "orders", "ann", number)["total"] == 105
print("ann's order:", run("ITEM.GET", "orders", "ann", number))

# Bob wants a board and a clock. The clock is gone, so the whole transaction is cancelled: the board stays in stock,
# his cart stays full, and no order is counted. The error says which command failed, counted from ITEM.ATOMIC as 0.
add_to_cart("bob", "board", 1)
add_to_cart("bob", "clock", 1)
try:
    transact(order_of("bob")[1])
    sys.exit("bob bought a clock that was not there")
except redis.ResponseError as error:
    assert str(error) == "TXCANCELLED 2:ConditionalCheckFailed", error
    print("bob's order:", error)
assert stock("board") == 8
assert run("ITEM.QUERY", "carts", "bob", "COUNT") == 2
assert run("ITEM.QUERY", "orders", "bob", "COUNT") == 0
assert run("GET", "orders:placed") == "1"

# Ann's reply got lost and her program sends the same transaction again: it is answered as before, and sells nothing twice.
transact(order)
assert stock("board") == 8 and run("GET", "orders:placed") == "1"
print("ann's order sent again: boards left", stock("board"), "and orders placed", run("GET", "orders:placed"))
