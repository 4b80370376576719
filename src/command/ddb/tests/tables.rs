//! Tests of the operations on tables.

use super::{call, invalid, refused};
use crate::command::testing::Harness;
use serde_json::{Value, json};

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

/// Runs CreateTable with these further members.
fn create(h: &mut Harness, members: &Value) -> Value {
    let mut body = json!({"TableName": "abc", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]});
    merge(&mut body, members);
    call(h, "CreateTable", &body)
}

fn update(h: &mut Harness, members: &Value) -> Value {
    let mut body = json!({"TableName": "abc"});
    merge(&mut body, members);
    call(h, "UpdateTable", &body)
}

fn merge(body: &mut Value, members: &Value) {
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
}

fn described(h: &mut Harness) -> Value {
    call(h, "DescribeTable", &json!({"TableName": "abc"}))["Table"].take()
}

fn units(reads: u64, writes: u64) -> Value {
    json!({"ReadCapacityUnits": reads, "WriteCapacityUnits": writes})
}

fn index(name: &str, throughput: &Value) -> Value {
    json!([{"IndexName": name, "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"}, "ProvisionedThroughput": throughput}])
}

#[test]
fn throughput_is_changed_as_at_aws() {
    let mut h = Harness::new();
    let provisioned = json!({"BillingMode": "PROVISIONED", "ProvisionedThroughput": units(5, 6),
        "GlobalSecondaryIndexes": index("gsi", &units(1, 1))});
    let made = create(&mut h, &provisioned);
    assert!(made["TableDescription"].get("BillingModeSummary").is_none(), "{made}");
    // The reply has the old units. `NumberOfDecreasesToday` counts decreases by day.
    let more = update(&mut h, &json!({"ProvisionedThroughput": units(7, 6)}))["TableDescription"].take();
    assert_eq!(more["TableStatus"], "UPDATING");
    assert_eq!(
        more["ProvisionedThroughput"],
        json!({"LastIncreaseDateTime": 1_700_000_000.0, "NumberOfDecreasesToday": 0, "ReadCapacityUnits": 5, "WriteCapacityUnits": 6})
    );
    h.advance(1000);
    update(&mut h, &json!({"ProvisionedThroughput": units(7, 4)}));
    let table = described(&mut h);
    assert_eq!(table["TableStatus"], "ACTIVE");
    assert_eq!(
        table["ProvisionedThroughput"],
        json!({"LastIncreaseDateTime": 1_700_000_000.0, "LastDecreaseDateTime": 1_700_000_001.0,
            "NumberOfDecreasesToday": 1, "ReadCapacityUnits": 7, "WriteCapacityUnits": 4})
    );
    assert_eq!(
        table["WarmThroughput"],
        json!({"ReadUnitsPerSecond": 7, "WriteUnitsPerSecond": 4, "Status": "ACTIVE"})
    );
    h.advance(86_400_000);
    assert_eq!(described(&mut h)["ProvisionedThroughput"]["NumberOfDecreasesToday"], 0);
    assert_eq!(
        update(&mut h, &json!({"ProvisionedThroughput": units(7, 4)})),
        invalid(
            "The provisioned throughput for the table will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for the table: 7. Requested ReadCapacityUnits: 7. Current WriteCapacityUnits provisioned for the table: 4. Requested WriteCapacityUnits: 4. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
        )
    );
    let gsi = |reads| json!({"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "gsi", "ProvisionedThroughput": units(reads, 1)}}]});
    let changed = update(&mut h, &gsi(3))["TableDescription"]["GlobalSecondaryIndexes"][0].take();
    assert_eq!(changed["IndexStatus"], "UPDATING");
    assert_eq!(changed["ProvisionedThroughput"]["ReadCapacityUnits"], 1);
    assert_eq!(
        described(&mut h)["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"],
        3
    );
    assert_eq!(update(&mut h, &gsi(3))["__type"], "ValidationException");
}

#[test]
fn billing_modes_are_changed_as_at_aws() {
    let mut h = Harness::new();
    create(
        &mut h,
        &json!({"BillingMode": "PROVISIONED", "ProvisionedThroughput": units(5, 6), "GlobalSecondaryIndexes": index("gsi", &units(1, 1))}),
    );
    h.advance(1000);
    let changed = update(&mut h, &json!({"BillingMode": "PAY_PER_REQUEST"}))["TableDescription"].take();
    assert_eq!(changed["BillingModeSummary"], json!({"BillingMode": "PAY_PER_REQUEST"}));
    assert_eq!(changed["GlobalSecondaryIndexes"][0]["IndexStatus"], "UPDATING");
    let table = described(&mut h);
    assert_eq!(
        table["BillingModeSummary"],
        json!({"BillingMode": "PAY_PER_REQUEST", "LastUpdateToPayPerRequestDateTime": 1_700_000_001.0})
    );
    let none = json!({"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0});
    assert_eq!(table["ProvisionedThroughput"], none);
    assert_eq!(table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"], none);
    assert_eq!(table["WarmThroughput"]["ReadUnitsPerSecond"], 12_000);
    let wrong = "One or more parameter values were invalid: ";
    for (members, message) in [
        (
            json!({"ProvisionedThroughput": units(1, 1)}),
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        ),
        (
            json!({"BillingMode": "PROVISIONED"}),
            "ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
        ),
        (
            json!({"BillingMode": "PROVISIONED", "ProvisionedThroughput": units(1, 1)}),
            "ProvisionedThroughput must be specified for index: gsi",
        ),
    ] {
        assert_eq!(update(&mut h, &members), invalid(&format!("{wrong}{message}")), "{members}");
    }
    let back = json!({"BillingMode": "PROVISIONED", "ProvisionedThroughput": units(1, 1),
        "GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "gsi", "ProvisionedThroughput": units(2, 2)}}]});
    update(&mut h, &back);
    // An index that TABLE.INDEX made has no units; other changes of the table are not refused for that.
    h.run("TABLE.INDEX ADD abc own PK x S");
    assert!(update(&mut h, &json!({"DeletionProtectionEnabled": false}))["TableDescription"].is_object());
    let table = described(&mut h);
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PROVISIONED");
    assert_eq!(table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["ReadCapacityUnits"], 2);
}

#[test]
fn what_is_only_kept_of_a_table_is_told() {
    let mut h = Harness::new();
    let wishes = json!({"OnDemandThroughput": {"MaxReadRequestUnits": 9},
        "WarmThroughput": {"ReadUnitsPerSecond": 13000, "WriteUnitsPerSecond": 5000}});
    let made = create(&mut h, &wishes)["TableDescription"].take();
    assert_eq!(made["OnDemandThroughput"], json!({"MaxReadRequestUnits": 9, "MaxWriteRequestUnits": -1}));
    assert_eq!(made["WarmThroughput"]["Status"], "UPDATING");
    assert_eq!(made["BillingModeSummary"], json!({"BillingMode": "PAY_PER_REQUEST"}));
    let lower = update(&mut h, &json!({"WarmThroughput": {"ReadUnitsPerSecond": 12000}}));
    assert_eq!(
        lower,
        invalid(
            "One or more parameter values were invalid: Requested ReadUnitsPerSecond for WarmThroughput for table is lower than current WarmThroughput, decreasing WarmThroughput is not supported"
        )
    );
    let key = "arn:aws:kms:us-east-1:000000000000:key/1234";
    let encrypted = update(&mut h, &json!({"SSESpecification": {"Enabled": true, "KMSMasterKeyId": "1234"}}));
    let description = json!({"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key});
    assert_eq!(encrypted["TableDescription"]["SSEDescription"], description);
    h.advance(2000);
    update(&mut h, &json!({"TableClass": "STANDARD_INFREQUENT_ACCESS"}));
    assert_eq!(
        described(&mut h)["TableClassSummary"],
        json!({"TableClass": "STANDARD_INFREQUENT_ACCESS", "LastUpdateDateTime": 1_700_000_002.0})
    );
    update(&mut h, &json!({"SSESpecification": {"Enabled": false}}));
    assert!(described(&mut h).get("SSEDescription").is_none());
    let gone = call(&mut h, "DeleteTable", &json!({"TableName": "abc"}))["TableDescription"].take();
    let members: Vec<&String> = gone.as_object().unwrap().keys().collect();
    assert!(gone["TableStatus"] == "DELETING" && gone["TableId"].is_string());
    for absent in ["KeySchema", "AttributeDefinitions", "CreationDateTime"] {
        assert!(!members.iter().any(|member| *member == absent), "{gone}");
    }
}

#[test]
fn names_are_looked_at_first_and_tags_have_their_lengths() {
    let mut h = Harness::new();
    create(&mut h, &json!({}));
    let long = "TableName must be at least 3 characters long and at most 255 characters long";
    for operation in ["CreateTable", "UpdateTable", "DescribeTable", "DeleteTable", "UpdateTimeToLive"] {
        assert_eq!(
            call(&mut h, operation, &json!({})),
            invalid("The parameter 'TableName' is required but was not present in the request")
        );
        assert_eq!(call(&mut h, operation, &json!({"TableName": "a;"})), invalid(long));
    }
    assert_eq!(
        call(
            &mut h,
            "UpdateTable",
            &json!({"TableName": "abc;", "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 1}})
        ),
        invalid(
            "2 validation errors detected: Value 'abc;' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; Value '0' at 'provisionedThroughput.readCapacityUnits' failed to satisfy constraint: Member must have value greater than or equal to 1"
        )
    );
    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/abc";
    let tag = |h: &mut Harness, arn: &str, key: &str| {
        call(h, "TagResource", &json!({"ResourceArn": arn, "Tags": [{"Key": key, "Value": ""}]}))
    };
    assert_eq!(tag(&mut h, arn, "k"), json!({}));
    assert_eq!(
        tag(&mut h, arn, ""),
        invalid(
            "1 validation error detected: Value '' at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1"
        )
    );
    for bad in ["arn:aws:dynamodb:us-east-1:000000000000:table/a", "arn:aws:s3:::table/abc", "x"] {
        let message = format!("Invalid TableArn: Invalid ResourceArn provided as input {bad}");
        assert_eq!(tag(&mut h, bad, "k"), invalid(&message));
    }
}
