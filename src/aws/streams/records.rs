//! GetRecords.

use super::super::AwsCall;
use super::super::body::{Body, Violations};
use super::super::error::AwsError;
use super::super::json::ObjectWriter;
use super::iterator::{self, Position};
use super::names;
use super::stream::NamedStream;
use crate::engine::{Tables, Tx};
use crate::ops::{ChangeRecord, SpanExtent, change_records};

/// Most records of a reply.
const MOST: i64 = 1000;
/// Most bytes of records in a reply, by DynamoDB's rules of size.
const MOST_BYTES: u64 = 1 << 20;

pub(super) fn get(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
    let mut violations = Violations::default();
    let given = body.text("ShardIterator");
    violations.required(given.is_some(), "shardIterator");
    if let Some(given) = given {
        violations.length(given, "shardIterator", 1, 2048);
    }
    violations.range(body, "Limit", 1, MOST);
    violations.finish()?;
    let limit = body.int("Limit").unwrap_or(MOST) as usize;
    let read = Position::read(given.unwrap_or_default());
    let (arn, position, issued) = read.ok_or_else(|| AwsError::validation("Invalid ShardIterator"))?;
    let stream = NamedStream::find(tables, arn)?;
    Ok(stream.call(move |stream, tx, extent| {
        iterator::check_age(issued, tx.now())?;
        page(stream, tx, &extent, position, limit)
    }))
}

fn page(
    stream: &NamedStream,
    tx: &Tx<'_>,
    extent: &SpanExtent,
    position: Position,
    limit: usize,
) -> Result<Vec<u8>, AwsError> {
    let after = match position {
        Position::Horizon => stream.span.after,
        Position::After(place) if place.max(stream.span.after) < extent.trimmed => {
            return Err(iterator::trimmed());
        }
        Position::After(place) => place,
    };
    let mut records = Vec::new();
    let mut bytes = 0;
    for record in change_records(tx, &stream.table, &stream.span, after).take(limit) {
        bytes += record.size;
        if bytes > MOST_BYTES && !records.is_empty() {
            break;
        }
        records.push(record);
    }
    let next = match records.last() {
        Some(record) => Position::After(record.place),
        None => position,
    };
    let read_to = records.last().map_or(after, |record| record.place);
    // A stream that was disabled has an end.
    let ended = stream
        .span
        .end
        .is_some_and(|_| change_records(tx, &stream.table, &stream.span, read_to).next().is_none());
    let mut out = Vec::new();
    let mut reply = ObjectWriter::begin(&mut out);
    reply.array("Records", &records, |record, out| write_record(stream, record, out));
    if !ended {
        reply.text("NextShardIterator", &next.to_iterator(&stream.arn, tx.now()));
    }
    reply.end();
    Ok(out)
}

fn write_record(stream: &NamedStream, record: &ChangeRecord<'_>, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::begin(out);
    object.text("eventID", &names::event_id(&stream.arn, record.place));
    object.text("eventName", &String::from_utf8_lossy(&record.event));
    object.text("eventVersion", "1.1");
    object.text("eventSource", "aws:dynamodb");
    object.text("awsRegion", "us-east-1");
    object.object("dynamodb", |object| {
        object.int("ApproximateCreationDateTime", record.place.0 / 1000);
        // What is stored is JSON already.
        object.key("Keys").extend_from_slice(&record.keys);
        for (name, image) in [("NewImage", &record.new), ("OldImage", &record.old)] {
            if let Some(image) = image {
                object.key(name).extend_from_slice(image);
            }
        }
        object.text("SequenceNumber", &names::number(record.place));
        object.int("SizeBytes", record.size);
        object.text("StreamViewType", stream.span.view.name());
    });
    if record.by_ttl {
        object.object("userIdentity", |object| {
            object.text("Type", "Service");
            object.text("PrincipalId", "dynamodb.amazonaws.com");
        });
    }
    object.end();
}
