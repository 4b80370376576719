"""Requests with the legacy parameters, listed one by one, on the items of `corners`."""

from .corners import KEY, NESTED

OPERATORS = ["EQ", "NE", "LE", "LT", "GE", "GT", "NOT_NULL", "NULL", "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH", "IN", "BETWEEN"]

VALUES = [
    {"S": "hello"}, {"S": "ell"}, {"S": "he"}, {"S": ""}, {"N": "5"}, {"N": "5.0"}, {"N": "1"}, {"B": "YWJj"}, {"B": "YWI="}, {"BOOL": True}, {"NULL": True},
    {"L": []}, {"M": {}}, {"SS": ["a"]}, {"SS": ["c", "a", "b"]}, {"NS": ["3", "1", "2.0"]}, {"BS": ["YQ==", "Yg=="]}, {"L": [{"N": "1"}]}, NESTED["l"], NESTED["m"],
]

ATTRIBUTES = ["n", "s", "b", "t", "z", "l", "m", "ss", "ns", "bs", "e", "missing"]

FAULTY = [
    {}, {"Exists": True}, {"Exists": False}, {"Exists": "true"}, {"Exists": "x"}, {"Exists": 1}, {"Value": {"N": "5"}}, {"Value": {"N": "6"}}, {"Value": {"N": "5"}, "Exists": True}, {"Value": {"N": "5"}, "Exists": False},
    {"Value": {}}, {"Value": {"N": "x"}}, {"Value": {"S": "a", "N": "1"}}, {"Value": {"SS": []}}, {"Value": "x"}, {"Value": []}, {"Value": None}, {"Value": {"NULL": False}},
    {"ComparisonOperator": "EQ"}, {"ComparisonOperator": "eq"}, {"ComparisonOperator": ""}, {"ComparisonOperator": 1}, {"ComparisonOperator": "NULL", "Exists": True}, {"ComparisonOperator": "EQ", "Exists": False, "Value": {"N": "5"}},
    {"ComparisonOperator": "EQ", "Value": {"N": "5"}}, {"ComparisonOperator": "EQ", "Value": {"N": "5"}, "AttributeValueList": [{"N": "5"}]}, {"ComparisonOperator": "BETWEEN", "Value": {"N": "5"}}, {"ComparisonOperator": "NULL", "Value": {"N": "5"}},
    {"ComparisonOperator": "LT", "Value": {"BOOL": True}}, {"ComparisonOperator": "EQ", "AttributeValueList": []}, {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": "5"}, {"N": "6"}]}, {"ComparisonOperator": "EQ", "AttributeValueList": "x"},
    {"ComparisonOperator": "EQ", "AttributeValueList": {}}, {"ComparisonOperator": "EQ", "AttributeValueList": ["x"]}, {"ComparisonOperator": "EQ", "AttributeValueList": [{}]}, {"ComparisonOperator": "EQ", "AttributeValueList": [{"N": "x"}]}, {"ComparisonOperator": "EQ", "AttributeValueList": [None]},
    {"ComparisonOperator": "EQ", "AttributeValueList": [{"SS": []}]}, {"ComparisonOperator": "EQ", "AttributeValueList": [{"NULL": False}]}, {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a", "N": "1"}]}, {"AttributeValueList": [{"N": "5"}]}, {"AttributeValueList": [{"N": "5"}], "Value": {"N": "5"}}, {"AttributeValueList": [], "Exists": True},
    {"AttributeValueList": [{"N": "5"}], "Exists": True}, {"AttributeValueList": [{"N": "5"}], "Exists": False}, {"ComparisonOperator": "NULL", "AttributeValueList": []}, {"ComparisonOperator": "NOT_NULL", "AttributeValueList": [{"N": "5"}]},
    {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "1"}]}, {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "1"}, {"N": "9"}, {"N": "9"}]}, {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "9"}, {"N": "1"}]}, {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "1"}, {"S": "9"}]},
    {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"S": "b"}, {"S": "a"}]}, {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"B": "Yg=="}, {"B": "YQ=="}]}, {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"BOOL": True}, {"BOOL": True}]}, {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"N": "1"}, {"N": "9"}]},
    {"ComparisonOperator": "IN", "AttributeValueList": []}, {"ComparisonOperator": "IN", "AttributeValueList": [{"N": "1"}, {"N": "5"}]}, {"ComparisonOperator": "IN", "AttributeValueList": [{"N": "1"}, {"S": "5"}]}, {"ComparisonOperator": "IN", "AttributeValueList": [{"N": str(i)} for i in range(101)]},
    {"ComparisonOperator": "IN", "AttributeValueList": [{"SS": ["a"]}, {"SS": ["b"]}]}, {"ComparisonOperator": "IN", "AttributeValueList": [{"N": "1"}, {"SS": ["b"]}]}, {"ComparisonOperator": "BEGINS_WITH", "AttributeValueList": [{"N": "1"}, {"N": "9"}]}, {"ComparisonOperator": "BEGINS_WITH", "AttributeValueList": [{"N": "1"}, {"S": "9"}]},
    "x", [], 1, None,
]


def _members(value):
    return {name: one for name, one in value.items() if one is not None} if isinstance(value, dict) else value


def _conditions():
    """A condition for each operator with each value."""
    for operator in OPERATORS:
        if operator in ("NULL", "NOT_NULL"):
            yield {"ComparisonOperator": operator}
        elif operator == "BETWEEN":
            for value in VALUES:
                yield {"ComparisonOperator": operator, "AttributeValueList": [value, value]}
        else:
            for value in VALUES:
                yield {"ComparisonOperator": operator, "AttributeValueList": [value]}


def expected():
    def delete(conditions, **more):
        return "UpdateItem", {"TableName": "hash", "Key": KEY, "Expected": conditions, **more}

    for one in _conditions():
        for attribute in ATTRIBUTES:
            yield delete({attribute: one})
    for one in map(_members, FAULTY):
        yield delete({"n": one})
        yield "PutItem", {"TableName": "hash", "Item": NESTED, "Expected": {"n": one}}
        yield "DeleteItem", {"TableName": "hash", "Key": KEY, "Expected": {"n": one}}
    true, false = {"ComparisonOperator": "NOT_NULL"}, {"ComparisonOperator": "NULL"}
    for operator in ("AND", "OR", "XOR", "and", "", 1, None):
        more = {} if operator is None else {"ConditionalOperator": operator}
        for conditions in [{"n": true, "s": true}, {"n": true, "s": false}, {"n": false, "s": true}, {"n": false, "s": false}, {"n": true}, {}, None, [], "x", {"": true}, {"n": true, "s": {}}, {"m.a": true}, {"id": true}]:
            body = {"Expected": conditions} if conditions is not None else {}
            yield "UpdateItem", {"TableName": "hash", "Key": KEY, **body, **more}
            yield "PutItem", {"TableName": "hash", "Item": NESTED, **body, **more}
            yield "DeleteItem", {"TableName": "hash", "Key": KEY, **body, **more}
    for more in [
        {"ConditionExpression": "attribute_exists(n)"}, {"ConditionExpression": ""}, {"ConditionExpression": "x", "ConditionalOperator": "OR"}, {"UpdateExpression": "SET x = n"}, {"ExpressionAttributeNames": {"#n": "n"}}, {"ExpressionAttributeValues": {":v": {"N": "1"}}}, {"ExpressionAttributeNames": {"#n": "n"}, "ConditionExpression": "#n = n"},
        {"ReturnValues": "ALL_OLD"}, {"ReturnValues": "ALL_NEW"}, {"ReturnValues": "x"}, {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}, {"AttributeUpdates": {"x": {"Value": {"N": "1"}}}, "ConditionExpression": "attribute_exists(n)"}, {"TableName": "nope"}, {"Key": {}}, {"Item": {}},
    ]:
        for one in (true, false, {}, {"ComparisonOperator": "x"}):
            yield delete({"n": one}, **more)
            yield "PutItem", {"TableName": "hash", "Item": NESTED, "Expected": {"n": one}, **more}
            yield "DeleteItem", {"TableName": "hash", "Key": KEY, "Expected": {"n": one}, **more}
    yield "UpdateItem", {"TableName": "hash", "Key": {"id": {"S": "none"}}, "Expected": {"n": true}}
    yield "UpdateItem", {"TableName": "hash", "Key": {"id": {"S": "new"}}, "Expected": {"n": false}}


def attribute_updates():
    def update(changes, key=KEY, **more):
        return "UpdateItem", {"TableName": "hash", "Key": key, "AttributeUpdates": changes, **more}

    for attribute in [*ATTRIBUTES, "id"]:
        for action in ("PUT", "ADD", "DELETE", None):
            for value in [*VALUES, {"SS": ["a", "q"]}, {"NS": ["1.0", "7"]}, {"BS": ["YQ==", "eg=="]}, {"N": "-5"}, None]:
                change = {} if action is None else {"Action": action}
                if value is not None:
                    change["Value"] = value
                yield update({attribute: change}, ReturnValues="ALL_NEW")
                if attribute == "missing":
                    yield update({attribute: change}, {"id": {"S": "new"}}, ReturnValues="ALL_NEW")
                elif value in VALUES[:5]:
                    yield update({attribute: change}, ReturnValues="UPDATED_NEW")
                    yield update({attribute: change}, ReturnValues="UPDATED_OLD")
    for change in [
        {"Action": "put"}, {"Action": ""}, {"Action": 1}, {"Action": "SET", "Value": {"N": "1"}}, {"Value": {}}, {"Value": {"N": "x"}}, {"Value": {"SS": []}}, {"Value": {"S": "a", "N": "1"}}, {"Value": "x"}, {"Value": []}, {"Action": "DELETE", "Value": {}}, {"Value": {"NULL": False}}, "x", [], 1,
        {"Action": "ADD", "Value": {"N": "1E125"}}, {"Action": "PUT", "Value": {"S": "y" * (400 * 1024)}}, {"Action": "PUT", "Value": {"N": "1"}, "Exists": True},
    ]:
        yield update({"n": change})
    for changes in [
        {}, [], "x", {"": {"Value": {"N": "1"}}}, {"a": {"Value": {"N": "1"}}, "b": {"Value": {"S": "x"}}}, {"m.a": {"Value": {"N": "1"}}}, {"a": {"Action": "DELETE"}, "n": {"Action": "ADD", "Value": {"N": "2"}}}, {"id": {"Value": {"S": "a"}}}, {"id": {"Action": "DELETE"}}, {"n": {"Action": "ADD", "Value": {"S": "x"}}, "id": {"Value": {"S": "b"}}},
        {"s": {"Action": "ADD", "Value": {"N": "2"}}, "a": {"Value": {"N": "1"}}}, {"a": {"Action": "x"}, "b": {"Action": "y"}},
    ]:
        yield update(changes, ReturnValues="ALL_NEW")
        yield update(changes, {"id": {"S": "new"}}, ReturnValues="ALL_NEW")
        yield update(changes, ReturnValues="UPDATED_NEW")
    one = {"x": {"Value": {"N": "1"}}}
    for more in [
        {"UpdateExpression": "SET x = n"}, {"ConditionExpression": "attribute_exists(n)"}, {"UpdateExpression": ""}, {"ExpressionAttributeNames": {"#n": "n"}}, {"Expected": {"n": {"Value": {"N": "5"}}}}, {"Expected": {"n": {"Value": {"N": "6"}}}}, {"ConditionalOperator": "OR"}, {"Expected": {"n": {"Value": {"N": "5"}}}, "UpdateExpression": "SET x = n"}, {"TableName": "nope"},
    ]:
        yield update(one, **more)
    yield update({"x": {"Value": {"L": [{"L": []}]}}}, ReturnValues="ALL_NEW")


def _key_condition(operator, *values):
    return {"ComparisonOperator": operator, "AttributeValueList": list(values)}


def key_conditions():
    a, n, m = {"S": "a"}, {"N": "2"}, {"N": "5"}
    same = _key_condition("EQ", a)

    def query(conditions, table="sort", **more):
        return "Query", {"TableName": table, "KeyConditions": conditions, **more}

    for conditions in [
        {"id": same}, {}, [], "x", {"id": {}}, {"id": {"ComparisonOperator": "EQ"}}, {"id": {"AttributeValueList": [a]}}, {"id": _key_condition("EQ")}, {"id": _key_condition("EQ", a, a)}, {"id": _key_condition("x", a)}, {"id": "x"}, {"id": []}, {"id": None}, {"k": _key_condition("EQ", n)}, {"v": same}, {"id": same, "v": same},
        {"id": same, "k": _key_condition("EQ", n), "v": same}, {"k": _key_condition("EQ", n), "v": same}, {"id": _key_condition("EQ", n)}, {"id": _key_condition("EQ", {"S": ""})}, {"id": _key_condition("EQ", {})}, {"id": _key_condition("EQ", {"N": "x"})}, {"id": _key_condition("EQ", "x")}, {"id": {**same, "AttributeValueList": "x"}}, {"id": _key_condition("EQ", {"SS": ["a"]})},
        {"id": same, "k": _key_condition("BETWEEN", n, m)}, {"id": same, "k": _key_condition("BETWEEN", m, n)}, {"id": same, "k": _key_condition("BETWEEN", n)}, {"id": same, "k": _key_condition("BETWEEN", n, a)}, {"id": same, "k": _key_condition("BETWEEN", a, a)}, {"id": same, "k": _key_condition("EQ", a)}, {"id": same, "k": {"ComparisonOperator": "NULL"}}, {"id": same, "k": {"ComparisonOperator": "NOT_NULL"}},
        {"id": {"ComparisonOperator": "NULL"}}, {"id": same, "k": {"ComparisonOperator": "GT"}}, {"id": same, "k": _key_condition("IN", n, m)}, {"": same}, {"id": same, "k": _key_condition("BEGINS_WITH", {"S": "1"})}, {"id": same, "k": _key_condition("BEGINS_WITH", n)}, {"id": _key_condition("GT", a), "k": _key_condition("EQ", n)}, {"id": _key_condition("NE", a)}, {"id": same, "k": _key_condition("NE", {"SS": ["a"]})},
    ]:
        yield query(conditions)
        yield query(conditions, "hash")
    for operator in OPERATORS:
        yield query({"id": _key_condition(operator, a)})
        yield query({"id": same, "k": _key_condition(operator, n)})
        yield query({"id": same, "k": _key_condition(operator, {"S": "pp"})}, "text")
    yield query({"id": same, "k": _key_condition("BETWEEN", {"S": "p"}, {"S": "q"})}, "text")
    yield query({"id": same, "k": _key_condition("BEGINS_WITH", {"S": ""})}, "text")
    for more in [
        {"KeyConditionExpression": "id = :a", "ExpressionAttributeValues": {":a": a}}, {"KeyConditionExpression": ""}, {"FilterExpression": "v = :a", "ExpressionAttributeValues": {":a": a}}, {"ProjectionExpression": "v"}, {"AttributesToGet": ["v"]}, {"ConditionalOperator": "OR"}, {"ConditionalOperator": "x"}, {"ExpressionAttributeValues": {":a": a}}, {"ExpressionAttributeNames": {"#a": "v"}},
        {"Limit": 2, "ScanIndexForward": False}, {"Limit": 2, "ExclusiveStartKey": {"id": a, "k": n}}, {"ExclusiveStartKey": {"id": {"S": "b"}, "k": n}}, {"Select": "COUNT"}, {"Select": "SPECIFIC_ATTRIBUTES"}, {"IndexName": "none"}, {"TableName": "nope"}, {"ReturnConsumedCapacity": "TOTAL"}, {"Select": "COUNT", "AttributesToGet": ["v"]},
    ]:
        yield query({"id": same}, **more)


def filters():
    a = {"S": "a"}
    same = _key_condition("EQ", a)

    def query(conditions, table="sort", **more):
        return "Query", {"TableName": table, "KeyConditions": {"id": same}, "QueryFilter": conditions, **more}

    def scan(conditions, table="sort", **more):
        return "Scan", {"TableName": table, "ScanFilter": conditions, **more}

    for one in _conditions():
        for attribute in ATTRIBUTES:
            yield scan({attribute: one}, "hash")
    for one in map(_members, FAULTY):
        yield scan({"n": one}, "hash")
        yield query({"n": one}, "hash")
    true, false = {"ComparisonOperator": "NOT_NULL"}, {"ComparisonOperator": "NULL"}
    big = _key_condition("GT", {"S": "xxx"})
    for operator in ("AND", "OR", "XOR", "", 1, None):
        more = {} if operator is None else {"ConditionalOperator": operator}
        for conditions in [{"v": true, "k": true}, {"v": true, "w": true}, {"v": big, "w": false}, {"v": false, "w": false}, {"v": big}, {}, [], "x", {"": true}, {"id": true}, {"k": big}, {"id": same, "v": big}, {"m.a": true}, {"v": {"Exists": True}}, {"v": {**big, "Value": a}}]:
            yield query(conditions, **more)
            yield scan(conditions, **more)
        yield "Query", {"TableName": "sort", "KeyConditions": {"id": same}, **more}
        yield "Scan", {"TableName": "sort", **more}
    for more in [
        {"FilterExpression": "v = :a", "ExpressionAttributeValues": {":a": a}}, {"FilterExpression": ""}, {"ProjectionExpression": "v"}, {"AttributesToGet": ["v"]}, {"AttributesToGet": ["k", "k"]}, {"ExpressionAttributeNames": {"#a": "v"}}, {"Limit": 3}, {"Limit": 0}, {"Select": "COUNT"}, {"TableName": "nope"}, {"Segment": 1, "TotalSegments": 1}, {"ExclusiveStartKey": {}}, {"AttributesToGet": ["v"], "ProjectionExpression": "v"},
        {"ConditionalOperator": "OR", "ProjectionExpression": "v"}, {"KeyConditions": None}, {"KeyConditions": None, "KeyConditionExpression": "id = :a", "ExpressionAttributeValues": {":a": a}},
    ]:
        for one in (big, {}, {"ComparisonOperator": "x"}):
            yield query({"v": one}, **more)
            yield scan({"v": one}, **more)


def everything():
    for family in (expected, attribute_updates, key_conditions, filters):
        for operation, body in family():
            # A member given as None is left out.
            yield family.__name__, operation, {name: member for name, member in body.items() if member is not None}
