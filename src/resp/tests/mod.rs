//! The room's tests.

mod decode;
mod reply;
mod value;
