//! What MEMORY USAGE says of keys is what the server's memory has grown by, for every type, in small and in large, and
//! for copies that share parts with what they were copied from.

use crate::harness::memory::used;
use crate::harness::{Client, Server, Value, until};

/// The commands that make one key.
type Make = fn(&str) -> Vec<String>;

const KEYS: usize = 12;
const ELEMENTS: usize = 3000;
/// So many small keys that a twentieth of them is more than what the server allocates for other reasons meanwhile.
const SMALL_KEYS: usize = 4000;

fn stream(key: &str) -> Vec<String> {
    (1..=ELEMENTS).map(|n| format!("XADD {key} {n}-1 field value{n}")).collect()
}

fn group(key: &str, name: &str, consumers: usize) -> Vec<String> {
    let read = |n| format!("XREADGROUP GROUP {name} c{} COUNT 30 STREAMS {key} >", n % consumers);
    let reads = (0..ELEMENTS / 30).map(read);
    std::iter::once(format!("XGROUP CREATE {key} {name} 0")).chain(reads).collect()
}

fn hash(key: &str) -> Vec<String> {
    (0..ELEMENTS).map(|n| format!("HSET {key} field{n} value{n}")).collect()
}

fn set(key: &str, width: usize) -> Vec<String> {
    (0..ELEMENTS).map(|n| format!("SADD {key} {n:0>width$}")).collect()
}

fn list(key: &str, push: &str, width: usize) -> Vec<String> {
    (0..ELEMENTS).map(|n| format!("{push} {key} e{n:0>width$}")).collect()
}

fn zset(key: &str, step: usize, width: usize) -> Vec<String> {
    (0..ELEMENTS).map(|n| format!("ZADD {key} {} m{n:0>width$}", n * step % 10_007)).collect()
}

fn expire(key: &str, step: usize, at: fn(usize) -> usize) -> Vec<String> {
    let each = |n| format!("HPEXPIREAT {key} {} FIELDS 1 field{n}", 4_000_000_000_000 + at(n));
    (0..ELEMENTS).step_by(step).map(each).collect()
}

const LARGE: [(&str, Make); 32] = [
    ("streams", stream),
    ("streams with a group", |key| [stream(key), group(key, "g", 1)].concat()),
    ("streams with consumers", |key| [stream(key), group(key, "g", 7), group(key, "h", 100)].concat()),
    ("streams half acknowledged", |key| {
        let acknowledge = (1..=ELEMENTS).step_by(2).map(|n| format!("XACK {key} g {n}-1")).collect();
        [stream(key), group(key, "g", 2), acknowledge].concat()
    }),
    ("streams claimed in no order", |key| {
        let claim = |n| format!("XCLAIM {key} g d{} 0 {}-1", n % 3, 1 + n * 7919 % ELEMENTS);
        let claims = (0..ELEMENTS).map(claim).collect();
        [stream(key), group(key, "g", 2), claims].concat()
    }),
    ("streams acknowledged and read again", |key| {
        let acknowledge = |n| format!("XACK {key} g {}-1", 1 + n * 7919 % ELEMENTS);
        let acknowledge = (0..ELEMENTS * 2 / 3).map(acknowledge).collect();
        let back = vec![format!("XGROUP SETID {key} g 0")];
        let again = group(key, "g", 3)[1..=ELEMENTS / 60].to_vec();
        [stream(key), group(key, "g", 2), acknowledge, back, again].concat()
    }),
    ("streams and copies", |key| [stream(key), vec![format!("COPY {key} {key}:copy")]].concat()),
    ("sets", |key| set(key, 0)),
    ("sets of long members", |key| set(key, 70)),
    ("sets of which most is gone", |key| {
        let remove = |n| format!("SREM {key} {:0>10}", n * 7919 % ELEMENTS);
        [set(key, 10), (0..ELEMENTS * 2 / 3).map(remove).collect()].concat()
    }),
    ("sets and copies", |key| [set(key, 20), vec![format!("COPY {key} {key}:copy")]].concat()),
    ("sets and copies that change", |key| {
        let remove = |n| format!("SREM {key} {n:0>20}");
        let removals = (0..ELEMENTS).step_by(100).map(remove).collect();
        [set(key, 20), vec![format!("COPY {key} {key}:copy")], removals].concat()
    }),
    ("hashes", hash),
    ("hashes that expire together", |key| [hash(key), expire(key, 1, |_| 0)].concat()),
    ("hashes that expire in order", |key| [hash(key), expire(key, 1, |n| n)].concat()),
    ("hashes that expire in the other order", |key| [hash(key), expire(key, 1, |n| 10_000 - n)].concat()),
    ("hashes that expire in no order", |key| [hash(key), expire(key, 1, |n| n * 7919 % 100_003)].concat()),
    ("hashes that expire in part", |key| [hash(key), expire(key, 3, |n| n)].concat()),
    ("hashes and copies", |key| [hash(key), vec![format!("COPY {key} {key}:copy")]].concat()),
    ("hashes and copies of copies", |key| {
        let copies =
            ["{k} {k}:copy", "{k}:copy {k}:other"].map(|pair| format!("COPY {}", pair.replace("{k}", key)));
        [hash(key), copies.to_vec()].concat()
    }),
    ("lists", |key| list(key, "RPUSH", 0)),
    ("lists that grow at the front", |key| list(key, "LPUSH", 12)),
    ("lists of long elements", |key| list(key, "RPUSH", 500)),
    ("lists that grow in the middle", |key| {
        let insert = |n| format!("LINSERT {key} BEFORE e{:0>9} x{n:0>12}", n * 7919 % ELEMENTS);
        [list(key, "RPUSH", 9), (0..ELEMENTS).map(insert).collect()].concat()
    }),
    ("lists of which most is gone", |key| {
        let pops = (0..ELEMENTS / 3).flat_map(|_| [format!("LPOP {key}"), format!("RPOP {key}")]).collect();
        [list(key, "RPUSH", 30), pops].concat()
    }),
    ("lists and copies", |key| [list(key, "RPUSH", 20), vec![format!("COPY {key} {key}:copy")]].concat()),
    ("sorted sets in order", |key| zset(key, 1, 0)),
    ("sorted sets in no order", |key| zset(key, 7919, 10)),
    ("sorted sets of long members", |key| zset(key, 7919, 300)),
    ("sorted sets that change", |key| {
        let change = |n| format!("ZINCRBY {key} {} m{:0>10}", n % 977, n * 7919 % ELEMENTS);
        [zset(key, 1, 10), (0..ELEMENTS).map(change).collect()].concat()
    }),
    ("sorted sets of which most is gone", |key| {
        [zset(key, 7919, 10), vec![format!("ZREMRANGEBYRANK {key} 100 {}", ELEMENTS - 100)]].concat()
    }),
    ("sorted sets and copies", |key| [zset(key, 7919, 12), vec![format!("COPY {key} {key}:copy")]].concat()),
];

/// Ten elements each, from one command.
const SMALL: [(&str, Make); 8] = [
    ("small strings", |key| vec![format!("SET {key} {:0>100}", 1)]),
    ("small lists", |key| small("RPUSH", key, |n| format!("element{n:0>8}"))),
    ("small sets", |key| small("SADD", key, |n| format!("member{n:0>8}"))),
    ("small sets of integers", |key| small("SADD", key, |n| format!("{}", n * 70_000))),
    ("small sorted sets", |key| small("ZADD", key, |n| format!("{n} member{n:0>8}"))),
    ("small hashes", |key| small("HSET", key, |n| format!("field{n} value{n:0>8}"))),
    ("sparse counters", |key| small("PFADD", key, |n| format!("element{n}"))),
    ("small lists and copies", |key| {
        [small("RPUSH", key, |_| "element".into()), vec![format!("COPY {key} {key}:copy")]].concat()
    }),
];

fn small(command: &str, key: &str, element: fn(usize) -> String) -> Vec<String> {
    vec![format!("{command} {key} {}", (0..10).map(element).collect::<Vec<_>>().join(" "))]
}

/// One allocation each.
const WHOLE: [(&str, Make); 3] = [
    ("large strings", |key| vec![format!("SET {key} {}", "x".repeat(300_000))]),
    ("strings that grew", |key| (0..40).map(|n| format!("APPEND {key} {n:0>10000}")).collect()),
    ("dense counters", |key| {
        let add = |n: usize| {
            let elements: Vec<String> = (0..100).map(|at| format!("e{n}-{at}")).collect();
            format!("PFADD {key} {}", elements.join(" "))
        };
        (0..30).map(add).collect()
    }),
];

fn run_all(client: &mut Client, lines: &[String]) {
    for some in lines.chunks(500) {
        let bytes = some.iter().map(|line| Client::encode(&line.split(' ').collect::<Vec<_>>()));
        client.send_raw(&bytes.collect::<Vec<_>>().concat()).unwrap();
        some.iter().for_each(|line| assert!(!client.read().is_error(), "{line}"));
    }
}

/// What MEMORY USAGE says of all keys whose names begin so.
fn told(client: &mut Client, prefix: &str) -> i64 {
    let names = client.run(&format!("KEYS {prefix}:*")).items();
    let ask = |name: &Value| Client::encode(&["MEMORY", "USAGE", &name.text(), "SAMPLES", "0"]);
    client.send_raw(&names.iter().map(ask).collect::<Vec<_>>().concat()).unwrap();
    names.iter().map(|_| client.read().int().unwrap()).sum()
}

/// Makes the shards' tables so large that the keys of this test are less than half of what they have room for, and more
/// than an eighth: so no table grows or shrinks from now on.
fn make_tables(client: &mut Client) {
    const FILLERS: usize = 60_000;
    run_all(client, &(0..FILLERS).map(|n| format!("SET filler{n} x")).collect::<Vec<_>>());
    run_all(client, &(0..FILLERS * 2 / 3).map(|n| format!("DEL filler{n}")).collect::<Vec<_>>());
}

/// Makes so many keys of a kind in place of others of the same names, and gives the ratio of what is told to what is
/// used more, and once more when copies share nothing any more.
fn measure(server: &Server, client: &mut Client, (what, make): (&str, Make), keys: usize) -> [f64; 2] {
    let prefix = what.replace(' ', "-");
    let names: Vec<String> = (0..keys).map(|n| format!("{prefix}:{n}")).collect();
    let copied = what.contains("copies");
    let also = |name: &str| ["copy", "other"].map(|end| format!("SET {name}:{end} x"));
    let place = |name: &String| {
        std::iter::once(format!("SET {name} x")).chain(also(name).into_iter().filter(|_| copied))
    };
    run_all(client, &names.iter().flat_map(place).collect::<Vec<_>>());
    let before = used(server) as i64 - told(client, &prefix);
    for name in &names {
        let gone =
            if copied { format!("DEL {name} {name}:copy {name}:other") } else { format!("DEL {name}") };
        run_all(client, &[vec![gone], make(name)].concat());
    }
    let ratio = |client: &mut Client| told(client, &prefix) as f64 / (used(server) as i64 - before) as f64;
    let first = ratio(client);
    until("copies share nothing", || server.info("mem_shared_by_copies") == "0");
    [first, ratio(client)]
}

/// Asserts that what is told of so many keys of each kind is what they use.
fn assert_told(kinds: &[(&str, Make)], keys: usize) {
    // If workers kept buffers, the one in which a worker answers INFO would have any size.
    let kept = ["--worker-keep-buffers-size", "0"];
    let server =
        Server::start(&[&["--appendonly", "no", "--slowlog-log-slower-than", "-1"], &kept[..]].concat());
    let mut client = server.client();
    make_tables(&mut client);
    // What the fills have left in buffers and queues is given back meanwhile.
    kinds.iter().take(1).for_each(|(_, make)| {
        measure(&server, &mut client, ("before", *make), keys);
    });
    let mut wrong = Vec::new();
    for kind in kinds.iter().copied() {
        // Of these little remains, so more keys are needed for the same share of noise.
        let keys = if kind.0.contains("gone") { keys * 8 } else { keys };
        let ratios = measure(&server, &mut client, kind, keys);
        // A part that a change has copied counts twice until the background comes to it.
        let least = if kind.0.contains("copies that change") { 0.9 } else { 0.95 };
        if !(least..1.05).contains(&ratios[0]) || !(0.95..1.05).contains(&ratios[1]) {
            wrong.push(format!("{}: {ratios:.3?}", kind.0));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// As [`assert_told`] of the large values of a type.
fn assert_told_of_large(of: &str) {
    let kinds: Vec<_> = LARGE.into_iter().filter(|(what, _)| what.starts_with(of)).collect();
    assert!(!kinds.is_empty() && TYPES.contains(&of));
    assert_told(&kinds, KEYS);
}

/// How the names of large values begin; each has a test below.
const TYPES: [&str; 5] = ["streams", "sets", "hashes", "lists", "sorted sets"];

#[test]
fn memory_usage_of_streams_is_what_the_allocator_says() {
    assert_told_of_large("streams");
}

#[test]
fn memory_usage_of_sets_is_what_the_allocator_says() {
    assert_told_of_large("sets");
}

#[test]
fn memory_usage_of_hashes_is_what_the_allocator_says() {
    assert_told_of_large("hashes");
}

#[test]
fn memory_usage_of_lists_is_what_the_allocator_says() {
    assert_told_of_large("lists");
}

#[test]
fn memory_usage_of_sorted_sets_is_what_the_allocator_says() {
    assert_told_of_large("sorted sets");
}

#[test]
fn memory_usage_of_small_and_whole_values_is_what_the_allocator_says() {
    assert!(LARGE.iter().all(|(what, _)| TYPES.iter().any(|of| what.starts_with(of))), "no kind is left out");
    assert_told(&SMALL, SMALL_KEYS);
    assert_told(&WHOLE, 100);
}

/// What makes a large value, and what changes one element of it.
const COPIED: [(&str, fn(usize) -> String, fn(usize) -> String); 4] = [
    ("hash", |n| format!("HSET hash field{n} value{n}"), |n| format!("HDEL hash field{n}")),
    ("set", |n| format!("SADD set member{n}"), |n| format!("SREM set member{n}")),
    ("list", |n| format!("RPUSH list element{n}"), |n| format!("LSET list {n} x")),
    ("zset", |n| format!("ZADD zset {n} member{n}"), |n| format!("ZREM zset member{n}")),
];

/// The copy of a value counts from the beginning, whether or not it shares parts: changes of either need no memory that
/// was not asked for, and a start that reads the copy makes no difference.
#[test]
fn a_copy_counts_as_if_it_shared_nothing() {
    const COUNT: usize = 30_000;
    let mut server = Server::start(&["--appendonly", "yes"]);
    for (key, fill, change) in COPIED {
        let mut client = server.client();
        run_all(&mut client, &(0..COUNT).map(fill).collect::<Vec<_>>());
        let before = used(&server);
        let usage = client.run(&format!("MEMORY USAGE {key} SAMPLES 0")).int().unwrap() as usize;
        // There is room for half of the copy: it is made, and then memory is short at once.
        let limit = before + usage / 2;
        assert!(client.run(&format!("CONFIG SET maxmemory {limit}")).is_ok());
        assert_eq!(client.run(&format!("COPY {key} {key}:copy")).int(), Some(1));
        assert!(client.run("SET some value").to_string().contains("OOM"), "{key}");
        let copied = used(&server);
        assert!(copied.abs_diff(before + usage) < usage / 20 + 100_000, "{key}: {before} {usage} {copied}");
        assert!(client.run("CONFIG SET maxmemory 0").is_ok());
        run_all(&mut client, &(0..COUNT).step_by(100).map(change).collect::<Vec<_>>());
        until("copies share nothing", || server.info("mem_shared_by_copies") == "0");
        let changed = used(&server);
        assert!(changed < copied + usage / 20 + 100_000, "{key}: {copied} {usage} {changed}");
    }
    let before = used(&server);
    server.restart();
    until("copies share nothing", || server.info("mem_shared_by_copies") == "0");
    let after = used(&server);
    assert!(after.abs_diff(before) < before / 10, "{before} bytes before, {after} after a start");
}
