//! Shard iterators: positions in a stream that hold for 15 minutes.
//!
//! An iterator is the stream's ARN, `|1|`, and in base64 `version(1) | kind(1) | ms(8) | number(8) | issued at ms(8)`,
//! integers big-endian.

use super::super::AwsCall;
use super::super::body::{Body, Violations};
use super::super::error::{AwsError, ErrorKind};
use super::super::json::ObjectWriter;
use super::names;
use super::stream::{NamedStream, constrain_arn, constrain_shard};
use crate::engine::Tables;
use crate::item::{StreamPlace, StreamSpan, from_base64, to_base64};
use crate::ops::SpanExtent;

/// How long an iterator holds, in ms.
const LIFE_MS: u64 = 15 * 60 * 1000;
const VERSION: u8 = 1;
const HORIZON: u8 = 0;
const AFTER: u8 = 1;
const TYPES: [&str; 4] = ["AFTER_SEQUENCE_NUMBER", "LATEST", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"];

/// Where reading continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// At the first record that still exists.
    Horizon,
    /// After a place. It is an error if a record after it has been trimmed.
    After(StreamPlace),
}

impl Position {
    /// The iterator of a position.
    pub(super) fn to_iterator(self, arn: &str, now: u64) -> String {
        let (kind, (ms, number)) = match self {
            Self::Horizon => (HORIZON, (0, 0)),
            Self::After(place) => (AFTER, place),
        };
        let mut bytes = vec![VERSION, kind];
        for number in [ms, number, now] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        format!("{arn}|1|{}", to_base64(&bytes))
    }

    /// The stream's ARN, the position, and when the iterator was issued.
    pub(super) fn read(iterator: &str) -> Option<(&str, Self, u64)> {
        let (arn, text) = iterator.split_once("|1|")?;
        let bytes = from_base64(text).ok()?;
        let (kind, numbers) = match bytes.as_slice() {
            [VERSION, kind, numbers @ ..] if numbers.len() == 24 => (*kind, numbers.as_chunks().0),
            _ => return None,
        };
        let [ms, number, issued] =
            numbers.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let position = match kind {
            HORIZON => Self::Horizon,
            AFTER => Self::After((ms, number)),
            _ => return None,
        };
        Some((arn, position, issued))
    }
}

/// Refuses an iterator that was issued too long ago.
pub(super) fn check_age(issued: u64, now: u64) -> Result<(), AwsError> {
    if issued.saturating_add(LIFE_MS) < now {
        return Err(AwsError::new(ErrorKind::ExpiredIterator, "The shard iterator has expired"));
    }
    Ok(())
}

/// The error for records that are gone.
pub(super) fn trimmed() -> AwsError {
    AwsError::new(ErrorKind::TrimmedDataAccess, "The data you are trying to access has been trimmed")
}

/// GetShardIterator.
pub(super) fn get(body: Body<'_>, tables: &Tables) -> Result<AwsCall, AwsError> {
    let mut violations = Violations::default();
    constrain_arn(body, &mut violations);
    let shard = body.text("ShardId");
    violations.required(shard.is_some(), "shardId");
    constrain_shard(shard, "shardId", &mut violations);
    violations.required(body.get("ShardIteratorType").is_some(), "shardIteratorType");
    violations.one_of(body, "ShardIteratorType", &TYPES);
    let number = body.text("SequenceNumber");
    if let Some(number) = number {
        violations.length(number, "sequenceNumber", 21, 40);
    }
    violations.finish()?;
    let kind = body.text("ShardIteratorType").unwrap_or_default().to_owned();
    let at_number = kind.ends_with("_SEQUENCE_NUMBER");
    let place = match number.filter(|_| at_number) {
        Some(number) => {
            Some(names::place(number).ok_or_else(|| AwsError::validation("Invalid SequenceNumber"))?)
        }
        None if at_number => {
            return Err(AwsError::validation(format!(
                "SequenceNumber is required when ShardIteratorType is {kind}"
            )));
        }
        None => None,
    };
    let shard = shard.unwrap_or_default().to_owned();
    let stream = NamedStream::find(tables, body.text("StreamArn").unwrap_or_default())?;
    Ok(stream.call(move |stream, tx, extent| {
        if shard != names::Names::of(&stream.table, &stream.span).shard {
            let message = "Requested resource not found: Shard does not exist";
            return Err(AwsError::new(ErrorKind::ResourceNotFound, message));
        }
        let position = match place {
            Some(place) => at(&stream.span, &extent, place, kind.starts_with("AT"))?,
            None if kind == "LATEST" => Position::After(extent.last),
            None => Position::Horizon,
        };
        let mut out = Vec::new();
        let mut reply = ObjectWriter::begin(&mut out);
        reply.text("ShardIterator", &position.to_iterator(&stream.arn, tx.now()));
        reply.end();
        Ok(out)
    }))
}

/// The position at the place of a sequence number, or after it.
fn at(
    span: &StreamSpan,
    extent: &SpanExtent,
    place: StreamPlace,
    inclusive: bool,
) -> Result<Position, AwsError> {
    let start = names::start(span, extent);
    if place < start || place > extent.last.max(start) {
        return Err(AwsError::validation("Invalid SequenceNumber"));
    }
    if place <= extent.trimmed {
        return Err(trimmed());
    }
    Ok(match place {
        // The shard's first sequence number may belong to no record. Then reading begins at the span's first record.
        _ if place == start && (inclusive || extent.first != Some(place)) => Position::After(span.after),
        (ms, number) if inclusive => match number.checked_sub(1) {
            Some(number) => Position::After((ms, number)),
            None => Position::After((ms.saturating_sub(1), u64::MAX)),
        },
        place => Position::After(place),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterators_read_back_and_nothing_else_does() {
        for position in [Position::Horizon, Position::After((5, u64::MAX))] {
            let iterator = position.to_iterator("arn:x", 77);
            assert_eq!(Position::read(&iterator), Some(("arn:x", position, 77)));
        }
        for bad in ["", "arn|1|", "arn|1|AAAA", "arn|2|x", "arn|1|!!"] {
            assert_eq!(Position::read(bad), None, "{bad}");
        }
    }
}
