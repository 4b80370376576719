//! The version of Redis that clients and scripts are told.

/// Client libraries choose commands and options by it: INFO, HELLO and `redis.REDIS_VERSION` say it. It is the highest
/// version of which all commands are here, but for those that `tests/it/compatibility` lists as missing; the tests
/// there fail if it could be higher.
pub const REDIS_VERSION: &str = "8.4.0";

/// The same as a number, as scripts see it: one byte each for its three parts.
pub const REDIS_VERSION_NUMBER: i64 = 0x08_04_00;
