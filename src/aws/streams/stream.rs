//! The stream that a request names.

use super::super::AwsCall;
use super::super::body::{Body, Violations};
use super::super::error::{AwsError, ErrorKind};
use super::names;
use crate::effect::SYSTEM;
use crate::engine::{Table, Tables, Tx};
use crate::item::{KeyBytes, StreamSpan};
use crate::ops::{self, SpanExtent};
use std::sync::Arc;

fn not_found(arn: &str) -> AwsError {
    AwsError::new(
        ErrorKind::ResourceNotFound,
        format!("Requested resource not found: Stream: {arn} not found"),
    )
}

/// The stream that a request names: its table, and which of the table's spans it is.
#[derive(Clone)]
pub(super) struct NamedStream {
    pub(super) table: Arc<Table>,
    pub(super) span: StreamSpan,
    pub(super) arn: String,
}

impl NamedStream {
    /// The stream of an ARN. Whether it still exists is checked under its lock.
    pub(super) fn find(tables: &Tables, arn: &str) -> Result<Self, AwsError> {
        let (name, label) = names::split_arn(arn).ok_or_else(|| not_found(arn))?;
        let mut tables = tables.get(name.as_bytes()).into_iter().chain(tables.dropped(name));
        let span_of = |table: Arc<Table>| {
            let span = *table.schema.streams.iter().find(|span| names::label(span) == label)?;
            Some(Self { span, arn: arn.to_owned(), table })
        };
        tables.find_map(span_of).ok_or_else(|| not_found(arn))
    }

    /// A call that reads it.
    pub(super) fn call(
        self,
        run: impl FnOnce(&Self, &Tx<'_>, SpanExtent) -> Result<Vec<u8>, AwsError> + 'static,
    ) -> AwsCall {
        let key = KeyBytes::from_slice(&self.table.stream_key);
        AwsCall::new(vec![(SYSTEM, key)], move |tx| {
            if tx.engine().is_stream_over(&self.span, tx.now()) {
                return Err(not_found(&self.arn));
            }
            let extent = ops::span_extent(tx, &self.table, &self.span);
            run(&self, tx, extent)
        })
    }
}

/// Constraints on the ARN of a stream, which must be given.
pub(super) fn constrain_arn(body: Body<'_>, violations: &mut Violations) {
    let arn = body.text("StreamArn");
    violations.required(arn.is_some(), "streamArn");
    if let Some(arn) = arn {
        violations.length(arn, "streamArn", 37, 1024);
    }
}

/// Constraints on the name of a shard.
pub(super) fn constrain_shard(shard: Option<&str>, path: &str, violations: &mut Violations) {
    if let Some(shard) = shard {
        violations.length(shard, path, 28, 65);
    }
}
