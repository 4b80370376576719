//! Scripts in Lua 5.1: the sandbox, the functions that scripts call, and what passes between Lua and RESP.
//!
//! The room knows neither commands nor transactions. A script reaches them through [`Host`], which whoever runs the
//! script implements. Each thread has an interpreter of its own ([`with_vm`]); nothing that one script leaves behind is
//! seen by another: globals and libraries cannot be changed, and each run has its own `KEYS` and `ARGV`.
//!
//! A run ends in one of three ways ([`RunEnd`]). It is abandoned if its host says so: then no `pcall` of the script can
//! hold the run back, and whoever runs the script undoes what it did.

mod api;
mod arguments;
mod bit;
mod call;
mod cjson;
mod cmsgpack;
mod errors;
mod going;
mod host;
mod libraries;
mod numbers;
mod random;
mod register;
mod reply;
mod sandbox;
mod scripts;
mod structs;
mod vm;

pub use errors::Failure;
pub use host::{Go, Host, LogLevel};
pub use libraries::{Contents, LoadTime, Registered, metadata};
pub use scripts::{FLAG_NAMES, Flags, Script, Scripts, Sha, sha_of};
pub use vm::{Program, RunEnd, Vm, memory_in_use, with_vm};
