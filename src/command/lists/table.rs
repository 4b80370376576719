//! The family's table.

use super::{block, edit, ends, move_many, moves, read, search};
use crate::command::spec::*;

const READ: u64 = flag::READONLY;
const WRITE: u64 = flag::WRITE;
const ADD: u64 = flag::WRITE | flag::DENYOOM;
const FAST_ADD: u64 = flag::WRITE | flag::DENYOOM | flag::FAST;
const WAIT: u64 = flag::WRITE | flag::BLOCKING;

const FROM_AND_TO: &[KeySpec] =
    &[keys_at(1, 0, 1, &["RW", "access", "delete"]), keys_at(2, 0, 1, &["RW", "insert"])];
const ALL_BUT_LAST: &[KeySpec] = &[keys_at(1, -2, 1, &["RW", "access", "delete"])];

const fn counted(at: usize) -> KeySpec {
    let find = Find::Number { at: 0, first: 1, step: 1 };
    KeySpec { begin: Begin::Index(at), find, flags: &["RW", "access", "delete"] }
}

const EACH: &str = "O(1) for each element.";
const MOVED: &str = "O(N) where N is the number of elements that are moved.";
const ALONG: &str = "O(N) where N is the number of elements that are passed over.";
const KEYS_AND_TAKEN: &str =
    "O(N+M) where N is the number of keys and M the number of elements that are taken.";

in_group!(list, "list");

/// The family.
pub(in crate::command) static COMMANDS: &[Spec] = &[
    list(
        spec("blmove", 6, WAIT | flag::DENYOOM, block::blmove).keys(FROM_AND_TO),
        "6.2.0",
        "O(1)",
        "Moves an element from an end of a list to an end of another one and returns it, and waits for one if there is none.",
        "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
    ),
    list(
        spec("blmovem", -6, ADD | flag::BLOCKING, block::blmovem).keys(FROM_AND_TO),
        "8.10.0",
        MOVED,
        "Moves elements from an end of a list to an end of another one and returns them, and waits for them if they are not there.",
        "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout [<COUNT count | EXACTLY exactly> <OBO | BULK>]",
    ),
    list(
        spec("blmpop", -5, flag::WRITE | flag::BLOCKING | flag::MOVABLE_KEYS, block::blmpop)
            .keys(&[counted(2)]),
        "7.0.0",
        KEYS_AND_TAKEN,
        "Takes elements from an end of the first list of several that there is, and waits for one if there is none.",
        "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    ),
    list(
        spec("blpop", -3, WAIT, block::blpop).keys(ALL_BUT_LAST),
        "2.0.0",
        "O(N) where N is the number of keys.",
        "Takes the first element of the first list of several that there is, and waits for one if there is none.",
        "key [key ...] timeout",
    ),
    list(
        spec("brpop", -3, WAIT, block::brpop).keys(ALL_BUT_LAST),
        "2.0.0",
        "O(N) where N is the number of keys.",
        "Takes the last element of the first list of several that there is, and waits for one if there is none.",
        "key [key ...] timeout",
    ),
    list(
        spec("brpoplpush", 4, WAIT | flag::DENYOOM, block::brpoplpush).keys(FROM_AND_TO),
        "2.2.0",
        "O(1)",
        "Moves the last element of a list to the front of another one and returns it, and waits for one if there is none.",
        "source destination timeout",
    ),
    list(
        spec("lindex", 3, READ, read::lindex).keys(READ_KEY),
        "1.0.0",
        "O(log N), in the compact form O(N).",
        "Returns the element at an index.",
        "key index",
    ),
    list(
        spec("linsert", 5, ADD, edit::linsert).keys(INSERT_KEY),
        "2.2.0",
        ALONG,
        "Adds an element before or behind another one, and returns how many elements there are then.",
        "key <BEFORE | AFTER> pivot element",
    ),
    list(
        spec("llen", 2, READ | flag::FAST, read::llen).keys(META_KEY),
        "1.0.0",
        "O(1)",
        "Returns the number of elements.",
        "key",
    ),
    list(
        spec("lmove", 5, ADD, moves::lmove).keys(FROM_AND_TO),
        "6.2.0",
        "O(1)",
        "Moves an element from an end of a list to an end of another one, and returns it.",
        "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
    ),
    list(
        spec("lmovem", -5, ADD, move_many::lmovem).keys(FROM_AND_TO),
        "8.10.0",
        MOVED,
        "Moves elements from an end of a list to an end of another one and returns them.",
        "source destination <LEFT | RIGHT> <LEFT | RIGHT> [<COUNT count | EXACTLY exactly> <OBO | BULK>]",
    ),
    list(
        spec("lmpop", -4, WRITE | flag::MOVABLE_KEYS, moves::lmpop).keys(&[counted(1)]),
        "7.0.0",
        KEYS_AND_TAKEN,
        "Takes elements from an end of the first list of several that there is, and returns them with its name.",
        "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
    ),
    list(
        spec("lpop", -2, WRITE | flag::FAST, ends::lpop).keys(ACCESS_DELETE_KEY),
        "1.0.0",
        EACH,
        "Takes the first elements of a list and returns them.",
        "key [count]",
    ),
    list(
        spec("lpos", -3, READ, search::lpos).keys(READ_KEY),
        "6.0.6",
        "O(N) where N is the number of elements that are looked at.",
        "Returns at which index elements of a value are.",
        "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
    ),
    list(
        spec("lpush", -3, FAST_ADD, ends::lpush).keys(INSERT_KEY),
        "1.0.0",
        EACH,
        "Adds elements at the front of a list, which is made if it does not exist, and returns how many there are then.",
        "key element [element ...]",
    ),
    list(
        spec("lpushx", -3, FAST_ADD, ends::lpushx).keys(INSERT_KEY),
        "2.2.0",
        EACH,
        "Adds elements at the front of a list if it exists, and returns how many there are then.",
        "key element [element ...]",
    ),
    list(
        spec("lrange", 4, READ, read::lrange).keys(READ_KEY),
        "1.0.0",
        "O(log N+M) where N is the size of the list and M the number of elements returned.",
        "Returns the elements between two indexes.",
        "key start stop",
    ),
    list(
        spec("lrem", 4, WRITE, edit::lrem).keys(DELETE_KEY),
        "1.0.0",
        "O(N) where N is the size of the list.",
        "Removes elements of a value, and returns how many they were.",
        "key count element",
    ),
    list(
        spec("lset", 4, ADD, edit::lset).keys(UPDATE_KEY),
        "1.0.0",
        "O(log N), in the compact form O(N).",
        "Puts another element at an index.",
        "key index element",
    ),
    list(
        spec("ltrim", 4, WRITE, edit::ltrim).keys(DELETE_KEY),
        "1.0.0",
        "O(N) where N is the number of elements that are removed.",
        "Removes all elements but those between two indexes.",
        "key start stop",
    ),
    list(
        spec("rpop", -2, WRITE | flag::FAST, ends::rpop).keys(ACCESS_DELETE_KEY),
        "1.0.0",
        EACH,
        "Takes the last elements of a list and returns them.",
        "key [count]",
    ),
    list(
        spec("rpoplpush", 3, ADD, moves::rpoplpush).keys(FROM_AND_TO),
        "1.2.0",
        "O(1)",
        "Moves the last element of a list to the front of another one, and returns it.",
        "source destination",
    ),
    list(
        spec("rpush", -3, FAST_ADD, ends::rpush).keys(INSERT_KEY),
        "1.0.0",
        EACH,
        "Adds elements at the end of a list, which is made if it does not exist, and returns how many there are then.",
        "key element [element ...]",
    ),
    list(
        spec("rpushx", -3, FAST_ADD, ends::rpushx).keys(INSERT_KEY),
        "2.2.0",
        EACH,
        "Adds elements at the end of a list if it exists, and returns how many there are then.",
        "key element [element ...]",
    ),
];
