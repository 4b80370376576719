//! Itemory: DynamoDB's items at in-memory speed, reached with any Redis client.
//!
//! The rooms are listed from the bottom up; a room imports only rooms with a smaller number, and rooms of one
//! number do not import each other. `tests/structure.rs` checks it.

pub mod env;
pub mod text;

pub mod resp;
