//! The table of data sets and workloads, and the templates that their requests are rendered from.
//!
//! A template is a command line whose words are the command's arguments; ` ; ` stands between commands that are sent
//! together as one request. In a word, these stand for what changes from request to request:
//!
//! - `{id:W}`: the key's number, W decimal digits with leading zeros;
//! - `{collection:W}` and `{member:W}`: the key's number divided by [`COLLECTION`], and the remainder: so keys that are
//!   numbered through fill item collections of that size;
//! - `{digits:W}`: W random decimal digits;
//! - `{value}` and `{value:LEN}`: random letters and digits, of the length asked for on the command line or LEN;
//! - `{value:LOW-HIGH}`: the same with a random length, both ends included; must be the whole word;
//! - `{ttl}`: a random number of milliseconds within the range of the command line; must be the whole word.

use crate::random::Random;
use crate::reply::Expect;
use crate::types::{TYPE_DATASETS, TYPE_WORKLOADS};

/// Items in each collection of the data sets that are queried.
pub(crate) const COLLECTION: u64 = 100;

/// Keys that are loaded before a workload runs.
pub(crate) struct Dataset {
    /// The name by which workloads and the command line refer to it.
    pub(crate) name: &'static str,
    /// Commands that run once before the first key is loaded.
    pub(crate) setup: &'static [&'static str],
    /// The template of the request that creates one key.
    pub(crate) fill: &'static str,
    /// The reply that each fill request must get.
    pub(crate) expect: Expect,
}

/// A kind of load that is measured.
pub(crate) struct Workload {
    /// The name on the command line and in reports.
    pub(crate) name: &'static str,
    /// The data set that must be loaded.
    pub(crate) dataset: &'static str,
    /// Whether it runs on Itemory only, because Redis has no such command.
    pub(crate) itemory_only: bool,
    /// How many other connections subscribe to the channel `channel`.
    pub(crate) subscribers: usize,
    /// Requests, each with its share in the mix and the reply it must get.
    pub(crate) requests: &'static [(u64, &'static str, Expect)],
}

const INDEX_OF_RANKED: &str = "TABLE.INDEX ADD ranked by_score PK game S SK score N";
const INDEX_OF_LINEAR: &str = "TABLE.INDEX ADD linear by_score PK c S SK score N";
const SIZED_ALONE: &str = "ITEM.PUT sized item:{id:11} SET 5 field0 {value:30} field1 {value:30} field2 {value:30} \
                           field3 {value:31} field4 {value:31}";
const SIZED_COLLECTED: &str = "ITEM.PUT sized item:{collection:11} 1{member:5} SET 5 field0 {value:30} field1 {value:30} \
                               field2 {value:30} field3 {value:31} field4 {value:26}";

/// All data sets.
pub(crate) fn datasets() -> impl Iterator<Item = &'static Dataset> {
    DATASETS.iter().chain(TYPE_DATASETS)
}

/// All workloads.
pub(crate) fn workloads() -> impl Iterator<Item = &'static Workload> {
    WORKLOADS.iter().chain(TYPE_WORKLOADS)
}

/// The data sets of strings, hashes and items.
const DATASETS: &[Dataset] = &[
    Dataset { name: "strings", setup: &[], fill: "SET key:{id:12} {value}", expect: Expect::Ok },
    Dataset { name: "sized", setup: &[], fill: "SET key:{id:12} {value:32-159}", expect: Expect::Ok },
    Dataset { name: "kib", setup: &[], fill: "SET kib:{id:12} {value:1024}", expect: Expect::Ok },
    Dataset { name: "counters", setup: &[], fill: "SET cnt:{id:12} 1{digits:7}", expect: Expect::Ok },
    Dataset {
        name: "hashes",
        setup: &[],
        fill: "HSET hash:{id:11} field0 {value:10} field1 {value:10} field2 {value:10} field3 {value:10} \
               field4 {value:10}",
        expect: Expect::Integer,
    },
    Dataset { name: "expiring", setup: &[], fill: "SET exp:{id:12} {value} PX {ttl}", expect: Expect::Ok },
    // An item has its key and five attributes, like the fields of a hash.
    Dataset {
        name: "items",
        setup: &["TABLE.CREATE bench PK id S"],
        fill: "ITEM.PUT bench item:{id:11} SET 5 field0 {value:10} field1 {value:10} field2 {value:10} field3 {value:10} \
               field4 {value:10}",
        expect: Expect::Ok,
    },
    Dataset {
        name: "collections",
        setup: &["TABLE.CREATE ranked PK game S SK player N", INDEX_OF_RANKED],
        fill: "ITEM.PUT ranked game:{collection:11} {member:4} SET 2 score:n 1{digits:6} v {value}",
        expect: Expect::Ok,
    },
    // 200 bytes by DynamoDB's rules: names, keys and values.
    Dataset {
        name: "items-200",
        setup: &["TABLE.CREATE sized PK id S"],
        fill: SIZED_ALONE,
        expect: Expect::Ok,
    },
    Dataset {
        name: "items-200-collected",
        setup: &["TABLE.CREATE sized PK id S SK n N"],
        fill: SIZED_COLLECTED,
        expect: Expect::Ok,
    },
    Dataset {
        name: "items-200-indexed",
        setup: &[
            "TABLE.CREATE sized PK id S SK n N",
            "TABLE.INDEX ADD sized by_field PK id S SK field0 S PROJECT KEYS",
        ],
        fill: SIZED_COLLECTED,
        expect: Expect::Ok,
    },
    // The same items in one collection, and each in one of its own.
    Dataset {
        name: "one-collection",
        setup: &["TABLE.CREATE linear PK c S SK n N", INDEX_OF_LINEAR],
        fill: "ITEM.PUT linear c:0 {id:9} SET 2 score:n {id:9} v {value}",
        expect: Expect::Ok,
    },
    Dataset {
        name: "many-collections",
        setup: &["TABLE.CREATE linear PK c S SK n N", INDEX_OF_LINEAR],
        fill: "ITEM.PUT linear c:{id:9} 0 SET 2 score:n {id:9} v {value}",
        expect: Expect::Ok,
    },
];

/// The workloads of strings, hashes and items.
const WORKLOADS: &[Workload] = &[
    both("get", "strings", &[(1, "GET key:{id:12}", Expect::Bulk)]),
    both("set", "strings", &[(1, "SET key:{id:12} {value}", Expect::Ok)]),
    both(
        "mixed",
        "strings",
        &[(9, "GET key:{id:12}", Expect::Bulk), (1, "SET key:{id:12} {value}", Expect::Ok)],
    ),
    both(
        "mset10",
        "strings",
        &[(
            1,
            "MSET key:{id:12} {value} key:{id:12} {value} key:{id:12} {value} key:{id:12} {value} \
             key:{id:12} {value} key:{id:12} {value} key:{id:12} {value} key:{id:12} {value} \
             key:{id:12} {value} key:{id:12} {value}",
            Expect::Ok,
        )],
    ),
    both("set-sized", "sized", &[(1, "SET key:{id:12} {value:32-159}", Expect::Ok)]),
    both("get-1k", "kib", &[(1, "GET kib:{id:12}", Expect::Bulk)]),
    both("incr", "counters", &[(1, "INCR cnt:{id:12}", Expect::Integer)]),
    both(
        "hset",
        "hashes",
        &[
            (1, "HSET hash:{id:11} field0 {value:10}", Expect::Integer),
            (1, "HSET hash:{id:11} field1 {value:10}", Expect::Integer),
            (1, "HSET hash:{id:11} field2 {value:10}", Expect::Integer),
            (1, "HSET hash:{id:11} field3 {value:10}", Expect::Integer),
            (1, "HSET hash:{id:11} field4 {value:10}", Expect::Integer),
        ],
    ),
    both("hgetall", "hashes", &[(1, "HGETALL hash:{id:11}", Expect::Array(10))]),
    both(
        "hset-5",
        "hashes",
        &[(
            1,
            "HSET hash:{id:11} field0 {value:10} field1 {value:10} field2 {value:10} field3 {value:10} \
             field4 {value:10}",
            Expect::Integer,
        )],
    ),
    both(
        "transact-hset-4",
        "hashes",
        &[(
            1,
            "MULTI ; HSET hash:{id:11} field0 {value:10} ; HSET hash:{id:11} field0 {value:10} ; \
             HSET hash:{id:11} field0 {value:10} ; HSET hash:{id:11} field0 {value:10} ; EXEC",
            Expect::Transaction(4),
        )],
    ),
    ours(
        "item-put",
        "items",
        &[(
            1,
            "ITEM.PUT bench item:{id:11} SET 5 field0 {value:10} field1 {value:10} field2 {value:10} \
             field3 {value:10} field4 {value:10}",
            Expect::Ok,
        )],
    ),
    ours("item-get", "items", &[(1, "ITEM.GET bench item:{id:11}", Expect::Array(12))]),
    ours(
        "item-update",
        "items",
        &[(1, "ITEM.UPDATE bench item:{id:11} SET 1 field0 {value:10} IF size(field1)=10", Expect::Ok)],
    ),
    ours(
        "item-transact-4",
        "items",
        &[(
            1,
            "MULTI ; ITEM.ATOMIC ; ITEM.UPDATE bench item:{id:11} SET 1 field0 {value:10} IF size(field1)=10 ; \
             ITEM.UPDATE bench item:{id:11} SET 1 field0 {value:10} IF size(field1)=10 ; \
             ITEM.UPDATE bench item:{id:11} SET 1 field0 {value:10} IF size(field1)=10 ; \
             ITEM.UPDATE bench item:{id:11} SET 1 field0 {value:10} IF size(field1)=10 ; EXEC",
            Expect::Transaction(5),
        )],
    ),
    ours(
        "item-query-10",
        "collections",
        &[(1, "ITEM.QUERY ranked game:{collection:11} SK >= 45 LIMIT 10", Expect::Page(10))],
    ),
    ours(
        "item-query-100",
        "collections",
        &[(1, "ITEM.QUERY ranked game:{collection:11}", Expect::Page(COLLECTION as usize))],
    ),
    ours(
        "item-index-10",
        "collections",
        &[(1, "ITEM.QUERY ranked game:{collection:11} INDEX by_score DESC LIMIT 10", Expect::Page(10))],
    ),
];

pub(crate) const fn both(
    name: &'static str,
    dataset: &'static str,
    requests: &'static [(u64, &'static str, Expect)],
) -> Workload {
    Workload { name, dataset, itemory_only: false, subscribers: 0, requests }
}

const fn ours(
    name: &'static str,
    dataset: &'static str,
    requests: &'static [(u64, &'static str, Expect)],
) -> Workload {
    Workload { name, dataset, itemory_only: true, subscribers: 0, requests }
}

/// The sizes of values in requests, from the command line.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Bytes in a `{value}`.
    pub(crate) value: usize,
    /// The range of a `{ttl}` in milliseconds, both ends included.
    pub(crate) ttl_ms: (u64, u64),
}

#[derive(Debug, PartialEq)]
enum Part {
    Literal(Vec<u8>),
    Id(usize),
    Collection(usize),
    Member(usize),
    Digits(usize),
    Value(usize),
    SizedValue(usize, usize),
    Ttl(u64, u64),
}

/// A compiled template: rendering it appends one request to a buffer.
pub(crate) struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Compiles `text`; an error names the word that is wrong.
    pub(crate) fn compile(text: &str, sizes: Sizes) -> Result<Template, String> {
        let mut parts = Vec::new();
        for command in text.split(" ; ") {
            let words: Vec<&str> = command.split_whitespace().collect();
            parts.push(Part::Literal(format!("*{}\r\n", words.len()).into_bytes()));
            for word in words {
                compile_word(word, sizes, &mut parts)?;
            }
        }
        let mut joined: Vec<Part> = Vec::new();
        for part in parts {
            match (joined.last_mut(), part) {
                (Some(Part::Literal(before)), Part::Literal(more)) => before.extend_from_slice(&more),
                (_, part) => joined.push(part),
            }
        }
        Ok(Template { parts: joined })
    }

    /// Appends one request to `out`. `id` is asked for each key number.
    #[inline]
    pub(crate) fn render(
        &self,
        out: &mut Vec<u8>,
        random: &mut Random,
        mut id: impl FnMut(&mut Random) -> u64,
    ) {
        for part in &self.parts {
            match *part {
                Part::Literal(ref bytes) => out.extend_from_slice(bytes),
                Part::Id(width) => push_digits(out, id(random), width),
                Part::Collection(width) => push_digits(out, id(random) / COLLECTION, width),
                Part::Member(width) => push_digits(out, id(random) % COLLECTION, width),
                Part::Digits(width) => push_digits(out, random.next(), width),
                Part::Value(length) => out.extend_from_slice(random.letters(length)),
                Part::SizedValue(low, high) => {
                    let length = random.between(low as u64, high as u64) as usize;
                    push_header(out, length);
                    out.extend_from_slice(random.letters(length));
                    out.extend_from_slice(b"\r\n");
                }
                Part::Ttl(low, high) => {
                    let mut digits = itoa::Buffer::new();
                    let text = digits.format(random.between(low, high));
                    push_header(out, text.len());
                    out.extend_from_slice(text.as_bytes());
                    out.extend_from_slice(b"\r\n");
                }
            }
        }
    }
}

fn compile_word(word: &str, sizes: Sizes, parts: &mut Vec<Part>) -> Result<(), String> {
    let bad = |why: &str| Err(format!("template word `{word}`: {why}"));
    let mut pieces = Vec::new();
    let mut length = 0;
    let mut sized_alone = false;
    let mut rest = word;
    while !rest.is_empty() {
        let (piece, after) = next_piece(rest, sizes)?;
        rest = after;
        match &piece {
            Part::Literal(bytes) => length += bytes.len(),
            Part::Id(width)
            | Part::Collection(width)
            | Part::Member(width)
            | Part::Digits(width)
            | Part::Value(width) => length += width,
            Part::SizedValue(..) | Part::Ttl(..) => sized_alone = true,
        }
        pieces.push(piece);
    }
    if sized_alone {
        if pieces.len() != 1 {
            return bad("a placeholder of varying length must be the whole word");
        }
        parts.append(&mut pieces);
        return Ok(());
    }
    parts.push(Part::Literal(format!("${length}\r\n").into_bytes()));
    parts.append(&mut pieces);
    parts.push(Part::Literal(b"\r\n".to_vec()));
    Ok(())
}

fn next_piece(text: &str, sizes: Sizes) -> Result<(Part, &str), String> {
    let Some(inner) = text.strip_prefix('{') else {
        let end = text.find('{').unwrap_or(text.len());
        return Ok((Part::Literal(text.as_bytes()[..end].to_vec()), &text[end..]));
    };
    let Some((inner, after)) = inner.split_once('}') else {
        return Err(format!("template word `{text}`: no closing brace"));
    };
    let (name, argument) = inner.split_once(':').unwrap_or((inner, ""));
    let number =
        |digits: &str| digits.parse::<usize>().map_err(|_| format!("placeholder `{inner}`: not a number"));
    let part = match (name, argument) {
        ("id", width) => Part::Id(number(width)?),
        ("collection", width) => Part::Collection(number(width)?),
        ("member", width) => Part::Member(number(width)?),
        ("digits", width) => Part::Digits(number(width)?),
        ("value", "") => Part::Value(sizes.value),
        ("value", range) => match range.split_once('-') {
            Some((low, high)) => Part::SizedValue(number(low)?, number(high)?),
            None => Part::Value(number(range)?),
        },
        ("ttl", "") => Part::Ttl(sizes.ttl_ms.0, sizes.ttl_ms.1),
        _ => return Err(format!("placeholder `{inner}` is not known")),
    };
    Ok((part, after))
}

fn push_header(out: &mut Vec<u8>, length: usize) {
    out.push(b'$');
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends the last `width` decimal digits of `number`.
#[inline]
fn push_digits(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { value: 4, ttl_ms: (7, 7) };

    fn render(text: &str, id: u64) -> String {
        let mut out = Vec::new();
        Template::compile(text, SIZES).unwrap().render(&mut out, &mut Random::new(1), |_| id);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn renders_words_as_bulk_strings() {
        assert_eq!(render("GET key:{id:12}", 42), "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000042\r\n");
        assert_eq!(
            render("SET a{id:1}b 1 PX {ttl}", 9),
            "*5\r\n$3\r\nSET\r\n$3\r\na9b\r\n$1\r\n1\r\n$2\r\nPX\r\n$1\r\n7\r\n"
        );
    }

    #[test]
    fn numbers_fill_collections() {
        assert_eq!(render("{collection:3} {member:3}", 1234), "*2\r\n$3\r\n012\r\n$3\r\n034\r\n");
    }

    #[test]
    fn several_commands_are_one_request() {
        assert_eq!(render("MULTI ; EXEC", 0), "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n");
    }

    #[test]
    fn values_have_the_length_of_their_header() {
        let text = render("SET {value}", 0);
        assert!(text.starts_with("*2\r\n$3\r\nSET\r\n$4\r\n"), "{text}");
        assert_eq!(text.len(), "*2\r\n$3\r\nSET\r\n$4\r\n1234\r\n".len());
        for _ in 0..50 {
            let text = render("SET {value:3-5}", 0);
            let tail = text.strip_prefix("*2\r\n$3\r\nSET\r\n$").unwrap();
            let (length, value) = tail.split_once("\r\n").unwrap();
            let length: usize = length.parse().unwrap();
            assert!((3..=5).contains(&length));
            assert_eq!(value.len(), length + 2);
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for bad in ["{nothing}", "{id:x}", "{id:3", "a{ttl}", "{value:1-2}b", "{ttl:3}"] {
            assert!(Template::compile(bad, SIZES).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_workload_compiles_and_names_a_data_set() {
        for workload in workloads() {
            assert!(datasets().any(|set| set.name == workload.dataset), "{}", workload.name);
            for (share, text, _) in workload.requests {
                assert!(*share > 0);
                Template::compile(text, SIZES).unwrap();
            }
        }
        for set in datasets() {
            Template::compile(set.fill, SIZES).unwrap();
        }
    }
}
