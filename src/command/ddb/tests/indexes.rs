//! Tests of secondary indexes through AWS's API.

use super::{call, invalid, put, refused};
use crate::command::testing::Harness;
use serde_json::{Value, json};

pub(super) fn key(name: &str, role: &str) -> Value {
    json!({"AttributeName": name, "KeyType": role})
}

pub(super) fn attribute(name: &str, kind: &str) -> Value {
    json!({"AttributeName": name, "AttributeType": kind})
}

pub(super) fn index(name: &str, keys: &[(&str, &str)], projection: Value) -> Value {
    let keys: Vec<Value> = keys.iter().map(|(name, role)| key(name, role)).collect();
    json!({"IndexName": name, "KeySchema": keys, "Projection": projection})
}

fn threads() -> Value {
    json!({
        "TableName": "threads", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [attribute("forum", "S"), attribute("subject", "S"), attribute("hits", "N"), attribute("by", "S")],
        "KeySchema": [key("forum", "HASH"), key("subject", "RANGE")],
        "LocalSecondaryIndexes": [index("hits", &[("forum", "HASH"), ("hits", "RANGE")], json!({"ProjectionType": "KEYS_ONLY"}))],
        "GlobalSecondaryIndexes": [index("author", &[("by", "HASH"), ("hits", "RANGE")],
            json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["tags"]}))],
    })
}

pub(super) fn filled(h: &mut Harness) {
    let reply = call(h, "CreateTable", &threads());
    assert_eq!(reply["TableDescription"]["GlobalSecondaryIndexes"][0]["IndexStatus"], "CREATING", "{reply}");
    for (subject, hits, by) in [("a", 3, "x"), ("b", 1, "y"), ("c", 2, "x")] {
        put(
            h,
            "threads",
            json!({"forum": {"S": "f"}, "subject": {"S": subject}, "hits": {"N": hits.to_string()},
            "by": {"S": by}, "tags": {"SS": ["t"]}, "text": {"S": "long"}}),
        );
    }
    put(h, "threads", json!({"forum": {"S": "f"}, "subject": {"S": "d"}, "by": {"S": "x"}}));
}

pub(super) fn query(extra: &Value) -> Value {
    let mut body = json!({"TableName": "threads", "KeyConditionExpression": "#k = :v",
        "ExpressionAttributeNames": {"#k": "by"}, "ExpressionAttributeValues": {":v": {"S": "x"}}, "IndexName": "author"});
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

pub(super) fn values<'r>(reply: &'r Value, attribute: &str) -> Vec<&'r str> {
    let items = reply["Items"].as_array().unwrap_or_else(|| panic!("{reply}"));
    items.iter().map(|item| item[attribute]["S"].as_str().unwrap()).collect()
}

pub(super) fn subjects(reply: &Value) -> Vec<&str> {
    values(reply, "subject")
}

#[test]
fn tables_tell_of_their_indexes() {
    let mut h = Harness::new();
    filled(&mut h);
    let table = &call(&mut h, "DescribeTable", &json!({"TableName": "threads"}))["Table"];
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/threads/index";
    assert_eq!(
        table["GlobalSecondaryIndexes"],
        json!([{"IndexName": "author", "KeySchema": [key("by", "HASH"), key("hits", "RANGE")],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["tags"]}, "IndexStatus": "ACTIVE",
            "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0},
            "WarmThroughput": {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"},
            "IndexSizeBytes": 84, "ItemCount": 3, "IndexArn": format!("{arn}/author")}])
    );
    assert_eq!(
        table["LocalSecondaryIndexes"],
        json!([{"IndexName": "hits", "KeySchema": [key("forum", "HASH"), key("hits", "RANGE")],
            "Projection": {"ProjectionType": "KEYS_ONLY"}, "IndexSizeBytes": 60, "ItemCount": 3,
            "IndexArn": format!("{arn}/hits")}])
    );
    assert_eq!(table["AttributeDefinitions"].as_array().unwrap().len(), 4);
    assert_eq!(table["ItemCount"], 4);
}

#[test]
fn a_global_index_is_queried_page_by_page() {
    let mut h = Harness::new();
    filled(&mut h);
    let reply = call(&mut h, "Query", &query(&json!({"ReturnConsumedCapacity": "INDEXES"})));
    assert_eq!(subjects(&reply), ["c", "a"]);
    assert_eq!(
        reply["Items"][0],
        json!({"forum": {"S": "f"}, "subject": {"S": "c"}, "hits": {"N": "2"}, "by": {"S": "x"}, "tags": {"SS": ["t"]}})
    );
    assert_eq!(
        reply["ConsumedCapacity"],
        json!({"TableName": "threads", "CapacityUnits": 0.5, "Table": {"CapacityUnits": 0.0},
            "GlobalSecondaryIndexes": {"author": {"CapacityUnits": 0.5}}})
    );
    let page = call(&mut h, "Query", &query(&json!({"Limit": 1, "ScanIndexForward": false})));
    assert_eq!(subjects(&page), ["a"]);
    let last = &page["LastEvaluatedKey"];
    assert_eq!(
        *last,
        json!({"by": {"S": "x"}, "forum": {"S": "f"}, "subject": {"S": "a"}, "hits": {"N": "3"}})
    );
    let next = call(&mut h, "Query", &query(&json!({"ExclusiveStartKey": last, "ScanIndexForward": false})));
    assert_eq!(subjects(&next), ["c"]);
    let scan = call(&mut h, "Scan", &json!({"TableName": "threads", "IndexName": "author", "Limit": 2}));
    assert_eq!(scan["Count"], 2);
    let rest = call(
        &mut h,
        "Scan",
        &json!({"TableName": "threads", "IndexName": "author",
        "ExclusiveStartKey": scan["LastEvaluatedKey"]}),
    );
    assert_eq!(rest["Count"], 1);
}

#[test]
fn what_an_index_cannot_do_is_refused() {
    let mut h = Harness::new();
    filled(&mut h);
    for (extra, message) in [
        (json!({"IndexName": "none"}), "The table does not have the specified index: none"),
        (json!({"ConsistentRead": true}), "Consistent reads are not supported on global secondary indexes"),
        (
            json!({"Select": "ALL_ATTRIBUTES"}),
            "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary index author because its projection type is not ALL",
        ),
        (
            json!({"ProjectionExpression": "subject, body, extra"}),
            "One or more parameter values were invalid: Global secondary index author does not project [body, extra]",
        ),
        (
            json!({"Select": "ALL_PROJECTED_ATTRIBUTES", "ProjectionExpression": "subject"}),
            "Cannot specify the ProjectionExpression when choosing to get ALL_PROJECTED_ATTRIBUTES",
        ),
        (json!({"ExclusiveStartKey": {"by": {"S": "x"}}}), "The provided starting key is invalid"),
        (
            json!({"ExclusiveStartKey": {"by": {"S": "y"}, "forum": {"S": "f"}, "subject": {"S": "a"}, "hits": {"N": "3"}}}),
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
        (
            json!({"ExclusiveStartKey": {"by": {"N": "1"}, "forum": {"S": "f"}, "subject": {"S": "a"}, "hits": {"N": "3"}}}),
            "The provided key element does not match the schema",
        ),
        (
            json!({"ExclusiveStartKey": {"by": {"S": "x"}, "forum": {"N": "1"}, "subject": {"S": "a"}, "hits": {"N": "3"}}}),
            "The provided starting key is invalid: The provided key element does not match the schema",
        ),
        (
            json!({"FilterExpression": "hits > :n", "ExpressionAttributeValues": {":v": {"S": "x"}, ":n": {"N": "1"}}}),
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: hits",
        ),
    ] {
        assert_eq!(call(&mut h, "Query", &query(&extra)), invalid(message), "{extra}");
    }
    let item = json!({"forum": {"S": "f"}, "subject": {"S": "z"}, "by": {"N": "1"}});
    assert_eq!(
        call(&mut h, "PutItem", &json!({"TableName": "threads", "Item": item})),
        invalid(
            "One or more parameter values were invalid: Type mismatch for Index Key by Expected: S Actual: N IndexName: author"
        )
    );
    assert_eq!(
        call(
            &mut h,
            "UpdateItem",
            &json!({"TableName": "threads", "Key": {"forum": {"S": "f"}, "subject": {"S": "z"}},
            "UpdateExpression": "SET #b = :v", "ExpressionAttributeNames": {"#b": "by"}, "ExpressionAttributeValues": {":v": {"N": "1"}}})
        ),
        invalid("The update expression attempted to update the secondary index key to unsupported type")
    );
    assert_eq!(
        call(
            &mut h,
            "UpdateItem",
            &json!({"TableName": "threads", "Key": {"forum": {"S": "f"}, "subject": {"S": "z"}},
            "AttributeUpdates": {"by": {"Value": {"N": "1"}}}})
        ),
        invalid(
            "One or more parameter values were invalid: Type mismatch for Index Key by Expected: S Actual: N IndexName: author"
        )
    );
}

#[test]
fn writes_tell_what_indexes_cost() {
    let mut h = Harness::new();
    filled(&mut h);
    let mut update = |expression: &str, values: Value| {
        let reply = call(
            &mut h,
            "UpdateItem",
            &json!({"TableName": "threads",
            "Key": {"forum": {"S": "f"}, "subject": {"S": "a"}}, "UpdateExpression": expression,
            "ExpressionAttributeNames": {"#n": "by"}, "ExpressionAttributeValues": values,
            "ReturnConsumedCapacity": "INDEXES", "ReturnItemCollectionMetrics": "SIZE"}),
        );
        assert_eq!(
            reply["ItemCollectionMetrics"],
            json!({"ItemCollectionKey": {"forum": {"S": "f"}}, "SizeEstimateRangeGB": [0.0, 1.0]}),
            "{reply}"
        );
        let of = |name: &str, index: &str| reply["ConsumedCapacity"][name][index]["CapacityUnits"].as_f64();
        (of("LocalSecondaryIndexes", "hits"), of("GlobalSecondaryIndexes", "author"))
    };
    assert_eq!(update("SET #n = :v", json!({":v": {"S": "x"}})), (None, None));
    assert_eq!(update("SET #n = :v", json!({":v": {"S": "z"}})), (None, Some(2.0)));
    assert_eq!(
        update("SET hits = :n, #n = :v", json!({":n": {"N": "9"}, ":v": {"S": "z"}})),
        (Some(2.0), Some(2.0))
    );
    assert_eq!(
        update("SET tags = :t, #n = :v", json!({":t": {"SS": ["u"]}, ":v": {"S": "z"}})),
        (None, Some(1.0))
    );
}

#[test]
fn bad_indexes_are_refused_as_by_aws() {
    let mut h = Harness::new();
    let all = json!({"ProjectionType": "ALL"});
    let cases = [
        (
            "GlobalSecondaryIndexes",
            json!([index("author", &[("nope", "HASH")], all.clone())]),
            "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [nope], AttributeDefinitions: [forum, subject, hits, by]",
        ),
        (
            "GlobalSecondaryIndexes",
            json!([index("author", &[("by", "HASH")], json!({}))]),
            "One or more parameter values were invalid: Unknown ProjectionType: null",
        ),
        (
            "GlobalSecondaryIndexes",
            json!([index(
                "author",
                &[("by", "HASH")],
                json!({"ProjectionType": "ALL", "NonKeyAttributes": ["a"]})
            )]),
            "One or more parameter values were invalid: ProjectionType is ALL, but NonKeyAttributes is specified",
        ),
        (
            "GlobalSecondaryIndexes",
            json!([index("hits", &[("by", "HASH")], all.clone())]),
            "One or more parameter values were invalid: Duplicate index name: hits",
        ),
        (
            "GlobalSecondaryIndexes",
            json!([index("ab", &[("by", "HASH")], all.clone())]),
            "1 validation error detected: Value 'ab' at 'globalSecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member must have length greater than or equal to 3",
        ),
        (
            "GlobalSecondaryIndexes",
            json!([index("author", &[("hits", "HASH")], all.clone())]),
            "One or more parameter values were invalid: Some AttributeDefinitions are not used. AttributeDefinitions: [forum, subject, hits, by], keys used: [forum, subject, hits]",
        ),
        (
            "GlobalSecondaryIndexes",
            json!([]),
            "One or more parameter values were invalid: List of GlobalSecondaryIndexes is empty",
        ),
        (
            "LocalSecondaryIndexes",
            json!([index("local", &[("by", "HASH"), ("hits", "RANGE")], all.clone())]),
            "One or more parameter values were invalid: Index KeySchema does not have the same leading hash key as table KeySchema for index: local. index hash key: by, table hash key: forum",
        ),
        (
            "LocalSecondaryIndexes",
            json!([index("local", &[("forum", "HASH"), ("by", "HASH"), ("hits", "RANGE")], all.clone())]),
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ),
        (
            "LocalSecondaryIndexes",
            json!([index("local", &[("forum", "HASH")], all.clone())]),
            "One or more parameter values were invalid: Index KeySchema does not have a range key for index: local",
        ),
    ];
    for (member, indexes, message) in cases {
        let mut body = threads();
        body[member] = indexes;
        assert_eq!(call(&mut h, "CreateTable", &body), invalid(message));
    }
    let mut many = threads();
    many["GlobalSecondaryIndexes"] =
        (0..21).map(|n| index(&format!("gsi{n}"), &[("by", "HASH")], all.clone())).collect();
    assert_eq!(
        call(&mut h, "CreateTable", &many),
        invalid(
            "One or more parameter values were invalid: GlobalSecondaryIndex count exceeds the per-table limit of 20"
        )
    );
}

#[test]
fn indexes_are_added_to_and_dropped_from_live_tables() {
    let mut h = Harness::new();
    filled(&mut h);
    let update = |updates: Value| {
        json!({"TableName": "threads", "AttributeDefinitions": [attribute("text", "S"), attribute("hits", "N")],
            "GlobalSecondaryIndexUpdates": updates})
    };
    let undefined = index(
        "texts",
        &[("text", "HASH"), ("hits", "RANGE"), ("by", "RANGE")],
        json!({"ProjectionType": "ALL"}),
    );
    assert_eq!(
        call(&mut h, "UpdateTable", &update(json!([{"Create": undefined.clone()}]))),
        invalid("Invalid KeySchema: Some index key attribute have no definition")
    );
    let mut without = update(json!([{"Create": undefined}]));
    without["AttributeDefinitions"].take();
    assert_eq!(call(&mut h, "UpdateTable", &without), invalid("No Attribute Schema Defined"));
    let create = index("texts", &[("text", "HASH"), ("hits", "RANGE")], json!({"ProjectionType": "ALL"}));
    let reply = call(&mut h, "UpdateTable", &update(json!([{"Create": create.clone()}])));
    let table = &reply["TableDescription"];
    assert_eq!(table["TableStatus"], "UPDATING", "{reply}");
    assert_eq!(table["GlobalSecondaryIndexes"][1]["IndexStatus"], "CREATING");
    assert_eq!(table["GlobalSecondaryIndexes"][1]["Backfilling"], false);
    let mut texts = query(&json!({"IndexName": "texts", "ExpressionAttributeValues": {":v": {"S": "long"}}}));
    texts["ExpressionAttributeNames"]["#k"] = "text".into();
    assert_eq!(
        call(&mut h, "Query", &texts),
        invalid("Cannot read from backfilling global secondary index: texts")
    );
    let other = index("other", &[("text", "HASH")], json!({"ProjectionType": "ALL"}));
    assert_eq!(
        call(&mut h, "UpdateTable", &update(json!([{"Create": other}]))),
        refused(
            "LimitExceededException",
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
        )
    );
    let backfilling = call(&mut h, "DescribeTable", &json!({"TableName": "threads"}));
    assert_eq!(backfilling["Table"]["GlobalSecondaryIndexes"][1]["Backfilling"], true);
    while h.server.engine.build_indexes(1_000_000, &mut Vec::new()) {}
    assert_eq!(subjects(&call(&mut h, "Query", &texts)), ["b", "c", "a"]);
    assert_eq!(
        call(&mut h, "UpdateTable", &update(json!([{"Create": create}]))),
        invalid("Attempting to create an index which already exists")
    );
    let reply = call(&mut h, "UpdateTable", &update(json!([{"Delete": {"IndexName": "texts"}}])));
    assert_eq!(reply["TableDescription"]["GlobalSecondaryIndexes"][1]["IndexStatus"], "DELETING", "{reply}");
    assert_eq!(call(&mut h, "Query", &texts), invalid("The table does not have the specified index: texts"));
    assert_eq!(
        call(&mut h, "UpdateTable", &update(json!([{"Delete": {"IndexName": "texts"}}]))),
        refused("ResourceNotFoundException", "Requested resource not found")
    );
}
