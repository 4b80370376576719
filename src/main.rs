//! The `itemory` server binary.
fn main() {}
