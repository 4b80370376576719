//! The family's table.

use super::{add, search, show};
use crate::command::spec::*;

const STORE: u64 = flag::WRITE | flag::DENYOOM;
const SEARCHED: &str = "O(N + M log M) where N is the number of members in the cells around the shape and M of those in it, which are ordered.";
const RADIUS: &str = "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]";
const RADIUS_STORE: &str = "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]";
const BY_MEMBER: &str =
    "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]";
const BY_MEMBER_STORE: &str = "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]";
const SEARCH: &str = "key <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]";
const SEARCH_STORE: &str = "destination source <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [STOREDIST]";

const TARGET_AND_SOURCE: &[KeySpec] =
    &[keys_at(1, 0, 1, &["OW", "update"]), keys_at(2, 0, 1, &["RO", "access"])];
const READ: KeySpec = keys_at(1, 0, 1, &["RO", "access"]);
const AROUND_POSITION: &[KeySpec] = &[READ, target("STORE", 6), target("STOREDIST", 6)];
const AROUND_MEMBER: &[KeySpec] = &[READ, target("STORE", 5), target("STOREDIST", 5)];

const RADIUS_OPTIONS: &[(&str, usize)] = &[
    ("WITHCOORD", 0),
    ("WITHDIST", 0),
    ("WITHHASH", 0),
    ("COUNT", 1),
    ("ANY", 0),
    ("ASC", 0),
    ("DESC", 0),
    ("STORE", 1),
    ("STOREDIST", 1),
];

/// The key behind `STORE` or `STOREDIST`. The command uses the last of these options. As in Redis, the key of each
/// option is a key of the command.
const fn target(option: &'static str, from: usize) -> KeySpec {
    KeySpec {
        begin: Begin::LastOption(option, from, RADIUS_OPTIONS),
        find: Find::Range { last: 0, step: 1, limit: 0 },
        flags: &["OW", "update"],
    }
}

in_group!(geo, "geo");

/// The family.
pub(in crate::command) static COMMANDS: &[Spec] = &[
    geo(
        spec("geoadd", -5, STORE, add::geoadd).keys(UPDATE_KEY),
        "3.2.0",
        "O(log N) for each member, where N is the number of members.",
        "Gives members of a sorted set positions, perhaps on a condition, and returns how many are new.",
        "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
    ),
    geo(
        spec("geodist", -4, flag::READONLY, show::distance).keys(READ_KEY),
        "3.2.0",
        "O(1)",
        "Returns the distance between two members.",
        "key member1 member2 [M | KM | FT | MI]",
    ),
    geo(
        spec("geohash", -2, flag::READONLY, show::hash).keys(READ_KEY),
        "3.2.0",
        "O(1) for each member.",
        "Returns members' positions as geohashes.",
        "key [member [member ...]]",
    ),
    geo(
        spec("geopos", -2, flag::READONLY, show::position).keys(READ_KEY),
        "3.2.0",
        "O(1) for each member.",
        "Returns members' longitudes and latitudes.",
        "key [member [member ...]]",
    ),
    geo(
        spec("georadius", -6, STORE | flag::MOVABLE_KEYS | flag::COUNTED, search::radius)
            .keys(AROUND_POSITION),
        "3.2.0",
        SEARCHED,
        "Returns or stores the members within a distance of a position.",
        RADIUS_STORE,
    ),
    geo(
        spec("georadius_ro", -6, flag::READONLY, search::radius_ro).keys(READ_KEY),
        "3.2.10",
        SEARCHED,
        "Returns the members within a distance of a position.",
        RADIUS,
    ),
    geo(
        spec("georadiusbymember", -5, STORE | flag::MOVABLE_KEYS | flag::COUNTED, search::radius_by_member)
            .keys(AROUND_MEMBER),
        "3.2.0",
        SEARCHED,
        "Returns or stores the members within a distance of one of them.",
        BY_MEMBER_STORE,
    ),
    geo(
        spec("georadiusbymember_ro", -5, flag::READONLY, search::radius_by_member_ro).keys(READ_KEY),
        "3.2.10",
        SEARCHED,
        "Returns the members within a distance of one of them.",
        BY_MEMBER,
    ),
    geo(
        spec("geosearch", -7, flag::READONLY, search::search).keys(READ_KEY),
        "6.2.0",
        SEARCHED,
        "Returns the members within a circle or a box around a position or one of them.",
        SEARCH,
    ),
    geo(
        spec("geosearchstore", -8, STORE | flag::COUNTED, search::search_store).keys(TARGET_AND_SOURCE),
        "6.2.0",
        SEARCHED,
        "Stores the members within a circle or a box under another key; returns how many there are.",
        SEARCH_STORE,
    ),
];
