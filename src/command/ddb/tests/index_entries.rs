//! Tests of index entries: keys that are too long or have several attributes, attributes that are not projected, and
//! the size of entries.

use super::indexes::{attribute, filled, index, key, query, subjects, values};
use super::{call, invalid, put};
use crate::command::testing::Harness;
use serde_json::{Value, json};

#[test]
fn a_querys_filter_looks_at_no_more_than_a_global_index_holds() {
    let mut h = Harness::new();
    filled(&mut h);
    let unheld = |names: &str| {
        invalid(&format!(
            "One or more parameter values were invalid: Secondary index author does not project one or more filter attributes: [{names}]"
        ))
    };
    let condition = |name: &str| {
        let one = json!({"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "x"}]});
        json!({name: one})
    };
    let names = json!({"#k": "by", "#t": "text"});
    for (filter, more, missing) in [
        ("attribute_exists(#t)", json!({}), "text"),
        ("begins_with(#t, :v) OR tags = :v OR body.a = :v OR #t <> :v", json!({}), "body, text"),
        ("NOT #t IN (:v)", json!({"Select": "COUNT"}), "text"),
        ("#t = :v", json!({"ProjectionExpression": "body"}), "text"),
    ] {
        let mut body = query(&more);
        body["FilterExpression"] = filter.into();
        body["ExpressionAttributeNames"] = names.clone();
        assert_eq!(call(&mut h, "Query", &body), unheld(missing), "{filter}");
    }
    let old = |filter: Value| json!({"TableName": "threads", "IndexName": "author", "KeyConditions": condition("by"), "QueryFilter": filter});
    assert_eq!(call(&mut h, "Query", &old(condition("text"))), unheld("text"));
    assert_eq!(call(&mut h, "Query", &old(condition("subject")))["Count"], 0);
    // The index holds the table's keys and the named attributes. A scan's filter sees the others as missing.
    assert_eq!(
        call(&mut h, "Query", &query(&json!({"FilterExpression": "attribute_exists(tags)"})))["Count"],
        2
    );
    for (filter, count) in [("attribute_exists(#t)", 0), ("attribute_not_exists(#t)", 3)] {
        let scan = json!({"TableName": "threads", "IndexName": "author", "FilterExpression": filter,
            "ExpressionAttributeNames": {"#t": "text"}});
        assert_eq!(call(&mut h, "Scan", &scan)["Count"], count, "{filter}");
    }
    // A query on a local index also gives attributes that only the item has.
    let local = json!({"IndexName": "hits", "FilterExpression": "attribute_exists(#t)",
        "ExpressionAttributeNames": {"#k": "forum", "#t": "text"}, "ExpressionAttributeValues": {":v": {"S": "f"}}});
    assert_eq!(call(&mut h, "Query", &query(&local))["Count"], 3);
}

#[test]
fn a_local_index_reads_whole_items_where_they_are_asked_for() {
    let mut h = Harness::new();
    filled(&mut h);
    let local = |extra: Value| {
        let mut body = query(&json!({"IndexName": "hits", "ExpressionAttributeNames": {"#k": "forum"},
            "ExpressionAttributeValues": {":v": {"S": "f"}}, "ReturnConsumedCapacity": "INDEXES"}));
        extra.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        body
    };
    let held = call(&mut h, "Query", &local(json!({"ConsistentRead": true})));
    assert_eq!(subjects(&held), ["b", "c", "a"]);
    assert_eq!(held["Items"][0], json!({"forum": {"S": "f"}, "subject": {"S": "b"}, "hits": {"N": "1"}}));
    assert_eq!(held["ConsumedCapacity"]["LocalSecondaryIndexes"], json!({"hits": {"CapacityUnits": 1.0}}));
    let whole = call(&mut h, "Query", &local(json!({"Select": "ALL_ATTRIBUTES"})));
    assert_eq!(whole["Items"][0]["text"], json!({"S": "long"}));
    assert_eq!(
        whole["ConsumedCapacity"],
        json!({"TableName": "threads", "CapacityUnits": 2.0, "Table": {"CapacityUnits": 1.5},
            "LocalSecondaryIndexes": {"hits": {"CapacityUnits": 0.5}}})
    );
    let part = call(&mut h, "Query", &local(json!({"ProjectionExpression": "subject, tags"})));
    assert_eq!(part["Items"][2], json!({"subject": {"S": "a"}, "tags": {"SS": ["t"]}}));
}

/// Makes a table with a local index whose items have two more attributes than keys.
fn with_local_index(h: &mut Harness, projection: Value) {
    let table = json!({"TableName": "abc", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [attribute("p", "S"), attribute("s", "S"), attribute("l", "S")],
        "KeySchema": [key("p", "HASH"), key("s", "RANGE")],
        "LocalSecondaryIndexes": [index("loc", &[("p", "HASH"), ("l", "RANGE")], projection)]});
    assert_eq!(call(h, "CreateTable", &table)["TableDescription"]["TableStatus"], "CREATING");
}

#[test]
fn an_items_entries_in_local_indexes_count_with_it() {
    let most = 400 * 1024;
    let all = json!({"ProjectionType": "ALL"});
    let keys = json!({"ProjectionType": "KEYS_ONLY"});
    let part = json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]});
    // The longest text in x. All names, and the values of the keys and of y, have one byte.
    for (projection, indexed, most) in [
        (&all, true, most / 2 - 9),
        (&all, false, most - 7),
        (&keys, true, most - 9 - 6),
        (&part, true, (most - 9 - 7) / 2),
    ] {
        let mut h = Harness::new();
        with_local_index(&mut h, projection.clone());
        let item = |x: usize| {
            let mut item =
                json!({"p": {"S": "p"}, "s": {"S": "s"}, "x": {"S": "x".repeat(x)}, "y": {"S": "y"}});
            if indexed {
                item["l"] = json!({"S": "l"});
            }
            item
        };
        put(&mut h, "abc", item(most));
        let large = item(most + 1);
        let too_large = invalid("Item size has exceeded the maximum allowed size");
        assert_eq!(call(&mut h, "PutItem", &json!({"TableName": "abc", "Item": large})), too_large);
        let batch = json!({"RequestItems": {"abc": [{"PutRequest": {"Item": large}}]}});
        assert_eq!(call(&mut h, "BatchWriteItem", &batch), too_large);
        let put = json!({"TransactItems": [{"Put": {"TableName": "abc", "Item": large}}]});
        let reply = call(&mut h, "TransactWriteItems", &put);
        if indexed {
            let reasons = json!([{"Code": "ValidationError", "Message": too_large["message"]}]);
            assert_eq!(reply["CancellationReasons"], reasons);
        } else {
            assert_eq!(reply, too_large, "that takes no look at the table");
        }
        let mut update = json!({"TableName": "abc", "Key": {"p": {"S": "p"}, "s": {"S": "s"}},
            "UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"S": "x".repeat(most + 1)}}});
        let too_large = "Item size to update has exceeded the maximum allowed size";
        assert_eq!(call(&mut h, "UpdateItem", &update), invalid(too_large));
        let reply = call(&mut h, "TransactWriteItems", &json!({"TransactItems": [{"Update": update}]}));
        assert_eq!(reply["CancellationReasons"], json!([{"Code": "ValidationError", "Message": too_large}]));
        update["ExpressionAttributeValues"] = json!({":x": {"S": "x".repeat(most)}});
        assert_eq!(call(&mut h, "UpdateItem", &update), json!({}));
    }
}

#[test]
fn an_index_key_that_is_too_long_is_refused_or_left_out() {
    let mut h = Harness::new();
    let global = [index("byg", &[("g", "HASH"), ("r", "RANGE")], json!({"ProjectionType": "KEYS_ONLY"}))];
    let attributes = json!([
        attribute("p", "S"),
        attribute("s", "S"),
        attribute("l", "B"),
        attribute("g", "S"),
        attribute("r", "S")
    ]);
    let mut table = json!({"TableName": "abc", "BillingMode": "PAY_PER_REQUEST", "AttributeDefinitions": attributes,
        "KeySchema": [key("p", "HASH"), key("s", "RANGE")], "GlobalSecondaryIndexes": global,
        "LocalSecondaryIndexes": [index("loc", &[("p", "HASH"), ("l", "RANGE")], json!({"ProjectionType": "ALL"}))]});
    call(&mut h, "CreateTable", &table);
    let item = |attr: &str, bytes: usize| {
        let value = if attr == "l" {
            json!({"B": "AAAA".repeat(bytes / 3)})
        } else {
            json!({"S": "x".repeat(bytes)})
        };
        json!({"p": {"S": "p"}, "s": {"S": attr}, attr: value})
    };
    for (attr, most, index) in [("g", 2048, "byg"), ("r", 1024, "byg"), ("l", 1023, "loc")] {
        let (fits, large) = (item(attr, most), item(attr, most + 3));
        let refused = invalid(&format!(
            "One or more parameter values were invalid: Size limit exceeded for Index Key {attr} Actual Size: {} bytes Max Size: {} bytes IndexName: {index}",
            most + 3,
            if attr == "g" { 2048 } else { 1024 }
        ));
        put(&mut h, "abc", fits);
        assert_eq!(call(&mut h, "PutItem", &json!({"TableName": "abc", "Item": large})), refused);
        let batch = json!({"RequestItems": {"abc": [{"PutRequest": {"Item": large}}]}});
        assert_eq!(call(&mut h, "BatchWriteItem", &batch), refused);
        let transact = json!({"TransactItems": [{"Put": {"TableName": "abc", "Item": large}}]});
        assert_eq!(call(&mut h, "TransactWriteItems", &transact), refused);
        let key = json!({"p": {"S": "p"}, "s": {"S": attr}});
        let update = json!({"TableName": "abc", "Key": key, "UpdateExpression": "SET #a = :v",
            "ExpressionAttributeNames": {"#a": attr}, "ExpressionAttributeValues": {":v": large[attr]}});
        let message =
            "The update expression attempted to update the secondary index key beyond allowed size limits";
        assert_eq!(call(&mut h, "UpdateItem", &update), invalid(message));
        let reply = call(&mut h, "TransactWriteItems", &json!({"TransactItems": [{"Update": update}]}));
        assert_eq!(reply["CancellationReasons"], json!([{"Code": "ValidationError", "Message": message}]));
        let old = json!({"TableName": "abc", "Key": key, "AttributeUpdates": {attr: {"Value": large[attr]}}});
        assert_eq!(call(&mut h, "UpdateItem", &old), refused);
    }
    // An item that was there before the index is left out of it, but may be changed otherwise.
    table["TableName"] = "old".into();
    let members = table.as_object_mut().unwrap();
    members.remove("GlobalSecondaryIndexes");
    members["AttributeDefinitions"].as_array_mut().unwrap().truncate(3);
    call(&mut h, "CreateTable", &table);
    for (s, g) in [
        ("fits", json!({"S": "g".repeat(2048)})),
        ("long", json!({"S": "g".repeat(2049)})),
        ("other", json!({"N": "1"})),
    ] {
        put(&mut h, "old", json!({"p": {"S": "p"}, "s": {"S": s}, "g": g, "r": {"S": "r"}}));
    }
    let add = json!({"TableName": "old", "AttributeDefinitions": [attribute("g", "S"), attribute("r", "S")],
        "GlobalSecondaryIndexUpdates": [{"Create": global[0]}]});
    assert_eq!(call(&mut h, "UpdateTable", &add)["TableDescription"]["TableStatus"], "UPDATING");
    while h.server.engine.build_indexes(1_000_000, &mut Vec::new()) {}
    let held = |h: &mut Harness| {
        let scan = call(h, "Scan", &json!({"TableName": "old", "IndexName": "byg"}));
        let mut held = values(&scan, "s");
        held.sort_unstable();
        held.join(" ")
    };
    assert_eq!(held(&mut h), "fits");
    let update = |s: &str, text: &str| {
        json!({"TableName": "old", "Key": {"p": {"S": "p"}, "s": {"S": s}}, "UpdateExpression": text,
            "ExpressionAttributeValues": {":v": {"S": "v"}}})
    };
    for s in ["long", "other"] {
        assert_eq!(call(&mut h, "UpdateItem", &update(s, "SET r = :v, x = :v")), json!({}), "{s}");
    }
    assert_eq!(held(&mut h), "fits");
    assert_eq!(call(&mut h, "UpdateItem", &update("long", "SET g = :v")), json!({}));
    assert_eq!(held(&mut h), "fits long");
}

#[test]
fn keys_of_several_attributes_are_queried_by_all_of_the_partition_and_a_prefix_of_the_sort_key() {
    let mut h = Harness::new();
    let keys = [("cup", "HASH"), ("region", "HASH"), ("round", "RANGE"), ("score", "RANGE")];
    let body = json!({"TableName": "games", "BillingMode": "PAY_PER_REQUEST", "KeySchema": [key("id", "HASH")],
        "AttributeDefinitions": [attribute("id", "S"), attribute("cup", "S"), attribute("region", "S"),
            attribute("round", "N"), attribute("score", "N")],
        "GlobalSecondaryIndexes": [index("rounds", &keys, json!({"ProjectionType": "ALL"}))]});
    call(&mut h, "CreateTable", &body);
    for (id, region, round, score) in
        [("a", "eu", 1, 5), ("b", "eu", 1, 9), ("c", "eu", 2, 1), ("d", "us", 1, 7)]
    {
        put(
            &mut h,
            "games",
            json!({"id": {"S": id}, "cup": {"S": "w"}, "region": {"S": region},
            "round": {"N": round.to_string()}, "score": {"N": score.to_string()}}),
        );
    }
    let mut ask = |condition: &str, values: Value| {
        call(
            &mut h,
            "Query",
            &json!({"TableName": "games", "IndexName": "rounds", "KeyConditionExpression": condition,
            "ExpressionAttributeNames": {"#r": "region"}, "ExpressionAttributeValues": values}),
        )
    };
    let ids = |reply: &Value| -> Vec<String> {
        let items = reply["Items"].as_array().unwrap_or_else(|| panic!("{reply}"));
        items.iter().map(|item| item["id"]["S"].as_str().unwrap().to_owned()).collect()
    };
    let (w, eu, one, five) = (json!({"S": "w"}), json!({"S": "eu"}), json!({"N": "1"}), json!({"N": "5"}));
    let all = ask("cup = :w AND #r = :e", json!({":w": w, ":e": eu}));
    assert_eq!(ids(&all), ["a", "b", "c"]);
    let some = ask(
        "cup = :w AND #r = :e AND round = :o AND score > :f",
        json!({":w": w, ":e": eu, ":o": one, ":f": five}),
    );
    assert_eq!(ids(&some), ["b"]);
    let part = ask("cup = :w AND #r <> :e", json!({":w": w, ":e": eu}));
    assert_eq!(part["__type"], "ValidationException");
}
