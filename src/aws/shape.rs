//! The checks of AWS's deserialiser: the form of a request's JSON. They run before all other checks.

use super::error::{AwsError, ErrorKind};
use crate::item::{ItemError, check_typed_item, check_typed_value, has_too_many_values};
use serde_json::{Map, Value};

/// The form of a member.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    Bool,
    /// A whole number; Java's class for it.
    Int(&'static str),
    /// Attribute names with typed values.
    Item,
    /// A typed value.
    Value,
    List(&'static Shape),
    /// A map; Java's class of its values.
    Map(&'static str, &'static Shape),
    /// Named members; its name in the service's model.
    Struct(&'static str, &'static [(&'static str, Shape)]),
}

/// The position of a value. It decides the error text for a value of the wrong form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// As a member of a structure.
    Member,
    /// As a value of a list or map.
    Element,
}

fn refused(message: impl Into<String>) -> AwsError {
    AwsError::new(ErrorKind::Serialization, message)
}

const STRUCTURE: &str = "Start of structure or map found where not expected";

/// Reads a request's body.
pub(super) fn parse(body: &[u8]) -> Result<Map<String, Value>, AwsError> {
    if has_too_many_values(body) {
        return Err(AwsError::new(ErrorKind::TooLarge, "The request has too many values."));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(refused("Unexpected token received from parser")),
        // JSON that nests deeper than the parser allows would be too deep for an item as well.
        Err(_) if depth(body) > DEEPEST => Err(ItemError::TooDeep.into()),
        // For text that is no JSON, AWS gives no details.
        Err(_) => Err(refused("")),
    }
}

/// The deepest nesting that the parser accepts.
const DEEPEST: usize = 127;

/// How deep brackets nest in a JSON text.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Checks the members of a request; unknown ones are ignored, as AWS does.
pub(super) fn check(map: &Map<String, Value>, members: &[(&str, Shape)]) -> Result<(), AwsError> {
    for (name, shape) in members {
        match map.get(*name) {
            None | Some(Value::Null) => {}
            Some(value) => value_fits(value, shape, At::Member)?,
        }
    }
    Ok(())
}

fn value_fits(value: &Value, shape: &Shape, at: At) -> Result<(), AwsError> {
    let element = |value: &Value, inner: &Shape| value_fits(value, inner, At::Element);
    match shape {
        Shape::Text => scalar(value, "String", |v| matches!(v, Value::String(_))),
        Shape::Bool => scalar(value, "Boolean", |v| match v {
            Value::Bool(_) => true,
            Value::String(text) => bool_of(text).is_some(),
            _ => false,
        }),
        Shape::Int(class) => scalar(value, class, |v| matches!(v, Value::Number(_))),
        Shape::Item => Ok(check_typed_item(value)?),
        Shape::Value => match value {
            Value::Object(_) | Value::Array(_) => Ok(check_typed_value(value)?),
            _ if at == At::Member => Err(refused("Unexpected field type")),
            _ => Err(refused("Unexpected value type in payload")),
        },
        Shape::List(inner) => match value {
            Value::Array(list) => list.iter().filter(|v| !v.is_null()).try_for_each(|v| element(v, inner)),
            Value::Object(_) => Err(refused(STRUCTURE)),
            _ => Err(refused("Unexpected field type")),
        },
        Shape::Map(class, inner) => match value {
            Value::Object(map) => map.values().filter(|v| !v.is_null()).try_for_each(|v| element(v, inner)),
            Value::Array(_) => {
                Err(refused(format!("Unrecognized collection type java.util.Map<java.lang.String, {class}>")))
            }
            _ => Err(refused("Unexpected field type")),
        },
        Shape::Struct(name, members) => match value {
            Value::Object(map) => check(map, members),
            Value::Array(_) => Err(refused(format!(
                "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.{name}"
            ))),
            _ if at == At::Member => Err(refused("Unexpected field type")),
            _ => Err(refused("Unexpected value type in payload")),
        },
    }
}

/// What AWS takes as a boolean beside JSON's own.
pub(super) fn bool_of(text: &str) -> Option<bool> {
    let any = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match () {
        () if any(["true", "1", "yes"]) => Some(true),
        () if any(["false", "0", "no"]) => Some(false),
        () => None,
    }
}

fn scalar(value: &Value, class: &str, fits: impl Fn(&Value) -> bool) -> Result<(), AwsError> {
    if fits(value) {
        return Ok(());
    }
    let token = match value {
        Value::Array(_) => {
            return Err(refused(format!("Unrecognized collection type class java.lang.{class}")));
        }
        Value::Object(_) => return Err(refused(STRUCTURE)),
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::String(_) if class == "Boolean" => {
            return Err(refused("Unexpected token received from parser"));
        }
        Value::String(_) => "STRING_VALUE",
        Value::Number(number) if number.to_string().contains(['.', 'e', 'E']) => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::Null => return Ok(()),
    };
    Err(refused(format!("{token} cannot be converted to {class}")))
}

const TEXT: Shape = Shape::Text;
const NAMES: Shape = Shape::Map("java.lang.String", &TEXT);
const KEYS: Shape = Shape::List(&Shape::Item);

const EXPRESSIONS: [(&str, Shape); 2] =
    [("ExpressionAttributeNames", NAMES), ("ExpressionAttributeValues", Shape::Item)];

const VALUES: Shape = Shape::List(&Shape::Value);

/// A map of structures, the latter by their name in the service's model.
macro_rules! map_of {
    ($name:literal, $members:expr) => {
        Shape::Map(concat!("com.amazonaws.dynamodb.v20120810.", $name), &Shape::Struct($name, $members))
    };
}

const CONDITIONS: Shape =
    map_of!("Condition", &[("AttributeValueList", VALUES), ("ComparisonOperator", TEXT)]);
const EXPECTED: Shape = map_of!(
    "ExpectedAttributeValue",
    &[
        ("Value", Shape::Value),
        ("Exists", Shape::Bool),
        ("ComparisonOperator", TEXT),
        ("AttributeValueList", VALUES)
    ]
);
const UPDATES: Shape = map_of!("AttributeValueUpdate", &[("Value", Shape::Value), ("Action", TEXT)]);

/// A write in a transaction.
const ACTION: &[(&str, Shape)] = &[
    ("TableName", TEXT),
    ("Item", Shape::Item),
    ("Key", Shape::Item),
    ("UpdateExpression", TEXT),
    ("ConditionExpression", TEXT),
    EXPRESSIONS[0],
    EXPRESSIONS[1],
    ("ReturnValuesOnConditionCheckFailure", TEXT),
];

/// The further members of a write outside a transaction.
const WRITE: &[(&str, Shape)] = &[
    ("ReturnValues", TEXT),
    ("ReturnConsumedCapacity", TEXT),
    ("ReturnItemCollectionMetrics", TEXT),
    ("ConditionalOperator", TEXT),
    ("Expected", EXPECTED),
    ("AttributeUpdates", UPDATES),
];

const READ: &[(&str, Shape)] = &[
    ("TableName", TEXT),
    ("Key", Shape::Item),
    ("IndexName", TEXT),
    ("Select", TEXT),
    ("AttributesToGet", Shape::List(&TEXT)),
    ("Limit", Shape::Int("Integer")),
    ("ConsistentRead", Shape::Bool),
    ("ScanIndexForward", Shape::Bool),
    ("ExclusiveStartKey", Shape::Item),
    ("ReturnConsumedCapacity", TEXT),
    ("ProjectionExpression", TEXT),
    ("FilterExpression", TEXT),
    ("KeyConditionExpression", TEXT),
    ("Segment", Shape::Int("Integer")),
    ("TotalSegments", Shape::Int("Integer")),
    ("KeyConditions", CONDITIONS),
    ("QueryFilter", CONDITIONS),
    ("ConditionalOperator", TEXT),
    ("ScanFilter", CONDITIONS),
    EXPRESSIONS[0],
    EXPRESSIONS[1],
];

const BATCH: &[(&str, Shape)] = &[("ReturnConsumedCapacity", TEXT), ("ReturnItemCollectionMetrics", TEXT)];
const KEYS_AND_ATTRIBUTES: Shape = Shape::Struct(
    "KeysAndAttributes",
    &[
        ("Keys", KEYS),
        ("AttributesToGet", Shape::List(&TEXT)),
        ("ConsistentRead", Shape::Bool),
        ("ProjectionExpression", TEXT),
        ("ExpressionAttributeNames", NAMES),
    ],
);
const WRITE_REQUESTS: Shape = Shape::List(&Shape::Struct(
    "WriteRequest",
    &[
        ("PutRequest", Shape::Struct("PutRequest", &[("Item", Shape::Item)])),
        ("DeleteRequest", Shape::Struct("DeleteRequest", &[("Key", Shape::Item)])),
    ],
));

const TRANSACT: &[(&str, Shape)] = &[
    ("ClientRequestToken", TEXT),
    ("ReturnConsumedCapacity", TEXT),
    ("ReturnItemCollectionMetrics", TEXT),
    (
        "TransactItems",
        Shape::List(&Shape::Struct(
            "TransactWriteItem",
            &[
                ("Put", Shape::Struct("Put", ACTION)),
                ("Update", Shape::Struct("Update", ACTION)),
                ("Delete", Shape::Struct("Delete", ACTION)),
                ("ConditionCheck", Shape::Struct("ConditionCheck", ACTION)),
                ("Get", Shape::Struct("Get", READ)),
            ],
        )),
    ),
];

const TAGS: Shape = Shape::List(&Shape::Struct("Tag", &[("Key", TEXT), ("Value", TEXT)]));

const KEY_SCHEMA: Shape =
    Shape::List(&Shape::Struct("KeySchemaElement", &[("AttributeName", TEXT), ("KeyType", TEXT)]));
const PROJECTION: Shape =
    Shape::Struct("Projection", &[("ProjectionType", TEXT), ("NonKeyAttributes", Shape::List(&TEXT))]);
const THROUGHPUT: Shape = Shape::Struct(
    "ProvisionedThroughput",
    &[("ReadCapacityUnits", Shape::Int("Long")), ("WriteCapacityUnits", Shape::Int("Long"))],
);
const LONG: Shape = Shape::Int("Long");
const MOST: Shape =
    Shape::Struct("OnDemandThroughput", &[("MaxReadRequestUnits", LONG), ("MaxWriteRequestUnits", LONG)]);
const WARM: Shape =
    Shape::Struct("WarmThroughput", &[("ReadUnitsPerSecond", LONG), ("WriteUnitsPerSecond", LONG)]);
const INDEX: &[(&str, Shape)] = &[
    ("IndexName", TEXT),
    ("KeySchema", KEY_SCHEMA),
    ("Projection", PROJECTION),
    ("ProvisionedThroughput", THROUGHPUT),
    ("OnDemandThroughput", MOST),
    ("WarmThroughput", WARM),
];
const INDEX_UPDATES: Shape = Shape::List(&Shape::Struct(
    "GlobalSecondaryIndexUpdate",
    &[
        ("Create", Shape::Struct("CreateGlobalSecondaryIndexAction", INDEX)),
        ("Update", Shape::Struct("UpdateGlobalSecondaryIndexAction", INDEX)),
        ("Delete", Shape::Struct("DeleteGlobalSecondaryIndexAction", INDEX)),
    ],
));

const TABLE: &[(&str, Shape)] = &[
    ("TableName", TEXT),
    (
        "AttributeDefinitions",
        Shape::List(&Shape::Struct(
            "AttributeDefinition",
            &[("AttributeName", TEXT), ("AttributeType", TEXT)],
        )),
    ),
    ("KeySchema", KEY_SCHEMA),
    ("LocalSecondaryIndexes", Shape::List(&Shape::Struct("LocalSecondaryIndex", INDEX))),
    ("GlobalSecondaryIndexes", Shape::List(&Shape::Struct("GlobalSecondaryIndex", INDEX))),
    ("GlobalSecondaryIndexUpdates", INDEX_UPDATES),
    ("BillingMode", TEXT),
    ("TableClass", TEXT),
    ("ProvisionedThroughput", THROUGHPUT),
    ("OnDemandThroughput", MOST),
    ("WarmThroughput", WARM),
    (
        "SSESpecification",
        Shape::Struct(
            "SSESpecification",
            &[("Enabled", Shape::Bool), ("SSEType", TEXT), ("KMSMasterKeyId", TEXT)],
        ),
    ),
    ("DeletionProtectionEnabled", Shape::Bool),
    (
        "StreamSpecification",
        Shape::Struct("StreamSpecification", &[("StreamEnabled", Shape::Bool), ("StreamViewType", TEXT)]),
    ),
    ("Tags", TAGS),
    ("Limit", Shape::Int("Integer")),
    ("ExclusiveStartTableName", TEXT),
    ("ResourceArn", TEXT),
    ("NextToken", TEXT),
    ("TagKeys", Shape::List(&TEXT)),
    (
        "TimeToLiveSpecification",
        Shape::Struct("TimeToLiveSpecification", &[("AttributeName", TEXT), ("Enabled", Shape::Bool)]),
    ),
];

const STREAM: &[(&str, Shape)] = &[
    ("TableName", TEXT),
    ("StreamArn", TEXT),
    ("Limit", Shape::Int("Integer")),
    ("ExclusiveStartStreamArn", TEXT),
    ("ExclusiveStartShardId", TEXT),
    ("ShardFilter", Shape::Struct("ShardFilter", &[("Type", TEXT), ("ShardId", TEXT)])),
    ("ShardId", TEXT),
    ("ShardIteratorType", TEXT),
    ("SequenceNumber", TEXT),
    ("ShardIterator", TEXT),
];

/// Requests on one item that write.
pub(super) fn write(map: &Map<String, Value>) -> Result<(), AwsError> {
    check(map, ACTION)?;
    check(map, WRITE)
}

/// Requests that read an item, a partition or a table.
pub(super) fn read(map: &Map<String, Value>) -> Result<(), AwsError> {
    check(map, READ)
}

/// BatchGetItem.
pub(super) fn batch_get(map: &Map<String, Value>) -> Result<(), AwsError> {
    check(map, BATCH)?;
    let class = "com.amazonaws.dynamodb.v20120810.KeysAndAttributes";
    check(map, &[("RequestItems", Shape::Map(class, &KEYS_AND_ATTRIBUTES))])
}

/// BatchWriteItem.
pub(super) fn batch_write(map: &Map<String, Value>) -> Result<(), AwsError> {
    check(map, BATCH)?;
    let class = "java.util.List<com.amazonaws.dynamodb.v20120810.WriteRequest>";
    check(map, &[("RequestItems", Shape::Map(class, &WRITE_REQUESTS))])
}

/// TransactGetItems and TransactWriteItems.
pub(super) fn transact(map: &Map<String, Value>) -> Result<(), AwsError> {
    check(map, TRANSACT)
}

/// Requests about change streams.
pub(super) fn stream(map: &Map<String, Value>) -> Result<(), AwsError> {
    check(map, STREAM)
}

/// Requests about tables.
pub(super) fn table(map: &Map<String, Value>) -> Result<(), AwsError> {
    check(map, TABLE)
}
