//! Text as Redis reads and writes it: strict integers, memory sizes, quoted words, printable forms, glob patterns.
//!
//! The configuration, the wire and the commands share these rules. Everything works on bytes; a function allocates only
//! if its result is owned.

mod float;
mod glob;
mod number;
mod quote;
mod version;

pub use float::{format_f64, parse_f64, parse_strtod, write_f64};
pub use glob::{glob_match, glob_match_nocase, glob_may_match};
pub use number::{parse_i64_strict, parse_memory, parse_u64_strict};
pub use quote::{UnbalancedQuotes, quoted, repr, split_words, split_words_in_place};
pub use version::{REDIS_VERSION, REDIS_VERSION_NUMBER};
