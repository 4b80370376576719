//! The room's tests.

mod chain;
mod decode;
mod reply;
mod value;
