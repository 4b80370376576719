"""Random requests on a few small tables: mostly valid ones, so that items are created and found again."""

import base64

TABLES = {
    "players": [("id", "S")],
    "scores": [("id", "S"), ("k", "N")],
    "notes": [("id", "N"), ("k", "S")],
    "blobs": [("id", "B"), ("k", "B")],
}

NUMBERS = ["0", "1", "-1", "2", "3", "10", "99", "-7.5", "0.1", "0.001", "1E10", "12345678901234567890", "1234567890123456789012345678",
           "0.00000000000000000001", "-3E-5", "9.99E20", "1E-20", "100", "1.5", "2.50"]
TEXTS = ["", "a", "b", "ab", "abc", "b a", "é", "\U0001f600", "Z", "~", "0", "10", "aa\tb", "x" * 40]
NAMES = ["a", "b", "c", "n", "s", "l", "m", "ss", "ns", "t"]
# Reserved words, which expressions can only use through placeholders.
RESERVED = ["name", "size", "Date", "a.b", "with space", "é", "0"]


class Generator:
    def __init__(self, random):
        self.random = random
        self.names = {}
        self.values = {}

    # Values.

    def number(self):
        random = self.random
        if random.random() < 0.5:
            return str(random.randrange(-20, 20))
        if random.random() < 0.2:
            digits = random.choice("123456789") + "".join(random.choice("0123456789") for _ in range(random.randrange(37)))
            return f"{random.choice(['', '-'])}{digits}E{random.randrange(-60, 60)}"
        return random.choice(NUMBERS)

    def text(self):
        return self.random.choice(TEXTS)

    def bytes(self):
        return bytes(self.random.choice([0, 1, 97, 98, 255]) for _ in range(self.random.randrange(4)))

    def value(self, depth=0):
        random = self.random
        kind = random.choice(["N"] * 5 + ["S"] * 4 + ["B", "BOOL", "NULL", "SS", "NS", "BS"] + (["L", "L", "M", "M"] if depth < 3 else []))
        if kind == "N":
            return {"N": self.number()}
        if kind == "S":
            return {"S": self.text()}
        if kind == "B":
            return {"B": base64.b64encode(self.bytes()).decode()}
        if kind == "BOOL":
            return {"BOOL": random.random() < 0.5}
        if kind == "NULL":
            return {"NULL": True}
        if kind in ("SS", "NS", "BS"):
            return self.set(kind)
        if kind == "L":
            return {"L": [self.value(depth + 1) for _ in range(random.randrange(4))]}
        return {"M": {name: self.value(depth + 1) for name in random.sample(NAMES, random.randrange(4))}}

    def set(self, kind):
        count = self.random.randrange(1, 4)
        if kind == "SS":
            return {"SS": sorted(self.random.sample(TEXTS[1:], count))}
        if kind == "NS":
            return {"NS": self.random.sample(["1", "2", "3.5", "-4", "1E3", "0"], count)}
        return {"BS": self.random.sample(["YQ==", "Yg==", "AAE=", "/w=="], count)}

    def key_value(self, kind, few):
        if kind == "S":
            return {"S": self.random.choice(["a", "b", "c", "ab", "é"][:few])}
        if kind == "N":
            return {"N": self.random.choice(["1", "2", "-3", "10", "2.5", "0", "1E3", "-0.01", "7", "20"][:few * 2])}
        return {"B": base64.b64encode(self.random.choice([b"a", b"b", b"\x00", b"\xff", b"ab"][:few])).decode()}

    def key(self, table):
        (partition, kind), *sort = TABLES[table]
        key = {partition: self.key_value(kind, 3)}
        for name, kind in sort:
            key[name] = self.key_value(kind, 5)
        return key

    def item(self, table):
        names = self.random.sample(NAMES, self.random.randrange(len(NAMES)))
        return {**self.key(table), **{name: self.typical(name) for name in names}}

    def typical(self, name):
        """Usually a value of the type that fits the attribute's name."""
        if self.random.random() < 0.15:
            return self.value()
        if name in ("n", "a"):
            return {"N": self.number()}
        if name in ("s", "b"):
            return {"S": self.text()}
        if name == "l":
            return {"L": [self.value(1) for _ in range(self.random.randrange(4))]}
        if name == "m":
            return {"M": {inner: self.value(1) for inner in self.random.sample(NAMES, 3)}}
        if name in ("ss", "ns"):
            return self.set(name.upper())
        return self.value()

    # Expressions.

    def begin(self):
        self.names, self.values = {}, {}

    def placeholders(self):
        out = {}
        if self.names:
            out["ExpressionAttributeNames"] = self.names
        if self.values:
            out["ExpressionAttributeValues"] = self.values
        return out

    def name(self, name):
        if self.random.random() < 0.7:
            return name
        key = f"#{'n' if name == 'a' else 'p'}{len(self.names)}"
        for known, meant in self.names.items():
            if meant == name:
                return known
        self.names[key] = name
        return key

    def constant(self, value=None):
        value = value or self.value(2)
        for known, meant in self.values.items():
            if meant == value:
                return known
        key = f":v{len(self.values)}"
        self.values[key] = value
        return key

    def path(self, root=None):
        root = root or self.random.choice(NAMES)
        path = self.name(root)
        if root == "m" and self.random.random() < 0.7:
            path += "." + self.name(self.random.choice(NAMES))
        elif root == "l" and self.random.random() < 0.7:
            path += f"[{self.random.randrange(4)}]"
        return path

    def condition(self, table, depth=0, keys=True):
        random = self.random
        shape = random.random()
        if depth < 3 and shape < 0.35:
            parts = [self.condition(table, depth + 1, keys) for _ in range(random.randrange(2, 4))]
            joined = random.choice([" AND ", " OR ", " and "]).join(parts)
            return f"({joined})" if depth else joined
        if depth < 3 and shape < 0.42:
            return f"NOT ({self.condition(table, 3, keys)})"
        return self.comparison(table, keys)

    def comparison(self, table, keys):
        random = self.random
        root = random.choice(NAMES)
        shape = random.randrange(14)
        if shape == 11:
            return f"begins_with({self.path('s')}, {self.constant({'S': self.text()})})"
        if shape == 13:
            number = self.constant({"N": str(random.randrange(5))})
            sign = random.choice(["=", "<", ">=", "<>"])
            return f"size({self.path(random.choice(['s', 'l', 'ss', 'ns', 'm']))}) {sign} {number}"
        if 8 <= shape < 10 and keys and random.random() < 0.3:
            return f"{random.choice(['attribute_exists', 'attribute_not_exists'])}({TABLES[table][0][0]})"
        path = self.path(root)
        if shape < 4:
            return f"{path} {random.choice(['=', '<>'])} {self.constant(self.typical(root))}"
        if shape < 6:
            sign = random.choice(["<", "<=", ">", ">="])
            return f"{path} {sign} {self.constant(self.orderable())}"
        if shape == 6:
            numbers = sorted(random.sample(range(-20, 20), 2))
            low, high = ({"N": str(n)} for n in numbers)
            return f"{path} BETWEEN {self.constant(low)} AND {self.constant(high)}"
        if shape == 7:
            constants = [self.constant(self.orderable()) for _ in range(random.randrange(1, 4))]
            return f"{path} IN ({', '.join(constants)})"
        if shape < 10:
            return f"{random.choice(['attribute_exists', 'attribute_not_exists'])}({path})"
        if shape == 10:
            kind = random.choice(["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"])
            return f"attribute_type({path}, {self.constant({'S': kind})})"
        return f"contains({path}, {self.constant(self.orderable())})"

    def orderable(self):
        return self.random.choice([{"N": self.number()}, {"N": self.number()}, {"S": self.text()}])

    def update(self):
        """Sections of an update on paths that do not overlap."""
        random = self.random
        roots = random.sample(NAMES, random.randrange(1, 5))
        sections = {"SET": [], "REMOVE": [], "ADD": [], "DELETE": []}
        for root in roots:
            shape = random.randrange(10)
            if shape < 5:
                sections["SET"].append(f"{self.path(root)} = {self.operand(root)}")
            elif shape < 7:
                sections["REMOVE"].append(self.path(root))
            elif shape < 9:
                value = {"N": self.number()} if root not in ("ss", "ns") else self.set(root.upper())
                sections["ADD"].append(f"{self.path(root)} {self.constant(value)}")
            else:
                value = self.set({"ns": "NS"}.get(root, "SS"))
                sections["DELETE"].append(f"{self.path(root)} {self.constant(value)}")
        order = [name for name in sections if sections[name]]
        random.shuffle(order)
        return " ".join(f"{name} {', '.join(sections[name])}" for name in order)

    def operand(self, root):
        random = self.random
        shape = random.randrange(9)
        if shape < 3:
            return self.constant(self.typical(root))
        if shape == 3:
            return self.path()
        if shape < 6:
            left = self.path(random.choice(["n", "a"]))
            if random.random() < 0.5:
                left = f"if_not_exists({self.path('n')}, {self.constant({'N': '0'})})"
            return f"{left} {random.choice('+-')} {self.constant({'N': self.number()})}"
        if shape == 6:
            other = random.choice([name for name in NAMES if name != root])
            return f"if_not_exists({self.path(other)}, {self.constant(self.typical(root))})"
        added = {"L": [self.value(2)]}
        first = f"if_not_exists(l, {self.constant(added)})" if random.random() < 0.5 else "l"
        return f"list_append({first}, {self.constant(added)})"

    def projection(self, table):
        roots = self.random.sample(NAMES + [name for name, _ in TABLES[table]], self.random.randrange(1, 5))
        return ", ".join(self.path(root) for root in roots)

    # Requests.

    def request(self):
        kinds = {"put": 6, "get": 5, "update": 9, "delete": 3, "query": 6, "scan": 3, "batch_write": 2, "batch_get": 2,
                 "transact_write": 3, "transact_get": 1}
        kind, = self.random.choices(list(kinds), kinds.values())
        self.begin()
        table = self.random.choice(list(TABLES))
        operation, body = getattr(self, "update_item" if kind == "update" else kind)(table)
        return operation, {name: member for name, member in body.items() if member is not None}

    def maybe(self, chance, value):
        return value() if self.random.random() < chance else None

    def capacity(self):
        return self.maybe(0.15, lambda: self.random.choice(["TOTAL", "INDEXES", "NONE"]))

    def returns(self, *values):
        return self.maybe(0.5, lambda: self.random.choice(values))

    def put(self, table):
        body = {"TableName": table, "Item": self.item(table), "ConditionExpression": self.maybe(0.3, lambda: self.condition(table)),
                "ReturnValues": self.returns("ALL_OLD", "NONE"), "ReturnConsumedCapacity": self.capacity()}
        return "PutItem", {**body, **self.placeholders()}

    def get(self, table):
        body = {"TableName": table, "Key": self.key(table), "ConsistentRead": self.maybe(0.3, lambda: True),
                "ProjectionExpression": self.maybe(0.4, lambda: self.projection(table)), "ReturnConsumedCapacity": self.capacity()}
        return "GetItem", {**body, **self.placeholders()}

    def update_body(self, table):
        return {"TableName": table, "Key": self.key(table), "UpdateExpression": self.update(),
                "ConditionExpression": self.maybe(0.2, lambda: self.condition(table))}

    def update_item(self, table):
        body = {**self.update_body(table), "ReturnValues": self.returns("ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW", "NONE"),
                "ReturnConsumedCapacity": self.capacity()}
        return "UpdateItem", {**body, **self.placeholders()}

    def delete(self, table):
        body = {"TableName": table, "Key": self.key(table), "ConditionExpression": self.maybe(0.3, lambda: self.condition(table)),
                "ReturnValues": self.returns("ALL_OLD", "NONE"), "ReturnConsumedCapacity": self.capacity()}
        return "DeleteItem", {**body, **self.placeholders()}

    def query(self, table):
        random = self.random
        (partition, kind), *sort = TABLES[table]
        text = f"{partition} = {self.constant(self.key_value(kind, 3))}"
        if sort and random.random() < 0.6:
            (name, kind), = sort
            one = self.key_value(kind, 5)
            shape = random.randrange(7)
            if shape < 5:
                text += f" AND {name} {['=', '<', '<=', '>', '>='][shape]} {self.constant(one)}"
            elif shape == 5 or kind == "N":
                low, high = self.ordered(kind)
                text += f" AND {name} BETWEEN {self.constant(low)} AND {self.constant(high)}"
            else:
                text += f" AND begins_with({name}, {self.constant(one)})"
        body = {"TableName": table, "KeyConditionExpression": text, "FilterExpression": self.maybe(0.3, lambda: self.condition(table, keys=False)),
                "Limit": self.maybe(0.4, lambda: random.randrange(1, 5)), "ScanIndexForward": self.maybe(0.5, lambda: random.random() < 0.5),
                "ReturnConsumedCapacity": self.capacity()}
        self.shown(table, body)
        return "Query", {**body, **self.placeholders()}

    def ordered(self, kind):
        if kind == "N":
            low, high = sorted(self.random.sample(range(-10, 30), 2))
            return {"N": str(low)}, {"N": str(high)}
        if kind == "S":
            return {"S": "a"}, {"S": self.random.choice(["a", "b", "c"])}
        return {"B": "AA=="}, {"B": self.random.choice(["YQ==", "/w=="])}

    def shown(self, table, body):
        shape = self.random.randrange(4)
        if shape == 0:
            body["ProjectionExpression"] = self.projection(table)
        elif shape == 1:
            body["Select"] = "COUNT"

    def scan(self, table):
        body = {"TableName": table, "FilterExpression": self.maybe(0.5, lambda: self.condition(table)), "ReturnConsumedCapacity": self.capacity()}
        self.shown(table, body)
        return "Scan", {**body, **self.placeholders()}

    def several(self, table, count):
        keys = []
        for _ in range(self.random.randrange(1, count)):
            key = self.key(table)
            if key not in keys:
                keys.append(key)
        return keys

    def batch_write(self, _table):
        requests = {}
        for table in self.random.sample(list(TABLES), self.random.randrange(1, 3)):
            requests[table] = [
                {"PutRequest": {"Item": {**self.item(table), **key}}} if self.random.random() < 0.7 else {"DeleteRequest": {"Key": key}}
                for key in self.several(table, 8)
            ]
        return "BatchWriteItem", {"RequestItems": requests, "ReturnConsumedCapacity": self.capacity()}

    def batch_get(self, _table):
        requests = {}
        for table in self.random.sample(list(TABLES), self.random.randrange(1, 3)):
            self.begin()
            body = {"Keys": self.several(table, 8), "ConsistentRead": self.maybe(0.3, lambda: True),
                    "ProjectionExpression": self.maybe(0.3, lambda table=table: self.projection(table))}
            requests[table] = {name: member for name, member in {**body, **self.placeholders()}.items() if member is not None}
        return "BatchGetItem", {"RequestItems": requests, "ReturnConsumedCapacity": self.capacity()}

    def transact_write(self, _table):
        actions, seen = [], []
        for _ in range(self.random.randrange(1, 5)):
            table = self.random.choice(list(TABLES))
            self.begin()
            kind = self.random.choice(["Put", "Update", "Delete", "ConditionCheck"])
            body = {"TableName": table, "Item": self.item(table)} if kind == "Put" else {"TableName": table, "Key": self.key(table)}
            if kind == "Update":
                body["UpdateExpression"] = self.update()
            if kind == "ConditionCheck" or self.random.random() < 0.2:
                body["ConditionExpression"] = self.condition(table)
            if self.random.random() < 0.3:
                body["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
            which = (table, {name: (body.get("Item") or body["Key"])[name] for name, _ in TABLES[table]})
            if which not in seen:
                seen.append(which)
                actions.append({kind: {**body, **self.placeholders()}})
        return "TransactWriteItems", {"TransactItems": actions}

    def transact_get(self, _table):
        gets = []
        for _ in range(self.random.randrange(1, 5)):
            table = self.random.choice(list(TABLES))
            self.begin()
            body = {"TableName": table, "Key": self.key(table)}
            if self.random.random() < 0.3:
                body["ProjectionExpression"] = self.projection(table)
            gets.append({"Get": {**body, **self.placeholders()}})
        return "TransactGetItems", {"TransactItems": gets}
