//! Checks change streams beside the model: a replay of a stream from its start gives the table.

use super::{Driver, Key, item_json, key_json, plain};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// All records of a table's stream; `None` if it has none.
fn records(driver: &mut Driver<'_>, name: &str) -> Option<Vec<Json>> {
    let table = driver.ddb("DescribeTable", &json!({"TableName": name}));
    let arn = table["Table"].get("LatestStreamArn")?.clone();
    let stream = driver.ddb("DescribeStream", &json!({"StreamArn": arn}));
    let shard = &stream["StreamDescription"]["Shards"][0]["ShardId"];
    let body = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let mut iterator = driver.ddb("GetShardIterator", &body)["ShardIterator"].take();
    let mut all = Vec::new();
    loop {
        let limit = 1 + driver.random.below(1000);
        let mut page = driver.ddb("GetRecords", &json!({"ShardIterator": iterator, "Limit": limit}));
        let Some(found) = page["Records"].as_array_mut() else { panic!("{page}\n{}", driver.past()) };
        if found.is_empty() {
            return Some(all);
        }
        all.append(found);
        iterator = page["NextShardIterator"].take();
    }
}

/// Replays a table's stream. Each record must fit the state after the records before it.
pub(super) fn replayed(driver: &mut Driver<'_>, name: &str) {
    let Some(records) = records(driver, name) else { return };
    let mut items: BTreeMap<String, Json> = BTreeMap::new();
    let mut last = String::new();
    for record in &records {
        let change = &record["dynamodb"];
        let number = change["SequenceNumber"].as_str().unwrap();
        assert!(*number > *last, "{number} came after {last}\n{}", driver.past());
        number.clone_into(&mut last);
        let key = change["Keys"].to_string();
        let before = match change.get("NewImage") {
            Some(new) => items.insert(key, new.clone()),
            None => items.remove(&key),
        };
        let event = match (&before, change.get("NewImage")) {
            (None, _) => "INSERT",
            (Some(_), Some(_)) => "MODIFY",
            (Some(_), None) => "REMOVE",
        };
        let fits = record["eventName"] == event && change.get("OldImage") == before.as_ref();
        assert!(fits, "{record} came, but before it was {before:?}\n{}", driver.past());
        assert!(before.is_none() || before.as_ref() != change.get("NewImage"), "{record} changes nothing");
    }
    let of_model = |(key, item): (&Key, _)| (plain(&key_json(key)).to_string(), plain(&item_json(item)));
    let expected: BTreeMap<String, Json> = driver.model.tables[name].items.iter().map(of_model).collect();
    assert!(
        items == expected,
        "{items:?} is what the stream says, the model {expected:?}\n{}",
        driver.past()
    );
}
