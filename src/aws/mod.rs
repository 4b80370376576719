//! AWS's DynamoDB API as JSON: a request's body in, a reply's body out, word for word.
//!
//! [`read`] turns a body into an [`AwsCall`]: parsed, checked in AWS's order, bound to its tables, with the keys whose
//! shards it needs. The front end locks them and runs the call. Under the locks the tables' schemas must be those from
//! which the call was read, see [`crate::engine::Tables::generation`].

mod arn;
mod batch;
mod body;
mod call;
mod capacity;
mod collections;
mod error;
mod indexes;
mod items;
mod json;
mod legacy;
mod query;
mod request;
mod shape;
mod streams;
mod tables;
mod transact;

pub use call::{AwsCall, Memory, Operation};
pub use error::{AwsError, ErrorKind};

use crate::engine::Tables;

/// Longest body of a request, in bytes, as at AWS.
const MAX_BODY: usize = 16 << 20;
/// The same for a request about tables, which is read while every shard is held.
const MAX_TABLE_BODY: usize = 256 << 10;

/// Reads a request. Its length is checked first.
///
/// # Errors
/// AWS's.
pub fn read(operation: Operation, body: &[u8], tables: &Tables) -> Result<AwsCall, AwsError> {
    if body.len() > if operation.is_about_tables() { MAX_TABLE_BODY } else { MAX_BODY } {
        return Err(AwsError::new(ErrorKind::TooLarge, "The request entity is too large."));
    }
    let body = shape::parse(body)?;
    match operation {
        Operation::PutItem | Operation::UpdateItem | Operation::DeleteItem => {
            items::write(operation, &body, tables)
        }
        Operation::GetItem => items::get(&body, tables),
        Operation::Query => query::query(&body, tables),
        Operation::Scan => query::scan(&body, tables),
        Operation::BatchGetItem => batch::get(&body, tables),
        Operation::BatchWriteItem => batch::write(&body, tables),
        Operation::TransactGetItems => transact::get(&body, tables),
        Operation::TransactWriteItems => transact::write(&body, tables),
        Operation::ListStreams
        | Operation::DescribeStream
        | Operation::GetShardIterator
        | Operation::GetRecords => streams::read(operation, &body, tables),
        _ => tables::read(operation, &body, tables),
    }
}
