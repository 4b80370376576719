//! The control plane.

use super::{call, invalid, refused};
use crate::command::testing::Harness;
use serde_json::json;

#[test]
fn tables_are_described_changed_and_dropped() {
    let mut h = Harness::new();
    let create = json!({"TableName": "abc", "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "Tags": [{"Key": "team", "Value": "x"}],
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}, "DeletionProtectionEnabled": true});
    let description = json!({"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "TableName": "abc",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "TableStatus": "CREATING", "CreationDateTime": 1_700_000_000.0,
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
        "TableSizeBytes": 0, "ItemCount": 0, "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/abc",
        "TableId": "00000000-0000-4000-8000-000000000010", "DeletionProtectionEnabled": true});
    assert_eq!(call(&mut h, "CreateTable", &create), json!({"TableDescription": description}));
    assert_eq!(
        call(&mut h, "CreateTable", &create),
        refused("ResourceInUseException", "Table already exists: abc")
    );
    let name = json!({"TableName": "abc"});
    assert_eq!(call(&mut h, "DescribeTable", &name)["Table"]["TableStatus"], "ACTIVE");
    let ttl = |enabled: bool, attribute: &str| json!({"TableName": "abc", "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": enabled}});
    assert_eq!(
        call(&mut h, "UpdateTimeToLive", &ttl(false, "until")),
        invalid("TimeToLive is already disabled")
    );
    assert_eq!(
        call(&mut h, "UpdateTimeToLive", &ttl(true, "until")),
        json!({"TimeToLiveSpecification": {"Enabled": true, "AttributeName": "until"}})
    );
    assert_eq!(
        call(&mut h, "UpdateTimeToLive", &ttl(true, "until")),
        invalid("TimeToLive is already enabled")
    );
    assert_eq!(
        call(&mut h, "DescribeTimeToLive", &name),
        json!({"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "until"}})
    );
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/abc";
    assert_eq!(
        call(&mut h, "TagResource", &json!({"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "b"}]})),
        json!({})
    );
    assert_eq!(call(&mut h, "UntagResource", &json!({"ResourceArn": arn, "TagKeys": ["team"]})), json!({}));
    assert_eq!(
        call(&mut h, "ListTagsOfResource", &json!({"ResourceArn": arn})),
        json!({"Tags": [{"Key": "a", "Value": "b"}]})
    );
    let protected = "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.";
    assert_eq!(call(&mut h, "DeleteTable", &name), invalid(protected));
    let update =
        json!({"TableName": "abc", "BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": false});
    let updated = call(&mut h, "UpdateTable", &update);
    assert_eq!(updated["TableDescription"]["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(call(&mut h, "ListTables", &json!({"Limit": 1})), json!({"TableNames": ["abc"]}));
    assert_eq!(call(&mut h, "DeleteTable", &name)["TableDescription"]["TableStatus"], "DELETING");
    assert_eq!(call(&mut h, "ListTables", &json!({})), json!({"TableNames": []}));
    for (body, message) in [
        (
            json!({"TableName": "abc", "KeySchema": [{"AttributeName": "id", "KeyType": "RANGE"}], "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}),
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            json!({"TableName": "abc", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "AttributeDefinitions": [{"AttributeName": "x", "AttributeType": "S"}]}),
            "One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [id], AttributeDefinitions: [x]",
        ),
        (
            json!({"TableName": "abc", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "SS"}]}),
            "1 validation error detected: Value 'SS' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]",
        ),
        (
            json!({"TableName": "abc", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}),
            "One or more parameter values were invalid: ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
    ] {
        assert_eq!(call(&mut h, "CreateTable", &body), invalid(message), "{body}");
    }
}
