//! Client-side caching: what a client is told of the keys that it has read, and that it is told of all of them.

use crate::harness::memory::used;
use crate::harness::{Client, Random, Server, Value, until};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

/// Some clients of a server: one with an upper-case letter speaks RESP3, one with a lower-case letter RESP2.
struct Clients<'s> {
    server: &'s Server,
    all: BTreeMap<char, (Client, String)>,
    /// The ids of those that are gone.
    gone: Vec<(char, String)>,
}

impl<'s> Clients<'s> {
    fn of(server: &'s Server) -> Self {
        Self { server, all: BTreeMap::new(), gone: Vec::new() }
    }

    fn client(&mut self, letter: char) -> &mut Client {
        let server = self.server;
        let new = || {
            let mut client = server.client_with(if letter.is_uppercase() { 3 } else { 2 });
            let id = client.run("CLIENT ID").int().unwrap().to_string();
            (client, id)
        };
        &mut self.all.entry(letter).or_insert_with(new).0
    }

    /// The text with the ids of clients in place of their letters in braces, or the other way round.
    fn with_ids(&self, text: &str, back: bool) -> String {
        let mut text = text.to_owned();
        let present = self.all.iter().map(|(letter, (_, id))| (letter, id));
        for (letter, id) in present.chain(self.gone.iter().map(|(letter, id)| (letter, id))) {
            let name = format!("{{{letter}}}");
            text = if back { text.replace(&format!(":{id}"), &name) } else { text.replace(&name, id) };
        }
        text
    }

    /// Sends a client's commands, `A GET k | GET l`, in one piece. Returns what every client gets.
    fn run(&mut self, step: &str) -> String {
        let (who, lines) = step.split_at(1);
        let who = who.chars().next().unwrap();
        self.client(who);
        let lines = self.with_ids(lines.trim(), false);
        if lines == "gone" {
            let (_, id) = self.all.remove(&who).unwrap();
            self.gone.push((who, id));
            until("the client is still there", || {
                let list = self.server.client().run("CLIENT LIST").text();
                list.lines().count() == self.all.len() + 1
            });
        } else {
            let all: Vec<u8> = lines
                .split(" | ")
                .flat_map(|line| Client::encode(&line.split(' ').collect::<Vec<_>>()))
                .collect();
            self.client(who).send_raw(&all).unwrap();
        }
        let mut seen = String::new();
        let mut letters: Vec<char> = self.all.keys().copied().collect();
        letters.sort_by_key(|letter| *letter != who);
        for letter in letters {
            let got = self.until_pong(letter);
            if letter == who || !got.is_empty() {
                let _ = write!(seen, "{letter}: {got}; ");
            }
        }
        self.with_ids(&seen, true)
    }

    fn until_pong(&mut self, letter: char) -> String {
        let client = self.client(letter);
        client.send(&["PING"]).unwrap();
        let mut got = Vec::new();
        loop {
            let value = client.read();
            let is_pong = value == Value::Simple(b"PONG".to_vec())
                || value.items().first().and_then(Value::bytes).is_some_and(|word| word == b"pong");
            if is_pong {
                return got.join(" ");
            }
            assert!(!matches!(value, Value::Eof | Value::Timeout), "{letter} after {got:?}");
            got.push(value.to_string());
        }
    }
}

/// Runs scenes on Redis and here, and compares what every client gets after each step.
fn same(scenes: &[&[&str]]) {
    let (theirs, ours) = (Server::referee(&[]), Server::start(&["--save", ""]));
    let mut differences = Vec::new();
    for scene in scenes {
        let (mut referee, mut own) = (Clients::of(&theirs), Clients::of(&ours));
        for (at, step) in scene.iter().enumerate() {
            let (own, referee) = (own.run(step), referee.run(step));
            if own != referee {
                differences.push(format!("{at}: {step}\n  here  {own}\n  redis {referee}"));
            }
        }
        for server in [&theirs, &ours] {
            server.client().run("FLUSHALL");
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn a_client_is_told_once_of_each_key_that_it_has_read() {
    same(&[
        &[
            "A CLIENT TRACKING ON",
            "b SET k 1",
            "A GET k",
            "b SET k 2",
            "b SET k 3",
            "A GET k | GET k | MGET k l m",
            "b MSET k 1 l 2 m 3 n 4",
            "A GET absent",
            "b SET absent 1",
            "A GET k",
            "b GETDEL k",
            "A HGETALL h | LRANGE l 0 -1 | EXISTS x y | TTL z | TYPE t",
            "b HSET h a b",
            "b DEL l",
            "b RENAME h x",
            "b RPUSH z 1",
            "b COPY m t",
            "A GET k | SET k mine",
            "A GET k",
            "A CLIENT TRACKING OFF",
            "b SET k 5",
        ],
        &[
            "A CLIENT TRACKING ON",
            "C CLIENT TRACKING ON",
            "b MSET a 1 b 2",
            "A GET a",
            "C GET a",
            "b SET a 2",
            "A GET a",
            "C GET b",
            "b FLUSHALL",
            "A GET a",
            "b FLUSHDB",
            "A GET a",
            "A SELECT 1 | GET a",
            "b SELECT 2 | SET a 1",
        ],
        &[
            "A CLIENT TRACKING ON",
            "A MULTI | GET k | GET l | EXEC",
            "b SET k 1",
            "b SET l 1",
            "A EVAL return{redis.call('get',KEYS[1]),redis.call('get',KEYS[2])} 2 k l",
            "b SET k 2",
            "b SET l 2",
            "A GET k",
            "b MULTI | SET k 3 | DEL l | EXEC",
            "A GET k",
            "b EVAL return{redis.call('set',KEYS[1],1)} 1 k",
            "A SUBSCRIBE c",
            "A GET k",
            "b PUBLISH c x | SET k 2",
        ],
    ]);
}

#[test]
fn options_choose_what_is_told_and_who_is() {
    same(&[
        &[
            "A CLIENT TRACKING ON OPTIN",
            "A GET k",
            "b SET k 1",
            "A CLIENT CACHING YES | CLIENT TRACKINGINFO | GET k | GET l",
            "b SET k 1 | SET l 1",
            "A CLIENT CACHING YES | MULTI | GET k | GET l | EXEC | GET m",
            "b SET k 1 | SET l 1 | SET m 1",
            "A MULTI | GET k | CLIENT CACHING YES | GET l | GET n | EXEC | GET m",
            "b SET k 1 | SET l 1 | SET m 1 | SET n 1",
            "A CLIENT CACHING NO",
            "A CLIENT CACHING x",
            "A CLIENT TRACKINGINFO | CLIENT GETREDIR",
        ],
        &[
            "A CLIENT TRACKING ON OPTOUT",
            "A GET k",
            "b SET k 1",
            "A CLIENT CACHING NO | CLIENT TRACKINGINFO | GET k | GET l",
            "b SET k 1 | SET l 1",
            "A CLIENT CACHING YES",
            "A CLIENT TRACKING ON OPTIN",
            "A CLIENT TRACKINGINFO",
        ],
        &[
            "A CLIENT TRACKING ON NOLOOP",
            "C CLIENT TRACKING ON",
            "A GET k | SET k 1",
            "C GET k",
            "A SET k 2",
            "A GET l | EVAL return{redis.call('set',KEYS[1],1)} 1 l",
            "A MULTI | GET l | SET l 2 | EXEC",
            "A CLIENT TRACKINGINFO",
            "A FLUSHALL",
        ],
        &[
            "A CLIENT TRACKING ON BCAST",
            "b SET k 1",
            "b SET k 1",
            "b MSET a 1 b 2",
            "b DEL nothing",
            "b DEL a",
            "b FLUSHALL",
            "A CLIENT TRACKINGINFO",
            "A CLIENT TRACKING ON",
            "A CLIENT TRACKING ON BCAST OPTIN",
            "A CLIENT TRACKING OFF",
            "b SET k 1",
            "A CLIENT TRACKING ON BCAST PREFIX user: PREFIX item: NOLOOP",
            "b MSET user:1 a item:1 b other:1 c",
            "A SET user:1 b",
            "b SET us 1 | SET user: 2",
            "A CLIENT TRACKING ON BCAST PREFIX use",
            "A CLIENT TRACKING ON BCAST PREFIX user:x",
            "A CLIENT TRACKING ON BCAST PREFIX z PREFIX zz",
            "A CLIENT TRACKING ON BCAST PREFIX more",
            "b SET more 1",
            "A CLIENT TRACKINGINFO",
        ],
    ]);
}

#[test]
fn what_cannot_be_is_refused_as_in_redis() {
    same(&[&[
        "A CLIENT TRACKING ON PREFIX a",
        "A CLIENT TRACKING ON OPTIN OPTOUT",
        "A CLIENT TRACKING ON REDIRECT 0",
        "A CLIENT TRACKING ON REDIRECT -1",
        "A CLIENT TRACKING ON REDIRECT x",
        "A CLIENT TRACKING ON REDIRECT 123456",
        "A CLIENT TRACKING ON REDIRECT",
        "A CLIENT TRACKING ON BCAST PREFIX",
        "A CLIENT TRACKING ON NOSUCH",
        "A CLIENT TRACKING MAYBE",
        "A CLIENT TRACKING OFF NOSUCH",
        "A CLIENT TRACKING OFF BCAST OPTIN",
        "A CLIENT CACHING YES",
        "A CLIENT CACHING x",
        "A CLIENT TRACKINGINFO",
        "A CLIENT GETREDIR",
        "b CLIENT ID",
        "A CLIENT TRACKING ON REDIRECT {b} REDIRECT {b}",
        "A CLIENT TRACKING ON BCAST PREFIX a PREFIX ab",
    ]]);
}

#[test]
fn another_client_is_told_in_a_clients_place() {
    same(&[
        &[
            "b SUBSCRIBE __redis__:invalidate",
            "a CLIENT TRACKING ON REDIRECT {b}",
            "a GET k | CLIENT GETREDIR | CLIENT TRACKINGINFO",
            "c SET k 1",
            "a GET k | SET k 2",
            "c FLUSHALL",
            "a CLIENT TRACKING OFF",
            "a CLIENT TRACKING ON BCAST REDIRECT {b}",
            "c MSET k 1 l 2",
            "b UNSUBSCRIBE",
            "c SET k 1",
        ],
        &[
            "B PING",
            "A CLIENT TRACKING ON REDIRECT {B}",
            "A GET k",
            "c SET k 1",
            "A GET k | GET l",
            "B gone",
            "c SET k 1",
            "A CLIENT TRACKINGINFO",
            "c SET l 1",
            "A CLIENT TRACKING ON",
            "A GET k",
            "c SET k 1",
        ],
        // In RESP2 nobody can be told.
        &[
            "a CLIENT TRACKING ON",
            "a GET k",
            "c SET k 1",
            "a CLIENT TRACKINGINFO",
            "a RESET",
            "a CLIENT GETREDIR",
        ],
        &[
            "A CLIENT TRACKING ON",
            "A GET k",
            "A HELLO 2 SETNAME x FOO",
            "A RESET",
            "c SET k 1",
            "A CLIENT TRACKINGINFO",
        ],
    ]);
}

/// Expiry, eviction, and changes of databases.
#[test]
fn a_client_is_told_of_what_no_command_on_the_key_has_changed() {
    let server = Server::start(&["--save", ""]);
    let mut clients = Clients::of(&server);
    // Waits until the client is told of some keys. It may have been told already.
    let told = |clients: &mut Clients<'_>, mut seen: String, keys: &[&str]| {
        until("the client is not told", || {
            seen += &clients.until_pong('A');
            keys.iter().all(|key| seen.contains(&format!(">[\"invalidate\" [\"{key}\"]]")))
        });
    };
    clients.run("A CLIENT TRACKING ON");
    clients.run("b SET k 1 PX 20 | HSET h f 1 g 2 | HPEXPIRE h 20 FIELDS 1 f");
    let seen = clients.run("A GET k | HGETALL h");
    told(&mut clients, seen, &["k", "h"]);
    clients.run("b MSET a 1 b 2 | CONFIG SET maxmemory-policy allkeys-random");
    clients.run("A GET a");
    let seen = clients.run("b CONFIG SET maxmemory 1");
    told(&mut clients, seen, &["a"]);
    clients.run("b CONFIG SET maxmemory 0");
    clients.run("b SET a 1");
    clients.run("A GET a");
    assert_eq!(clients.run("b SWAPDB 0 1"), "b: +OK; A: >[\"invalidate\" nil(_)]; ");
    // Of a script the keys count that it has read, as from Redis 7.2 on.
    clients.run("A EVAL return{redis.call('get','undeclared')} 1 declared");
    assert_eq!(clients.run("b SET declared 1"), "b: +OK; ");
    assert_eq!(clients.run("b SET undeclared 1"), "b: +OK; A: >[\"invalidate\" [\"undeclared\"]]; ");
    // A key read in one database is told of when it changes in another, for a message has no database.
    clients.run("A GET a");
    clients.run("b SELECT 1 | MOVE a 0");
    clients.run("A GET a | SELECT 0");
    clients.run("A GET a");
    let seen = clients.run("b DEBUG RELOAD NOSAVE");
    assert!(!seen.contains("A: -"), "{seen}");
}

#[test]
fn items_are_told_of_under_their_keys_and_the_names_of_their_views() {
    let server = Server::start(&["--save", ""]);
    let mut clients = Clients::of(&server);
    clients.run("b TABLE.CREATE user PK id S KEYSPACE user:{id}");
    clients.run("b TABLE.CREATE pair PK id N SK at N");
    clients.run("b TABLE.INDEX ADD pair byname PK name S");
    clients.run("A CLIENT TRACKING ON");
    assert_eq!(clients.run("A HGETALL user:1"), "A: {}; ");
    assert_eq!(clients.run("b ITEM.PUT user 1 SET 1 n x"), "b: +OK; A: >[\"invalidate\" [\"user:1\"]]; ");
    assert_eq!(clients.run("A HGET user:1 n"), "A: \"x\"; ");
    assert_eq!(clients.run("b HSET user:1 n y"), "b: :0; A: >[\"invalidate\" [\"user:1\"]]; ");
    clients.run("A ITEM.GET user 1");
    assert_eq!(clients.run("b ITEM.DEL user 1"), "b: :1; A: >[\"invalidate\" [\"1\"]]; ");
    clients.run("A ITEM.QUERY pair 7");
    assert_eq!(clients.run("b ITEM.PUT pair 7 1 SET 1 name bob"), "b: +OK; A: >[\"invalidate\" [\"7\"]]; ");
    clients.run("A ITEM.QUERY pair bob INDEX byname");
    assert_eq!(clients.run("b ITEM.DEL pair 7 1"), "b: :1; A: >[\"invalidate\" [\"bob\"]]; ");
    clients.run("A HGET user:2 n");
    assert_eq!(clients.run("b TABLE.ALTER user TTL until"), "b: +OK; A: >[\"invalidate\" nil(_)]; ");
    clients.run("A HGET user:2 n");
    assert_eq!(clients.run("b TABLE.DROP user"), "b: +OK; A: >[\"invalidate\" nil(_)]; ");
    // A change stream is known by its name.
    clients.run("b TABLE.CREATE told PK id S STREAM NEW");
    clients.until_pong('A');
    clients.run("A XRANGE told@stream - +");
    let seen = clients.run("b ITEM.PUT told 1 SET 1 n x");
    assert_eq!(seen, "b: +OK; A: >[\"invalidate\" [\"told@stream\"]]; ");
}

#[test]
fn the_table_keeps_to_its_limit_and_forgets_those_that_are_gone() {
    let server = Server::start(&["--save", "", "--tracking-table-max-keys", "100"]);
    let mut client = server.client_with(3);
    assert!(client.run("CLIENT TRACKING ON").is_ok());
    let mut cached = BTreeSet::new();
    let all: Vec<u8> = (0..1000).flat_map(|n| Client::encode(&["GET", &format!("key:{n}")])).collect();
    client.send_raw(&all).unwrap();
    client.send(&["PING"]).unwrap();
    let mut replies = 0;
    loop {
        match client.read() {
            Value::Push(parts) => assert!(cached.remove(&parts[1].items()[0].text())),
            Value::Simple(_) => break,
            _ => {
                cached.insert(format!("key:{replies}"));
                replies += 1;
            }
        }
    }
    let total = |name: &str| server.info(name).parse::<usize>().unwrap();
    assert_eq!((cached.len(), total("tracking_total_keys"), total("tracking_total_items")), (100, 100, 100));
    assert!(server.client().run("CONFIG SET tracking-table-max-keys 10").is_ok());
    until("the table is above its limit", || total("tracking_total_keys") <= 10);
    assert!(server.client().run("CONFIG SET tracking-table-max-keys 0").is_ok());
    client.send_raw(&all).unwrap();
    client.send(&["PING"]).unwrap();
    while client.read() != Value::Simple(b"PONG".to_vec()) {}
    assert_eq!((total("tracking_total_keys"), total("tracking_clients")), (1000, 1));
    let mut other = server.client_with(3);
    assert!(other.run("CLIENT TRACKING ON BCAST PREFIX a PREFIX b").is_ok());
    assert_eq!((total("tracking_clients"), total("tracking_total_prefixes")), (2, 2));
    drop((client, other));
    for name in ["tracking_clients", "tracking_total_keys", "tracking_total_items", "tracking_total_prefixes"]
    {
        until(name, || total(name) == 0);
    }
}

#[test]
fn memory_of_a_million_keys_is_given_back() {
    let server = Server::start(&["--save", ""]);
    let before = used(&server);
    let mut client = server.client_with(3);
    client.run("CLIENT TRACKING ON");
    for from in (0..200_000).step_by(1000) {
        let keys: Vec<String> = (from..from + 1000).map(|n| format!("key:{n}")).collect();
        let args: Vec<&str> = std::iter::once("EXISTS").chain(keys.iter().map(String::as_str)).collect();
        assert_eq!(client.call(&args), Value::Int(0));
    }
    assert_eq!(server.info("tracking_total_keys"), "200000");
    assert!(used(&server) > before + (8 << 20));
    drop(client);
    until("memory is kept", || used(&server) < before + (1 << 20));
}

#[test]
fn a_client_that_is_told_of_all_keys_is_told_of_its_own_behind_its_reply() {
    let server = Server::start(&["--save", ""]);
    let mut clients = Clients::of(&server);
    clients.run("A CLIENT TRACKING ON BCAST");
    let seen = clients.run("A SET k 1 | MULTI | SET k 2 | MSET l 1 m 1 | EXEC | GET k");
    assert_eq!(
        seen,
        "A: +OK >[\"invalidate\" [\"k\"]] +OK +QUEUED +QUEUED [+OK +OK] \
         >[\"invalidate\" [\"k\" \"l\" \"m\"]] \"2\"; "
    );
}

/// The line of CLIENT LIST shows how a client's keys are tracked.
#[test]
fn client_list_shows_who_caches() {
    let server = Server::start(&["--save", ""]);
    let (mut one, mut other) = (server.client_with(3), server.client());
    let id = other.run("CLIENT ID").int().unwrap();
    let field = |client: &mut Client, name: &str| {
        let line = client.run("CLIENT INFO").text();
        line.split_whitespace().find_map(|field| field.strip_prefix(name)).unwrap().to_owned()
    };
    assert_eq!((field(&mut one, "flags="), field(&mut one, "redir=")), ("N".into(), "-1".into()));
    one.run("CLIENT TRACKING ON");
    assert_eq!((field(&mut one, "flags="), field(&mut one, "redir=")), ("t".into(), "0".into()));
    one.run(&format!("CLIENT TRACKING ON REDIRECT {id}"));
    assert_eq!((field(&mut one, "flags="), field(&mut one, "redir=")), ("t".into(), id.to_string()));
    one.run("CLIENT TRACKING OFF");
    one.run("CLIENT TRACKING ON BCAST");
    assert_eq!(field(&mut one, "flags="), "tB");
}

/// What one client does while others write: its cache, whose values it takes from replies and drops when it is told to.
struct Cache {
    client: Client,
    values: BTreeMap<String, String>,
}

impl Cache {
    /// Takes note of messages until another reply comes, which this returns.
    fn reply(&mut self) -> Value {
        loop {
            match self.client.read() {
                Value::Push(parts) if parts[1].is_null() => self.values.clear(),
                Value::Push(parts) => {
                    for name in parts[1].items() {
                        self.values.remove(&name.text());
                    }
                }
                reply => return reply,
            }
        }
    }

    /// Reads keys in one of several ways, and keeps what comes.
    fn read(&mut self, random: &mut Random, keys: &[&str]) {
        let pair = [keys[random.below(keys.len())], keys[random.below(keys.len())]];
        let script = "return {redis.call('dump', KEYS[1]), redis.call('dump', ARGV[1])}";
        let slow =
            "for i = 1, 300000 do end return {redis.call('dump', KEYS[1]), redis.call('dump', ARGV[1])}";
        let requests: Vec<Vec<&str>> = match random.below(4) {
            0 => pair.iter().map(|key| vec!["DUMP", key]).collect(),
            1 => vec![vec!["MULTI"], vec!["DUMP", pair[0]], vec!["DUMP", pair[1]], vec!["EXEC"]],
            2 => vec![vec!["EVAL", script, "1", pair[0], pair[1]]],
            _ => vec![vec!["EVAL", slow, "1", pair[0], pair[1]]],
        };
        let all: Vec<u8> = requests.iter().flat_map(|request| Client::encode(request)).collect();
        self.client.send_raw(&all).unwrap();
        // In the order of the replies: a message between two of them counts for what came before it.
        for (at, request) in requests.iter().enumerate() {
            let reply = self.reply();
            match request[0] {
                "DUMP" if requests.len() == 2 => drop(self.values.insert(pair[at].into(), reply.to_string())),
                "EXEC" | "EVAL" => {
                    for (key, value) in pair.iter().zip(reply.items()) {
                        self.values.insert((*key).into(), value.to_string());
                    }
                }
                _ => {}
            }
        }
    }
}

/// Changes some key at random, in some way.
fn change(random: &mut Random, client: &mut Client, keys: &[&str]) {
    let (key, other) = (keys[random.below(keys.len())], keys[random.below(keys.len())]);
    let value = random.below(1000).to_string();
    let lines: Vec<Vec<&str>> = match random.below(16) {
        0 => vec![vec!["SET", key, &value]],
        1 => vec![vec!["SET", key, &value, "PX", "3"]],
        2 => vec![vec!["DEL", key, other]],
        3 => vec![vec!["RENAME", key, other]],
        4 => vec![vec!["COPY", key, other, "REPLACE"]],
        5 => vec![vec!["APPEND", key, &value]],
        6 => vec![vec!["MULTI"], vec!["SET", key, &value], vec!["SET", other, &value], vec!["EXEC"]],
        7 => vec![vec!["EVAL", "redis.call('set', ARGV[1], ARGV[2])", "0", key, &value]],
        8 => vec![vec!["RPUSH", key, &value]],
        9 => vec![vec!["HSET", key, "f", &value]],
        10 => vec![vec!["HSET", key, "g", &value], vec!["HPEXPIRE", key, "2", "FIELDS", "1", "g"]],
        11 => vec![vec!["SADD", key, &value], vec!["SUNIONSTORE", other, key]],
        12 => vec![vec!["BITOP", "NOT", key, other]],
        13 if value.ends_with('7') => vec![vec!["FLUSHDB"]],
        13 if value.ends_with('8') => vec![vec!["SWAPDB", "0", "1"]],
        14 => vec![vec!["ITEM.PUT", "t", "1", "SET", "1", "n", &value]],
        15 => vec![vec!["HSET", "view:1", "n", &value]],
        _ => vec![vec!["PEXPIRE", key, "2"]],
    };
    for line in &lines {
        client.call(line);
    }
}

/// Whatever is written, in whatever way, by whomever: once all is quiet, a caching client has no value that the server
/// does not have.
#[test]
fn a_cache_equals_the_server_when_all_is_quiet() {
    const KEYS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "view:1"];
    for (seed, (mode, most)) in
        [("", "0"), ("", "3"), ("BCAST", "0"), ("NOLOOP", "0"), ("BCAST PREFIX v", "0")]
            .into_iter()
            .enumerate()
    {
        let server = Server::start(&["--save", "", "--io-threads", "3", "--tracking-table-max-keys", most]);
        server.client().run("TABLE.CREATE t PK id S KEYSPACE view:{id}");
        let keys: &[&str] = if mode.contains("PREFIX") { &KEYS[6..] } else { &KEYS };
        let over = AtomicBool::new(false);
        let mut caches: Vec<Cache> = (0..2)
            .map(|_| {
                let mut client = server.client_with(3);
                assert!(client.run(format!("CLIENT TRACKING ON {mode}").trim()).is_ok());
                Cache { client, values: BTreeMap::new() }
            })
            .collect();
        thread::scope(|scope| {
            for number in 0..3 {
                let (mut client, over) = (server.client(), &over);
                let mut random = Random::seeded(seed as u64 * 10 + number);
                scope.spawn(move || {
                    while !over.load(Relaxed) {
                        change(&mut random, &mut client, &KEYS);
                    }
                });
            }
            let readers: Vec<_> = caches
                .iter_mut()
                .enumerate()
                .map(|(number, cache)| {
                    let mut random = Random::seeded(seed as u64 * 10 + 5 + number as u64);
                    scope.spawn(move || (0..1000).for_each(|_| cache.read(&mut random, keys)))
                })
                .collect();
            readers.into_iter().for_each(|reader| reader.join().unwrap());
            over.store(true, Relaxed);
        });
        // What is to expire has expired, and is removed.
        let mut plain = server.client();
        until("a key still expires", || {
            KEYS.iter().all(|key| plain.call(&["PTTL", key]).int().unwrap() < 0)
                && plain.run("INFO keyspace").text().contains("expires=0")
                || plain.run("DBSIZE") == Value::Int(0)
        });
        for cache in &mut caches {
            until("the cache is wrong", || {
                cache.client.send(&["PING"]).unwrap();
                cache.reply();
                cache.values.iter().all(|(key, value)| {
                    let now = match plain.call(&["DUMP", key]) {
                        Value::NullBulk => Value::Null,
                        now => now,
                    };
                    now.to_string() == *value
                })
            });
            // The next change of each key is heard.
            cache.read(&mut Random::seeded(1), keys);
        }
        for key in keys {
            plain.call(&["DEL", key]);
        }
        for cache in &mut caches {
            until("something is cached that is gone", || {
                cache.client.send(&["PING"]).unwrap();
                cache.reply();
                cache.values.values().all(|value| value == "nil(_)")
            });
        }
    }
}
