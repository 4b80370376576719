"""The differences that AWS's documentation explains, one by one; docs/compatibility.md says why under the same names."""

import json
import re

INVALID = "ValidationException: "
REFUSED = r"(ConditionalCheckFailedException: .*|ok)"


def summary(reply):
    return f"{reply.error}: {reply.message}" if reply.error else "ok"


class Excuse:
    """Covers a referee's answer to some operations, if both answers fit its patterns and `when` is true."""

    def __init__(self, name, who, ours, theirs, operations=None, when=None):
        self.name = name
        self.who = who
        self.ours = re.compile(ours, re.DOTALL)
        self.theirs = re.compile(theirs, re.DOTALL)
        self.operations = operations
        self.when = when

    def covers(self, operation, body, ours, theirs):
        return ((self.operations is None or operation in self.operations)
                and self.ours.fullmatch(summary(ours)) is not None
                and self.theirs.fullmatch(summary(theirs)) is not None
                and (self.when is None or self.when(operation, body, ours.body, theirs.body)))


def text_of(body):
    names = ("ConditionExpression", "FilterExpression", "UpdateExpression", "KeyConditionExpression")
    return " ".join(str(body[name]) for name in names if name in body)


def uses(pattern):
    """The request's expressions contain this."""
    return lambda _operation, body, _ours, _theirs: re.search(pattern, text_of(body)) is not None


def _nothing_touched(_operation, body, ours, theirs):
    return (body.get("ReturnValues") in ("UPDATED_OLD", "UPDATED_NEW") and "Attributes" not in ours
            and theirs.get("Attributes") == {})


def _takes_away(_operation, body, *_):
    """An update that only removes, or a transaction with such an update."""
    updates = [body, *(action.get("Update", {}) for action in body.get("TransactItems", []))]
    changes = [one.get("Action") for one in body.get("AttributeUpdates", {}).values()] if isinstance(body.get("AttributeUpdates"), dict) else []
    words = [re.search(r"(^|\s)(SET|ADD)\s", one["UpdateExpression"]) for one in updates if "UpdateExpression" in one]
    return (bool(words) and not all(words)) or (bool(changes) and set(changes) == {"DELETE"})


def _expects(_operation, body, *_):
    return "Expected" in body


def _expects_documents(_operation, body, *_):
    return re.search(r'\[{"[LM]": ', json.dumps(body.get("Expected"))) is not None


def _compares_numbers(_operation, body, *_):
    """A legacy condition has a number that is not spelled like the item's, or a set in another order."""
    return re.search(r'"(5\.0|2\.0)"|\["c", "a", "b"\]', json.dumps([body.get("Expected"), body.get("ScanFilter")])) is not None


def _lacks(_operation, body, *_):
    return '"NOT_CONTAINS"' in json.dumps([body.get("Expected"), body.get("ScanFilter")])


EXPRESSION = r"ValidationException: Invalid \w+: "
TABLE_NAME = r"'tableName' failed to satisfy constraint"
LISTS = {"BatchWriteItem", "BatchGetItem"}
TAGS = {"ListTagsOfResource", "TagResource", "UntagResource"}

DYNALITE = [
    # Wording.
    ("syntax-words", EXPRESSION + "Syntax error; token: .*", EXPRESSION + "Syntax error; Expected .*"),
    ("type-set-words", EXPRESSION + "Incorrect operand type .*, typeSet: .*", EXPRESSION + "Incorrect operand type .*"),
    ("type-name-words", EXPRESSION + "Invalid attribute type name found; .*", EXPRESSION + "Invalid attribute type name found; .*"),
    ("any-type-words", EXPRESSION + "Incorrect operand type .*: attribute_type, .*", EXPRESSION + "Incorrect operand type .*: attribute_type, .*"),
    ("binary-words", EXPRESSION + "The BETWEEN operator requires .*HeapByteBuffer.*", EXPRESSION + "The BETWEEN operator requires .*"),
    ("function-words", EXPRESSION + "The function is not allowed in an? (condition|update) expression; .*", EXPRESSION + "Invalid function name; .*"),
    ("empty-key-words", INVALID + "(The provided starting key is invalid: )?One or more parameter values are not valid. .* empty (string|binary) value.*",
     INVALID + "(The provided starting key is invalid: )?One or more parameter values were invalid: .* empty (string|binary) value.*"),
    ("map-words", r"ValidationException: .* '\{.*=.*\}' at 'requestItems' failed .*", r"ValidationException: .* '\{.*\}' at 'requestItems' failed .*", LISTS),
    ("list-words", r"ValidationException: .* '\[(\.\.\.|KeySchemaElement.*)\]' at .*", r"ValidationException: .* '\[.*\]' at .*"),
    ("java-words", "SerializationException: Unexpected field type", "SerializationException: class sun.reflect.*", LISTS),
    ("nested-key-words", INVALID + "Invalid KeyConditionExpression: KeyConditionExpressions cannot have.*", INVALID + "KeyConditionExpressions cannot have.*", {"Query"}),
    ("exists-words", "ResourceInUseException: Table already exists: .*", "ResourceInUseException: ", {"CreateTable"}),
    # Names of tables.
    ("arn-names", "(ResourceNotFoundException: Requested resource not found|ValidationException: .*" + TABLE_NAME + ".*)", INVALID + r"\d validation errors? detected: Value .* at " + TABLE_NAME + ".*"),
    ("arn-names", "ResourceNotFoundException: Requested resource not found", INVALID + r".* at 'requestItems' failed to satisfy constraint: Map keys .*", LISTS),
    # Requests that are refused here and in AWS.
    ("string-sizes", INVALID + "Item size has exceeded the maximum allowed size", "ok", {"PutItem"}, lambda _o, body, *_: not str(body).isascii()),
    ("distinct-or-many", INVALID + "Invalid KeyConditionExpression: The first operand must be distinct .*", INVALID + "Invalid condition in KeyConditionExpression: Multiple .*", {"Query"}),
    ("conditions-words", INVALID + "Query key condition not supported", INVALID + "Conditions can be of length 1 or 2 only", {"Query"}),
    ("empty-names", INVALID + ".*may not contain an empty attribute name.*", "ok"),
    ("empty-names", INVALID + "ExpressionAttributeNames contains invalid value: Empty attribute name .*", INVALID + "Value provided in ExpressionAttributeNames unused .*"),
    ("long-names", INVALID + "(.*Attribute name is too large.*|.*contains a key that is too long.*)", f"(ok|{INVALID}.*unused in expressions.*|{INVALID}.*is not defined.*|{REFUSED})"),
    ("deep-values", INVALID + "(.*Nesting Levels have exceeded.*|.*nested levels beyond supported limit.*)", "ok"),
    ("expression-limits", EXPRESSION + "(The IN operator is provided with too many|The expression contains too many|Expression size has exceeded|The document path has too many|List index is not within).*",
     f"({REFUSED}|{INVALID}.*is not defined.*|{INVALID}The document path provided in the update expression is invalid for update|{INVALID}The provided expression refers to.*)"),
    ("same-operand", EXPRESSION + "The first operand must be distinct .*", f"({REFUSED}|{INVALID}The provided expression refers to.*)"),
    ("operand-types", EXPRESSION + "Incorrect operand type for operator or function; operator or function: (<|<=|>|>=|BETWEEN), .*", REFUSED),
    ("needs-path", EXPRESSION + "Operator or function requires a document path; .*attribute_type", REFUSED),
    ("nested-keys", INVALID + "Key attributes must be scalars; .*", f"({REFUSED}|{INVALID}Filter Expression can only contain .*)"),
    ("first-letters", EXPRESSION + 'Syntax error; token: "_", .*', f"({REFUSED}|ok|{INVALID}.*)"),
    ("bare-placeholders", EXPRESSION + 'Syntax error; token: "[:#]", .*', EXPRESSION + "An expression attribute .* not defined; .*"),
    ("leading-zeros", EXPRESSION + 'Syntax error; token: "1", near: "01]"', REFUSED),
    ("section-words", EXPRESSION + 'Syntax error; token: "(set|remove)", .*', f"({REFUSED}|{EXPRESSION}Attribute name is a reserved keyword.*)"),
    ("select", INVALID + "(Must specify the AttributesToGet or ProjectionExpression|.*Select type ALL_PROJECTED_ATTRIBUTES|Cannot specify the .* when choosing).*", "ok", {"Query", "Scan"}),
    ("empty-query-key", INVALID + "One or more parameter values are not valid. .*", "ok", {"Query"}),
    ("segment-bounds", INVALID + "The TotalSegments parameter is required .*", "ok", {"Scan"}),
    ("segment-bounds", INVALID + ".*'(totalSegments|segment)' failed to satisfy constraint: Member must have value less than .*", f"(ok|{INVALID}The Segment parameter is zero-based .*)", {"Scan"}),
    ("delete-returns", INVALID + "ReturnValues can only be ALL_OLD or NONE", f"({REFUSED}|{INVALID}.*)", {"DeleteItem"}),
    ("failure-returns", INVALID + ".*returnValuesOnConditionCheckFailure.*", "ok"),
    ("batch-sum", INVALID + "Too many items requested for the BatchWriteItem call", "ok", {"BatchWriteItem"}),
    ("two-requests", INVALID + "Supplied AttributeValue has more than one datatypes set, .*", "ok", {"BatchWriteItem"}),
    ("key-names", INVALID + ".*attributeName' failed to satisfy constraint: Member must have length .*", "(ok|ResourceInUseException: )", {"CreateTable"}),
    ("key-twice", INVALID + "Cannot have two attributes with the same name", INVALID + ".*Number of attributes in KeySchema does not exactly match.*", {"CreateTable"}),
    ("newer-members", "(ValidationException: .*'tableClass'.*|SerializationException: .*)", "(ok|ResourceInUseException: )", {"CreateTable"}),
    ("foreign-resources", INVALID + "Invalid TableArn: Invalid ResourceArn provided as input.*", "AccessDeniedException: .*", TAGS),
    ("sum-digits", INVALID + "(Attempting to store more than 38 significant digits in a Number|Number (over|under)flow.*)", "ok", {"UpdateItem"}),
    # Requests that are accepted here and in AWS.
    ("signed-numbers", "ok", INVALID + r".*The parameter cannot be converted to a numeric value: \+.*"),
    ("double-not", REFUSED, EXPRESSION + 'Syntax error; Expected "\\(" but "N" found.', None, uses("NOT NOT")),
    ("sum-parentheses", f"(ok|{INVALID}The provided expression.*)", EXPRESSION + "Syntax error; Expected .*", {"UpdateItem"}, uses(r"\) [+-]")),
    # Features that the referee lacks.
    ("fell-over", r"(ok|ConditionalCheckFailedException: .*|ValidationException: .*)", "InternalFailure: .*"),
    ("structures-in-lists", REFUSED, REFUSED, {"UpdateItem", "DeleteItem", "PutItem", "Scan", "Query"}, uses(r"contains ?\(|IN \(")),
    ("missing-sizes", REFUSED, REFUSED, {"Scan", "Query", "UpdateItem", "DeleteItem", "PutItem"}, uses(r"size")),
    ("removed-indexes", "ok", "ok", {"UpdateItem"}, uses(r"REMOVE .*\[")),
    ("empty-read-capacity", "ok", "ok", {"Query", "Scan"}, lambda _o, _b, ours, theirs: ours["ScannedCount"] == theirs["ScannedCount"] == 0 and "ConsumedCapacity" in ours),
    ("shared-values", "ok", "ok", {"UpdateItem"}, uses(r"SET .*(ADD|DELETE) |(ADD|DELETE) .*SET ")),
    ("nothing-touched", "ok", "ok", {"UpdateItem"}, _nothing_touched),
    ("scan-table-capacity", "ok", "ok", {"Scan"}, lambda _o, body, *_: body.get("ReturnConsumedCapacity") == "INDEXES"),
    ("failure-item", "ConditionalCheckFailedException: .*", "ConditionalCheckFailedException: .*", None, lambda _o, body, *_: body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"),
    ("scan-order", "ok", "ok", {"Scan"}, lambda _o, body, *_: "ExclusiveStartKey" in body or "Limit" in body or "Segment" in body),
    ("no-ttl", "ok", "ok", {"DescribeTimeToLive"}),
    ("first-of-two", INVALID + "(The document path provided|An operand in the update).*", INVALID + "(The provided expression refers|The document path provided|An operand in the update).*", {"UpdateItem"}),
    # Parameters from before expressions.
    ("takes-away", "ok", "ok", {"UpdateItem"}, _takes_away),
    ("conditional-operator", INVALID + "ConditionalOperator can.*", f"({REFUSED}|{INVALID}.*)"),
    ("conditional-operator", INVALID + "Can not use both .*, ConditionalOperator}.*", INVALID + "Can not use both .*"),
    ("expected-values", INVALID + "One or more parameter values were invalid: ComparisonOperator .* is not valid for .*", REFUSED, None, _expects),
    ("expected-values", INVALID + "(Supplied AttributeValue|The parameter cannot be converted|One or more parameter values were invalid: (An|Null)).*", REFUSED, None, _expects),
    ("equal-documents", "ok", INVALID + "One or more parameter values were invalid: ComparisonOperator (EQ|NE) is not valid for .*", {"Scan", "Query"}),
    ("equal-documents", REFUSED, REFUSED, None, _expects_documents),
    ("equal-numbers", REFUSED, REFUSED, None, _compares_numbers),
    ("empty-strings", REFUSED, REFUSED, None, lambda _o, body, *_: '{"S": ""}' in json.dumps([body.get("Expected"), body.get("ScanFilter")])),
    ("any-of-two", "ok", "(ok|ConditionalCheckFailedException: .*)", None, lambda _o, body, *_: body.get("ConditionalOperator") == "OR"),
    ("missing-contains", REFUSED, REFUSED, None, _lacks),
    ("action-names", INVALID + ".*'attributeUpdates.*", f"(ok|{INVALID}.*)", {"UpdateItem"}),
    ("indexable-first", INVALID + "Attempted conditional constraint is not an indexable operation", INVALID + "Query key condition not supported", {"Query"}),
    ("batch-words", INVALID + r"(1 validation error detected: Value at 'RequestItems.*|The requestItems parameter is required .*)", INVALID + ".* at 'requestItems.*", LISTS),
    # Refusals in other words.
    ("query-start", INVALID + "The provided starting key is invalid: .*", INVALID + "(The provided starting key is invalid|The provided key element does not match the schema|One or more parameter values were invalid: .*)", {"Query"}),
]

READS = {"GetItem", "Query", "Scan", "BatchGetItem"}
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}


def _has_null(_operation, body, *_):
    """A condition compares with a null."""
    values = [body, *(one for action in body.get("TransactItems", []) for one in action.values())]
    return any({"NULL": True} in one.get("ExpressionAttributeValues", {}).values() for one in values)


def _has_set(_operation, body, *_):
    """The referee keeps the numbers of a set as texts, so 1E3 and 1000 differ, and compares sets with their order."""
    values = [body, *(one for action in body.get("TransactItems", []) for one in action.values())]
    return any({"SS", "NS", "BS"} & set(value) for one in values for value in one.get("ExpressionAttributeValues", {}).values())


def _indexed_name(_operation, body, *_):
    """A projection has a list index after a placeholder."""
    parts = [body, *body.get("RequestItems", {}).values()]
    return any(re.search(r"#\w+\[", part.get("ProjectionExpression", "")) for part in parts)


def _no_last_key(_operation, body, ours, theirs):
    """The referee omits the last key if a limit ends the page exactly at the last item."""
    return "Limit" in body and "LastEvaluatedKey" in ours and "LastEvaluatedKey" not in theirs


def _projected_gets(_operation, body, *_):
    return any("ProjectionExpression" in one["Get"] for one in body["TransactItems"])


def _not_both_ok(_operation, _body, ours, theirs):
    return "__type" in ours or "__type" in theirs


def _malformed(_operation, body, *_):
    """A request that breaks a rule for requests, as the listed ones do."""
    actions = body.get("TransactItems")
    if not actions or len(actions) > 100 or not 1 <= len(body.get("ClientRequestToken", "x")) <= 36:
        return True
    parts = [one for action in actions for one in action.values()]
    return any(
        "TableName" not in one or not (one.get("Item") or one.get("Key")) or one.get("ProjectionExpression") == ""
        or (one.get("Item") or one["Key"]).get("id") in ({"S": ""}, {"N": "1"})
        for one in parts
    ) or any(len(action) != 1 or "Get" in action or "ConditionExpression" not in action.get("ConditionCheck", {"ConditionExpression": ""})
             or "UpdateExpression" not in action.get("Update", {"UpdateExpression": ""}) for action in actions)


def _updated_parts(_operation, body, *_):
    return body.get("ReturnValues", "").startswith("UPDATED")


def _several_actions(_operation, body, *_):
    """The referee makes the actions of an update one after the other, each on the result of the one before."""
    updates = [body, *(action.get("Update", {}) for action in body.get("TransactItems", []))]
    return any(re.search(r",| (SET|REMOVE|ADD|DELETE) ", one.get("UpdateExpression", "")) for one in updates)


CANCELLED = "TransactionCanceledException: .*"
UPDATES = "(The document path provided|The provided expression refers|An operand in the update|Attempting to store|Number (over|under)flow).*"

MOTO = [
    ("moto-twice", INVALID + "Transaction request cannot include multiple operations on one item", "ok", {"TransactGetItems"}),
    ("takes-away", "(ok|ConditionalCheckFailedException: .*)", "(ok|ConditionalCheckFailedException: .*)", {"UpdateItem", "TransactWriteItems"}, _takes_away),
    ("moto-falls-over", f"(ok|ConditionalCheckFailedException: .*|{INVALID}{UPDATES})", "InternalFailure: .*", READS | WRITES),
    ("moto-sizes", "ok", INVALID + "Bad Filter Expression: Invalid (attribute name|filter expression).*", {"Query", "Scan"}, uses("size")),
    ("moto-sizes", "ok", "ok", {"Query", "Scan"}, uses("size")),
    ("moto-index-names", "ok", INVALID + "Value provided in ExpressionAttributeNames unused in expressions: .*", READS, _indexed_name),
    ("moto-unused-words", INVALID + "Value provided in ExpressionAttribute.* unused .*", INVALID + ".*Value provided in ExpressionAttribute.* unused .*"),
    ("moto-last-key", "ok", "ok", {"Query"}, _no_last_key),
    ("moto-null", f"({REFUSED}|{INVALID}{UPDATES})", f"({REFUSED}|{INVALID}{UPDATES})", None, _has_null),
    ("moto-orders", REFUSED, REFUSED, None, uses(r"[<>]=? |BETWEEN")),
    ("moto-sets", REFUSED, REFUSED, None, _has_set),
    ("moto-projected-gets", "ok", "ok", {"TransactGetItems"}, _projected_gets),
    ("moto-updated-parts", "ok", "ok", {"UpdateItem"}, _updated_parts),
    ("moto-one-by-one", f"(ok|{INVALID}{UPDATES})", f"(ok|{INVALID}{UPDATES})", {"UpdateItem", "TransactWriteItems"}, _several_actions),
    ("moto-operand-words", INVALID + UPDATES, INVALID + "Invalid UpdateExpression: Incorrect operand type .*", {"UpdateItem"}),
    ("moto-transact-updates", f"(ok|{CANCELLED})", f"(ok|{CANCELLED}|{INVALID}({UPDATES}|Invalid UpdateExpression: Incorrect operand type .*|.*Cannot update attribute .*))", {"TransactWriteItems"}, _not_both_ok),
    ("sum-digits", INVALID + "(Attempting to store more than 38 significant digits in a Number|Number (over|under)flow.*)", "ok", {"UpdateItem"}),
    ("moto-tokens", "IdempotentParameterMismatchException: .*", "ok", {"TransactWriteItems"}),
    ("moto-unchecked", f"({INVALID}.*|{CANCELLED})", f"(ok|InternalFailure: .*|{CANCELLED})", {"TransactWriteItems", "TransactGetItems"}, _malformed),
    ("moto-transact-words", f"({INVALID}.*|{CANCELLED})", INVALID + "(1 validation error detected.*|One or more parameter values were invalid.*|Validation Exception)", {"TransactWriteItems", "TransactGetItems"}, _malformed),
    ("moto-path-kinds", INVALID + "The document path provided .*", "ok", {"UpdateItem"}),
]

EXCUSES = [Excuse(name, who, *rest) for who, rows in (("dynalite", DYNALITE), ("moto", MOTO)) for name, *rest in rows]


def excuse(who, operation, body, ours, theirs):
    """The name of the excuse that covers a difference, if there is one."""
    for one in EXCUSES:
        if one.who == who and one.covers(operation, body, ours, theirs):
            return one.name
    return None
