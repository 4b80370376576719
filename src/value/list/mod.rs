//! Redis lists: the packed form, which is part of an entry, the large form, which is a tree of shared nodes, and one
//! view of both.
//!
//! Both forms keep their elements as entries of listpacks ([`crate::value::listpack`]). So decimal numbers take few
//! bytes, and a list can be read from both ends. Positions count from the front.

mod big;
mod iter;
mod leaf;
mod limits;
mod needle;
mod node;
mod packed;
mod runs;
#[cfg(test)]
mod tests;
mod view;

pub use big::BigList;
pub use iter::{Backward, Forward};
pub use limits::ListLimits;
pub use needle::Needle;
pub use node::Removed;
pub use packed::{
    encode_all, encode_next, encoded_len, packed_count, packed_entries, packed_of, packed_offset, put_count,
};
pub use runs::{RemovedRun, keep};
pub use view::ListRef;
