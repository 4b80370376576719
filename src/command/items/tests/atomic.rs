//! Tests of items in transactions: ITEM.ATOMIC and its tokens.

use super::sweep;
use crate::command::flag;
use crate::command::testing::Harness;

#[test]
fn items_and_keys_change_together() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id N");
    h.run("MULTI");
    for line in ["ITEM.PUT t 1.0 SET 1 v:n 1", "INCR counter", "ITEM.GET t 1", "ITEM.GET t x", "TABLE.LIST"] {
        assert_eq!(h.run(line), "+QUEUED");
    }
    assert_eq!(
        h.run("EXEC"),
        r#"[+OK :1 ["id" "1" "v" "1"] -VALIDATION The parameter cannot be converted to a numeric value: x ["tables" ["t"] "cursor" nil]]"#
    );
    // The type of the table's key changes between queueing and EXEC, and within EXEC.
    h.run("MULTI");
    for line in
        ["TABLE.DROP t", "TABLE.CREATE t PK id S", "ITEM.PUT t 1.0 SET 0", "ITEM.GET t 1.0", "ITEM.GET t 1"]
    {
        assert_eq!(h.run(line), "+QUEUED");
    }
    assert_eq!(h.run("EXEC"), r#"[+OK +OK +OK ["id" "1.0"] nil]"#);
}

fn exec(h: &mut Harness, lines: &[&str]) -> String {
    assert_eq!(h.run("MULTI"), "+OK");
    for line in lines {
        assert_eq!(h.run(line), "+QUEUED", "{line}");
    }
    h.run("EXEC")
}

#[test]
fn atomic_transactions_are_all_or_nothing() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S SK k N TTL until");
    h.run("ITEM.PUT t a 1 SET 1 stock:n 1 EX 50");
    h.run("SET s old");
    h.run("SET bits abc");
    h.run("HSET h f1 v1 f2 v2");
    h.run("HPEXPIRE h 50000 FIELDS 1 f2");
    h.run("EXPIRE h 100");
    let dump = |h: &mut Harness| {
        [
            "ITEM.SCAN t",
            "GET s",
            "GET bits",
            "TTL s",
            "HGETALL h",
            "HPTTL h FIELDS 2 f1 f2",
            "TTL h",
            "EXISTS new h2",
            "TABLE.DESCRIBE t",
            "DBSIZE",
        ]
        .map(|line| h.run(line))
    };
    let before = dump(&mut h);
    let changes = [
        "ITEM.ATOMIC",
        "ITEM.UPDATE t a 1 INCR 1 stock -1",
        "ITEM.PUT t a 2 SET 1 v x",
        "ITEM.PUT t a 2 SET 1 v y",
        "ITEM.DEL t a 1",
        "SET s new EX 100",
        "APPEND s er",
        "SETRANGE bits 1 X",
        "SETRANGE bits 5 X",
        "SET new 1",
        "DEL new",
        "HSET h f1 changed f3 v3",
        "HDEL h f2 f3",
        "HPERSIST h FIELDS 1 f2",
        "PERSIST h",
        "RENAME h h2",
        "SELECT 3",
        "ITEM.PUT t b 1 SET 0 IF 'attribute_exists(id)'",
        "SET never 1",
    ];
    assert_eq!(exec(&mut h, &changes), "-TXCANCELLED 17:ConditionalCheckFailed");
    assert_eq!(dump(&mut h), before);
    // An error cancels the transaction too. Without ITEM.ATOMIC neither of the two cancels it.
    assert_eq!(
        exec(&mut h, &["ITEM.ATOMIC", "INCR counter", "INCR s", "INCR counter"]),
        "-TXCANCELLED 2:ERR value is not an integer or out of range"
    );
    assert_eq!(h.run("EXISTS counter"), ":0");
    assert_eq!(
        exec(&mut h, &["INCR counter", "ITEM.CHECK t a 9 IF 'attribute_exists(id)'", "INCR counter"]),
        "[:1 nil :2]"
    );
    let good = ["ITEM.ATOMIC", "ITEM.UPDATE t a 1 INCR 1 stock -1 IF 'stock > 0'", "INCR counter"];
    assert_eq!(exec(&mut h, &good), "[+OK +OK :3]");
    assert_eq!(exec(&mut h, &good), "-TXCANCELLED 1:ConditionalCheckFailed");
    assert_eq!(h.run("GET counter"), r#""3""#);
}

#[test]
fn atomic_has_its_place() {
    let mut h = Harness::new();
    assert_eq!(h.run("ITEM.ATOMIC"), "-ERR ITEM.ATOMIC must be the first command of a transaction");
    h.run("MULTI");
    h.run("SET a 1");
    assert_eq!(h.run("ITEM.ATOMIC"), "-ERR ITEM.ATOMIC must be the first command of a transaction");
    assert_eq!(h.run("EXEC"), "-EXECABORT Transaction discarded because of previous errors.");
    assert_eq!(exec(&mut h, &["ITEM.ATOMIC NOW", "SET a 1"]), "-TXCANCELLED 0:ERR syntax error");
    h.run("MULTI");
    h.run("ITEM.ATOMIC");
    assert_eq!(h.run("FLUSHALL"), "-ERR 'flushall' cannot be undone, which ITEM.ATOMIC asks for");
    assert_eq!(h.run("EXEC"), "-EXECABORT Transaction discarded because of previous errors.");
    assert_eq!(h.run("DBSIZE"), ":0");
    let long = "x".repeat(37);
    assert_eq!(
        exec(&mut h, &[&format!("ITEM.ATOMIC TOKEN {long}")]),
        "-TXCANCELLED 0:VALIDATION a token has 1 to 36 bytes"
    );
}

#[test]
fn a_token_carries_a_transaction_out_once() {
    let mut h = Harness::new();
    let lines = ["ITEM.ATOMIC TOKEN abc", "INCR n", "GET none"];
    assert_eq!(exec(&mut h, &lines), "[+OK :1 nil]");
    assert_eq!(exec(&mut h, &lines), "[+OK :1 nil]");
    assert_eq!(h.run("GET n"), r#""1""#);
    assert_eq!(
        exec(&mut h, &["ITEM.ATOMIC TOKEN abc", "INCR n"]),
        "-TXCANCELLED 0:IdempotentParameterMismatch"
    );
    assert_eq!(exec(&mut h, &["ITEM.ATOMIC TOKEN abd", "INCR n"]), "[+OK :2]");
    // A cancelled transaction may be tried again. FLUSHALL does not forget tokens; ten minutes do.
    let lines = ["ITEM.ATOMIC TOKEN x", "INCR n", "LCS n n nonsense"];
    assert!(exec(&mut h, &lines).starts_with("-TXCANCELLED 2:"));
    assert!(exec(&mut h, &lines).starts_with("-TXCANCELLED 2:"));
    h.run("FLUSHALL");
    h.advance(10 * 60 * 1000 - 1);
    assert_eq!(exec(&mut h, &["ITEM.ATOMIC TOKEN abd", "INCR n"]), "[+OK :2]");
    assert_eq!((h.run("DBSIZE"), h.run("EXISTS n")), (":0".to_owned(), ":0".to_owned()));
    h.advance(1);
    assert_eq!(exec(&mut h, &["ITEM.ATOMIC TOKEN abd", "INCR n"]), "[+OK :1]");
    h.advance(10 * 60 * 1000);
    sweep(&h);
    h.server.engine.store.bury_some(0, 1000);
    assert_eq!(h.server.engine.store.len(), 1);
}

#[test]
fn a_transaction_that_is_sent_again_leaves_the_client_where_it_did_the_first_time() {
    let mut h = Harness::new();
    let lines = ["ITEM.ATOMIC TOKEN abc", "SET k 1", "SELECT 3", "SET k 2"];
    for _ in 0..2 {
        assert_eq!(exec(&mut h, &lines), "[+OK +OK +OK +OK]");
        assert!(h.run("CLIENT LIST").contains(" db=3 "));
        assert_eq!(h.run("INCR k"), ":3");
        h.run("DECR k");
        h.run("SELECT 0");
    }
    // A transaction that leaves the client in the database in which it began does so again when it is repeated.
    for lines in [
        &["ITEM.ATOMIC TOKEN back", "SELECT 3", "GET k", "SELECT 0"][..],
        &["ITEM.ATOMIC TOKEN none", "GET k"],
    ] {
        exec(&mut h, lines);
        exec(&mut h, lines);
        assert_eq!(h.run("GET k"), "\"1\"");
    }
    // A repetition from another database is not the same transaction.
    h.run("SELECT 1");
    assert_eq!(exec(&mut h, &lines), "-TXCANCELLED 0:IdempotentParameterMismatch");
    assert_eq!(h.run("GET k"), "nil");
}

#[test]
fn tokens_are_no_keys_that_a_client_can_watch_or_wait_for() {
    let transaction = |h: &mut Harness| exec(h, &["ITEM.ATOMIC TOKEN abc", "INCR n"]);
    let put = r#"{"Put":{"TableName":"t","Item":{"id":{"S":"1"}}}}"#;
    let request =
        format!(r#"DDB TransactWriteItems '{{"ClientRequestToken":"abc","TransactItems":[{put}]}}'"#);
    let aws = |h: &mut Harness| h.run(&request);
    let forgotten = |h: &mut Harness| {
        transaction(h);
        h.advance(10 * 60 * 1000);
        sweep(h);
        String::new()
    };
    let works: [&dyn Fn(&mut Harness) -> String; 3] = [&transaction, &aws, &forgotten];
    for work in works {
        for key in ["atomic:abc", "aws:abc"] {
            let mut h = Harness::new();
            let other = h.connect();
            h.run("TABLE.CREATE t PK id S");
            h.run_as(other, &format!("SET {key} own"));
            h.run_as(other, &format!("WATCH {key}"));
            work(&mut h);
            h.run_as(other, "MULTI");
            h.run_as(other, &format!("GET {key}"));
            assert_eq!(h.run_as(other, "EXEC"), "[\"own\"]", "{key}");
        }
    }
}

/// The state of a client and a server that a command could change, except for keys and items.
fn beside_keys(h: &mut Harness) -> Vec<String> {
    let own = h.run("CLIENT LIST");
    let kept = ["name=", "db=", "flags=", "user=", "resp=", "lib-name=", "lib-ver="];
    let own = own.split(' ').filter(|word| kept.iter().any(|start| word.starts_with(start)));
    let own = own.collect::<Vec<_>>().join(" ");
    let mut all: Vec<String> = [
        "CONFIG GET *",
        "SLOWLOG LEN",
        "ACL LOG",
        "ACL USERS",
        "LATENCY LATEST",
        "COMMAND COUNT",
        "LASTSAVE",
    ]
    .map(|line| h.run(line))
    .to_vec();
    all.push(own);
    let pause = h.server.pause.state(h.server.engine.clock.instant());
    all.push(format!("{pause:?} {}", h.server.monitors.load(std::sync::atomic::Ordering::Relaxed)));
    all
}

/// Calls of commands that neither read nor write keys, without those that consist of one word.
const BESIDE_KEYS: &str = "\
    acl cat | acl deluser u | acl dryrun default get k | acl genpass | acl getuser default | acl list | \
    acl load | acl log reset | acl save | acl setuser u on | acl users | acl whoami | auth default x | \
    client caching yes | client capa redirect | client getname | client getredir | client id | client info | client kill id 99 \
    | client list | client no-evict on | client no-touch on | client pause 1000 | client reply off | \
    client setinfo lib-name x | client setname me | client tracking off | client trackinginfo | client \
    unblock 1 | client unpause | command count | commandlog get 1 slow | commandlog len slow | commandlog reset slow | command docs get | command getkeys get k | command \
    getkeysandflags get k | command info get | command list | config get port | config resetstat | \
    config rewrite | config set maxmemory 1gb | debug sleep 0 | echo text | fcall one 0 | fcall_ro one 0 | eval return 0 | eval_ro \
    return 0 | evalsha 63143b6f8007b98c53ca2149822777b3566f9241 0 \
    | evalsha_ro 63143b6f8007b98c53ca2149822777b3566f9241 0 | hello 3 setname me | latency doctor | latency graph x | \
    latency histogram | latency history x | latency latest | latency reset | memory doctor | memory \
    malloc-stats | memory purge | memory stats | module list | psubscribe c | publish c m | replicaof \
    no one | script debug no | script exists x | script flush | script load return | script show x | \
    select 3 | slaveof no one | slowlog get | slowlog len | slowlog reset | spublish c m | ssubscribe \
    c | subscribe c | table.index help | wait 0 0 | waitaof 0 0 0";

#[test]
fn a_cancelled_transaction_leaves_nothing_beside_keys_either() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S");
    let library = "#!lua name=l\nredis.register_function{function_name='one', callback=function() return 1 end, flags={'no-writes'}}";
    h.call_as(0, &[b"FUNCTION", b"LOAD", library.as_bytes()]);
    let mut uses: Vec<String> = BESIDE_KEYS.split(" | ").map(str::to_owned).collect();
    for command in h.server.registry.all() {
        let name = command.full_name.replace('|', " ");
        let about_keys = command.has(flag::READONLY | flag::WRITE | flag::IN_MULTI);
        if about_keys || !command.subs.is_empty() || name.ends_with("help") || name.starts_with("cluster") {
            continue;
        }
        if !uses.iter().any(|line| format!("{line} ").starts_with(&format!("{name} "))) {
            uses.push(name);
        }
    }
    let mut queued = 0;
    for line in uses {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let command = h.server.registry.lookup(&args).unwrap_or_else(|_| panic!("{line}"));
        command.check_arity(args.len()).unwrap_or_else(|_| panic!("{line} is no use of its command"));
        let before = beside_keys(&mut h);
        h.run("MULTI");
        h.run("ITEM.ATOMIC");
        let reply = h.run(&line);
        if reply == "+QUEUED" {
            queued += 1;
            h.run("ITEM.CHECK t none IF 'attribute_exists(id)'");
            let cancelled = h.run("EXEC");
            assert!(cancelled.starts_with("-TXCANCELLED 2:ConditionalCheckFailed"), "{line}: {cancelled}");
        } else {
            assert!(reply.starts_with("-ERR "), "{line}: {reply}");
            assert!(h.run("EXEC").starts_with("-EXECABORT "), "{line}");
        }
        assert_eq!(beside_keys(&mut h), before, "{line}");
    }
    assert!(queued >= 15, "{queued}");
}

/// Runs a transaction of these commands that a failed ITEM.CHECK at its end cancels.
fn cancelled(h: &mut Harness, lines: &[&str]) {
    let mut all = vec!["ITEM.ATOMIC"];
    all.extend(lines);
    all.push("ITEM.CHECK t none IF 'attribute_exists(id)'");
    let reply = exec(h, &all);
    assert!(reply.starts_with("-TXCANCELLED"), "{reply}");
}

#[test]
fn a_cancelled_transaction_leaves_the_deadline_of_a_hash_whose_fields_have_expired() {
    for fields in [2, 600] {
        for lines in [
            &["HDEL h f0", "HSET h f1 v"][..],
            &["HINCRBY h f1 1"],
            &["SET h v"],
            &["XADD h * f v"],
            &["HSETEX h EX 5 FIELDS 1 f1 v"],
            &["DEL h", "HSET h f1 v"],
        ] {
            let mut h = Harness::new();
            h.run("TABLE.CREATE t PK id S");
            let names: Vec<String> = (0..fields).map(|n| format!("f{n}")).collect();
            let pairs: Vec<String> = names.iter().map(|name| format!("{name} v")).collect();
            h.run(&format!("HSET h {}", pairs.join(" ")));
            h.run(&format!("HPEXPIRE h 100 FIELDS {fields} {}", names.join(" ")));
            h.run("PEXPIREAT h 1700001000000");
            h.advance(200);
            let engine = std::sync::Arc::clone(&h.server.engine);
            let hash = engine.store.hash(b"h");
            let deadline = || {
                let locked = engine.store.lock_one(hash, crate::store::Mode::Read, 0);
                locked.peek(engine.store.space(0), b"h", hash).and_then(crate::store::Entry::expire)
            };
            assert_eq!(deadline(), Some(1_700_001_000_000));
            cancelled(&mut h, lines);
            assert_eq!(deadline(), Some(1_700_001_000_000), "{fields} fields, {lines:?}");
        }
    }
}

/// The cursor and the fields of a reply to HSCAN with NOVALUES.
fn scanned(reply: &str) -> (String, Vec<String>) {
    let (cursor, fields) = reply.trim_matches(['[', ']']).split_once(' ').unwrap();
    let unquoted = |word: &str| word.trim_matches(['[', ']', '"']).to_owned();
    (unquoted(cursor), fields.split(' ').map(unquoted).collect())
}

#[test]
fn hscan_misses_nothing_when_a_transaction_between_two_calls_is_cancelled() {
    for lines in [
        &["DEL h"][..],
        &["RENAME h other"],
        &["SET h v"],
        &["RENAME small h"],
        &["HDEL h f1 f2 f3 f5 f8 f13 f21 f34 f55 f89", "HSET h f1 v f2 v new1 v new2 v"],
        &["HSETEX h PX 10000 FIELDS 1 f7 v", "DEL h", "HSET h f1 v"],
    ] {
        let mut h = Harness::new();
        h.run("TABLE.CREATE t PK id S");
        h.run("HSET small f v");
        let pairs: Vec<String> = (0..3000).map(|n| format!("f{n} v")).collect();
        h.run(&format!("HSET h {}", pairs.join(" ")));
        let (mut cursor, mut seen) = ("0".to_owned(), std::collections::BTreeSet::new());
        loop {
            let (next, fields) = scanned(&h.run(&format!("HSCAN h {cursor} COUNT 1000 NOVALUES")));
            seen.extend(fields);
            if next == "0" {
                break;
            }
            cursor = next;
            cancelled(&mut h, lines);
        }
        assert_eq!(seen.len(), 3000, "{lines:?}");
    }
}

#[test]
fn a_cancelled_transaction_tells_no_watcher_and_counts_nothing() {
    let mut h = Harness::new();
    let other = h.connect();
    h.run("TABLE.CREATE t PK id S");
    h.run("SET s v");
    h.run("SET gone v PX 10");
    h.advance(100);
    h.run("OBJECT IDLETIME s");
    h.run_as(other, "WATCH s h new");
    h.run_as(other, "MULTI");
    h.run_as(other, "PING");
    let idle = |h: &mut Harness| h.run("OBJECT IDLETIME s");
    h.advance(10_000);
    let before = (idle(&mut h), h.run("DBSIZE"));
    cancelled(&mut h, &["APPEND s w", "DEL s", "HSET h f v", "SET new 1", "APPEND gone x", "GET s"]);
    assert_eq!((idle(&mut h), h.run("DBSIZE")), before);
    assert_eq!(h.server.engine.statistics.expired_keys.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(h.run_as(other, "EXEC"), "[+PONG]");
}
