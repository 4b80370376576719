"""Sends each request to Itemory, whose replies must fit the service's model, and to the referees, whose replies must be
the same or be covered by an excuse."""

import json

from . import compare, shapes
from .excuses import excuse


class Difference(AssertionError):
    """Two implementations answered differently, and no excuse covers it."""


def short(thing):
    text = thing if isinstance(thing, str) else json.dumps(thing, ensure_ascii=False)
    return text if len(text) < 2000 else text[:2000] + "…"


class Panel:
    """Itemory and its referees, all with the same tables and items."""

    def __init__(self, ours, others):
        self.ours = ours
        self.others = others
        self.keys = {}
        self.creates = {}
        self.compared = 0
        self.excused = {}
        self.differences = []

    def create(self, body):
        name = body["TableName"]
        self.keys[name] = [key["AttributeName"] for key in body["KeySchema"]]
        self.creates[name] = body
        for one in [self.ours, *self.others]:
            make(one, body)

    def ask(self, operation, body):
        """Sends a request to all, and returns Itemory's reply."""
        reply = self.ours.call(operation, body)
        shapes.check(operation, reply)
        for other in self.others:
            if operation in other.lacks:
                if operation.startswith("TransactWrite"):
                    self.copy(other, operation, body)
                continue
            theirs = other.call(operation, body)
            self.compared += 1
            if not compare.same(operation, reply, theirs, other.without):
                self.differ(other, operation, body, reply, theirs)
                if theirs.error == "InternalFailure" and other.restart():
                    self.rebuild(other)
                else:
                    self.copy(other, operation, body)
            else:
                self.verify(other, operation, body)
        return reply

    def differ(self, other, operation, body, ours, theirs):
        name = excuse(other.name, operation, body, ours, theirs)
        self.excused[name] = self.excused.get(name, 0) + 1
        if name is None:
            self.differences.append(f"{operation} {short(body)}\n  itemory: {short(repr(ours))}\n"
                                    f"  {other.name}: {short(repr(theirs))}")

    def verify(self, other, operation, body):
        """Compares the items that a write with equal replies has left."""
        for table, key in touched(operation, body, self.keys):
            get = {"TableName": table, "Key": key, "ConsistentRead": True}
            ours, theirs = self.ours.call("GetItem", get), other.call("GetItem", get)
            self.compared += 1
            if not compare.same("GetItem", ours, theirs, other.without):
                self.differ(other, operation, body, ours, theirs)
                self.copy(other, operation, body)
                return

    def copy(self, other, operation, body):
        """Makes a referee's items equal to Itemory's again, if a request may have changed them."""
        for table, key in touched(operation, body, self.keys):
            reply = self.ours.call("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True})
            if reply.error:
                continue
            if "Item" in reply.body:
                other.call("PutItem", {"TableName": table, "Item": reply.body["Item"]})
            else:
                other.call("DeleteItem", {"TableName": table, "Key": key})

    def rebuild(self, other):
        """Gives an empty referee all tables and items."""
        for name, body in self.creates.items():
            make(other, body)
            start = {}
            while True:
                page = self.ours.call("Scan", {"TableName": name, **start}).body
                for item in page["Items"]:
                    other.call("PutItem", {"TableName": name, "Item": item})
                if "LastEvaluatedKey" not in page:
                    break
                start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def finish(self):
        """Fails with the differences that no excuse covers."""
        if self.differences:
            shown = "\n".join(self.differences[:20])
            raise Difference(f"{len(self.differences)} of {self.compared} comparisons differ:\n{shown}")


def make(one, body):
    """Creates a table and waits until it can be used."""
    reply = one.call("CreateTable", body)
    assert reply.error is None, reply
    while one.call("DescribeTable", {"TableName": body["TableName"]}).body["Table"]["TableStatus"] != "ACTIVE":
        pass


def touched(operation, body, schema):
    """The keys that a request may have changed, as far as the request shows them."""
    found = []

    def note(table, attributes):
        names = schema.get(table) if isinstance(table, str) else None
        if names and isinstance(attributes, dict) and all(name in attributes for name in names):
            found.append((table, {name: attributes[name] for name in names}))

    if operation in ("PutItem", "UpdateItem", "DeleteItem"):
        note(body.get("TableName"), body.get("Item") or body.get("Key"))
    elif operation == "BatchWriteItem" and isinstance(body.get("RequestItems"), dict):
        for table, requests in body["RequestItems"].items():
            for request in requests if isinstance(requests, list) else []:
                for one in members(request):
                    note(table, one.get("Item") or one.get("Key"))
    elif operation == "TransactWriteItems" and isinstance(body.get("TransactItems"), list):
        for action in body["TransactItems"]:
            for one in members(action):
                note(one.get("TableName"), one.get("Item") or one.get("Key"))
    return found


def members(thing):
    """The objects within an object."""
    return [one for one in thing.values() if isinstance(one, dict)] if isinstance(thing, dict) else []
