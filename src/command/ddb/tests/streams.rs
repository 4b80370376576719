//! Tests of DynamoDB Streams.

use super::{call, invalid, refused};
use crate::command::testing::Harness;
use serde_json::{Value, json};

const ARN: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/abc";

fn create(h: &mut Harness, view: &str) -> Value {
    let body = json!({
        "TableName": "abc", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": view},
    });
    call(h, "CreateTable", &body)["TableDescription"].take()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn arn(h: &mut Harness) -> String {
    text(&call(h, "DescribeTable", &json!({"TableName": "abc"}))["Table"]["LatestStreamArn"])
}

fn shard(h: &mut Harness, arn: &str) -> Value {
    call(h, "DescribeStream", &json!({"StreamArn": arn}))["StreamDescription"]["Shards"][0].take()
}

fn iterator(h: &mut Harness, arn: &str, kind: &str, number: Option<&str>) -> Value {
    let shard = shard(h, arn)["ShardId"].take();
    let mut body = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": kind});
    if let Some(number) = number {
        body["SequenceNumber"] = number.into();
    }
    call(h, "GetShardIterator", &body)
}

fn records(h: &mut Harness, iterator: &Value, limit: usize) -> Value {
    call(h, "GetRecords", &json!({"ShardIterator": iterator["ShardIterator"], "Limit": limit}))
}

fn put(h: &mut Harness, id: &str, n: u32) {
    super::put(h, "abc", json!({"id": {"S": id}, "n": {"N": n.to_string()}}));
}

#[test]
fn records_are_those_of_aws() {
    let mut h = Harness::new();
    let table = create(&mut h, "NEW_AND_OLD_IMAGES");
    assert_eq!(
        table["StreamSpecification"],
        json!({"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    );
    assert_eq!(table["LatestStreamLabel"], "2023-11-14T22:13:20.000");
    let arn = format!("{ARN}/stream/2023-11-14T22:13:20.000");
    assert_eq!(table["LatestStreamArn"], arn.as_str());
    put(&mut h, "a", 1);
    h.advance(1500);
    put(&mut h, "a", 2);
    call(&mut h, "DeleteItem", &json!({"TableName": "abc", "Key": {"id": {"S": "a"}}}));
    let description = call(&mut h, "DescribeStream", &json!({"StreamArn": arn}))["StreamDescription"].take();
    let shard = text(&description["Shards"][0]["ShardId"]);
    assert!((28..=65).contains(&shard.len()) && shard.starts_with("shardId-00000001700000000000-"));
    assert_eq!(
        description,
        json!({
            "StreamArn": arn, "StreamLabel": "2023-11-14T22:13:20.000", "StreamStatus": "ENABLED",
            "StreamViewType": "NEW_AND_OLD_IMAGES", "CreationRequestDateTime": 1_700_000_000.0, "TableName": "abc",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "Shards": [{"ShardId": shard, "SequenceNumberRange": {"StartingSequenceNumber": "1700000000000000000000000"}}],
        })
    );
    let horizon = iterator(&mut h, &arn, "TRIM_HORIZON", None);
    let reply = records(&mut h, &horizon, 1000);
    let all = reply["Records"].as_array().unwrap();
    assert!(reply["NextShardIterator"].is_string());
    let ids: Vec<&str> = all.iter().map(|record| record["eventID"].as_str().unwrap()).collect();
    assert!(ids.iter().all(|id| id.len() == 32) && ids[0] != ids[1] && ids[1] != ids[2]);
    let (old, new) = (json!({"id": {"S": "a"}, "n": {"N": "1"}}), json!({"id": {"S": "a"}, "n": {"N": "2"}}));
    let mut first = all[1].clone();
    first["eventID"].take();
    assert_eq!(
        first,
        json!({
            "eventID": null, "eventName": "MODIFY", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_700_000_001, "Keys": {"id": {"S": "a"}}, "NewImage": new, "OldImage": old,
                "SequenceNumber": "1700000001500000000000000", "SizeBytes": 15, "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        })
    );
    assert_eq!((&all[0]["eventName"], &all[2]["eventName"]), (&json!("INSERT"), &json!("REMOVE")));
    assert_eq!(all[2]["dynamodb"]["OldImage"], new);
    assert!(all[2]["dynamodb"].get("NewImage").is_none());
}

#[test]
fn iterators_begin_where_they_are_told_to() {
    let mut h = Harness::new();
    create(&mut h, "KEYS_ONLY");
    let arn = arn(&mut h);
    let latest = iterator(&mut h, &arn, "LATEST", None);
    let start = text(&shard(&mut h, &arn)["SequenceNumberRange"]["StartingSequenceNumber"]);
    let from_start = iterator(&mut h, &arn, "AT_SEQUENCE_NUMBER", Some(&start));
    for n in 0..5 {
        put(&mut h, &format!("k{n}"), n);
    }
    let ids = |reply: &Value| -> Vec<String> {
        let all = reply["Records"].as_array().unwrap_or_else(|| panic!("{reply}")).iter();
        all.map(|record| text(&record["dynamodb"]["Keys"]["id"]["S"])).collect()
    };
    let numbers: Vec<String> = records(&mut h, &latest, 1000)["Records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| text(&record["dynamodb"]["SequenceNumber"]))
        .collect();
    assert!(numbers.len() == 5 && numbers.is_sorted());
    assert_eq!(ids(&records(&mut h, &from_start, 1000)).len(), 5);
    let after = iterator(&mut h, &arn, "AFTER_SEQUENCE_NUMBER", Some(&numbers[2]));
    assert_eq!(ids(&records(&mut h, &after, 1000)), ["k3", "k4"]);
    let mut at = iterator(&mut h, &arn, "AT_SEQUENCE_NUMBER", Some(&numbers[2]));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let reply = records(&mut h, &at, 1);
        seen.extend(ids(&reply));
        at = json!({"ShardIterator": reply["NextShardIterator"]});
    }
    assert_eq!(seen, ["k2", "k3", "k4"]);
    let far = "9".repeat(25);
    assert_eq!(iterator(&mut h, &arn, "AT_SEQUENCE_NUMBER", Some(&far)), invalid("Invalid SequenceNumber"));
    h.advance(15 * 60 * 1000 + 1);
    assert_eq!(
        records(&mut h, &at, 1),
        refused("ExpiredIteratorException", "The shard iterator has expired")
    );
}

#[test]
fn streams_are_enabled_disabled_and_enabled_again() {
    let mut h = Harness::new();
    create(&mut h, "NEW_IMAGE");
    let first = arn(&mut h);
    put(&mut h, "a", 1);
    let update = |h: &mut Harness, stream: Value| {
        call(h, "UpdateTable", &json!({"TableName": "abc", "StreamSpecification": stream}))
    };
    let on = json!({"StreamEnabled": true, "StreamViewType": "OLD_IMAGE"});
    let off = json!({"StreamEnabled": false});
    assert_eq!(update(&mut h, on.clone()), invalid("Table already has an enabled stream: TableName: abc"));
    let table = update(&mut h, off.clone());
    assert!(table["TableDescription"].get("StreamSpecification").is_none(), "{table}");
    assert_eq!(table["TableDescription"]["LatestStreamArn"], first.as_str());
    assert_eq!(update(&mut h, off), invalid("Table has no stream to disable: TableName: abc"));
    put(&mut h, "b", 1);
    assert!(update(&mut h, on)["TableDescription"]["LatestStreamArn"].is_string());
    let second = arn(&mut h);
    assert_ne!(first, second);
    put(&mut h, "b", 2);
    let listed = call(&mut h, "ListStreams", &json!({"TableName": "abc"}));
    let arns: Vec<&Value> = listed["Streams"].as_array().unwrap().iter().map(|s| &s["StreamArn"]).collect();
    assert_eq!(arns, [first.as_str(), second.as_str()]);
    let page = call(&mut h, "ListStreams", &json!({"Limit": 1}));
    assert_eq!(page["LastEvaluatedStreamArn"], first.as_str());
    let page = call(&mut h, "ListStreams", &json!({"Limit": 1, "ExclusiveStartStreamArn": first}));
    assert_eq!(page["Streams"][0]["StreamArn"], second.as_str());
    assert!(page.get("LastEvaluatedStreamArn").is_none());
    // Each stream has only its own records, and the one that was switched off has an end.
    for (arn, names, ends) in [(&first, ["INSERT"], true), (&second, ["MODIFY"], false)] {
        let horizon = iterator(&mut h, arn, "TRIM_HORIZON", None);
        let reply = records(&mut h, &horizon, 1000);
        let found: Vec<&Value> =
            reply["Records"].as_array().unwrap().iter().map(|r| &r["eventName"]).collect();
        assert_eq!(found, names);
        assert_eq!(reply.get("NextShardIterator").is_none(), ends);
        assert_eq!(shard(&mut h, arn)["SequenceNumberRange"].get("EndingSequenceNumber").is_some(), ends);
    }
    h.advance(86_400_001);
    let message = format!("Requested resource not found: Stream: {first} not found");
    assert_eq!(
        call(&mut h, "DescribeStream", &json!({"StreamArn": first})),
        refused("ResourceNotFoundException", &message)
    );
    assert_eq!(shard(&mut h, &second)["SequenceNumberRange"].as_object().unwrap().len(), 1);
}

#[test]
fn what_was_trimmed_is_told() {
    let mut h = Harness::new();
    create(&mut h, "KEYS_ONLY");
    let arn = arn(&mut h);
    let horizon = iterator(&mut h, &arn, "TRIM_HORIZON", None);
    put(&mut h, "a", 1);
    h.advance(86_390_000);
    let latest = iterator(&mut h, &arn, "LATEST", None);
    let all = iterator(&mut h, &arn, "TRIM_HORIZON", None);
    let number = text(&records(&mut h, &all, 1)["Records"][0]["dynamodb"]["SequenceNumber"]);
    let at = iterator(&mut h, &arn, "AT_SEQUENCE_NUMBER", Some(&number));
    h.advance(20_000);
    put(&mut h, "b", 1);
    h.server.engine.trim_streams(&mut Vec::new());
    let trimmed = refused("TrimmedDataAccessException", "The data you are trying to access has been trimmed");
    assert_eq!(iterator(&mut h, &arn, "AFTER_SEQUENCE_NUMBER", Some(&number)), trimmed);
    assert_eq!(records(&mut h, &at, 1), trimmed);
    // A position behind the trimmed records is valid, and so is TRIM_HORIZON of a new iterator.
    assert_eq!(records(&mut h, &latest, 9)["Records"].as_array().unwrap().len(), 1);
    assert_eq!(records(&mut h, &horizon, 9)["__type"], "ExpiredIteratorException");
    let horizon = iterator(&mut h, &arn, "TRIM_HORIZON", None);
    assert_eq!(records(&mut h, &horizon, 9)["Records"].as_array().unwrap().len(), 1);
}

#[test]
fn requests_are_checked() {
    let mut h = Harness::new();
    create(&mut h, "KEYS_ONLY");
    let arn = arn(&mut h);
    assert_eq!(
        call(&mut h, "GetShardIterator", &json!({})),
        invalid(
            "3 validation errors detected: Value null at 'streamArn' failed to satisfy constraint: Member must not be null; Value null at 'shardId' failed to satisfy constraint: Member must not be null; Value null at 'shardIteratorType' failed to satisfy constraint: Member must not be null"
        )
    );
    let none = format!("shardId-{:020}-{:08}", 1, 1);
    assert_eq!(
        call(
            &mut h,
            "GetShardIterator",
            &json!({"StreamArn": arn, "ShardId": none, "ShardIteratorType": "LATEST"})
        ),
        refused("ResourceNotFoundException", "Requested resource not found: Shard does not exist")
    );
    assert_eq!(
        call(&mut h, "GetRecords", &json!({"ShardIterator": "x", "Limit": 1001})),
        invalid(
            "1 validation error detected: Value '1001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000"
        )
    );
    assert_eq!(call(&mut h, "GetRecords", &json!({"ShardIterator": "x"})), invalid("Invalid ShardIterator"));
    assert_eq!(
        call(
            &mut h,
            "UpdateTable",
            &json!({"TableName": "abc", "StreamSpecification": {"StreamViewType": "ALL"}})
        ),
        invalid(
            "2 validation errors detected: Value null at 'streamSpecification.streamEnabled' failed to satisfy constraint: Member must not be null; Value 'ALL' at 'streamSpecification.streamViewType' failed to satisfy constraint: Member must satisfy enum value set: [NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY]"
        )
    );
    let shards =
        |h: &mut Harness, body: Value| call(h, "DescribeStream", &body)["StreamDescription"]["Shards"].take();
    let shard = shard(&mut h, &arn)["ShardId"].take();
    assert_eq!(shards(&mut h, json!({"StreamArn": arn, "ExclusiveStartShardId": shard})), json!([]));
    let filter = json!({"Type": "CHILD_SHARDS", "ShardId": shard});
    assert_eq!(shards(&mut h, json!({"StreamArn": arn, "ShardFilter": filter})), json!([]));
}

#[test]
fn the_stream_of_a_dropped_table_can_be_read_for_a_day() {
    let mut h = Harness::new();
    create(&mut h, "NEW_IMAGE");
    let first = arn(&mut h);
    put(&mut h, "a", 1);
    h.run("XGROUP CREATE abc@stream g $");
    let open = iterator(&mut h, &first, "TRIM_HORIZON", None);
    let described = call(&mut h, "DeleteTable", &json!({"TableName": "abc"}));
    assert_eq!(described["TableDescription"]["LatestStreamArn"], first.as_str());
    // A key may have the name of the dropped table's stream.
    assert_eq!(h.run("XLEN abc@stream"), ":0");
    h.run("SET abc@stream x");
    assert_eq!(h.run("DEL abc@stream"), ":1");
    let listed = |h: &mut Harness| -> Vec<String> {
        let reply = call(h, "ListStreams", &json!({"TableName": "abc"}));
        reply["Streams"].as_array().unwrap().iter().map(|stream| text(&stream["StreamArn"])).collect()
    };
    let description = |h: &mut Harness, arn: &str| {
        call(h, "DescribeStream", &json!({"StreamArn": arn}))["StreamDescription"].take()
    };
    // A new table of the same name without a stream does not change the old stream.
    call(
        &mut h,
        "CreateTable",
        &json!({"TableName": "abc", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "other", "AttributeType": "N"}],
            "KeySchema": [{"AttributeName": "other", "KeyType": "HASH"}]}),
    );
    super::put(&mut h, "abc", json!({"other": {"N": "1"}}));
    call(&mut h, "UpdateTable", &json!({"TableName": "abc", "TableClass": "STANDARD"}));
    h.server.engine.trim_streams(&mut Vec::new());
    assert_eq!(listed(&mut h), [first.as_str()]);
    let stream = description(&mut h, &first);
    assert_eq!((&stream["StreamStatus"], &stream["TableName"]), (&json!("DISABLED"), &json!("abc")));
    assert_eq!(stream["KeySchema"], json!([{"AttributeName": "id", "KeyType": "HASH"}]));
    assert!(stream["Shards"][0]["SequenceNumberRange"]["EndingSequenceNumber"].is_string(), "{stream}");
    let reply = records(&mut h, &open, 10);
    assert_eq!(reply["Records"][0]["dynamodb"]["NewImage"], json!({"id": {"S": "a"}, "n": {"N": "1"}}));
    assert!(reply.get("NextShardIterator").is_none());
    // A new table of the same name with a stream begins an empty stream with another label.
    call(&mut h, "DeleteTable", &json!({"TableName": "abc"}));
    create(&mut h, "NEW_IMAGE");
    let second = arn(&mut h);
    assert!(second > first && listed(&mut h) == [second.as_str()]);
    assert_eq!(h.run("XLEN abc@stream"), ":0");
    put(&mut h, "b", 1);
    call(&mut h, "DeleteTable", &json!({"TableName": "abc"}));
    assert_eq!(description(&mut h, &second)["StreamStatus"], "DISABLED");
    h.advance(86_400_001);
    assert!(listed(&mut h).is_empty());
    h.server.engine.trim_streams(&mut Vec::new());
    assert!(h.server.engine.tables.dropped("abc").is_none() && !h.server.engine.tables.any_stream());
}
