//! Items of tables: reading and writing one (`read`, `write`), ranges of a partition (`query`); what the commands share is
//! the table and the keys that they name (`target`), their clauses (`words`, `expressions`) and how items are shown
//! (`show`).

mod expressions;
mod query;
mod read;
mod show;
mod target;
#[cfg(test)]
mod tests;
mod words;
mod write;

pub(super) use words::Words;

use super::spec::*;

const READ: u32 = flag::READONLY;
const WRITE: u32 = flag::WRITE | flag::DENYOOM;
const ITEM_DELETE: &[KeySpec] = &[keys_at(2, 0, 1, &["RW", "access", "delete"])];

const fn item(
    spec: Spec,
    keys: &'static [KeySpec],
    complexity: &'static str,
    summary: &'static str,
    syntax: &'static str,
) -> Spec {
    spec.keys(keys).item_keys(target::partition_key).doc("item", "0.1.0", complexity, summary, syntax)
}

/// The family.
pub(super) static COMMANDS: &[Spec] = &[
    item(
        spec("item.put", -5, WRITE, write::put),
        ITEM_UPDATE,
        "O(log N) where N is the number of items with the partition key.",
        "Puts an item in place of the one with its keys, perhaps on a condition and with a time to expire at.",
        "table pk [sk] <SET count name value [name value ...] | JSON document> [IF expression] [NAMES json] \
         [VALUES json] [EX seconds | PX milliseconds | EXAT unix-time-seconds] [RETURN OLD] \
         [FORMAT <NATIVE | JSON | DDB>]",
    ),
    item(
        spec("item.get", -3, READ | flag::FAST, read::get),
        ITEM_READ,
        "O(log N) where N is the number of items with the partition key.",
        "Returns an item, or some of its attributes.",
        "table pk [sk] [FIELDS count name [name ...]] [NAMES json] [FORMAT <NATIVE | JSON | DDB>]",
    ),
    item(
        spec("item.del", -3, flag::WRITE | flag::FAST, write::del),
        ITEM_DELETE,
        "O(log N) where N is the number of items with the partition key.",
        "Deletes an item, perhaps on a condition.",
        "table pk [sk] [IF expression] [NAMES json] [VALUES json] [RETURN OLD] [FORMAT <NATIVE | JSON | DDB>]",
    ),
    item(
        spec("item.query", -3, READ, query::query),
        ITEM_READ,
        "O(log N + M) where N is the number of items with the partition key and M that of the items looked at.",
        "Returns the items of one partition key in the order of their sort keys, or how many there are.",
        "table pk [SK <= value | < value | > value | <= value | >= value | BETWEEN low high | PREFIX prefix>] \
         [WHERE expression] [NAMES json] [VALUES json] [DESC] [LIMIT count] [CURSOR cursor] \
         [FIELDS count name [name ...]] [COUNT] [FORMAT <NATIVE | JSON | DDB>]",
    ),
];
