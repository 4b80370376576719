//! DynamoDB's operations, typed and protocol-free, over one transaction of the engine.
//!
//! A front end reads a request, works out table, keys and expressions, and locks the shards of the partition keys; an
//! operation then runs to its end under those locks. Nothing here knows how requests and replies are written.

mod changes;
mod error;
mod items;
mod query;
mod scan;
mod tables;
mod templates;

pub use changes::{ChangeRecord, SpanExtent, change_records, disable_stream, enable_stream, span_extent};
pub use error::OpError;
pub use items::{At, TransactError, Write, Written, transact, write, write_measured};
pub use query::{Page, Query, query};
pub use scan::{Scan, Segment, scan};
pub use tables::{add_index, alter_table, create_table, drop_index, drop_table, readable_index};
pub use templates::{Lifting, lift, prepare_views, templates_overlap};
