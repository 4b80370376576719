mod ahead;
mod index_entries;
mod indexes;
mod items;
mod legacy;
mod memory;
mod refusals;
mod streams;
mod surface;
mod tables;
mod transactions;

use crate::command::testing::Harness;
use serde_json::{Value, json};

/// Runs an operation and returns the reply or the error as JSON. The error's type is cut at `#`.
fn call(h: &mut Harness, operation: &str, body: &Value) -> Value {
    let text = body.to_string();
    let reply = h.call_as(0, &[b"DDB", operation.as_bytes(), text.as_bytes()]);
    if let Some(error) = reply.as_error() {
        let json =
            error.strip_prefix(b"DDB ").unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(error)));
        let mut json: Value = serde_json::from_slice(json).unwrap();
        let kind = json["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
        json["__type"] = kind.into();
        return json;
    }
    serde_json::from_slice(reply.as_bytes().unwrap()).unwrap()
}

fn refused(kind: &str, message: &str) -> Value {
    json!({"__type": kind, "message": message})
}

fn invalid(message: &str) -> Value {
    refused("ValidationException", message)
}

/// Makes a table with the partition key `id` and, if `sort` gives its type, the sort key `k`.
fn table(h: &mut Harness, name: &str, sort: Option<&str>) {
    let mut attributes = vec![json!({"AttributeName": "id", "AttributeType": "S"})];
    let mut keys = vec![json!({"AttributeName": "id", "KeyType": "HASH"})];
    if let Some(kind) = sort {
        attributes.push(json!({"AttributeName": "k", "AttributeType": kind}));
        keys.push(json!({"AttributeName": "k", "KeyType": "RANGE"}));
    }
    let body = json!({"TableName": name, "AttributeDefinitions": attributes, "KeySchema": keys, "BillingMode": "PAY_PER_REQUEST"});
    let reply = call(h, "CreateTable", &body);
    assert_eq!(reply["TableDescription"]["TableStatus"], "CREATING", "{reply}");
}

fn put(h: &mut Harness, table: &str, item: Value) {
    assert_eq!(call(h, "PutItem", &json!({"TableName": table, "Item": item})), json!({}));
}
