//! Itemory: DynamoDB's items at in-memory speed, reached with any Redis client.
//!
//! The rooms are listed from the bottom up; a room imports only rooms with a smaller number, and rooms of one
//! number do not import each other. `tests/it/structure.rs` checks it.

// Beneath all rooms.
pub mod text;

// Rooms of number 0.
pub mod config;
pub mod env;

// Rooms of number 1.
pub mod acl;
pub mod item;
pub mod resp;
pub mod value;

// Rooms of number 2.
pub mod effect;
pub mod expr;
pub mod lua;

// Rooms of number 3.
pub mod log;
pub mod store;

// Rooms of number 4 and above.
pub mod engine;

pub mod ops;

pub mod node;

pub mod aws;

pub mod command;

pub mod session;

pub mod server;
