//! AWS's errors.

use super::json::ObjectWriter;
use crate::expr::ExprError;
use crate::item::{Item, ItemError};
use crate::ops::OpError;

/// What kind of error, by AWS's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A parameter is not valid.
    Validation,
    /// The body is not JSON of the expected form.
    Serialization,
    /// There is no such operation.
    UnknownOperation,
    /// A condition does not hold.
    ConditionalCheckFailed,
    /// There is no such table.
    ResourceNotFound,
    /// There is such a table already.
    ResourceInUse,
    /// A transaction was refused.
    TransactionCanceled,
    /// Too much at once.
    LimitExceeded,
    /// A client request token was used again with a different request.
    IdempotentParameterMismatch,
    /// A shard iterator was used too late.
    ExpiredIterator,
    /// The request asks for records of a stream that are gone.
    TrimmedDataAccess,
    /// The server can do it later.
    Throttling,
    /// The body is too long.
    TooLarge,
}

impl ErrorKind {
    fn type_name(self) -> &'static str {
        match self {
            Self::Validation => "com.amazonaws.dynamodb.v20120810#ValidationException",
            Self::Serialization => "com.amazon.coral.service#SerializationException",
            Self::UnknownOperation => "com.amazon.coral.service#UnknownOperationException",
            Self::ConditionalCheckFailed => {
                "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
            }
            Self::ResourceNotFound => "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
            Self::LimitExceeded => "com.amazonaws.dynamodb.v20120810#LimitExceededException",
            Self::ResourceInUse => "com.amazonaws.dynamodb.v20120810#ResourceInUseException",
            Self::TransactionCanceled => "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            Self::IdempotentParameterMismatch => {
                "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException"
            }
            Self::ExpiredIterator => "com.amazonaws.dynamodb.v20120810#ExpiredIteratorException",
            Self::TrimmedDataAccess => "com.amazonaws.dynamodb.v20120810#TrimmedDataAccessException",
            Self::Throttling => "com.amazonaws.dynamodb.v20120810#ThrottlingException",
            Self::TooLarge => "com.amazon.coral.service#RequestEntityTooLargeException",
        }
    }

    /// Some of AWS's errors spell this member with a capital letter.
    fn message_member(self) -> &'static str {
        match self {
            Self::Serialization | Self::TransactionCanceled | Self::IdempotentParameterMismatch => "Message",
            _ => "message",
        }
    }
}

/// Why a request was refused.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct AwsError {
    /// The kind.
    pub kind: ErrorKind,
    /// AWS's text.
    pub message: String,
    /// The item that failed a condition, if it was asked for.
    pub item: Option<Item>,
    /// For a cancelled transaction: why each of its actions was refused.
    pub reasons: Vec<Option<OpError>>,
}

impl AwsError {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), item: None, reasons: Vec::new() }
    }

    /// There is no such operation.
    pub fn unknown_operation() -> Self {
        Self::new(ErrorKind::UnknownOperation, "unknown operation")
    }

    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Validation, message)
    }

    /// There is no memory for it now.
    pub(super) fn out_of_memory() -> Self {
        Self::new(ErrorKind::Throttling, "OOM command not allowed when used memory > 'maxmemory'.")
    }

    pub(super) fn not_found() -> Self {
        Self::new(ErrorKind::ResourceNotFound, "Requested resource not found")
    }

    pub(super) fn cancelled(reasons: Vec<Option<OpError>>) -> Self {
        let codes: Vec<&str> = reasons.iter().map(|reason| code(reason.as_ref())).collect();
        let message = format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", ")
        );
        Self { reasons, ..Self::new(ErrorKind::TransactionCanceled, message) }
    }

    /// The error as AWS answers it.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut object = ObjectWriter::begin(&mut out);
        object.text("__type", self.kind.type_name());
        if let Some(item) = &self.item {
            object.item("Item", item.view());
        }
        if self.kind == ErrorKind::TransactionCanceled {
            object.array("CancellationReasons", &self.reasons, |reason, out| {
                let mut object = ObjectWriter::begin(out);
                if let Some(OpError::ConditionFailed(Some(item))) = reason {
                    object.item("Item", item.view());
                }
                object.text("Code", code(reason.as_ref()));
                if let Some(reason) = reason {
                    object.text("Message", &reason.to_string());
                }
                object.end();
            });
        }
        if !self.message.is_empty() && self.kind != ErrorKind::UnknownOperation {
            object.text(self.kind.message_member(), &self.message);
        }
        object.end();
        out
    }
}

fn code(reason: Option<&OpError>) -> &'static str {
    match reason {
        None => "None",
        Some(OpError::ConditionFailed(_)) => "ConditionalCheckFailed",
        Some(_) => "ValidationError",
    }
}

impl From<ItemError> for AwsError {
    fn from(error: ItemError) -> Self {
        let kind = if error.is_serialization() { ErrorKind::Serialization } else { ErrorKind::Validation };
        Self::new(kind, error.to_string())
    }
}

impl From<ExprError> for AwsError {
    fn from(error: ExprError) -> Self {
        match error {
            ExprError::Item(error) => error.into(),
            error => Self::validation(error.to_string()),
        }
    }
}

impl From<OpError> for AwsError {
    fn from(error: OpError) -> Self {
        match error {
            OpError::Item(error) => error.into(),
            OpError::Expr(error) => error.into(),
            OpError::NoTable(_) => Self::not_found(),
            OpError::TableExists(name) => {
                Self::new(ErrorKind::ResourceInUse, format!("Table already exists: {name}"))
            }
            OpError::NoIndex { .. } => Self::not_found(),
            OpError::IndexExists(_) => Self::validation("Attempting to create an index which already exists"),
            OpError::IndexCreating(name) => {
                Self::validation(format!("Cannot read from backfilling global secondary index: {name}"))
            }
            OpError::ConditionFailed(item) => Self {
                item,
                ..Self::new(ErrorKind::ConditionalCheckFailed, "The conditional request failed")
            },
            error @ (OpError::UpdateTooLarge
            | OpError::UpdatesIndexKey(_)
            | OpError::TemplatesOverlap { .. }
            | OpError::CannotLift(_)) => Self::validation(error.to_string()),
        }
    }
}
