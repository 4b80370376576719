"""Requests at the limits of what DynamoDB documents, listed one by one, on tables with a few known items."""

TABLES = {
    "hash": [("id", "S")],
    "sort": [("id", "S"), ("k", "N")],
    "text": [("id", "S"), ("k", "S")],
    "bytes": [("id", "B"), ("k", "B")],
    "count": [("id", "N")],
}

KEY = {"id": {"S": "a"}}
NESTED = {
    "id": {"S": "a"}, "n": {"N": "5"}, "s": {"S": "hello"}, "b": {"B": "YWJj"}, "t": {"BOOL": True}, "z": {"NULL": True},
    "l": {"L": [{"N": "1"}, {"S": "two"}, {"L": [{"N": "3"}]}, {"M": {"k": {"S": "v"}}}]},
    "m": {"M": {"a": {"N": "1"}, "b": {"S": "x"}, "c": {"M": {"d": {"L": [{"S": "e"}, {"S": "f"}]}}}}},
    "ss": {"SS": ["a", "b", "c"]}, "ns": {"NS": ["1", "2", "3"]}, "bs": {"BS": ["YQ==", "Yg=="]},
    "u": {"S": "\u00e9\U0001f600"}, "e": {"S": ""},
}


def create(name):
    roles = ["HASH", "RANGE"]
    return {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": a, "AttributeType": t} for a, t in TABLES[name]],
        "KeySchema": [{"AttributeName": a, "KeyType": role} for (a, _), role in zip(TABLES[name], roles)],
        "BillingMode": "PAY_PER_REQUEST",
    }


def setup():
    """The items that exist before every request."""
    yield "PutItem", {"TableName": "hash", "Item": NESTED}
    for n in range(8):
        yield "PutItem", {"TableName": "sort", "Item": {"id": {"S": "a"}, "k": {"N": str(n)}, "v": {"S": "x" * n}}}
    for n in range(6):
        yield "PutItem", {"TableName": "text", "Item": {"id": {"S": "a"}, "k": {"S": "p" * n + "q"}, "v": {"N": str(n)}}}


def put(attributes, table="hash", **more):
    return "PutItem", {"TableName": table, "Item": attributes, **more}


def get(**more):
    return "GetItem", {"TableName": "hash", "Key": KEY, **more}


def _values(values):
    return {"ExpressionAttributeValues": values} if values else {}


def condition(text, values=None, **more):
    """A delete with a condition, of a missing item or of the existing one."""
    return "UpdateItem", {"TableName": "hash", "Key": KEY, "ConditionExpression": text, **_values(values), **more}


def update(text, values=None, key=KEY, **more):
    return "UpdateItem", {"TableName": "hash", "Key": key, "UpdateExpression": text, "ReturnValues": "ALL_NEW",
                          **_values(values), **more}


def query(text, values=None, table="sort", **more):
    return "Query", {"TableName": table, "KeyConditionExpression": text, **_values(values), **more}


def scan(**more):
    return "Scan", {"TableName": more.pop("table", "sort"), **more}


A, N1, SX = {":a": {"S": "a"}}, {":v": {"N": "1"}}, {":v": {"S": "x"}}


def values_and_items():
    for bad in [
        {"S": "x", "N": "1"}, {}, {"N": ""}, {"N": "x"}, {"N": "1e"}, {"N": "0x1"}, {"N": " 1"}, {"N": "1 "}, {"N": "+1"}, {"N": ".5"},
        {"N": "5."}, {"N": "-"}, {"N": "1E130"}, {"N": "1E126"}, {"N": "1E125"}, {"N": "9.99E125"}, {"N": "1E-130"}, {"N": "1E-131"},
        {"N": "-1E-131"}, {"N": "1" * 38}, {"N": "1" * 39}, {"N": "1" * 38 + "0"}, {"N": "0." + "1" * 38}, {"N": "0." + "1" * 39},
        {"N": "1." + "0" * 60}, {"N": "0" * 60 + "1"}, {"N": "NaN"}, {"N": "Infinity"}, {"N": "1_000"}, {"N": "-0"}, {"N": "0E500"},
        {"N": "1e+5"}, {"N": "1E05"}, {"N": "-1.50"},
        {"NULL": False}, {"NULL": True}, {"BOOL": False}, {"SS": []}, {"NS": []}, {"BS": []}, {"SS": ["a", "a"]}, {"NS": ["1", "1.0"]},
        {"NS": ["1", "1"]}, {"BS": ["YQ==", "YQ=="]}, {"SS": [""]}, {"BS": [""]}, {"NS": ["x"]}, {"NS": ["1", "x"]}, {"L": []}, {"M": {}}, {"L": [{}]},
        {"M": {"": {"S": "x"}}}, {"M": {"a": {}}}, {"L": [{"NULL": False}]}, {"L": [{"S": "a", "N": "1"}]}, {"B": ""}, {"S": ""},
        {"B": "a"}, {"B": "YQ="}, {"B": "YR=="}, {"B": "Y*=="}, {"S": 1}, {"N": 1}, {"N": 1.5}, {"S": True}, {"S": []}, {"S": {}}, {"BOOL": "true"},
        {"BOOL": "maybe"}, {"BOOL": 1}, {"NULL": "true"}, {"SS": "a"}, {"SS": {}}, {"SS": [1]}, {"SS": [[]]}, {"L": {}}, {"L": "x"}, {"L": ["x"]}, {"L": [["x"]]},
        {"M": []}, {"M": "x"}, {"M": {"a": "x"}}, {"M": {"a": []}}, {"B": 1}, {"B": []}, {"B": {}}, {"BS": ["a"]}, "x", 1, [], True, {"X": "y"}, {"S": None},
        {"S": "x", "N": None},
    ]:
        yield put({"id": {"S": "v"}, "x": bad})
        yield update("SET x = :v", {":v": bad}, key={"id": {"S": "v"}})
    deep = {"N": "1"}
    for _ in range(31):
        deep = {"L": [deep]}
    yield put({"id": {"S": "v"}, "x": deep})
    yield put({"id": {"S": "v"}, "x": {"L": [deep]}})
    yield put({"id": {"S": "v"}, "x": {"M": {"a": deep}}})
    yield put({"id": {"S": "v"}, "x": {"S": "y" * (400 * 1024 - 4)}})
    yield put({"id": {"S": "v"}, "x": {"S": "y" * (400 * 1024 - 3)}})
    yield put({"id": {"S": "v"}, "": {"S": "y"}})
    yield put({"id": {"S": "v"}, "n" * 65535: {"S": "y"}})
    yield put({"id": {"S": "v"}, "n" * 65536: {"S": "y"}})


def keys():
    for bad in [
        {}, {"id": {"N": "1"}}, {"id": {"S": ""}}, {"x": {"S": "a"}}, {"id": {"S": "a"}, "x": {"S": "b"}}, {"id": {"NULL": True}},
        {"id": {"S": "a" * 2048}}, {"id": {"S": "a" * 2049}}, {"id": {}}, {"id": {"S": "a", "N": "1"}}, {"id": {"SS": ["a"]}}, {"id": {"N": "x"}}, None, "x", [],
    ]:
        yield "GetItem", {"TableName": "hash", "Key": bad}
        yield "DeleteItem", {"TableName": "hash", "Key": bad}
        yield put(bad)
        yield "UpdateItem", {"TableName": "hash", "Key": bad, "UpdateExpression": "SET y = :v", "ExpressionAttributeValues": SX}
        yield "BatchGetItem", {"RequestItems": {"hash": {"Keys": [bad]}}}
        yield "BatchWriteItem", {"RequestItems": {"hash": [{"DeleteRequest": {"Key": bad}}]}}
        yield "BatchWriteItem", {"RequestItems": {"hash": [{"PutRequest": {"Item": bad}}]}}
        yield scan(table="hash", ExclusiveStartKey=bad)
    for bad in [
        {"id": {"S": "a"}}, {"id": {"S": "a"}, "k": {"S": "1"}}, {"id": {"S": "a"}, "k": {"N": "1"}, "x": {"S": "b"}}, {"k": {"N": "1"}},
        {"id": {"N": "1"}, "k": {"N": "1"}}, {"id": {"S": "a"}, "k": {"N": "x"}}, {"id": {"S": ""}, "k": {"N": "1"}},
    ]:
        yield "GetItem", {"TableName": "sort", "Key": bad}
        yield put(bad, "sort")
        yield "UpdateItem", {"TableName": "sort", "Key": bad}
        yield query("id = :a", A, ExclusiveStartKey=bad)
        yield scan(ExclusiveStartKey=bad)
    for size in (1024, 1025):
        yield put({"id": {"S": "a"}, "k": {"S": "b" * size}}, "text")
        yield "GetItem", {"TableName": "text", "Key": {"id": {"S": "a"}, "k": {"S": "b" * size}}}
    yield put({"id": {"B": ""}, "k": {"B": "YQ=="}}, "bytes")
    yield put({"id": {"B": "YQ=="}, "k": {"B": ""}}, "bytes")
    yield "GetItem", {"TableName": "bytes", "Key": {"id": {"B": ""}, "k": {"B": "YQ=="}}}
    yield "DeleteItem", {"TableName": "text", "Key": {"id": {"S": "a"}, "k": {"S": ""}}}


CONDITIONS = [
    ("", None), (" ", None), ("n = :v", N1), ("n = n", None), ("n <> n", None), ("n < n", None), ("n IN (n)", None), ("n BETWEEN n AND n", None), ("n = :w", N1),
    ("n", None), ("n =", None), ("= :v", N1), ("n == :v", N1), ("n = :v AND", N1), ("AND n = :v", N1), ("NOT", None), ("NOT n = :v", N1), ("NOT NOT n = :v", N1),
    ("NOT (NOT (n = :v))", N1), ("((n = :v))", N1), ("(n = :v)", N1), ("(((n = :v)))", N1), ("(n) = (:v)", N1), ("((n)) = :v", N1), ("n = ((:v))", N1),
    ("(n = :v) AND (n = :v)", N1), ("((n = :v) AND (n = :v))", N1), ("(((n = :v) AND (n = :v)))", N1), ("n = :v OR n = :v AND n <> :v", N1), ("n != :v", N1),
    ("n <>:v", N1), ("n<:v", N1), ("n > :v", N1), ("n>=:v", N1), ("n < =:v", N1), ("name = :v", N1), ("NAME = :v", N1), ("a.name = :v", N1), ("size = :v", N1), ("size(n) = :v", N1),
    ("attribute_exists(id)", None), ("attribute_exists(id.x)", None), ("attribute_exists(missing)", None), ("attribute_not_exists(missing)", None), ("attribute_exists (id)", None),
    ("ATTRIBUTE_EXISTS(id)", None), ("attribute_exists(:v)", N1), ("attribute_exists(id, id)", None), ("attribute_exists()", None), ("attribute_exists(size(id))", None),
    ("attribute_exists((id))", None), ("attribute_type(n, :v)", {":v": {"S": "N"}}), ("attribute_type(n, :v)", {":v": {"S": "n"}}), ("attribute_type(n, :v)", {":v": {"N": "1"}}),
    ("attribute_type(n, s)", None), ("attribute_type(:v, :v)", {":v": {"S": "N"}}), ("attribute_type(n)", None), ("attribute_type(n, :v)", {":v": {"S": ""}}),
    ("attribute_type(n, n)", None), ("attribute_type(n, size(n))", None), ("attribute_type(ss, :v)", {":v": {"S": "SS"}}), ("attribute_type(m, :v)", {":v": {"S": "M"}}),
    ("begins_with(s, :v)", {":v": {"S": "he"}}), ("begins_with(s, :v)", N1), ("begins_with(s, :v)", {":v": {"B": "aGU="}}), ("begins_with(b, :v)", {":v": {"B": "YQ=="}}),
    ("begins_with(n, :v)", SX), ("begins_with(s, s)", None), ("begins_with(:v, :v)", SX), ("begins_with(:v, s)", SX), ("begins_with(s)", None), ("begins_with(s, :v, :v)", SX),
    ("begins_with(s, n)", None), ("begins_with(s, size(s))", None), ("begins_with(s, :v)", {":v": {"S": ""}}), ("begins_with(l, :v)", SX), ("begins_with(s, :v)", {":v": {"NULL": True}}),
    ("contains(s, :v)", {":v": {"S": "ell"}}), ("contains(s, :v)", N1), ("contains(ss, :v)", {":v": {"S": "a"}}), ("contains(ss, :v)", {":v": {"SS": ["a"]}}),
    ("contains(ns, :v)", {":v": {"N": "1.0"}}), ("contains(bs, :v)", {":v": {"B": "YQ=="}}), ("contains(l, :v)", N1), ("contains(l, :v)", {":v": {"S": "two"}}),
    ("contains(l, :v)", {":v": {"L": [{"N": "3"}]}}), ("contains(m, :v)", {":v": {"S": "a"}}), ("contains(s, s)", None), ("contains(:v, s)", {":v": {"S": "xhellox"}}), ("contains(n, :v)", N1),
    ("contains(b, :v)", {":v": {"B": "YmM="}}), ("contains(s, :v)", {":v": {"BOOL": True}}), ("contains(l, :v)", {":v": {"NULL": True}}), ("contains(l)", None), ("contains(:v, :v)", SX),
    ("contains(s, :v)", {":v": {"S": ""}}), ("contains(ss, :v)", N1),
    ("size(s) = :v", {":v": {"N": "5"}}), ("size(u) = :v", {":v": {"N": "3"}}), ("size(u) = :v", {":v": {"N": "2"}}), ("size(b) = :v", {":v": {"N": "3"}}), ("size(l) = :v", {":v": {"N": "4"}}),
    ("size(m) = :v", {":v": {"N": "3"}}), ("size(ss) = :v", {":v": {"N": "3"}}), ("size(t) = :v", N1), ("size(z) = :v", N1), ("size(n) > :v", {":v": {"N": "0"}}), ("size(:v) = :v", N1),
    ("size(:v) = :v", SX), ("size(s)", None), ("size(s, s) = :v", N1), ("size(size(s)) = :v", N1), ("size(missing) = :v", {":v": {"N": "0"}}), ("size(s) = size(s)", None), ("size(s) < :v", SX),
    ("size(e) = :v", {":v": {"N": "0"}}), ("Size(s) = :v", N1), ("foo(s) = :v", N1), ("foo(s)", None), ("if_not_exists(n, :v) = :v", N1), ("list_append(l, l) = :v", N1), ("list_append(l, l)", None),
    ("n BETWEEN :v AND :w", {":v": {"N": "1"}, ":w": {"N": "9"}}), ("n BETWEEN :v AND :w", {":v": {"N": "9"}, ":w": {"N": "1"}}), ("n BETWEEN :v AND :w", {":v": {"N": "9"}, ":w": {"S": "1"}}),
    ("n BETWEEN :v AND :w", {":v": {"BOOL": True}, ":w": {"BOOL": True}}), ("n BETWEEN :v", N1), ("n BETWEEN :v OR :v", N1), (":v BETWEEN n AND l", N1), ("n BETWEEN :v AND :v", N1),
    ("s BETWEEN :v AND :w", {":v": {"S": "z"}, ":w": {"S": "a"}}), ("b BETWEEN :v AND :w", {":v": {"B": "eg=="}, ":w": {"B": "YQ=="}}), ("n BETWEEN :v AND l", N1), ("n NOT BETWEEN :v AND :v", N1),
    ("size(n) BETWEEN :v AND :v", SX), ("n BETWEEN size(s) AND :v", {":v": {"N": "9"}}), ("n BETWEEN :v AND size(s)", SX),
    ("n IN (:v)", N1), ("n IN (:v, :w)", {":v": {"N": "1"}, ":w": {"N": "5"}}), ("n IN ()", None), ("n IN :v", N1), ("n IN (:v,)", N1), ("l IN (:v)", N1), ("t IN (:v)", {":v": {"BOOL": True}}),
    ("z IN (:v)", {":v": {"NULL": True}}), ("n IN (s, :v)", N1), (":v IN (n)", N1), ("size(s) IN (:v)", {":v": {"N": "5"}}), ("n NOT IN (:v)", N1),
    ("t < :v", {":v": {"BOOL": True}}), ("t = :v", {":v": {"BOOL": True}}), ("z = :v", {":v": {"NULL": True}}), ("z < :v", {":v": {"NULL": True}}), ("l < :v", {":v": {"L": []}}), ("m > :v", {":v": {"M": {}}}),
    ("ss >= :v", {":v": {"SS": ["a"]}}), ("ss = :v", {":v": {"SS": ["c", "b", "a"]}}), ("ns = :v", {":v": {"NS": ["3.0", "2", "1"]}}), ("m.a = :v", N1), ("m.c.d[1] = :v", {":v": {"S": "f"}}),
    ("l[0] = :v", N1), ("l[9] = :v", N1), ("l[0].x = :v", N1), ("l[2][0] = :v", {":v": {"N": "3"}}), ("l[3].k = :v", {":v": {"S": "v"}}), ("m[0] = :v", N1), ("l.x = :v", N1), ("l[-1] = :v", N1),
    ("l[01] = :v", N1), ("l[1.5] = :v", N1), ("l[x] = :v", N1), ("l[] = :v", N1), ("l[:v] = :v", N1), ("l[99999999999] = :v", N1), ("l[2147483647] = :v", N1), ("l[2147483648] = :v", N1), ("l [0] = :v", N1), ("m . a = :v", N1),
    ("m..a = :v", N1), ("m.a. = :v", N1), (".m = :v", N1), ("n = 5", None), ("n = 'x'", None), ("n = \"x\"", None), ("n = :", N1), ("# = :v", N1), ("#n = :v", N1), ("_n = :v", N1), ("1n = :v", N1), ("n1 = :v", N1), ("n_1 = :v", N1),
    ("n-1 = :v", N1), ("n = :v;", N1), ("n = :v )", N1), ("(n = :v", N1), ("n = :v -- c", N1), ("é = :v", N1), ("n = :é", N1), ("n = :v n = :v", N1), ("n = :v, n = :v", N1), ("n = = :v", N1), ("n + :v = :v", N1), ("true", None), ("n = null", None),
    ("attribute_exists(n) = :v", N1), ("n = attribute_exists(n)", None), ("attribute_exists(attribute_exists(n))", None), ("contains(attribute_exists(n), :v)", N1), ("(size(s)) = :v", N1), ("(attribute_exists(n))", None), ("((attribute_exists(n)))", None),
    ("n = :v OR n = :v OR n = :v", N1), ("n in (:v)", N1), ("n between :v and :v", N1), ("not n = :v", N1), ("n = :v or n = :v", N1), ("set = :v", N1), ("remove = :v", N1), ("n = :v\tAND\nn = :v", N1), ("n\u00a0= :v", N1),
    ("and = :v", N1), ("#a.#b = :v", N1),
]


def conditions():
    for text, values in CONDITIONS:
        yield condition(text, values)
        yield scan(table="hash", FilterExpression=text, **_values(values))
    yield condition("#n = :v", N1, ExpressionAttributeNames={"#n": "n"})
    yield condition("#n.a = :v", N1, ExpressionAttributeNames={"#n": "m"})
    yield condition("m.#a = :v", N1, ExpressionAttributeNames={"#a": "a"})
    yield condition("#n = :v", N1, ExpressionAttributeNames={"#n": "m.a"})
    yield condition("#n = :v", N1, ExpressionAttributeNames={"#n": "name", "#m": "x"})
    yield condition("n = :v", {**N1, ":w": {"N": "1"}})
    for names in [{}, {"n": "n"}, {"#": "n"}, {"#n": ""}, {"#n-": "n"}, {"#n": 1}, {"#1": "n"}, {"#" + "n" * 254: "n"}, {"#" + "n" * 255: "n"}, {"#é": "n"}, {":n": "n"}, {"#n#": "n"}, [], "x"]:
        yield condition("n = :v", N1, ExpressionAttributeNames=names)
    for values in [{"v": {"N": "1"}}, {":": {"N": "1"}}, {":v-": {"N": "1"}}, {"#v": {"N": "1"}}, {":" + "v" * 255: {"N": "1"}}, {":v": {"N": "x"}}, {":v": {}}, {":v": {"SS": []}}, {":v": {"S": "x" * 5}}, [], "x", {":v": None}]:
        yield condition("n = :v", None, ExpressionAttributeValues=values)
    yield condition("n = :v", None, ExpressionAttributeValues={})
    yield condition("#a = :v AND #b = :v", N1, ExpressionAttributeNames={"#a": "n", "#b": "n"})
    yield condition("#a < #b", None, ExpressionAttributeNames={"#a": "n", "#b": "n"})
    yield "UpdateItem", {"TableName": "hash", "Key": KEY, "ExpressionAttributeNames": {"#n": "n"}}
    yield "UpdateItem", {"TableName": "hash", "Key": KEY, "ExpressionAttributeValues": N1}
    yield "DeleteItem", {"TableName": "hash", "Key": KEY, "ExpressionAttributeValues": N1}
    yield put(KEY, ExpressionAttributeNames={"#n": "n"})
    yield get(ExpressionAttributeNames={"#n": "n"})
    yield scan(ExpressionAttributeNames={"#n": "n"})
    yield scan(ExpressionAttributeValues=N1)
    yield "Query", {"TableName": "sort", "ExpressionAttributeValues": N1}
    yield "Query", {"TableName": "sort"}
    for count in (100, 101):
        yield condition(f"n IN ({', '.join([':v'] * count)})", N1)
    for count in (150, 151):
        yield condition(" OR ".join(["n=:v"] * count), N1)
    for length in (4096, 4097):
        yield condition(f"n = :{'v' * (length - 5)}", {":v": {"N": "1"}})
        yield update(f"SET n = :{'v' * (length - 9)}", {":v": {"N": "1"}})
    yield condition("attribute_exists(a" + ".b" * 31 + ")")
    yield condition("attribute_exists(a" + ".b" * 32 + ")")
    yield condition("attribute_exists(a" + "[0]" * 32 + ")")
    yield condition("(" * 9 + "n = :v" + ")" * 9, N1)


UPDATES = [
    ("", None), ("SET", None), ("SET x", None), ("SET x =", None), ("SET x = :v,", N1), ("SET x = :v SET y = :v", N1), ("SET x = :v, x = :v", N1), ("SET x = :v REMOVE x", N1), ("SET id = :v", SX), ("REMOVE id", None), ("ADD id :v", N1),
    ("SET id.x = :v", SX), ("SET name = :v", N1), ("SET x = y", None), ("SET x = n", None), ("SET x = n + :v", N1), ("SET x = :v + n", N1), ("SET x = n - n", None), ("SET x = n + :v - :v", N1), ("SET x = s + :v", N1), ("SET x = n + :v", SX),
    ("SET x = missing + :v", N1), ("SET x = n * :v", N1), ("SET x = n + 1", None), ("SET x = (n + :v)", N1), ("SET x = (n)", None), ("SET x = (n) + (:v)", N1), ("SET x = if_not_exists(n, :v)", N1), ("SET x = if_not_exists(q, :v)", N1),
    ("SET x = if_not_exists(q, r)", None), ("SET x = if_not_exists(q, n) + :v", N1), ("SET x = if_not_exists(:v, n)", N1), ("SET x = if_not_exists(q)", None), ("SET x = if_not_exists(q, q)", None), ("SET x = if_not_exists(x, :v)", N1),
    ("SET x = if_not_exists(q, if_not_exists(r, :v))", N1), ("SET x = list_append(l, :v)", {":v": {"L": [{"N": "1"}]}}), ("SET x = list_append(:v, l)", {":v": {"L": [{"N": "1"}]}}), ("SET x = list_append(l, :v)", N1), ("SET x = list_append(l, l)", None),
    ("SET x = list_append(s, l)", None), ("SET x = list_append(q, l)", None), ("SET x = list_append(if_not_exists(q, :v), :v)", {":v": {"L": [{"N": "1"}]}}), ("SET x = list_append(l)", None), ("SET x = list_append(l, l, l)", None), ("SET x = list_append(l, l) + :v", N1),
    ("SET x = list_append(ss, :v)", {":v": {"L": []}}), ("SET x = size(s)", None), ("SET x = foo(s)", None), ("SET x = attribute_exists(s)", None), ("SET l[0] = :v", N1), ("SET l[9] = :v", N1), ("SET l[9] = :v, l[7] = :w", {":v": {"N": "9"}, ":w": {"N": "7"}}),
    ("SET l[0] = :v, l[1] = :v", N1), ("SET l[2][5] = :v", N1), ("SET l[9][0] = :v", N1), ("SET m.x = :v", N1), ("SET m.x.y = :v", N1), ("SET q.x = :v", N1), ("SET q[0] = :v", N1), ("SET m[0] = :v", N1), ("SET l.x = :v", N1), ("SET n.x = :v", N1), ("SET s[0] = :v", N1),
    ("SET m.a = :v, m.b = :v", N1), ("SET m.a = :v, m = :v", N1), ("SET m.a = :v, m.a.b = :v", N1), ("SET m.a = :v, m[0] = :v", N1), ("SET l[0] = :v, l[0].x = :v", N1), ("SET m.c.d[0] = :v", N1), ("SET x = m.c.d[1]", None), ("SET x = l[9]", None),
    ("REMOVE n", None), ("REMOVE q", None), ("REMOVE l[0]", None), ("REMOVE l[0], l[2]", None), ("REMOVE l[9]", None), ("REMOVE l[0], l[0]", None), ("REMOVE m.a", None), ("REMOVE m.q", None), ("REMOVE q.x", None), ("REMOVE m.q.x", None), ("REMOVE n.x", None), ("REMOVE l.x", None),
    ("REMOVE q[0]", None), ("REMOVE m.a, m", None), ("REMOVE l[1], m.b SET l[0] = :v", N1), ("REMOVE l[0] SET l[1] = :v", N1), ("REMOVE :v", N1), ("REMOVE l[2][0]", None), ("REMOVE l[3].k, l[0]", None), ("REMOVE ss", None),
    ("ADD n :v", N1), ("ADD q :v", N1), ("ADD s :v", N1), ("ADD ss :v", {":v": {"SS": ["d", "a"]}}), ("ADD ss :v", {":v": {"NS": ["1"]}}), ("ADD ss :v", SX), ("ADD q :v", {":v": {"SS": ["d"]}}), ("ADD ns :v", {":v": {"NS": ["1.0", "7"]}}), ("ADD ns :v", N1), ("ADD l :v", {":v": {"L": [{"N": "1"}]}}),
    ("ADD bs :v", {":v": {"BS": ["Yw=="]}}), ("ADD n n", None), ("ADD n = :v", N1), ("ADD m.a :v", N1), ("ADD m.q :v", N1), ("ADD q.x :v", N1), ("ADD l[0] :v", N1), ("ADD l[9] :v", N1), ("ADD n :v, q :v", N1), ("ADD n :v, n :v", N1), ("ADD n :v", {":v": {"BOOL": True}}), ("ADD n :v", {":v": {"NULL": True}}),
    ("ADD n :v", {":v": {"M": {}}}), ("ADD n :v", {":v": {"B": "YQ=="}}), ("DELETE ss :v", {":v": {"SS": ["a"]}}), ("DELETE ss :v", {":v": {"SS": ["a", "b", "c"]}}), ("DELETE ss :v", {":v": {"SS": ["q"]}}), ("DELETE ss :v", {":v": {"NS": ["1"]}}), ("DELETE ss :v", SX), ("DELETE n :v", N1), ("DELETE q :v", {":v": {"SS": ["a"]}}),
    ("DELETE n :v", {":v": {"SS": ["a"]}}), ("DELETE m.q :v", {":v": {"SS": ["a"]}}), ("DELETE q.x :v", {":v": {"SS": ["a"]}}), ("DELETE ss ss", None), ("DELETE ns :v", {":v": {"NS": ["1.0"]}}), ("DELETE l[0] :v", {":v": {"SS": ["a"]}}), ("DELETE l[9] :v", {":v": {"SS": ["a"]}}),
    ("set x = :v", N1), ("Set x = :v remove n", N1), ("SET x = :v ADD n :v DELETE ss :w", {":v": {"N": "1"}, ":w": {"SS": ["a"]}}), ("SET x = :v, REMOVE n", N1), ("x = :v", N1), ("UPSERT x = :v", N1), ("SET x = :v n", N1), ("SET x := :v", N1), ("SET x.y.z = :v", N1), ("SET x = :v;", N1), ("SET :v = :v", N1), ("SET x = :w", N1),
    ("SET #x = :v", N1), ("SET x = #x", None), ("SET x[0] = :v", N1), ("SET x = x", None), ("SET n = n + n", None), ("SET n = s, s = n", None), ("SET n = s REMOVE s", None), ("SET x = l[0] REMOVE l[0]", None), ("SET l[1] = l[0]", None), ("SET x = n + l[0]", None), ("SET x = :v + :v", N1), ("SET x = :v - :v", N1),
    ("SET x = n + :v", {":v": {"N": "1E100"}}), ("ADD n :v", {":v": {"N": "0.00000000000000000000000000000000000001"}}), ("ADD n :v", {":v": {"N": "1E-60"}}), ("SET x = n + :v", {":v": {"N": "9.9E125"}}), ("SET x = :v + :v", {":v": {"N": "9.9E125"}}), ("SET x = :v - :w", {":v": {"N": "1E125"}, ":w": {"N": "1E-130"}}),
    ("SET x = :v + :v", {":v": {"N": "9" * 38}}), ("SET x = :v - :w", {":v": {"N": "1E-130"}, ":w": {"N": "9E-130"}}), ("SET x = list_append(l, :v), l[9] = :w", {":v": {"L": [{"N": "1"}]}, ":w": {"N": "2"}}), ("SET l = list_append(l, :v)", {":v": {"L": []}}), ("SET x = :v", {":v": {"S": ""}}), ("SET x = :v", {":v": {"SS": []}}),
    ("REMOVE l[2147483648]", None), ("SET x = if_not_exists(m.q, :v), y = if_not_exists(m.a, :v)", N1), ("SET x = if_not_exists(q.r, :v)", N1), ("SET x = if_not_exists(l[9], :v)", N1), ("SET m.x = if_not_exists(m.x, :v)", N1), ("SET x = if_not_exists(id, :v)", N1), ("SET x = id", None), ("SET x = id.y", None),
    ("REMOVE", None), ("ADD", None), ("DELETE ss", None), ("ADD n", None), ("REMOVE n,", None), ("REMOVE n n", None), ("SET a.b.c = :v", N1),
]


def updates():
    for text, values in UPDATES:
        yield update(text, values)
        for returns in ("UPDATED_NEW", "UPDATED_OLD"):
            yield update(text, values, ReturnValues=returns)
        yield update(text, values, key={"id": {"S": "new"}})
    yield update("SET x = :v", SX, ReturnValues="BAD")
    yield update("SET x = :v", {":v": {"S": "y" * (400 * 1024)}})
    yield update("SET x = :v", {":v": {"S": "y" * (400 * 1024 - 4)}}, key={"id": {"S": "new"}})
    yield update("SET x = :v", {":v": {"S": "y" * (400 * 1024 - 6)}}, key={"id": {"S": "new"}})
    deep = {"N": "1"}
    for _ in range(30):
        deep = {"L": [deep]}
    yield update("SET m.x = :v", {":v": deep})
    yield update("SET m.c.x = :v", {":v": deep})


KEY_CONDITIONS = [
    ("id = :a", {}), (":a = id", {}), ("id = :a AND k = :n", {}), ("at = :n AND id = :a", {}), ("id = :a AND k < :n", {}), ("id = :a AND k <= :n", {}), ("id = :a AND k > :n", {}), ("id = :a AND k >= :n", {}), ("id = :a AND :n > k", {}),
    ("id = :a AND k BETWEEN :n AND :m", {}), ("id = :a AND k BETWEEN :m AND :n", {}), ("(id = :a) AND (k = :n)", {}), ("(id = :a AND k = :n)", {}), ("((id = :a))", {}), ("id = :a AND k <> :n", {}), ("id = :a AND k IN (:n)", {}), ("id = :a OR k = :n", {}),
    ("NOT id = :a", {}), ("id > :a", {}), ("id BETWEEN :a AND :a", {}), ("begins_with(id, :a)", {}), ("id IN (:a)", {}), ("at = :n", {}), ("v = :a", {}), ("id = :a AND v = :a", {}), ("id = :a AND k = :n AND v = :a", {}), ("id = :a AND id = :a", {}), ("id = :a AND k > :n AND k < :m", {}),
    ("id = :n", {}), ("id = :a AND k = :a", {}), ("id = :a AND begins_with(k, :n)", {}), ("id = :a AND begins_with(k, :a)", {}), ("id = id", {}), ("id = k", {}), ("id = :a AND k = id", {}), ("id.x = :a", {}), ("id = :a AND k[0] = :n", {}), ("size(id) = :n", {}), ("id = :a AND size(k) = :n", {}),
    ("attribute_exists(id)", {}), ("contains(id, :a)", {}), ("id = :a AND contains(k, :n)", {}), ("id = :a AND attribute_exists(k)", {}), ("id = :a AND NOT k = :n", {}), ("", {}), ("id", {}), ("id = :q", {}), ("#i = :a", {}), (":a = :a", {}), ("id = :a AND :n BETWEEN k AND :m", {}), ("id = :a AND k BETWEEN :n AND k", {}),
    ("id = :a AND k BETWEEN :n AND :a", {}), ("id = :e", {}), ("id = :a AND k = :e", {}), ("id = :a AND (k = :n OR k = :m)", {}), ("id = :a AND k < k", {}), ("id = :a AND (k) = (:n)", {}),
]


def queries():
    every = {":a": {"S": "a"}, ":n": {"N": "2"}, ":m": {"N": "5"}, ":e": {"S": ""}, ":q": {"S": "q"}}
    for text, more in KEY_CONDITIONS:
        used = {name: v for name, v in every.items() if name in text}
        yield query(text, used, **more)
        yield query(text, used, ScanIndexForward=False, Limit=2, **more)
    for prefix in ("p", "pp", "q", "", "ppppppp", "pppppq"):
        yield query("id = :a AND begins_with(k, :p)", {**A, ":p": {"S": prefix}}, "text")
    for more in [
        {"Limit": 0}, {"Limit": -1}, {"Limit": 1}, {"Limit": 8}, {"Limit": 7}, {"Limit": 9}, {"Limit": "1"}, {"Limit": 1.5}, {"Limit": True}, {"Limit": None}, {"Select": "COUNT"}, {"Select": "ALL_ATTRIBUTES"}, {"Select": "BAD"}, {"Select": "SPECIFIC_ATTRIBUTES"}, {"Select": "ALL_PROJECTED_ATTRIBUTES"},
        {"Select": "COUNT", "ProjectionExpression": "v"}, {"Select": "ALL_ATTRIBUTES", "ProjectionExpression": "v"}, {"Select": "SPECIFIC_ATTRIBUTES", "ProjectionExpression": "v"}, {"ProjectionExpression": "v"}, {"ProjectionExpression": "v, v"}, {"ProjectionExpression": "k"}, {"ProjectionExpression": ""}, {"ProjectionExpression": "name"},
        {"ProjectionExpression": "v[0], v.x"}, {"ProjectionExpression": "v,"}, {"ProjectionExpression": "#v"}, {"AttributesToGet": ["v"]}, {"AttributesToGet": []}, {"AttributesToGet": ["v", "v"]}, {"AttributesToGet": ["v"], "ProjectionExpression": "v"}, {"IndexName": "none"}, {"IndexName": ""}, {"IndexName": "x"}, {"IndexName": "a b c"},
        {"ExclusiveStartKey": {"id": {"S": "a"}, "k": {"N": "3"}}}, {"ExclusiveStartKey": {"id": {"S": "a"}, "k": {"N": "3.5"}}}, {"ExclusiveStartKey": {"id": {"S": "b"}, "k": {"N": "3"}}}, {"ExclusiveStartKey": {"id": {"S": "a"}}}, {"ExclusiveStartKey": {}}, {"ExclusiveStartKey": {"id": {"S": "a"}, "k": {"N": "3"}, "v": {"S": "x"}}},
        {"ExclusiveStartKey": {"id": {"S": "a"}, "k": {"S": "3"}}}, {"ExclusiveStartKey": {"id": {"S": "a"}, "k": {}}}, {"ConsistentRead": True}, {"ConsistentRead": "x"}, {"ConsistentRead": "true"}, {"ScanIndexForward": False}, {"ScanIndexForward": "false"}, {"ReturnConsumedCapacity": "TOTAL"}, {"ReturnConsumedCapacity": "INDEXES"}, {"ReturnConsumedCapacity": "NONE"},
        {"ReturnConsumedCapacity": "bad"}, {"ReturnConsumedCapacity": "TOTAL", "ConsistentRead": True}, {"FilterExpression": "v = :a"}, {"FilterExpression": "id = :a"}, {"FilterExpression": "attribute_exists(k)"}, {"FilterExpression": "attribute_exists(v)", "Limit": 3}, {"FilterExpression": "size(v) > size(id)"}, {"FilterExpression": ""},
        {"FilterExpression": "attribute_not_exists(v)", "Select": "COUNT"}, {"FilterExpression": "attribute_exists(id.x)"}, {"TableName": "nope"}, {"TableName": "no"}, {"TableName": ""}, {"TableName": "n" * 256}, {"TableName": "a b c"}, {"TableName": None}, {"TableName": 1}, {"TableName": "missing-table", "Limit": 0},
    ]:
        yield query("id = :a", A, **more) if "TableName" not in more else ("Query", {**query("id = :a", A)[1], **more})


def scans():
    for more in [
        {}, {"Limit": 3}, {"Limit": 0}, {"Segment": 0}, {"TotalSegments": 2}, {"Segment": 2, "TotalSegments": 2}, {"Segment": 0, "TotalSegments": 1}, {"Segment": -1, "TotalSegments": 1}, {"Segment": 0, "TotalSegments": 0}, {"Segment": 0, "TotalSegments": 1000001}, {"Segment": 1000000, "TotalSegments": 1000000},
        {"Segment": "0", "TotalSegments": 1}, {"Select": "COUNT"}, {"Select": "SPECIFIC_ATTRIBUTES"}, {"Select": "ALL_PROJECTED_ATTRIBUTES"}, {"Select": "SPECIFIC_ATTRIBUTES", "AttributesToGet": ["v"]}, {"FilterExpression": "id = :a", "ExpressionAttributeValues": A}, {"FilterExpression": "", "Limit": 0}, {"ProjectionExpression": "v"},
        {"ProjectionExpression": "id, k"}, {"ProjectionExpression": "id, id"}, {"ReturnConsumedCapacity": "TOTAL"}, {"ReturnConsumedCapacity": "TOTAL", "Select": "COUNT"}, {"IndexName": "nope"}, {"ExclusiveStartKey": {"id": {"S": "a"}, "k": {"N": "3"}}}, {"ExclusiveStartKey": {"id": {"S": "a"}, "k": {"N": "7"}}}, {"AttributesToGet": ["v"]}, {"ConsistentRead": True, "ReturnConsumedCapacity": "INDEXES"},
        {"AttributesToGet": ["v"], "FilterExpression": "v = :a", "ExpressionAttributeValues": A},
    ]:
        yield scan(**more)


PROJECTIONS = [
    "n", "n, s", "l[0]", "l[9]", "l[0], l[1]", "l[1], l[0]", "l[2][0], l[3]", "m.a", "m.a, m.b", "m.c.d[1]", "m.c.d[0], m.c.d[1]", "m.q", "q", "m, m.a", "m.a, m.a", "l[0], l[0].x", "m.a, m[0]", "id", "m.a.b", "l[3].k", "n.x", "s[0]", "", ",", "n,", "n s", "n.", "n..s", "#n", "name", "m.name", "l[2147483648]", "size(n)", ":v",
    "n = s", "(n)", "l[-1]", "l[a]", "l[0", "1n", "a" + ".b" * 31, "a" + ".b" * 32, "ss", "ss[0]", "u", "e", "z, t, b",
]


def reads():
    for text in PROJECTIONS:
        yield get(ProjectionExpression=text)
        yield scan(table="hash", ProjectionExpression=text)
        yield "BatchGetItem", {"RequestItems": {"hash": {"Keys": [KEY], "ProjectionExpression": text}}}
    yield get(ProjectionExpression="#a, #b", ExpressionAttributeNames={"#a": "n", "#b": "n"})
    yield get(ProjectionExpression="#a, #b.a", ExpressionAttributeNames={"#a": "n", "#b": "m"})
    yield get(ProjectionExpression="#a", ExpressionAttributeNames={"#a": "n", "#b": "m"})
    yield get(ProjectionExpression="#a", ExpressionAttributeNames={"#a": "m.a"})
    for more in [
        {"AttributesToGet": ["n"]}, {"AttributesToGet": ["n", "n"]}, {"AttributesToGet": []}, {"AttributesToGet": ["m.a"]}, {"AttributesToGet": ["n"], "ProjectionExpression": "n"}, {"AttributesToGet": "n"}, {"AttributesToGet": [1]}, {"AttributesToGet": [""]}, {"ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL"},
        {"ReturnConsumedCapacity": "TOTAL"}, {"ReturnConsumedCapacity": "INDEXES"}, {"ReturnConsumedCapacity": "x"}, {"ReturnConsumedCapacity": ""}, {"ConsistentRead": 1}, {"Unknown": 1}, {"TableName": "nope"}, {"TableName": "x"}, {"TableName": "a;b;c"}, {"TableName": None}, {"Key": None}, {"Key": {"id": {"S": "none"}}},
        {"Key": {"id": {"S": "none"}}, "ReturnConsumedCapacity": "TOTAL"}, {"Key": {"id": {"S": "none"}}, "ProjectionExpression": "n"},
    ]:
        yield "GetItem", {**get()[1], **more}


def writes():
    for more in [
        {"ReturnValues": "ALL_OLD"}, {"ReturnValues": "ALL_NEW"}, {"ReturnValues": "UPDATED_OLD"}, {"ReturnValues": "NONE"}, {"ReturnValues": "x"}, {"ReturnValues": ""}, {"ReturnConsumedCapacity": "TOTAL"}, {"ReturnConsumedCapacity": "INDEXES"}, {"ReturnItemCollectionMetrics": "SIZE"}, {"ReturnItemCollectionMetrics": "x"},
        {"ReturnValues": "x", "ReturnConsumedCapacity": "x", "ReturnItemCollectionMetrics": "x"}, {"ConditionExpression": "attribute_not_exists(id)"}, {"ConditionExpression": "attribute_exists(id)"}, {"ConditionExpression": "attribute_not_exists(id)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}, {"ConditionExpression": "id = :v", "ExpressionAttributeValues": SX},
        {"ConditionExpression": "id = :v"}, {"TableName": "nope"}, {"TableName": None}, {"TableName": "x"}, {"ReturnValuesOnConditionCheckFailure": "x"},
    ]:
        yield "PutItem", {**put(NESTED)[1], **more}
        yield "DeleteItem", {"TableName": "hash", "Key": KEY, **more}
        yield "DeleteItem", {"TableName": "hash", "Key": {"id": {"S": "none"}}, **more}
        yield "UpdateItem", {"TableName": "hash", "Key": KEY, "UpdateExpression": "SET n = n", **more}
        yield "UpdateItem", {"TableName": "hash", "Key": {"id": {"S": "none"}}, **more}
    for size in (1000, 1020, 1023, 1024, 1025, 3000, 5000):
        yield put({"id": {"S": "s"}, "x": {"S": "y" * size}}, ReturnConsumedCapacity="TOTAL")
        yield "GetItem", {"TableName": "hash", "Key": {"id": {"S": "s"}}, "ReturnConsumedCapacity": "TOTAL"}
    yield put({"id": {"S": "s"}}, ReturnConsumedCapacity="TOTAL")
    yield put({"id": {"S": "s"}, "x": {"S": "y" * 4000}}, ReturnConsumedCapacity="TOTAL")
    yield update("SET x = :v", SX, key={"id": {"S": "s"}}, ReturnConsumedCapacity="TOTAL")
    yield "DeleteItem", {"TableName": "hash", "Key": {"id": {"S": "s"}}, "ReturnConsumedCapacity": "TOTAL"}


def batches():
    one = {"DeleteRequest": {"Key": {"id": {"S": "x"}}}}

    def writes_of(n):
        return [{"PutRequest": {"Item": {"id": {"S": f"w{i}"}}}} for i in range(n)]

    def keys_of(n):
        return [{"id": {"S": f"w{i}"}} for i in range(n)]

    for items in [
        None, {}, {"hash": []}, {"hash": None}, {"hash": {}}, {"hash": [one, one]}, {"hash": [{"PutRequest": {"Item": {"id": {"S": "x"}}}}, one]}, {"hash": writes_of(25)}, {"hash": writes_of(26)}, {"hash": writes_of(20), "count": [{"PutRequest": {"Item": {"id": {"N": str(i)}}}} for i in range(6)]},
        {"hash": [{}]}, {"hash": [{"PutRequest": {}}]}, {"hash": [{"PutRequest": {"Item": {}}}]}, {"hash": [{"DeleteRequest": {}}]}, {"hash": [{**one, "PutRequest": {"Item": {"id": {"S": "y"}}}}]}, {"nope": [one]}, {"no": [one]}, {"hash": [{"PutRequest": {"Item": {"id": {"S": "x"}, "x": {"N": "x"}}}}]}, {"hash": ["x"]}, {"hash": [None]}, [],
        {"hash": [{"PutRequest": {"Item": {"id": {"S": "x"}, "x": {"S": "y" * (400 * 1024)}}}}]}, {"hash": [{"PutRequest": None}]}, {"hash": [one], "nope": [one]}, {"hash": [{"DeleteRequest": {"Key": {"id": {"N": "1"}}}}]}, {"count": [{"PutRequest": {"Item": {"id": {"N": "1"}}}}, {"PutRequest": {"Item": {"id": {"N": "1.0"}}}}]},
    ]:
        yield "BatchWriteItem", {"RequestItems": items}
    yield "BatchWriteItem", {"RequestItems": {"hash": [one]}, "ReturnConsumedCapacity": "TOTAL"}
    yield "BatchWriteItem", {"RequestItems": {"hash": [one], "count": [{"PutRequest": {"Item": {"id": {"N": "1"}}}}]}, "ReturnConsumedCapacity": "INDEXES"}
    yield "BatchWriteItem", {"RequestItems": {"hash": [one]}, "ReturnConsumedCapacity": "x", "ReturnItemCollectionMetrics": "x"}
    yield "BatchWriteItem", {}
    for items in [
        None, {}, {"hash": {}}, {"hash": None}, {"hash": {"Keys": []}}, {"hash": {"Keys": None}}, {"hash": {"Keys": keys_of(100)}}, {"hash": {"Keys": keys_of(101)}}, {"hash": {"Keys": [KEY, KEY]}}, {"nope": {"Keys": [KEY]}}, {"no": {"Keys": [KEY]}}, {"hash": {"Keys": [KEY], "AttributesToGet": ["n"]}}, {"hash": {"Keys": [KEY], "AttributesToGet": []}},
        {"hash": {"Keys": [KEY], "AttributesToGet": ["n"], "ProjectionExpression": "n"}}, {"hash": {"Keys": [KEY], "ExpressionAttributeNames": {"#n": "n"}}}, {"hash": {"Keys": [KEY], "ProjectionExpression": "#n", "ExpressionAttributeNames": {"#n": "n"}}}, {"hash": {"Keys": [KEY], "ProjectionExpression": "n", "ExpressionAttributeNames": {"#n": "n"}}},
        {"hash": {"Keys": [KEY], "ConsistentRead": True}}, {"hash": {"Keys": [KEY]}, "count": {"Keys": [{"id": {"N": "1"}}]}}, {"hash": {"Keys": [KEY]}, "nope": {"Keys": [KEY]}}, {"hash": {"Keys": ["x"]}}, {"hash": {"Keys": "x"}}, {"hash": []}, [], {"count": {"Keys": [{"id": {"N": "1"}}, {"id": {"N": "1.0"}}]}}, {"hash": {"Keys": [None]}},
        {"hash": {"Keys": keys_of(60)}, "count": {"Keys": [{"id": {"N": str(i)}} for i in range(41)]}},
    ]:
        yield "BatchGetItem", {"RequestItems": items}
    yield "BatchGetItem", {"RequestItems": {"hash": {"Keys": [KEY, {"id": {"S": "none"}}]}}, "ReturnConsumedCapacity": "TOTAL"}
    yield "BatchGetItem", {"RequestItems": {"hash": {"Keys": [KEY], "ConsistentRead": True}}, "ReturnConsumedCapacity": "INDEXES"}
    yield "BatchGetItem", {"RequestItems": {"hash": {"Keys": [KEY]}}, "ReturnConsumedCapacity": "x"}


def transactions():
    put_one = {"Put": {"TableName": "hash", "Item": {"id": {"S": "t"}}}}
    check = {"ConditionCheck": {"TableName": "hash", "Key": KEY, "ConditionExpression": "attribute_exists(id)"}}
    failing = {"ConditionCheck": {"TableName": "hash", "Key": KEY, "ConditionExpression": "attribute_not_exists(id)"}}
    for items in [
        None, [], [{}], [put_one], [put_one, put_one], [check], [failing], [put_one, failing], [{"ConditionCheck": {**failing["ConditionCheck"], "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}], [{**put_one, **check}], [{"Put": {"TableName": "nope", "Item": KEY}}], [{"Put": {"TableName": "hash", "Item": {}}}],
        [{"Put": {"TableName": "hash"}}], [{"Put": {"Item": KEY}}], [{"Update": {"TableName": "hash", "Key": KEY}}], [{"Update": {"TableName": "hash", "Key": KEY, "UpdateExpression": "SET q.x = :v", "ExpressionAttributeValues": N1}}], [{"Update": {"TableName": "hash", "Key": KEY, "UpdateExpression": "SET id = :v", "ExpressionAttributeValues": N1}}],
        [{"Update": {"TableName": "hash", "Key": KEY, "UpdateExpression": "SET s = s + :v", "ExpressionAttributeValues": N1}}], [{"Update": {"TableName": "hash", "Key": KEY, "UpdateExpression": "ADD s :v", "ExpressionAttributeValues": N1}}, put_one], [{"Delete": {"TableName": "hash", "Key": {"id": {"S": "none"}}}}],
        [{"Delete": {"TableName": "hash", "Key": {"id": {"N": "1"}}}}], [{"ConditionCheck": {"TableName": "hash", "Key": KEY}}], [{"Put": {"TableName": "hash", "Item": {"id": {"S": f"t{i}"}}}} for i in range(100)], [{"Put": {"TableName": "hash", "Item": {"id": {"S": f"t{i}"}}}} for i in range(101)],
        [{"Put": {"TableName": "hash", "Item": {"id": {"S": "x"}, "x": {"S": "y" * 410000}}}}], [{"Put": {"TableName": "hash", "Item": {"id": {"S": ""}}}}], [{"Get": {"TableName": "hash", "Key": KEY}}],
    ]:
        yield "TransactWriteItems", {"TransactItems": items}
    for items in [
        None, [], [{}], [{"Get": {"TableName": "hash", "Key": KEY}}], [{"Get": {"TableName": "hash", "Key": KEY}}, {"Get": {"TableName": "hash", "Key": {"id": {"S": "none"}}}}], [{"Get": {"TableName": "hash", "Key": KEY, "ProjectionExpression": "n, m.a"}}], [{"Get": {"TableName": "nope", "Key": KEY}}],
        [{"Get": {"TableName": "hash", "Key": {}}}], [{"Get": {"TableName": "hash"}}], [{"Get": {"TableName": "hash", "Key": {"id": {"S": f"t{i}"}}}} for i in range(101)], [{"Get": {"TableName": "hash", "Key": KEY}}, {"Get": {"TableName": "hash", "Key": KEY}}], [{"Get": {"TableName": "hash", "Key": KEY, "ProjectionExpression": ""}}],
    ]:
        yield "TransactGetItems", {"TransactItems": items}
    yield "TransactGetItems", {"TransactItems": [{"Get": {"TableName": "hash", "Key": KEY}}], "ReturnConsumedCapacity": "TOTAL"}
    yield "TransactWriteItems", {"TransactItems": [put_one, check], "ReturnConsumedCapacity": "TOTAL"}
    yield "TransactWriteItems", {"TransactItems": [put_one], "ClientRequestToken": ""}
    yield "TransactWriteItems", {"TransactItems": [put_one], "ClientRequestToken": "x" * 37}
    yield "TransactWriteItems", {"TransactItems": [put_one], "ClientRequestToken": "corner-1"}
    yield "TransactWriteItems", {"TransactItems": [put_one], "ClientRequestToken": "corner-1"}
    yield "TransactWriteItems", {"TransactItems": [check], "ClientRequestToken": "corner-1"}


def tables():
    def of(definitions, keys, **more):
        return "CreateTable", {
            "TableName": "made", "AttributeDefinitions": [{"AttributeName": a, "AttributeType": t} for a, t in definitions],
            "KeySchema": [{"AttributeName": a, "KeyType": t} for a, t in keys], "BillingMode": "PAY_PER_REQUEST", **more,
        }

    good = ([("a", "S")], [("a", "HASH")])
    for definitions, names in [
        ([], []), ([("a", "S")], []), ([], [("a", "HASH")]), ([("a", "S")], [("a", "RANGE")]), ([("a", "S"), ("b", "S")], [("a", "HASH")]), ([("a", "S"), ("b", "S")], [("a", "HASH"), ("b", "HASH")]), ([("a", "S"), ("b", "S")], [("a", "RANGE"), ("b", "HASH")]), ([("a", "S")], [("a", "HASH"), ("a", "RANGE")]),
        ([("a", "S"), ("a", "N")], [("a", "HASH")]), ([("a", "S")], [("b", "HASH")]), ([("a", "X")], [("a", "HASH")]), ([("a", "S")], [("a", "X")]), ([("a", "BOOL")], [("a", "HASH")]), ([("a", "S"), ("b", "S"), ("c", "S")], [("a", "HASH"), ("b", "RANGE"), ("c", "RANGE")]), ([("", "S")], [("", "HASH")]), ([("a" * 256, "S")], [("a" * 256, "HASH")]),
        ([("a", "S"), ("c", "S")], [("a", "HASH"), ("b", "RANGE")]), ([("c", "S"), ("b", "S")], [("a", "HASH"), ("b", "RANGE")]),
    ]:
        yield of(definitions, names)
    for more in [
        {"TableName": "ab"}, {"TableName": "a" * 256}, {"TableName": "a b c"}, {"TableName": None}, {"TableName": ""}, {"TableName": "hash"}, {"BillingMode": "x"}, {"BillingMode": "PROVISIONED"}, {"BillingMode": None}, {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}, {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}},
        {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 1}}, {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {}}, {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": -1, "WriteCapacityUnits": 1}}, {"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 1000000000001, "WriteCapacityUnits": 1}},
        {"ProvisionedThroughput": "x"}, {"KeySchema": "x"}, {"KeySchema": ["x"]}, {"KeySchema": [{}]}, {"AttributeDefinitions": [{}]}, {"AttributeDefinitions": None}, {"KeySchema": None}, {"TableClass": "x"}, {"DeletionProtectionEnabled": "x"},
    ]:
        yield of(*good, **more)
    for operation in ("DescribeTable", "DeleteTable", "UpdateTable", "DescribeTimeToLive", "DescribeContinuousBackups"):
        for name in (None, "", "ab", "nope", "a b c", "a" * 256, 1, []):
            if operation != "DescribeContinuousBackups":
                yield operation, {"TableName": name}
    for more in [{}, {"Limit": 0}, {"Limit": 1}, {"Limit": 100}, {"Limit": 101}, {"Limit": 2, "ExclusiveStartTableName": "count"}, {"ExclusiveStartTableName": "bz"}, {"ExclusiveStartTableName": ""}, {"ExclusiveStartTableName": "a"}, {"ExclusiveStartTableName": "a;b"}, {"Limit": "x"}, {"ExclusiveStartTableName": "zzz"}]:
        yield "ListTables", more
    for spec in [None, {}, {"AttributeName": "x"}, {"Enabled": True}, {"AttributeName": "", "Enabled": True}, {"AttributeName": "x", "Enabled": False}, {"AttributeName": "x", "Enabled": True}, {"AttributeName": "x", "Enabled": True}, {"AttributeName": "y", "Enabled": True}, {"AttributeName": "y", "Enabled": False}]:
        yield "UpdateTimeToLive", {"TableName": "count", "TimeToLiveSpecification": spec}
    yield "DescribeTimeToLive", {"TableName": "count"}
    for more in [{}, {"ResourceArn": "x"}, {"ResourceArn": ""}, {"ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/nope"}, {"ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/hash"}]:
        yield "ListTagsOfResource", more
        yield "TagResource", {**more, "Tags": []}
        yield "TagResource", {**more, "Tags": [{"Key": "k", "Value": "v"}]}
        yield "UntagResource", {**more, "TagKeys": []}
        yield "UntagResource", {**more, "TagKeys": ["k"]}


def size(value):
    """The size of a value, by the rules that AWS publishes."""
    (tag, inner), = value.items()
    if tag == "S":
        return len(inner.encode())
    if tag == "N":
        sign, digits = inner.startswith("-"), inner.lstrip("-")
        whole, _, fraction = digits.partition(".")
        if not fraction:
            whole = whole.rstrip("0")
        return (len(whole.lstrip("0")) + 1) // 2 + (len(fraction) + 1) // 2 + 1 + sign
    if tag in ("B", "BOOL", "NULL"):
        return len(inner) // 4 * 3 - inner.count("=") if tag == "B" else 1
    if tag in ("SS", "NS", "BS"):
        return sum(size({tag[0]: one}) for one in inner)
    if tag == "L":
        return 3 + sum(1 + size(one) for one in inner)
    return 3 + sum(1 + len(name.encode()) + size(one) for name, one in inner.items())


SIZED = [
    {"S": ""}, {"S": "\u00e9\U0001f600"}, {"B": "YWJj"}, {"BOOL": True}, {"NULL": True}, {"N": "1"}, {"N": "12"}, {"N": "123"}, {"N": "-123"}, {"N": "1200"}, {"N": "1.5"}, {"N": "-1.25"},
    {"N": "12345678901234567890123456789012345678"}, {"SS": ["a", "bcd"]}, {"NS": ["1", "-22.5"]}, {"BS": ["YQ==", "YWJj"]}, {"L": []}, {"L": [{"S": "a"}, {"N": "1"}]}, {"M": {}},
    {"M": {"a": {"S": "b"}, "cd": {"L": [{"BOOL": True}]}}},
]


def sizes():
    for value in SIZED:
        most = 400 * 1024 - len("id" + "v" + "x" + "pad") - size(value)
        for over in (0, 1):
            yield put({"id": {"S": "v"}, "x": value, "pad": {"S": "y" * (most + over)}})
        yield update("SET x = :v", {":v": value}, key={"id": {"S": "v"}}, ReturnValues="UPDATED_NEW", ReturnConsumedCapacity="TOTAL")


def everything():
    for family in (values_and_items, sizes, keys, conditions, updates, queries, scans, reads, writes, batches, transactions, tables):
        for operation, body in family():
            # A member given as None is left out.
            yield family.__name__, operation, {name: member for name, member in body.items() if member is not None}


def restore():
    """Puts back what a write may have changed."""
    yield "PutItem", {"TableName": "hash", "Item": NESTED}
    for name in ("new", "none"):
        yield "DeleteItem", {"TableName": "hash", "Key": {"id": {"S": name}}}
