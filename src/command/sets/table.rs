//! The family's table.

use super::{combine, pop, random, read, scan, write};
use crate::command::spec::*;

const READ: u64 = flag::READONLY;
const FAST_READ: u64 = flag::READONLY | flag::FAST;
const SHRINK: u64 = flag::WRITE | flag::FAST;
const WRITE: u64 = flag::WRITE | flag::DENYOOM | flag::FAST;
const STORE: u64 = flag::WRITE | flag::DENYOOM | flag::COUNTED;

const MOVED_KEYS: &[KeySpec] =
    &[keys_at(1, 0, 1, &["RW", "access", "delete"]), keys_at(2, 0, 1, &["RW", "insert"])];
// In Redis's table the target of SINTERSTORE has the flag RW, that of SUNIONSTORE and SDIFFSTORE has OW.
const INTERSECTED_KEYS: &[KeySpec] =
    &[keys_at(1, 0, 1, &["RW", "update"]), keys_at(2, -1, 1, &["RO", "access"])];
const STORED_KEYS: &[KeySpec] = &[keys_at(1, 0, 1, &["OW", "update"]), keys_at(2, -1, 1, &["RO", "access"])];
const COUNTED_KEYS: &[KeySpec] = &[KeySpec {
    begin: Begin::Index(1),
    find: Find::Number { at: 0, first: 1, step: 1 },
    flags: &["RO", "access"],
}];

const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];
const EACH_MEMBER: &str = "O(N) where N is the number of members given.";
const SMALLEST: &str =
    "O(N*M) where N is the size of the smallest set and M is the number of sets, in the worst case.";
const ALL_MEMBERS: &str = "O(N) where N is the number of members in all sets.";

in_group!(set, "set");

/// The family.
pub(in crate::command) static COMMANDS: &[Spec] = &[
    set(
        spec("sadd", -3, WRITE, write::sadd).keys(INSERT_KEY).element(2),
        "1.0.0",
        EACH_MEMBER,
        "Adds members to a set, which is made if it does not exist, and returns how many are new.",
        "key member [member ...]",
    ),
    set(
        spec("srem", -3, SHRINK, write::srem).keys(DELETE_KEY).element(2),
        "1.0.0",
        EACH_MEMBER,
        "Removes members, and the set with its last one; returns how many there were.",
        "key member [member ...]",
    ),
    set(
        spec("smove", 4, SHRINK, write::smove).keys(MOVED_KEYS),
        "1.0.0",
        "O(1)",
        "Moves a member from one set to another one, and tells whether it was there.",
        "source destination member",
    ),
    set(
        spec("smembers", 2, READ, read::smembers).keys(READ_KEY).tips(ANY_ORDER),
        "1.0.0",
        "O(N) where N is the size of the set.",
        "Returns all members of a set.",
        "key",
    ),
    set(
        spec("sismember", 3, FAST_READ, read::sismember).keys(META_KEY).element(2),
        "1.0.0",
        "O(1)",
        "Tells whether a member is in a set.",
        "key member",
    ),
    set(
        spec("smismember", -3, FAST_READ, read::smismember).keys(READ_KEY).element(2),
        "6.2.0",
        EACH_MEMBER,
        "Tells of each of some members whether it is in a set.",
        "key member [member ...]",
    ),
    set(
        spec("scard", 2, FAST_READ, read::scard).keys(META_KEY),
        "1.0.0",
        "O(1)",
        "Returns the number of members of a set.",
        "key",
    ),
    set(
        spec("spop", -2, SHRINK, pop::spop).keys(ACCESS_DELETE_KEY).tips(ANY_OUTPUT),
        "1.0.0",
        "O(N) where N is the number of members returned.",
        "Removes random members from a set and returns them.",
        "key [count]",
    ),
    set(
        spec("srandmember", -2, READ, random::srandmember).keys(READ_KEY).tips(ANY_OUTPUT),
        "1.0.0",
        "O(N) where N is the number of members returned.",
        "Returns random members: different ones, or with a negative count each drawn anew.",
        "key [count]",
    ),
    set(
        spec("sscan", -3, READ, scan::sscan).keys(READ_KEY).tips(ANY_OUTPUT),
        "2.8.0",
        "O(1) for each call, O(N) for a whole walk, where N is the size of the set.",
        "Walks over the members of a set, some at each call.",
        "key cursor [MATCH pattern] [COUNT count]",
    ),
    set(
        spec("sinter", -2, READ, combine::sinter).keys(READ_KEYS).tips(ANY_ORDER),
        "1.0.0",
        SMALLEST,
        "Returns the members that are in all of some sets.",
        "key [key ...]",
    ),
    set(
        spec("sintercard", -3, READ | flag::MOVABLE_KEYS, combine::sintercard).keys(COUNTED_KEYS),
        "7.0.0",
        SMALLEST,
        "Returns how many members are in all of some sets.",
        "numkeys key [key ...] [LIMIT limit]",
    ),
    set(
        spec("sinterstore", -3, STORE, combine::sinterstore).keys(INTERSECTED_KEYS),
        "1.0.0",
        SMALLEST,
        "Stores the members that are in all of some sets, and returns how many there are.",
        "destination key [key ...]",
    ),
    set(
        spec("sunion", -2, READ | flag::SIZED, combine::sunion).keys(READ_KEYS).tips(ANY_ORDER),
        "1.0.0",
        ALL_MEMBERS,
        "Returns the members that are in any of some sets.",
        "key [key ...]",
    ),
    set(
        spec("sunioncard", -3, READ | flag::MOVABLE_KEYS, combine::sunioncard).keys(COUNTED_KEYS),
        "8.10.0",
        ALL_MEMBERS,
        "Returns how many members are in any of some sets, exactly or estimated in constant memory.",
        "numkeys key [key ...] [APPROX] [LIMIT limit]",
    ),
    set(
        spec("sunionstore", -3, STORE | flag::SIZED, combine::sunionstore).keys(STORED_KEYS),
        "1.0.0",
        ALL_MEMBERS,
        "Stores the members that are in any of some sets, and returns how many there are.",
        "destination key [key ...]",
    ),
    set(
        spec("sdiff", -2, READ, combine::sdiff).keys(READ_KEYS).tips(ANY_ORDER),
        "1.0.0",
        ALL_MEMBERS,
        "Returns the members of the first set that are in none of the others.",
        "key [key ...]",
    ),
    set(
        spec("sdiffcard", -3, READ | flag::MOVABLE_KEYS, combine::sdiffcard).keys(COUNTED_KEYS),
        "8.10.0",
        ALL_MEMBERS,
        "Returns how many members of the first set are in none of the others.",
        "numkeys key [key ...] [LIMIT limit]",
    ),
    set(
        spec("sdiffstore", -3, STORE, combine::sdiffstore).keys(STORED_KEYS),
        "1.0.0",
        ALL_MEMBERS,
        "Stores the members of the first set that are in none of the others, and returns how many there are.",
        "destination key [key ...]",
    ),
];
