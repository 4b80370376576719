//! Operations, and calls: requests that were read.

use super::AwsError;
use crate::engine::Tx;
use crate::item::KeyBytes;

/// The operations that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operation {
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    DeleteItem,
    DeleteTable,
    DescribeEndpoints,
    DescribeLimits,
    DescribeStream,
    DescribeTable,
    DescribeTimeToLive,
    GetItem,
    GetRecords,
    GetShardIterator,
    ListStreams,
    ListTables,
    ListTagsOfResource,
    PutItem,
    Query,
    Scan,
    TagResource,
    TransactGetItems,
    TransactWriteItems,
    UntagResource,
    UpdateItem,
    UpdateTable,
    UpdateTimeToLive,
}

impl Operation {
    /// All operations, by their names.
    pub const ALL: [(&'static str, Self); 26] = [
        ("BatchGetItem", Self::BatchGetItem),
        ("BatchWriteItem", Self::BatchWriteItem),
        ("CreateTable", Self::CreateTable),
        ("DeleteItem", Self::DeleteItem),
        ("DeleteTable", Self::DeleteTable),
        ("DescribeEndpoints", Self::DescribeEndpoints),
        ("DescribeLimits", Self::DescribeLimits),
        ("DescribeStream", Self::DescribeStream),
        ("DescribeTable", Self::DescribeTable),
        ("DescribeTimeToLive", Self::DescribeTimeToLive),
        ("GetItem", Self::GetItem),
        ("GetRecords", Self::GetRecords),
        ("GetShardIterator", Self::GetShardIterator),
        ("ListStreams", Self::ListStreams),
        ("ListTables", Self::ListTables),
        ("ListTagsOfResource", Self::ListTagsOfResource),
        ("PutItem", Self::PutItem),
        ("Query", Self::Query),
        ("Scan", Self::Scan),
        ("TagResource", Self::TagResource),
        ("TransactGetItems", Self::TransactGetItems),
        ("TransactWriteItems", Self::TransactWriteItems),
        ("UntagResource", Self::UntagResource),
        ("UpdateItem", Self::UpdateItem),
        ("UpdateTable", Self::UpdateTable),
        ("UpdateTimeToLive", Self::UpdateTimeToLive),
    ];

    /// Whether it is an operation on tables. Their requests are short.
    pub(super) fn is_about_tables(self) -> bool {
        matches!(
            self,
            Self::CreateTable
                | Self::DeleteTable
                | Self::DescribeEndpoints
                | Self::DescribeLimits
                | Self::DescribeTable
                | Self::DescribeTimeToLive
                | Self::ListTables
                | Self::ListTagsOfResource
                | Self::TagResource
                | Self::UntagResource
                | Self::UpdateTable
                | Self::UpdateTimeToLive
        )
    }

    /// The operation of a name, in any case.
    pub fn of(name: &[u8]) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(n, _)| n.as_bytes().eq_ignore_ascii_case(name))
            .map(|(_, operation)| *operation)
    }
}

/// Whether there is room for more data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// There is.
    Free,
    /// There is none: calls that need memory are refused.
    Short,
}

impl Memory {
    pub(super) fn take(self) -> Result<(), AwsError> {
        match self {
            Self::Free => Ok(()),
            Self::Short => Err(AwsError::out_of_memory()),
        }
    }
}

/// The function that carries a call out.
type Run = Box<dyn FnOnce(&mut Tx<'_>, Memory) -> Result<Vec<u8>, AwsError>>;

/// A request that was read.
pub struct AwsCall {
    keys: Vec<(u32, KeyBytes)>,
    run: Run,
}

impl AwsCall {
    /// A call that needs no memory.
    pub(super) fn new(
        keys: Vec<(u32, KeyBytes)>,
        run: impl FnOnce(&mut Tx<'_>) -> Result<Vec<u8>, AwsError> + 'static,
    ) -> Self {
        Self::weighing(keys, |tx, _| run(tx))
    }

    /// The same call; it needs memory if `needed`.
    pub(super) fn needing_memory(self, needed: bool) -> Self {
        let Self { keys, run } = self;
        Self::weighing(keys, move |tx, memory| {
            if needed {
                memory.take()?;
            }
            run(tx, memory)
        })
    }

    /// A call that finds out by itself whether it needs memory.
    pub(super) fn weighing(
        keys: Vec<(u32, KeyBytes)>,
        run: impl FnOnce(&mut Tx<'_>, Memory) -> Result<Vec<u8>, AwsError> + 'static,
    ) -> Self {
        Self { keys, run: Box::new(run) }
    }

    /// The keys, each with its table's id, whose shards must be locked, exclusively if the operation writes. Operations
    /// that change tables need every shard; scans need none, or all for a picture of one moment.
    pub fn keys(&self) -> &[(u32, KeyBytes)] {
        &self.keys
    }

    /// Carries the call out and returns the reply's body.
    ///
    /// # Errors
    /// AWS's.
    pub fn run(self, tx: &mut Tx<'_>, memory: Memory) -> Result<Vec<u8>, AwsError> {
        (self.run)(tx, memory)
    }
}
