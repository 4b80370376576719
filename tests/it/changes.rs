//! Tests change streams of tables over sockets: readers that wait, groups across kill -9, many concurrent writers.

use crate::harness::{Client, Server, Value};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

fn until_blocked(server: &Server, blocked: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while server.info("blocked_clients") != blocked.to_string() {
        assert!(Instant::now() < deadline, "{blocked} clients are blocked");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The entries of one stream in a reply of XREAD, in either protocol: identifiers, and fields with their values.
fn entries(reply: &Value) -> Vec<(String, Vec<(String, String)>)> {
    // A map comes as names and values in turn, like the pair of one stream in RESP2.
    let stream = match reply {
        Value::Map(pairs) => pairs[0].1.clone(),
        other => other.items()[0].items()[1].clone(),
    };
    stream
        .items()
        .iter()
        .map(|entry| {
            let parts = entry.items();
            let fields = parts[1].items();
            let pairs = fields.chunks(2).map(|pair| (pair[0].text(), pair[1].text())).collect();
            (parts[0].text(), pairs)
        })
        .collect()
}

fn field(entry: &(String, Vec<(String, String)>), name: &str) -> Option<String> {
    entry.1.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone())
}

#[test]
fn readers_are_woken_by_changes_of_items() {
    let server = Server::start(&[]);
    let mut writer = server.client();
    writer.run("TABLE.CREATE t PK id S TTL until STREAM BOTH");
    for proto in [2, 3] {
        let mut reader = server.client_with(proto);
        reader.run("SELECT 7");
        reader.send(&["XREAD", "BLOCK", "20000", "STREAMS", "t@stream", "$"]).unwrap();
        until_blocked(&server, 1);
        // All changes of one EXEC arrive together.
        writer.run("MULTI");
        writer.run("ITEM.PUT t a SET 1 n:n 1");
        writer.run("ITEM.UPDATE t a INCR 1 n 1");
        writer.run("SET other key");
        writer.run("ITEM.DEL t a");
        assert_eq!(writer.run("EXEC").items().len(), 4);
        let reply = reader.read();
        let found = entries(&reply);
        let events: Vec<String> = found.iter().filter_map(|entry| field(entry, "event")).collect();
        assert_eq!(events, ["INSERT", "MODIFY", "REMOVE"], "{reply}");
        assert_eq!(field(&found[1], "keys").as_deref(), Some(r#"{"id":{"S":"a"}}"#));
        assert_eq!(field(&found[1], "old").as_deref(), Some(r#"{"id":{"S":"a"},"n":{"N":"1"}}"#));
        assert_eq!(field(&found[1], "new").as_deref(), Some(r#"{"id":{"S":"a"},"n":{"N":"2"}}"#));
        assert_eq!(field(&found[2], "new"), None);
        // A removal by the background arrives too.
        writer.run("ITEM.PUT t b SET 1 n:n 1 EX 1");
        let last = writer.run("XREVRANGE t@stream + - COUNT 1").items()[0].items()[0].text();
        let found = entries(&reader.run(&format!("XREAD BLOCK 20000 STREAMS t@stream {last}")));
        assert_eq!(field(&found[0], "event").as_deref(), Some("REMOVE"));
        assert_eq!(field(&found[0], "by").as_deref(), Some("ttl"));
    }
}

#[test]
fn groups_and_positions_survive_the_end_of_the_process() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    let mut client = server.client();
    client.run("TABLE.CREATE t PK id S STREAM KEYS");
    client.run("XGROUP CREATE t@stream workers 0");
    for n in 0..10 {
        client.run(&format!("ITEM.PUT t k{n} SET 1 n:n {n}"));
    }
    let read = |client: &mut Client, command: &str| entries(&client.run(command));
    let first = read(&mut client, "XREADGROUP GROUP workers one COUNT 4 STREAMS t@stream >");
    assert_eq!(first.len(), 4);
    client.run(&format!("XACK t@stream workers {} {}", first[0].0, first[1].0));
    for round in 0..2 {
        if round == 1 {
            assert!(client.run("SAVE").is_ok());
        }
        let before = client.run("XRANGE t@stream - +");
        server.kill9();
        server.up();
        client = server.client();
        assert_eq!(client.run("XRANGE t@stream - +"), before);
        let pending = read(&mut client, "XREADGROUP GROUP workers one STREAMS t@stream 0");
        assert_eq!(pending.iter().map(|entry| &entry.0).collect::<Vec<_>>(), [&first[2].0, &first[3].0]);
    }
    assert_eq!(read(&mut client, "XREADGROUP GROUP workers two STREAMS t@stream >").len(), 6);
    client.run("ITEM.PUT t more SET 1 n:n 1");
    let more = read(&mut client, "XREADGROUP GROUP workers two STREAMS t@stream >");
    assert!(more[0].0 > first[3].0 && field(&more[0], "keys").unwrap().contains("more"));
    assert!(client.run("SET t@stream x").is_error());
}

fn ddb(client: &mut Client, operation: &str, body: &Json) -> Json {
    let reply = client.call(&["DDB", operation, &body.to_string()]);
    serde_json::from_str(&reply.text()).unwrap_or_else(|_| panic!("{reply}"))
}

#[test]
fn many_writers_make_one_order() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.run("TABLE.CREATE one PK id S STREAM BOTH INDEX by PK n N PROJECT ALL");
    client.run("TABLE.CREATE two PK id S STREAM BOTH");
    const WRITERS: usize = 4;
    const EACH: usize = 300;
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let mut client = server.client();
            scope.spawn(move || {
                for n in 0..EACH {
                    // The items of both tables change in one transaction, in an order that differs between writers.
                    let (first, second) = if writer % 2 == 0 { ("one", "two") } else { ("two", "one") };
                    client.run("MULTI");
                    client.run(&format!("ITEM.UPDATE {first} k{} INCR 1 n 1", n % 7));
                    client.run(&format!("ITEM.UPDATE {second} k{} INCR 1 n 1", n % 7));
                    let reply = client.run("EXEC");
                    assert!(reply.items().iter().all(Value::is_ok), "{reply}");
                }
            });
        }
    });
    for table in ["one", "two"] {
        let arn = ddb(&mut client, "DescribeTable", &json!({"TableName": table}))["Table"]["LatestStreamArn"]
            .take();
        let shard = ddb(&mut client, "DescribeStream", &json!({"StreamArn": arn}));
        let shard = &shard["StreamDescription"]["Shards"][0]["ShardId"];
        let body = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        let mut iterator = ddb(&mut client, "GetShardIterator", &body)["ShardIterator"].take();
        let mut counts = std::collections::BTreeMap::new();
        let mut total = 0;
        loop {
            let mut page = ddb(&mut client, "GetRecords", &json!({"ShardIterator": iterator}));
            let records = page["Records"].as_array().unwrap().clone();
            if records.is_empty() {
                break;
            }
            for record in records {
                let change = &record["dynamodb"];
                let n =
                    |image: &str| change[image]["n"]["N"].as_str().map_or(0, |n| n.parse::<u64>().unwrap());
                let count: &mut u64 = counts.entry(change["Keys"]["id"]["S"].to_string()).or_default();
                // Each record's old image is the new image of the item's record before it.
                assert_eq!((n("OldImage"), n("NewImage")), (*count, *count + 1), "{record}");
                *count += 1;
                total += 1;
            }
            iterator = page["NextShardIterator"].take();
        }
        assert_eq!(total, WRITERS * EACH);
    }
}
