"""Compares replies: sets have no order, a number has many spellings, and a scan may have any order."""

import base64
import json
from decimal import Decimal


def number(text):
    """A number in one spelling, whatever its spelling in the reply is; a text that is no number stays."""
    try:
        value = Decimal(text)
    except ArithmeticError:
        return text
    return "0" if value == 0 else str(value.normalize())


def value(tagged):
    """A typed value in one form."""
    if not isinstance(tagged, dict) or len(tagged) != 1:
        return tagged
    (tag, inner), = tagged.items()
    if tag == "N":
        inner = number(inner)
    elif tag == "NS":
        inner = sorted(number(n) for n in inner)
    elif tag in ("SS", "BS"):
        inner = sorted(inner)
    elif tag == "L":
        inner = [value(v) for v in inner]
    elif tag == "M":
        inner = item(inner)
    return {tag: inner}


def item(attributes):
    return {name: value(v) for name, v in attributes.items()}


def capacity(consumed):
    """Compares numbers as numbers: 1 and 1.0 are equal."""
    if isinstance(consumed, dict):
        return {name: capacity(inner) for name, inner in consumed.items()}
    if isinstance(consumed, list):
        return sorted((capacity(one) for one in consumed), key=lambda one: one["TableName"])
    return float(consumed) if isinstance(consumed, (int, float)) else consumed


def _any_order(items):
    return sorted((item(i) for i in items), key=lambda i: json.dumps(i, sort_keys=True))


def canonical(operation, body):
    """A reply's body in a form that is equal if and only if the replies mean the same."""
    out = {}
    for name, member in body.items():
        if name in ("Item", "Attributes", "LastEvaluatedKey"):
            member = item(member)
        elif name == "Items":
            member = _any_order(member) if operation == "Scan" else [item(i) for i in member]
        elif name == "ConsumedCapacity":
            member = capacity(member)
        elif name == "Responses" and operation == "BatchGetItem":
            member = {table: _any_order(items) for table, items in member.items()}
        elif name == "Responses":
            member = [{"Item": item(one["Item"])} if one.get("Item") is not None else {} for one in member]
        elif name == "CancellationReasons":
            member = [{**one, **({"Item": item(one["Item"])} if one.get("Item") else {})} for one in member]
        elif name in ("message", "Message"):
            name = "message"
        elif name == "__type":
            continue
        out[name] = member
    return out


def same(operation, ours, theirs, without=()):
    """Whether two replies mean the same, without some members."""
    if ours.error != theirs.error:
        return False
    ours, theirs = canonical(operation, ours.body), canonical(operation, theirs.body)
    for name in without:
        ours.pop(name, None)
        theirs.pop(name, None)
    return ours == theirs


def binary(data):
    return {"B": base64.b64encode(data).decode()}
