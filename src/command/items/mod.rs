//! Items of tables: reading and writing them (`read`, `write`, `update`), ranges of a partition (`query`, `aggregate`),
//! whole tables (`scan`), transactions (`atomic`). The commands share the table and keys that they name (`target`),
//! their clauses (`words`, `expressions`, `index`) and the form in which items are shown (`show`).

mod aggregate;
mod atomic;
mod expressions;
mod index;
mod query;
mod read;
mod scan;
mod show;
mod target;
#[cfg(test)]
mod tests;
mod update;
mod words;
mod write;

pub use atomic::token_key;
pub(super) use target::{limits, missing};
pub(super) use words::ArgWords;

use super::spec::*;

const READ: u64 = flag::READONLY | flag::HEAVY;
const WRITE: u64 = flag::WRITE | flag::DENYOOM | flag::HEAVY;
const ITEM_DELETE: &[KeySpec] = &[keys_at(2, 0, 1, &["RW", "access", "delete"])];

const ITEM_ACCESS_UPDATE: &[KeySpec] = &[keys_at(2, 0, 1, &["RW", "access", "update"])];
const ITEM_READS: &[KeySpec] = &[KeySpec {
    begin: Begin::Index(2),
    find: Find::Number { at: 0, first: 1, step: 1 },
    flags: &["RO", "access"],
}];

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
    spec("item.atomic", -1, flag::WRITE | flag::NOSCRIPT | flag::FAST | flag::ATOMIC, atomic::atomic)
        .item_keys(atomic::token)
        .doc(
            "item",
            "0.1.0",
            "O(1)",
            "As the first command in a transaction, makes it all or nothing: a condition that does not hold, or an error, \
             cancels it as a whole.",
            "[TOKEN token]",
        ),
    item(
        spec("item.put", -5, WRITE, write::put).prepare(write::PUT),
        ITEM_UPDATE,
        "O(log N) where N is the number of items with the partition key.",
        "Puts an item in place of the one with its keys, perhaps on a condition and with a time to expire at.",
        "table pk [sk] <SET count name value [name value ...] | JSON document> [IF expression] [NAMES json] \
         [VALUES json] [EX seconds | PX milliseconds | EXAT unix-time-seconds] [RETURN OLD] \
         [FORMAT <NATIVE | JSON | DDB>]",
    ),
    item(
        spec("item.get", -3, READ | flag::FAST, read::get).prepare(read::GET),
        ITEM_READ,
        "O(log N) where N is the number of items with the partition key.",
        "Returns an item, or some of its attributes.",
        "table pk [sk] [FIELDS count name [name ...]] [NAMES json] [FORMAT <NATIVE | JSON | DDB>]",
    ),
    item(
        spec("item.del", -3, flag::WRITE | flag::FAST | flag::HEAVY, write::del)
            .prepare(write::DELETE),
        ITEM_DELETE,
        "O(log N) where N is the number of items with the partition key.",
        "Deletes an item, perhaps on a condition.",
        "table pk [sk] [IF expression] [NAMES json] [VALUES json] [RETURN OLD] [FORMAT <NATIVE | JSON | DDB>]",
    ),
    item(
        spec("item.query", -3, READ, query::query).prepare(query::AHEAD),
        ITEM_READ,
        "O(log N + M) where N is the number of items with the partition key and M that of the items looked at.",
        "Returns the items of one partition key in the order of their sort keys, or how many there are.",
        "table pk [INDEX name [pk ...]] \
         [SK <= value | < value | > value | <= value | >= value | BETWEEN low high | PREFIX prefix> [SK ...]] \
         [WHERE expression] [NAMES json] [VALUES json] [DESC] [LIMIT count] [CURSOR cursor] \
         [FIELDS count name [name ...]] [COUNT | SUM name | MIN name | MAX name | AVG name] \
         [FORMAT <NATIVE | JSON | DDB>]",
    )
    .item_keys(query::partition_key),
    item(
        spec("item.update", -3, WRITE | flag::WEIGHS, update::update).prepare(update::AHEAD),
        ITEM_ACCESS_UPDATE,
        "O(log N + S) where N is the number of items with the partition key and S the item's size.",
        "Changes attributes of an item, which is made if it does not exist, perhaps on a condition.",
        "table pk [sk] [SET count name value [name value ...]] [INCR count name number [name number ...]] \
         [ADD count name set [name set ...]] [REMOVE count name [name ...]] [EXPR update] [IF expression] \
         [NAMES json] [VALUES json] [EX seconds | PX milliseconds | EXAT unix-time-seconds] \
         [RETURN <OLD | NEW | UPDATED>] [FORMAT <NATIVE | JSON | DDB>]",
    ),
    item(
        spec("item.check", -5, READ | flag::FAST, write::check).prepare(write::CHECK),
        ITEM_READ,
        "O(log N) where N is the number of items with the partition key.",
        "Checks a condition on an item.",
        "table pk [sk] IF expression [NAMES json] [VALUES json]",
    ),
    item(
        spec("item.mget", -4, READ | flag::FAST | flag::MOVABLE_KEYS, read::mget).prepare(read::MGET),
        ITEM_READS,
        "O(N) where N is the number of keys.",
        "Returns items by their keys, as of one moment, nil for those that do not exist.",
        "table numkeys pk [sk] [pk [sk] ...] [FIELDS count name [name ...]] [NAMES json] \
         [FORMAT <NATIVE | JSON | DDB>]",
    )
    .item_keys(target::partition_keys),
    spec("item.scan", -2, READ | flag::WHOLE | flag::LONG, scan::scan).prepare(scan::AHEAD).doc(
        "item",
        "0.1.0",
        "O(N) where N is the number of items looked at.",
        "Returns the items of a table or an index, or of a segment of it, page by page.",
        "table [INDEX name] [SEGMENT number total] [WHERE expression] [NAMES json] [VALUES json] [LIMIT count] [CURSOR cursor] \
         [FIELDS count name [name ...]] [FORMAT <NATIVE | JSON | DDB>]",
    ),
];
