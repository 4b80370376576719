//! Tests of the parameters that DynamoDB had before expressions.

use super::{call, invalid, put, refused};
use crate::command::testing::Harness;
use serde_json::{Value, json};

fn harness() -> Harness {
    let mut h = Harness::new();
    let body = json!({"TableName": "abc", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "k", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "k", "KeyType": "RANGE"}]});
    call(&mut h, "CreateTable", &body);
    put(&mut h, "abc", item());
    h
}

fn key() -> Value {
    json!({"id": {"S": "a"}, "k": {"N": "1"}})
}

fn item() -> Value {
    json!({"id": {"S": "a"}, "k": {"N": "1"}, "n": {"N": "5"}, "s": {"S": "hello"}, "l": {"L": [{"N": "1"}]},
        "m": {"M": {"x": {"S": "y"}}}, "ss": {"SS": ["a", "b"]}, "t": {"BOOL": true}, "z": {"NULL": true}})
}

fn parameter(message: &str) -> Value {
    invalid(&format!("One or more parameter values were invalid: {message}"))
}

#[test]
fn expected_decides_whether_an_item_is_written() {
    let mut h = harness();
    let mut check = |expected: Value, operator: Option<&str>| {
        let mut body = json!({"TableName": "abc", "Item": item(), "Expected": expected});
        if let Some(operator) = operator {
            body["ConditionalOperator"] = operator.into();
        }
        call(&mut h, "PutItem", &body)
    };
    let of =
        |operator: &str, values: Value| json!({"ComparisonOperator": operator, "AttributeValueList": values});
    let number = |n: &str| json!([{"N": n}]);
    let text = |s: &str| json!([{"S": s}]);
    let (met, failed) =
        (json!({}), refused("ConditionalCheckFailedException", "The conditional request failed"));
    for (name, condition, holds) in [
        ("n", json!({"Value": {"N": "5.0"}}), true),
        ("n", json!({"Value": {"N": "6"}, "Exists": true}), false),
        ("n", json!({"Exists": false}), false),
        ("none", json!({"Exists": "false"}), true),
        ("n", of("EQ", number("5.0")), true),
        ("n", json!({"ComparisonOperator": "GT", "Value": {"N": "4"}}), true),
        ("n", of("NE", number("5")), false),
        ("none", of("NE", number("5")), true),
        ("none", of("EQ", number("5")), false),
        ("l", of("EQ", json!([{"L": [{"N": "1"}]}])), true),
        ("m", of("NE", json!([{"M": {"x": {"S": "y"}}}])), false),
        ("t", of("EQ", json!([{"BOOL": true}])), true),
        ("z", of("EQ", json!([{"NULL": true}])), true),
        ("ss", of("EQ", json!([{"SS": ["b", "a"]}])), true),
        ("n", of("LE", number("5")), true),
        ("n", of("LT", number("5")), false),
        ("n", of("GE", text("5")), false),
        ("n", of("IN", json!([{"N": "4"}, {"N": "5"}])), true),
        ("n", of("BETWEEN", json!([{"N": "5"}, {"N": "5"}])), true),
        ("s", of("BEGINS_WITH", text("he")), true),
        ("s", of("CONTAINS", text("ell")), true),
        ("ss", of("CONTAINS", text("b")), true),
        ("l", of("CONTAINS", number("1")), true),
        ("s", of("NOT_CONTAINS", text("ell")), false),
        ("n", of("NOT_CONTAINS", text("ell")), true),
        ("none", of("NOT_CONTAINS", text("ell")), false),
        ("n", json!({"ComparisonOperator": "NOT_NULL"}), true),
        ("n", json!({"ComparisonOperator": "NULL"}), false),
        // The name is an attribute's name, not a path.
        ("m.x", json!({"ComparisonOperator": "NULL"}), true),
    ] {
        let expected = json!({name: condition});
        assert_eq!(
            check(expected.clone(), None),
            if holds { met.clone() } else { failed.clone() },
            "{expected}"
        );
    }
    let both = json!({"n": {"ComparisonOperator": "NOT_NULL"}, "s": {"ComparisonOperator": "NULL"}});
    assert_eq!(check(both.clone(), None), failed);
    assert_eq!(check(both.clone(), Some("AND")), failed);
    assert_eq!(check(both, Some("OR")), met);
    let one = json!({"n": {"ComparisonOperator": "NOT_NULL"}});
    assert_eq!(
        check(one, Some("OR")),
        invalid("ConditionalOperator can only be used when Filter or Expected has two or more elements")
    );
    assert_eq!(
        check(json!({}), Some("OR")),
        invalid("ConditionalOperator cannot be used without Filter or Expected")
    );
    assert_eq!(check(json!({}), None), met);
}

#[test]
fn every_parameter_that_the_documentation_names_works() {
    let pages = include_str!("../../../../docs/compatibility.md");
    let (_, named) = pages.split_once("expressions replaced work as at AWS:").unwrap();
    let (named, _) = named.split_once('.').unwrap();
    let mut h = harness();
    for name in named.split('`').skip(1).step_by(2) {
        let of = |values: Value| json!({"ComparisonOperator": "EQ", "AttributeValueList": [values]});
        let (one, other) = (of(json!({"N": "5"})), of(json!({"S": "none"})));
        // With the parameter the reply, or what is read afterwards, differs from that without it.
        let partition = json!({"id": of(json!({"S": "a"}))});
        let (operation, rest, value) = match name {
            "AttributesToGet" => ("GetItem", json!({"Key": key()}), json!(["n"])),
            "AttributeUpdates" => (
                "UpdateItem",
                json!({"Key": key(), "ReturnValues": "ALL_NEW"}),
                json!({"n": {"Action": "ADD", "Value": {"N": "1"}}}),
            ),
            "Expected" => ("DeleteItem", json!({"Key": key()}), json!({"n": other})),
            "ConditionalOperator" => ("Scan", json!({"ScanFilter": {"n": one, "s": other}}), json!("OR")),
            "KeyConditions" => ("Query", json!({}), partition),
            "QueryFilter" => ("Query", json!({"KeyConditions": partition}), json!({"s": other})),
            "ScanFilter" => ("Scan", json!({}), json!({"s": other})),
            name => panic!("{name} is not known here"),
        };
        put(&mut h, "abc", item());
        let mut body = rest.clone();
        body["TableName"] = "abc".into();
        let without = call(&mut h, operation, &body);
        put(&mut h, "abc", item());
        body[name] = value;
        let with = call(&mut h, operation, &body);
        assert_ne!(with, without, "{name}");
        assert_ne!(with["__type"], "ValidationException", "{name}: {with}");
    }
}

#[test]
fn conditions_are_refused_in_awss_words() {
    let mut h = harness();
    let list =
        |operator: &str, values: Value| json!({"ComparisonOperator": operator, "AttributeValueList": values});
    for (condition, error) in [
        (json!({}), parameter("Value must be provided when Exists is null for Attribute: n")),
        (json!({"Exists": true}), parameter("Value must be provided when Exists is true for Attribute: n")),
        (
            json!({"Exists": false, "Value": {"N": "1"}}),
            parameter("Value cannot be used when Exists is false for Attribute: n"),
        ),
        (
            json!({"ComparisonOperator": "EQ"}),
            parameter(
                "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: n",
            ),
        ),
        (
            json!({"ComparisonOperator": "NULL", "Exists": true}),
            parameter("Exists and ComparisonOperator cannot be used together for Attribute: n"),
        ),
        (
            json!({"AttributeValueList": [{"N": "1"}]}),
            parameter("AttributeValueList can only be used with a ComparisonOperator for Attribute: n"),
        ),
        (
            json!({"AttributeValueList": [{"N": "1"}], "Value": {"N": "1"}}),
            parameter("Value and AttributeValueList cannot be used together for Attribute: n"),
        ),
        (list("EQ", json!([])), parameter("Invalid number of argument(s) for the EQ ComparisonOperator")),
        (
            list("NULL", json!([{"N": "1"}])),
            parameter("Invalid number of argument(s) for the NULL ComparisonOperator"),
        ),
        (
            list("LE", json!([{"L": []}])),
            parameter("ComparisonOperator LE is not valid for L AttributeValue type"),
        ),
        (
            list("BEGINS_WITH", json!([{"N": "1"}])),
            parameter("ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type"),
        ),
        (
            list("IN", json!([{"N": "1"}, {"S": "1"}])),
            parameter("AttributeValues inside AttributeValueList must be of same type"),
        ),
        (
            list("BETWEEN", json!([{"N": "10"}, {"N": "9"}])),
            invalid(
                "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
            ),
        ),
        (
            list("eq", json!([{"N": "1"}])),
            invalid(
                "1 validation error detected: Value 'eq' at 'expected.n.member.comparisonOperator' failed to satisfy constraint: Member must satisfy enum value set: [IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]",
            ),
        ),
        (list("EQ", json!([{"N": "x"}])), invalid("The parameter cannot be converted to a numeric value: x")),
    ] {
        let body = json!({"TableName": "abc", "Key": key(), "Expected": {"n": condition}});
        assert_eq!(call(&mut h, "DeleteItem", &body), error, "{condition}");
    }
    let scan = json!({"TableName": "abc", "ScanFilter": {"n": {}}});
    assert_eq!(
        call(&mut h, "Scan", &scan),
        invalid(
            "1 validation error detected: Value null at 'scanFilter.n.member.comparisonOperator' failed to satisfy constraint: Member must not be null"
        )
    );
    for (expected, message) in [
        (
            json!([]),
            "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.ExpectedAttributeValue>",
        ),
        (json!({"n": {"Value": "x"}}), "Unexpected field type"),
        (json!({"n": {"AttributeValueList": ["x"]}}), "Unexpected value type in payload"),
    ] {
        let body = json!({"TableName": "abc", "Key": key(), "Expected": expected});
        let reply = call(&mut h, "DeleteItem", &body);
        assert_eq!(
            (&reply["__type"], &reply["Message"]),
            (&json!("SerializationException"), &json!(message))
        );
    }
}

#[test]
fn attribute_updates_put_add_and_delete() {
    let mut h = harness();
    let mut update = |updates: Value, returns: &str| {
        put(&mut h, "abc", item());
        let body =
            json!({"TableName": "abc", "Key": key(), "AttributeUpdates": updates, "ReturnValues": returns});
        let mut reply = call(&mut h, "UpdateItem", &body);
        match reply.get_mut("Attributes") {
            Some(attributes) => attributes.take(),
            None => reply,
        }
    };
    let new = |name: &str, value: Value| json!({name: value});
    for (change, expected) in [
        (json!({"n": {"Value": {"S": "x"}}}), new("n", json!({"S": "x"}))),
        (json!({"n": {"Action": "ADD", "Value": {"N": "-7"}}}), new("n", json!({"N": "-2"}))),
        (json!({"new": {"Action": "ADD", "Value": {"N": "-7"}}}), new("new", json!({"N": "-7"}))),
        (
            json!({"ss": {"Action": "ADD", "Value": {"SS": ["c", "a"]}}}),
            new("ss", json!({"SS": ["a", "b", "c"]})),
        ),
        (json!({"ss": {"Action": "DELETE", "Value": {"SS": ["c", "a"]}}}), new("ss", json!({"SS": ["b"]}))),
        (json!({"ss": {"Action": "DELETE", "Value": {"SS": ["b", "a"]}}}), json!({})),
        (
            json!({"l": {"Action": "ADD", "Value": {"L": [{"S": "x"}]}}}),
            new("l", json!({"L": [{"N": "1"}, {"S": "x"}]})),
        ),
        (
            json!({"new": {"Action": "ADD", "Value": {"L": [{"S": "x"}]}}}),
            new("new", json!({"L": [{"S": "x"}]})),
        ),
        (json!({"n": {"Action": "DELETE"}}), json!({})),
        (json!({"m.x": {"Value": {"N": "1"}}}), new("m.x", json!({"N": "1"}))),
        (
            json!({"n": {"Action": "ADD", "Value": {"SS": ["a"]}}}),
            invalid("Type mismatch for attribute to update"),
        ),
        (
            json!({"n": {"Action": "ADD", "Value": {"L": []}}}),
            invalid("Type mismatch for attribute to update"),
        ),
        (
            json!({"n": {"Action": "DELETE", "Value": {"SS": ["a"]}}}),
            invalid("Type mismatch for attribute to update"),
        ),
        (
            json!({"n": {"Action": "ADD", "Value": {"S": "a"}}}),
            parameter("ADD action is not supported for the type S"),
        ),
        (
            json!({"n": {"Action": "DELETE", "Value": {"N": "1"}}}),
            parameter("DELETE action with value is not supported for the type N"),
        ),
        (
            json!({"n": {"Action": "ADD"}}),
            parameter("Only DELETE action is allowed when no attribute value is specified"),
        ),
        (
            json!({"id": {"Value": {"S": "a"}}}),
            parameter("Cannot update attribute id. This attribute is part of the key"),
        ),
        (
            json!({"n": {"Action": "x"}}),
            invalid(
                "1 validation error detected: Value 'x' at 'attributeUpdates.n.member.action' failed to satisfy constraint: Member must satisfy enum value set: [ADD, DELETE, PUT]",
            ),
        ),
    ] {
        assert_eq!(update(change.clone(), "UPDATED_NEW"), expected, "{change}");
    }
    assert_eq!(update(json!({"n": {"Action": "DELETE"}}), "UPDATED_OLD"), json!({"n": {"N": "5"}}));
    put(&mut h, "abc", item());
    let body = json!({"TableName": "abc", "Key": key(), "AttributeUpdates": {"n": {"Value": {"N": "6"}}},
        "Expected": {"n": {"Value": {"N": "7"}}}, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"});
    let reply = call(&mut h, "UpdateItem", &body);
    assert_eq!((&reply["__type"], &reply["Item"]), (&json!("ConditionalCheckFailedException"), &item()));
}

#[test]
fn an_update_that_only_takes_away_makes_no_item() {
    let mut h = harness();
    let none = json!({"id": {"S": "none"}, "k": {"N": "1"}});
    let set = json!({":v": {"SS": ["a"]}});
    for (change, made) in [
        (json!({"AttributeUpdates": {"n": {"Action": "DELETE"}}}), false),
        (json!({"AttributeUpdates": {"n": {"Action": "DELETE", "Value": {"SS": ["a"]}}}}), false),
        (json!({"UpdateExpression": "REMOVE n"}), false),
        (json!({"UpdateExpression": "REMOVE n DELETE s :v", "ExpressionAttributeValues": set}), false),
        (json!({"UpdateExpression": "REMOVE n ADD s :v", "ExpressionAttributeValues": set}), true),
        (json!({"AttributeUpdates": {}}), true),
        (json!({}), true),
    ] {
        let mut body = change.clone();
        (body["TableName"], body["Key"]) = ("abc".into(), none.clone());
        body["ReturnValues"] = "ALL_NEW".into();
        let reply = call(&mut h, "UpdateItem", &body);
        assert_eq!(reply.get("Attributes").is_some(), made, "{change}: {reply}");
        let got = call(&mut h, "GetItem", &json!({"TableName": "abc", "Key": none}));
        assert_eq!(got.get("Item").is_some(), made, "{change}");
        call(&mut h, "DeleteItem", &json!({"TableName": "abc", "Key": none}));
    }
}

#[test]
fn key_conditions_and_filters_find_items() {
    let mut h = harness();
    for k in 2..6 {
        put(
            &mut h,
            "abc",
            json!({"id": {"S": "a"}, "k": {"N": k.to_string()}, "n": {"N": (k * 10).to_string()}}),
        );
    }
    let of =
        |operator: &str, values: Value| json!({"ComparisonOperator": operator, "AttributeValueList": values});
    let partition = || of("EQ", json!([{"S": "a"}]));
    let mut query = |conditions: Value, more: Value| {
        let mut body = json!({"TableName": "abc", "KeyConditions": conditions});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = call(&mut h, "Query", &body);
        if reply.get("Items").is_none() {
            return reply;
        }
        let items = reply["Items"].as_array().unwrap();
        items.iter().map(|item| item["k"]["N"].as_str().unwrap().to_owned()).collect::<String>().into()
    };
    let more = json!({});
    for (conditions, more, expected) in [
        (json!({"id": partition()}), &more, json!("12345")),
        (json!({"id": partition(), "k": of("GT", json!([{"N": "3"}]))}), &more, json!("45")),
        (json!({"id": partition(), "k": of("BETWEEN", json!([{"N": "2"}, {"N": "3"}]))}), &more, json!("23")),
        (
            json!({"id": partition()}),
            &json!({"QueryFilter": {"n": of("GE", json!([{"N": "30"}])), "s": {"ComparisonOperator": "NOT_NULL"}}}),
            json!(""),
        ),
        (
            json!({"id": partition()}),
            &json!({"QueryFilter": {"n": of("GE", json!([{"N": "30"}])), "s": {"ComparisonOperator": "NOT_NULL"}}, "ConditionalOperator": "OR"}),
            json!("1345"),
        ),
        (
            json!({"id": partition()}),
            &json!({"FilterExpression": "n < :n", "ExpressionAttributeValues": {":n": {"N": "30"}}}),
            json!("12"),
        ),
        (
            json!({"id": partition()}),
            &json!({"ScanIndexForward": false, "ProjectionExpression": "k"}),
            json!("54321"),
        ),
        (json!({}), &more, invalid("Conditions can be of length 1 or 2 only")),
        (
            json!({"k": of("EQ", json!([{"N": "1"}]))}),
            &more,
            invalid("Query condition missed key schema element: id"),
        ),
        (
            json!({"id": partition(), "n": of("EQ", json!([{"N": "1"}]))}),
            &more,
            invalid("Query condition missed key schema element: k"),
        ),
        (json!({"id": of("GT", json!([{"S": "a"}]))}), &more, invalid("Query key condition not supported")),
        (
            json!({"id": partition(), "k": of("NE", json!([{"N": "1"}]))}),
            &more,
            invalid("Attempted conditional constraint is not an indexable operation"),
        ),
        (
            json!({"id": partition(), "k": of("EQ", json!([{"S": "1"}]))}),
            &more,
            parameter("Condition parameter type does not match schema type"),
        ),
        (
            json!({"id": partition()}),
            &json!({"QueryFilter": {"k": of("GE", json!([{"N": "30"}]))}}),
            invalid("QueryFilter can only contain non-primary key attributes: Primary key attribute: k"),
        ),
        (
            json!({"id": partition()}),
            &json!({"ConditionalOperator": "OR"}),
            invalid("ConditionalOperator cannot be used without Filter or Expected"),
        ),
        (
            json!({"id": partition()}),
            &json!({"KeyConditionExpression": "id = :i"}),
            invalid(
                "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {KeyConditions} Expression parameters: {KeyConditionExpression}",
            ),
        ),
    ] {
        assert_eq!(query(conditions.clone(), more.clone()), expected, "{conditions} {more}");
    }
    let scan = json!({"TableName": "abc", "Select": "COUNT", "ScanFilter": {"k": of("LT", json!([{"N": "3"}])), "s": {"ComparisonOperator": "NOT_NULL"}}, "ConditionalOperator": "OR"});
    assert_eq!(call(&mut h, "Scan", &scan), json!({"Count": 2, "ScannedCount": 5}));
}

#[test]
fn a_transaction_passes_over_what_it_does_not_know() {
    let mut h = harness();
    let put = json!({"Put": {"TableName": "abc", "Item": item(), "Expected": 5, "ReturnValues": "x", "ExpressionAttributeNames": {"#a": "b"}, "ExpressionAttributeValues": {":a": {"S": "b"}}}});
    let delete = json!({"Delete": {"TableName": "abc", "Key": {"id": {"S": "b"}, "k": {"N": "1"}}, "ExpressionAttributeNames": {"#a": "b"}}});
    assert_eq!(call(&mut h, "TransactWriteItems", &json!({"TransactItems": [put, delete]})), json!({}));
    let get = json!({"Get": {"TableName": "abc", "Key": key(), "ExpressionAttributeNames": {"#a": "b"}, "AttributesToGet": ["n"]}});
    let reply = call(&mut h, "TransactGetItems", &json!({"TransactItems": [get]}));
    assert_eq!(reply["Responses"][0]["Item"], item());
    let unused = json!({"Get": {"TableName": "abc", "Key": key(), "ProjectionExpression": "n", "ExpressionAttributeNames": {"#a": "b"}}});
    assert_eq!(
        call(&mut h, "TransactGetItems", &json!({"TransactItems": [get, get]})),
        invalid("Transaction request cannot include multiple operations on one item")
    );
    assert_eq!(
        call(&mut h, "TransactGetItems", &json!({"TransactItems": [unused]})),
        invalid("Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}")
    );
}

#[test]
fn a_batch_keeps_to_one_style() {
    let mut h = harness();
    call(
        &mut h,
        "CreateTable",
        &json!({"TableName": "def", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}),
    );
    let body = json!({"RequestItems": {"abc": {"Keys": [key()], "ProjectionExpression": "n"}, "def": {"Keys": [{"id": {"S": "a"}}], "AttributesToGet": ["n"]}}});
    assert_eq!(
        call(&mut h, "BatchGetItem", &body),
        invalid(
            "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}"
        )
    );
}
