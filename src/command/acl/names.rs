//! What users' rules ask of the command table. They name commands as Redis does, whatever `rename-command` made of
//! them.

use super::super::introspect::categories;
use super::super::types::Registry;
use crate::acl::{CommandNames, NamedCommand};

/// The ACL categories of Redis in its order, then those of items and tables.
pub(super) const CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
    "item",
    "table",
];

impl CommandNames for Registry {
    fn count(&self) -> usize {
        Self::count(self)
    }

    fn find(&self, name: &[u8]) -> Option<NamedCommand> {
        let number = self.names.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
        Some(NamedCommand { number, name: self.names[number].clone(), subs: subs_of(self, number) })
    }

    fn in_category(&self, category: &[u8]) -> Option<Vec<usize>> {
        let category = CATEGORIES.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(category))?;
        let in_it = |number: &usize| categories(self.specs[*number]).contains(category);
        let numbers = (0..self.specs.len()).filter(in_it);
        // As in Redis, a container brings its subcommands along.
        Some(numbers.flat_map(|number| std::iter::once(number).chain(subs_of(self, number))).collect())
    }
}

/// The numbers of a container's subcommands, which follow its own number.
fn subs_of(registry: &Registry, number: usize) -> Vec<usize> {
    let parent = registry.names[number].as_str();
    let is_sub =
        |at: &usize| registry.names[*at].strip_prefix(parent).is_some_and(|rest| rest.starts_with('|'));
    (number + 1..registry.names.len()).take_while(is_sub).collect()
}
