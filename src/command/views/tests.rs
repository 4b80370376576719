use crate::command::testing::Harness;

fn users() -> Harness {
    let mut h = Harness::new();
    assert_eq!(h.run("TABLE.CREATE users PK id S TTL until ATTR age N on BOOL KEYSPACE user:{id}"), "+OK");
    h
}

/// Runs lines and compares the replies.
fn check(h: &mut Harness, lines: &[(&str, &str)]) {
    for (line, expected) in lines {
        assert_eq!(h.run(line), *expected, "{line}");
    }
}

#[test]
fn a_hash_is_an_item_and_an_item_a_hash() {
    let mut h = users();
    check(
        &mut h,
        &[
            ("HSET user:1 name Ann age 30", ":2"),
            (
                "ITEM.GET users 1 FORMAT DDB",
                r#""{\"age\":{\"N\":\"30\"},\"id\":{\"S\":\"1\"},\"name\":{\"S\":\"Ann\"}}""#,
            ),
            ("HGETALL user:1", r#"["age" "30" "id" "1" "name" "Ann"]"#),
            ("ITEM.UPDATE users 1 SET 2 age 31 tags:ss '[\"a\",\"b\"]'", "+OK"),
            ("HMGET user:1 age tags none id", r#"["31" "[\"a\",\"b\"]" nil "1"]"#),
            ("HSET user:1 name Ann nick A", ":1"),
            ("HLEN user:1", ":5"),
            ("HSTRLEN user:1 name", ":3"),
            ("HEXISTS user:1 nick", ":1"),
            ("HKEYS user:1", r#"["age" "id" "name" "nick" "tags"]"#),
            ("HSETNX user:1 nick B", ":0"),
            ("HSETNX user:1 mail a@b", ":1"),
            ("HDEL user:1 mail nick nick none", ":2"),
            ("HMSET user:2 name Bob", "+OK"),
            ("TYPE user:2", "+hash"),
            ("OBJECT ENCODING user:2", r#""listpack""#),
            ("EXISTS user:1 user:2 user:3 user:1", ":3"),
            ("DEL user:1 user:3", ":1"),
            ("ITEM.GET users 1", "nil"),
            ("HGETALL user:1", "[]"),
            ("TYPE user:1", "+none"),
            ("HSCAN user:2 0", r#"["0" ["id" "2" "name" "Bob"]]"#),
        ],
    );
    assert!(h.run("TABLE.DESCRIBE users").contains(r#""keyspace" "user:{id}""#));
}

#[test]
fn types_are_kept() {
    let mut h = users();
    h.run(r#"ITEM.PUT users 1 SET 7 n:n 1.50 b:b xy flag:bool true nil:null '' doc:json '{"a":[1]}' set:ns '[2,1]' s text"#);
    check(
        &mut h,
        &[
            (
                "HGETALL user:1",
                r#"["b" "xy" "doc" "{\"a\":[1]}" "flag" "1" "id" "1" "n" "1.5" "nil" "" "s" "text" "set" "[1,2]"]"#,
            ),
            ("HSET user:1 n 2.0 b zz flag 0 nil x doc '{\"a\":2}' set '[3]' s other", ":0"),
            (
                "ITEM.GET users 1 FORMAT DDB",
                r#""{\"b\":{\"B\":\"eno=\"},\"doc\":{\"M\":{\"a\":{\"N\":\"2\"}}},\"flag\":{\"BOOL\":false},\"id\":{\"S\":\"1\"},\"n\":{\"N\":\"2\"},\"nil\":{\"S\":\"x\"},\"s\":{\"S\":\"other\"},\"set\":{\"NS\":[\"3\"]}}""#,
            ),
            ("HSET user:1 n two", "-WRONGTYPE attribute n has the type N, which the text does not fit"),
            (
                "HSET user:1 s x doc no",
                "-WRONGTYPE attribute doc has the type M, which the text does not fit",
            ),
            ("HGET user:1 s", r#""other""#),
            ("HSET user:1 age old", "-WRONGTYPE attribute age has the type N, which the text does not fit"),
            ("HSET user:1 on 1", ":1"),
            ("ITEM.CHECK users 1 IF 'on = true'", ":1"),
            ("HSET user:1 raw \"\\xff\\x00\"", ":1"),
            ("ITEM.CHECK users 1 IF 'attribute_type(raw, \"B\")'", ":1"),
            ("HGET user:1 raw", r#""\xff\x00""#),
            (
                "HSET user:1 '' x",
                "-VALIDATION One or more parameter values were invalid: An AttributeValue may not contain an empty attribute name",
            ),
            ("HSET user:1 a:n 5", ":1"),
            ("HGET user:1 a:n", r#""5""#),
        ],
    );
}

#[test]
fn keys_are_read_only() {
    let mut h = users();
    check(
        &mut h,
        &[
            ("HSET user:1 id 2", "-ERR attribute id is a key, which cannot be changed"),
            ("HSET user:1 id 1 name Ann", ":2"),
            ("HSET user:1 id 1", ":0"),
            ("HDEL user:1 id", "-ERR attribute id is a key, which cannot be changed"),
            ("HINCRBY user:1 id 1", "-ERR attribute id is a key, which cannot be changed"),
            ("HGETDEL user:1 FIELDS 1 id", "-ERR attribute id is a key, which cannot be changed"),
            ("HSETNX user:1 id 1", ":0"),
            ("HDEL user:1 name", ":1"),
            ("HGETALL user:1", r#"["id" "1"]"#),
            (
                "HSET user:50% a b",
                "-VALIDATION key 'user:50%' is not one of its table's: attribute id: % is written %25, and only separators are written as % and two digits",
            ),
            ("HSET user:a%3Ab x y", ":1"),
            ("ITEM.GET users a:b", r#"["id" "a:b" "x" "y"]"#),
            (
                "SADD user:1:friends x",
                "-ERR unknown command 'SADD', with args beginning with: 'user:1:friends' 'x' ",
            ),
            ("SET user:1:name x", "+OK"),
        ][..12],
    );
}

#[test]
fn counting_is_adding() {
    let mut h = users();
    check(
        &mut h,
        &[
            ("HINCRBY user:1 n 5", ":5"),
            ("ITEM.CHECK users 1 IF 'n = 5'", ":1"),
            ("HINCRBY user:1 n -7", ":-2"),
            ("HINCRBYFLOAT user:1 n 0.1", r#""-1.9""#),
            ("HINCRBY user:1 n 1", "-ERR hash value is not an integer"),
            ("HINCRBYFLOAT user:1 f 1.5e3", r#""1500""#),
            (
                "HINCRBYFLOAT user:1 f 1e200",
                "-VALIDATION Number overflow. Attempting to store a number with magnitude larger than supported range",
            ),
            ("HSET user:1 text 10 word x", ":2"),
            ("HINCRBY user:1 text 5", ":15"),
            ("HINCRBYFLOAT user:1 text 0.5", r#""15.5""#),
            ("ITEM.CHECK users 1 IF 'text = \"15.5\"'", ":1"),
            ("HINCRBY user:1 word 5", "-ERR hash value is not an integer"),
            ("HINCRBYFLOAT user:1 word 5", "-ERR hash value is not a float"),
            ("HINCRBYFLOAT user:1 f inf", "-ERR value is NaN or Infinity"),
            ("HINCRBY user:1 f x", "-ERR value is not an integer or out of range"),
            ("HSET user:1 big 9223372036854775807", ":1"),
            ("HINCRBY user:1 big 1", "-ERR increment or decrement would overflow"),
            ("HINCRBY user:1 age 1", ":1"),
        ],
    );
}

#[test]
fn deadlines_are_the_ttl_attribute() {
    let mut h = users();
    h.run("HSET user:1 a b");
    check(
        &mut h,
        &[
            ("TTL user:1", ":-1"),
            ("TTL user:9", ":-2"),
            ("EXPIRE user:9 10", ":0"),
            ("EXPIRE user:1 10", ":1"),
            ("TTL user:1", ":10"),
            ("HGET user:1 until", r#""1700000010""#),
            ("PEXPIRE user:1 1500 GT", ":0"),
            ("PEXPIRE user:1 1500 LT", ":1"),
            ("PTTL user:1", ":1500"),
            ("HGET user:1 until", r#""1700000001.5""#),
            ("PEXPIRETIME user:1", ":1700000001500"),
            ("EXPIRE user:1 5 NX", ":0"),
            ("PERSIST user:1", ":1"),
            ("PERSIST user:1", ":0"),
            ("HEXISTS user:1 until", ":0"),
            ("PEXPIREAT user:1 1700000000123", ":1"),
            ("EXPIRE user:1 1 2", "-ERR Unsupported option 2"),
        ],
    );
    h.advance(122);
    assert_eq!(h.run("EXISTS user:1"), ":1");
    h.advance(1);
    check(
        &mut h,
        &[
            ("EXISTS user:1", ":0"),
            ("HGETALL user:1", "[]"),
            ("ITEM.GET users 1", "nil"),
            ("HSET user:1 c d", ":1"),
            ("HGETALL user:1", r#"["c" "d" "id" "1"]"#),
            ("EXPIRE user:1 0", ":1"),
            ("EXISTS user:1", ":0"),
        ],
    );
    h.run("TABLE.ALTER users NOTTL");
    check(
        &mut h,
        &[
            ("EXPIRE user:1 5", "-ERR 'user:1' is an item of table 'users': the table has no TTL attribute"),
            ("PERSIST user:1", ":0"),
        ],
    );
}

#[test]
fn fields_have_no_deadlines() {
    let mut h = users();
    h.run("HSET user:1 a 1 b 2");
    let refused = "-ERR 'user:1' is an item of table 'users': its fields have no deadlines of their own";
    check(
        &mut h,
        &[
            ("HEXPIRE user:1 10 FIELDS 1 a", refused),
            ("HSETEX user:1 EX 10 FIELDS 1 a 1", refused),
            ("HGETEX user:1 EX 10 FIELDS 1 a", refused),
            ("HGETEX user:1 FIELDS 2 a x", r#"["1" nil]"#),
            ("HGETEX user:1 PERSIST FIELDS 1 a", r#"["1"]"#),
            ("HTTL user:1 FIELDS 2 a x", "[:-1 :-2]"),
            ("HPERSIST user:1 FIELDS 2 a x", "[:-1 :-2]"),
            ("HSETEX user:1 FNX FIELDS 1 a 2", ":0"),
            ("HSETEX user:1 FXX KEEPTTL FIELDS 1 a 2", ":1"),
            ("HSETEX user:1 NX FIELDS 1 a 3", ":0"),
            ("HGETDEL user:1 FIELDS 3 a a x", r#"["2" nil nil]"#),
            ("HGETALL user:1", r#"["b" "2" "id" "1"]"#),
        ],
    );
}

#[test]
fn other_commands_find_a_hash() {
    let mut h = users();
    h.run("HSET user:1 a b");
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    let refused = "-WRONGTYPE Operation against a key holding the wrong kind of value: 'user:1' is an item of table 'users'";
    check(
        &mut h,
        &[
            ("GET user:1", wrong),
            ("GET user:2", "nil"),
            ("STRLEN user:1", wrong),
            ("MGET user:1 user:2", "[nil nil]"),
            ("SET user:1 x", refused),
            ("APPEND user:1 x", refused),
            ("MSET a 1 user:1 2", refused),
            ("GET a", "nil"),
            ("INCR user:1", refused),
            ("RESTORE user:1 0 x", "-ERR 'user:1' is an item of table 'users': RESTORE makes keys only"),
            ("MOVE user:1 1", "-ERR 'user:1' is an item of table 'users': items are in no other database"),
            (
                "SWAPDB 0 1",
                "-ERR database 0 cannot be swapped while a table has KEYSPACE: its keys are views of items",
            ),
            ("SWAPDB 1 2", "+OK"),
            ("SET plain x", "+OK"),
            ("DEL plain user:1 none user:2", ":2"),
            ("SELECT 1", "+OK"),
            ("SET user:1 other", "+OK"),
            ("GET user:1", r#""other""#),
            ("MOVE user:1 0", "-ERR 'user:1' is an item of table 'users', which no other database has"),
            (
                "COPY user:1 user:2 DB 0",
                "-ERR 'user:2' is an item of table 'users', which no other database has",
            ),
            ("COPY user:1 user:2", ":1"),
            ("SELECT 0", "+OK"),
            ("EXISTS user:1", ":0"),
        ],
    );
}

#[test]
fn values_move_between_names() {
    let mut h = users();
    h.run("ITEM.PUT users 1 SET 2 n:n 5 a b EX 10");
    check(
        &mut h,
        &[
            ("RENAME user:1 user:2", "+OK"),
            ("EXISTS user:1", ":0"),
            ("ITEM.GET users 2 FORMAT JSON", r#""{\"a\":\"b\",\"id\":\"2\",\"n\":5,\"until\":1700000010}""#),
            ("RENAME user:9 user:2", "-ERR no such key"),
            ("COPY user:2 plain", ":1"),
            ("TTL plain", ":10"),
            ("HGETALL plain", r#"["a" "b" "id" "2" "n" "5" "until" "1700000010"]"#),
            ("COPY user:2 plain", ":0"),
            ("RENAMENX user:2 plain", ":0"),
            ("HSET h x y", ":1"),
            ("RENAME h user:7", "+OK"),
            ("HGETALL user:7", r#"["id" "7" "x" "y"]"#),
            ("RENAMENX user:7 user:8", ":1"),
            ("RENAME plain user:3", "-ERR attribute id is a key, which cannot be changed"),
            ("SET s x", "+OK"),
            (
                "RENAME s user:3",
                "-WRONGTYPE Operation against a key holding the wrong kind of value: 'user:3' is an item of table 'users'",
            ),
            ("RENAME user:8 user:8", "+OK"),
            ("RENAME user:8 h", "+OK"),
            ("HGETALL h", r#"["id" "8" "x" "y"]"#),
            ("COPY user:2 user:4", ":1"),
            (
                "COPY user:2 user:4 DB 1",
                "-ERR 'user:2' is an item of table 'users': items are in no other database",
            ),
            ("HGET user:4 id", r#""4""#),
        ],
    );
    let payload = h.call_as(0, &[b"DUMP", b"user:4"]);
    let crate::resp::Value::Bulk(payload) = payload else { panic!("{payload:?}") };
    h.call_as(0, &[b"RESTORE", b"again", b"0", &payload]);
    assert_eq!(h.run("HGETALL again"), h.run("HGETALL user:4"));
}

#[test]
fn partition_and_sort_key_stand_in_the_name() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE cart PK user S SK item N ATTR qty N KEYSPACE cart:{user}:{item}");
    check(
        &mut h,
        &[
            ("HSET cart:ann:7 qty 2", ":1"),
            ("HSET cart:ann:12 qty 1", ":1"),
            ("HINCRBY cart:ann:7 qty 3", ":5"),
            ("ITEM.QUERY cart ann SUM qty", r#""6""#),
            ("HGETALL cart:ann:7", r#"["item" "7" "qty" "5" "user" "ann"]"#),
            (
                "HSET cart:ann:x qty 1",
                "-VALIDATION key 'cart:ann:x' is not one of its table's: attribute item: it is no number",
            ),
            ("SET cart:ann x", "+OK"),
            ("DEL cart:ann:7 cart:ann:12 cart:ann", ":3"),
        ],
    );
}

#[test]
fn transactions_and_watches_see_items() {
    let mut h = users();
    let other = h.connect();
    h.run("HSET user:1 n 1");
    for (change, passes) in [
        ("HSET user:1 n 2", false),
        ("ITEM.UPDATE users 1 SET 1 n 3", false),
        ("DEL user:1", false),
        ("ITEM.PUT users 1 SET 1 n 3", false),
        ("HSET user:2 n 2", true),
        ("ITEM.GET users 1", true),
        ("TABLE.ALTER users NOKEYSPACE", false),
        ("TABLE.ALTER users KEYSPACE user:{id}", false),
        ("TABLE.DROP users", false),
    ] {
        h.run("WATCH user:1 other");
        h.run_as(other, change);
        h.run("MULTI");
        h.run("PING");
        assert_eq!(h.run("EXEC") != "nil", passes, "{change}");
    }
    let mut h = users();
    for line in [
        "MULTI",
        "HSET user:1 n 1",
        "SET a 1",
        "HINCRBY user:1 n 1",
        "SELECT 1",
        "SET user:1 x",
        "SELECT 0",
        "HGET user:1 n",
    ] {
        h.run(line);
    }
    assert_eq!(h.run("EXEC"), r#"[:1 +OK :2 +OK +OK +OK "2"]"#);
    for line in
        ["MULTI", "ITEM.ATOMIC", "HSET user:1 n 9", "DEL a user:1", "ITEM.CHECK users 1 IF 'id = \"x\"'"]
    {
        h.run(line);
    }
    assert_eq!(h.run("EXEC"), "-TXCANCELLED 3:ConditionalCheckFailed");
    check(
        &mut h,
        &[("HGET user:1 n", r#""2""#), ("GET a", r#""1""#), ("ITEM.CHECK users 1 IF 'n = \"2\"'", ":1")],
    );
}

#[test]
fn hashes_that_are_there_become_items() {
    let mut h = Harness::new();
    h.run("HSET sess:a:1 user ann hits 3");
    h.run("EXPIRE sess:a:1 60");
    h.run("HSET sess:b user \"\\xff\"");
    h.run("HSET other user bob");
    let other = h.connect();
    h.run_as(other, "WATCH sess:b");
    check(
        &mut h,
        &[
            (
                "TABLE.CREATE sessions KEYSPACE sess:* PK key",
                "-VALIDATION key 'sess:a:1' fits KEYSPACE but cannot become an item: it expires, but the table has no TTL attribute",
            ),
            ("TABLE.CREATE sessions KEYSPACE sess:* PK key TTL until ATTR hits N", "+OK"),
            ("HGETALL sess:a:1", r#"["hits" "3" "key" "sess:a:1" "until" "1700000060" "user" "ann"]"#),
            ("TTL sess:a:1", ":60"),
            ("HGET sess:b user", r#""\xff""#),
            ("ITEM.GET sessions sess:a:1 FIELDS 1 hits FORMAT JSON", r#""{\"hits\":3}""#),
            ("HINCRBY sess:a:1 hits 1", ":4"),
            ("HGETALL other", r#"["user" "bob"]"#),
            ("HSET sess:new a b", ":1"),
            ("ITEM.GET sessions sess:new", r#"["a" "b" "key" "sess:new"]"#),
            ("DBSIZE", ":4"),
        ],
    );
    h.run_as(other, "MULTI");
    assert_eq!(h.run_as(other, "EXEC"), "nil");
}

#[test]
fn what_cannot_become_an_item_refuses_the_table() {
    for (before, table, reason) in [
        ("SET u:1 x", "PK id KEYSPACE u:{id}", "it is no hash"),
        (
            "HSET u:1 age old",
            "PK id ATTR age N KEYSPACE u:{id}",
            "attribute age has the type N, which the text does not fit",
        ),
        ("HSET u:1 id 2", "PK id KEYSPACE u:{id}", "attribute id is a key, which cannot be changed"),
        (
            "HSET u:%41 a 2",
            "PK id KEYSPACE u:{id}",
            "key 'u:%41' is not one of its table's: attribute id: % is written %25, and only separators are written as % and two digits",
        ),
    ] {
        let mut h = Harness::new();
        h.run(before);
        let key = before.split(' ').nth(1).unwrap();
        let reply = h.run(&format!("TABLE.CREATE t {table}"));
        assert_eq!(
            reply,
            format!("-VALIDATION key '{key}' fits KEYSPACE but cannot become an item: {reason}")
        );
        assert_eq!(h.run("TABLE.DESCRIBE t"), "-NOTABLE table 't' does not exist");
        assert_eq!(h.run(&format!("EXISTS {key}")), ":1");
    }
    let mut h = Harness::new();
    h.run("HSET u:1 a 1 b 2");
    h.run("HEXPIRE u:1 10 FIELDS 1 a");
    assert!(
        h.run("TABLE.CREATE t PK id KEYSPACE u:{id}")
            .ends_with("its fields have deadlines, which attributes have not")
    );
    h.run("HDEL u:1 a");
    h.run("TABLE.CREATE t PK id");
    h.run("ITEM.PUT t 1 SET 1 a 1");
    assert!(h.run("TABLE.ALTER t KEYSPACE u:{id}").ends_with("the table has an item with its keys"));
    h.run("ITEM.DEL t 1");
    assert_eq!(h.run("TABLE.ALTER t KEYSPACE u:{id}"), "+OK");
    assert_eq!(h.run("HGETALL u:1"), r#"["b" "2" "id" "1"]"#);
    assert_eq!(h.run("TABLE.ALTER t NOKEYSPACE"), "+OK");
    assert_eq!(h.run("HGETALL u:1"), "[]");
    assert_eq!(h.run("ITEM.GET t 1"), r#"["b" "2" "id" "1"]"#);
}

#[test]
fn large_items_are_read_and_written_as_hashes() {
    let mut h = users();
    let fields =
        |from: usize, to: usize| (from..to).map(|n| format!("f{n} {n}")).collect::<Vec<_>>().join(" ");
    let names = |from: usize, to: usize| (from..to).map(|n| format!("f{n}")).collect::<Vec<_>>().join(" ");
    assert_eq!(h.run(&format!("HSET user:1 {} f3 again", fields(0, 700))), ":700");
    assert_eq!(h.run(&format!("HSET user:1 {} f7 last f650 twice", fields(600, 800))), ":100");
    check(
        &mut h,
        &[
            ("HLEN user:1", ":801"),
            ("HMGET user:1 f3 f7 f650 f799 none", r#"["again" "last" "twice" "799" nil]"#),
            ("OBJECT ENCODING user:1", r#""hashtable""#),
        ],
    );
    let crate::resp::Value::Array(reply) = h.call_as(0, &[b"HSCAN", b"user:1", b"0", b"COUNT", b"10"]) else {
        panic!("no array")
    };
    let [crate::resp::Value::Bulk(cursor), crate::resp::Value::Array(found)] = &reply[..] else { panic!() };
    assert_eq!((cursor.as_slice(), found.len()), (&b"0"[..], 1602));
    assert_eq!(h.run(&format!("HDEL user:1 {} f1 none", names(0, 790))), ":790");
    assert_eq!(h.run("HLEN user:1"), ":11");
}

#[test]
fn templates_are_refused_with_a_reason() {
    let mut h = users();
    check(
        &mut h,
        &[
            (
                "TABLE.CREATE t PK id KEYSPACE user:*",
                "-VALIDATION KEYSPACE 'user:*' and 'user:{id}' of table 'users' have keys in common",
            ),
            ("TABLE.CREATE t PK id KEYSPACE user:{id}:cart", "+OK"),
            (
                "TABLE.CREATE u PK id KEYSPACE u:{name}",
                "-VALIDATION KEYSPACE 'u:{name}': {name} is no key attribute of the table",
            ),
            (
                "TABLE.CREATE u PK id SK at N KEYSPACE u:{id}",
                "-VALIDATION KEYSPACE 'u:{id}': the key attribute {at} is missing",
            ),
            ("TABLE.ALTER users KEYSPACE user:{id}", "+OK"),
            (
                "TABLE.ALTER t KEYSPACE us*",
                "-VALIDATION KEYSPACE 'us*' and 'user:{id}' of table 'users' have keys in common",
            ),
            ("TABLE.CREATE u PK id KEYSPACE", "-ERR syntax error"),
        ],
    );
}

#[test]
fn commands_of_a_pipeline_follow_the_tables() {
    let mut h = Harness::new();
    let replies = h.pipeline(&[
        "HSET user:1 a 1",
        "TABLE.CREATE t PK id KEYSPACE user:{id}",
        "HSET user:1 b 2",
        "HGETALL user:1",
        "TABLE.DROP t",
        "HGETALL user:1",
        "HSET user:1 c 3",
        "HGETALL user:1",
    ]);
    assert_eq!(replies[3], r#"["a" "1" "b" "2" "id" "1"]"#);
    assert_eq!(replies[5], "[]");
    assert_eq!(replies[7], r#"["c" "3"]"#);
}

/// The names that a whole SCAN finds, with `between` run before each call but the first.
fn scan(h: &mut Harness, options: &str, mut between: impl FnMut(&mut Harness)) -> Vec<String> {
    let (mut cursor, mut names) = ("0".to_owned(), Vec::new());
    loop {
        let reply = h.call_as(
            0,
            &[
                &[b"SCAN".as_slice(), cursor.as_bytes()],
                &options.split(' ').map(str::as_bytes).collect::<Vec<_>>()[..],
            ]
            .concat(),
        );
        let crate::resp::Value::Array(parts) = reply else { panic!("{reply:?}") };
        let [crate::resp::Value::Bulk(next), crate::resp::Value::Array(found)] = &parts[..] else {
            panic!("{parts:?}")
        };
        for name in found {
            let crate::resp::Value::Bulk(name) = name else { panic!("{name:?}") };
            names.push(String::from_utf8(name.clone()).unwrap());
        }
        cursor = String::from_utf8(next.clone()).unwrap();
        if cursor == "0" {
            return names;
        }
        between(h);
    }
}

#[test]
fn walks_name_views_once() {
    let mut h = users();
    h.run("TABLE.CREATE cart PK user S SK item N KEYSPACE cart:{user}:{item}");
    let mut expected = Vec::new();
    for i in 0..200 {
        h.run(&format!("HSET user:{i} a b"));
        h.run(&format!("HSET cart:{}:{} a b", i % 50, i - 100));
        h.run(&format!("SET plain:{i} x"));
        expected.extend([format!("user:{i}"), format!("cart:{}:{}", i % 50, i - 100), format!("plain:{i}")]);
    }
    expected.sort();
    assert_eq!(h.run("DBSIZE"), ":600");
    let mut number = 1000;
    for count in ["COUNT 1", "COUNT 7", "COUNT 100", "COUNT 10000"] {
        let mut names = scan(&mut h, count, |h| {
            h.run(&format!("HSET user:{number} a b"));
            h.run(&format!("DEL user:{number}"));
            number += 1;
        });
        names.sort();
        // Keys may come twice where the store grows meanwhile; views do not.
        let mut before = 0;
        names.retain(|name| {
            name.starts_with("plain") || {
                before += 1;
                true
            }
        });
        assert_eq!(before, 400, "{count}");
        names.dedup();
        assert!(names == expected, "{count}");
    }
    assert_eq!(scan(&mut h, "COUNT 20 TYPE string", |_| {}).len(), 200);
    assert_eq!(scan(&mut h, "COUNT 20 TYPE hash MATCH cart:1:*", |_| {}).len(), 4);
    h.run("HSET user:1 until 1700000000");
    assert_eq!(scan(&mut h, "COUNT 20 MATCH user:*", |_| {}).len(), 199);
    let crate::resp::Value::Array(keys) = h.call_as(0, &[b"KEYS", b"user:*"]) else { panic!("no array") };
    assert_eq!(keys.len(), 199);
    let mut kinds = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let key = h.run("RANDOMKEY");
        assert_eq!(h.run(&format!("EXISTS {key}")), ":1");
        kinds.insert(key[..3].to_owned());
    }
    assert_eq!(kinds.len(), 3);
    h.run("SELECT 1");
    assert_eq!(h.run("DBSIZE"), ":0");
    assert_eq!(h.run("KEYS *"), "[]");
    h.run("SELECT 0");
    h.run("TABLE.DROP users");
    h.run("TABLE.DROP cart");
    assert_eq!(h.run("DBSIZE"), ":200");
}

/// A table that is lifting, before anything is lifted.
fn lifting() -> Harness {
    use crate::item::{KeyAttr, KeyType, TableSchema};
    let mut h = Harness::new();
    for i in 0..40 {
        h.run(&format!("HSET u:{i} n {i} w x{}", i % 3));
    }
    let engine = std::sync::Arc::clone(&h.server.engine);
    let mut schema = TableSchema::new(KeyAttr::new("id", KeyType::S), None);
    schema.keyspace = Some("u:{id}".into());
    schema.lifting = true;
    schema.indexes.push(crate::item::IndexSchema {
        name: "by-w".into(),
        local: false,
        pk: vec![KeyAttr::new("w", KeyType::S)],
        sk: Vec::new(),
        projection: crate::item::Projection::KeysOnly,
        space: 0,
        status: crate::item::IndexStatus::Active,
    });
    let mut record = Vec::new();
    let locked = engine.store.lock_all(crate::store::Mode::Write, engine.clock.now_ms());
    let mut tx = crate::engine::Tx::new(&engine, locked, 0, &mut record);
    crate::ops::create_table(&mut tx, "t", &schema).unwrap();
    tx.commit();
    h
}

fn lift(h: &Harness) -> Result<(), String> {
    let engine = &h.server.engine;
    let id = engine.tables.get_any(b"t").unwrap().id;
    engine.lift_table(id, &crate::item::ItemLimits::DYNAMODB).map_err(|error| error.to_string())
}

#[test]
fn a_table_that_takes_hashes_over_is_seen_whole() {
    let mut h = lifting();
    check(
        &mut h,
        &[
            ("HGETALL u:1", r#"["id" "1" "n" "1" "w" "x1"]"#),
            ("EXISTS u:1 u:2 u:39 u:40", ":3"),
            ("HINCRBY u:3 n 1", ":4"),
            ("DEL u:4 u:5 none", ":2"),
            ("TYPE u:6", "+hash"),
            ("HSET u:new n 1", ":1"),
            ("RENAME u:7 u:8", "+OK"),
            ("MULTI", "+OK"),
            ("HGET u:9 n", "+QUEUED"),
            ("HSET u:10 n 11", "+QUEUED"),
            ("KEYS u:11", "+QUEUED"),
            ("EXEC", r#"["9" :0 ["u:11"]]"#),
            ("ITEM.GET t 1", "-NOTABLE table 't' is not ready: hashes are becoming its items"),
            ("TABLE.ALTER t NOTTL", "-NOTABLE table 't' is not ready: hashes are becoming its items"),
            ("TABLE.CREATE t PK id", "-VALIDATION table 't' already exists"),
            ("DBSIZE", ":38"),
        ],
    );
    let mut names = scan(&mut h, "COUNT 3", |_| {});
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 38);
    assert!(h.run("TABLE.DESCRIBE t").contains(r#""status" "lifting""#));
    let other = h.connect();
    h.run_as(other, "WATCH u:20 u:21");
    assert_eq!(lift(&h), Ok(()));
    h.run_as(other, "MULTI");
    h.run_as(other, "PING");
    assert_eq!(h.run_as(other, "EXEC"), "[+PONG]");
    check(
        &mut h,
        &[
            ("DBSIZE", ":38"),
            ("ITEM.QUERY t x1 INDEX by-w COUNT", ":12"),
            ("ITEM.GET t 30", r#"["id" "30" "n" "30" "w" "x0"]"#),
            ("ITEM.GET t 3", r#"["id" "3" "n" "4" "w" "x0"]"#),
            ("HGETALL u:20", r#"["id" "20" "n" "20" "w" "x2"]"#),
        ],
    );
    assert!(h.run("TABLE.DESCRIBE t").contains(r#""status" "active""#));
}

#[test]
fn a_key_that_came_in_between_waits() {
    let mut h = lifting();
    // As if it had been written between the check and the table's creation.
    let engine = std::sync::Arc::clone(&h.server.engine);
    let mut record = Vec::new();
    let locked = engine.store.lock_all(crate::store::Mode::Write, engine.clock.now_ms());
    let mut tx = crate::engine::Tx::new(&engine, locked, 0, &mut record);
    tx.apply(crate::effect::Effect::SetString { db: 0, key: b"u:bad", value: b"x", expire: None });
    tx.commit();
    let refused = "key 'u:bad' fits KEYSPACE but cannot become an item: it is no hash";
    assert_eq!(lift(&h), Err(refused.into()));
    check(
        &mut h,
        &[
            ("GET u:bad", r#""x""#),
            ("APPEND u:bad y", ":2"),
            ("HGET u:5 n", r#""5""#),
            ("ITEM.GET t 5", "-NOTABLE table 't' is not ready: hashes are becoming its items"),
            ("DEL u:bad u:5", ":2"),
            (
                "SET u:bad y",
                "-WRONGTYPE Operation against a key holding the wrong kind of value: 'u:bad' is an item of table 't'",
            ),
        ],
    );
    assert_eq!(lift(&h), Ok(()));
    check(&mut h, &[("ITEM.GET t 6", r#"["id" "6" "n" "6" "w" "x0"]"#), ("DBSIZE", ":39")]);
}

#[test]
fn tables_change_at_once_in_a_transaction() {
    let mut h = Harness::new();
    h.run("HSET u:1 a b");
    for line in [
        "MULTI",
        "TABLE.CREATE t PK id KEYSPACE u:{id}",
        "HGETALL u:1",
        "ITEM.GET t 1",
        "TABLE.ALTER t NOKEYSPACE",
        "EXISTS u:1",
    ] {
        h.run(line);
    }
    assert_eq!(h.run("EXEC"), r#"[+OK ["a" "b" "id" "1"] ["a" "b" "id" "1"] +OK :0]"#);
}

#[test]
fn changes_through_views_are_in_the_stream() {
    let mut h = Harness::new();
    h.run("HSET feed:1 a b");
    h.run("TABLE.CREATE feed PK id STREAM BOTH TTL until KEYSPACE feed*");
    check(
        &mut h,
        &[
            ("XLEN feed@stream", ":1"),
            ("HSET feed:1 a c", ":0"),
            ("HSET feed:2 a c", ":1"),
            ("EXPIRE feed:2 10", ":1"),
            ("DEL feed:1 feed:3", ":1"),
            ("XLEN feed@stream", ":5"),
            ("TYPE feed@stream", "+stream"),
            (
                "SET feed@stream:x y",
                "-WRONGTYPE Operation against a key holding the wrong kind of value: 'feed@stream:x' is an item of table 'feed'",
            ),
        ],
    );
    let records = h.run("XRANGE feed@stream - +");
    let events: Vec<&str> =
        ["INSERT", "MODIFY", "REMOVE"].into_iter().filter(|event| records.contains(event)).collect();
    assert_eq!(events.len(), 3, "{records}");
    for line in [
        "MULTI",
        "ITEM.ATOMIC",
        "HSET feed:4 a b",
        "HSET feed:5 a b",
        "ITEM.CHECK feed feed:4 IF 'a = \"x\"'",
    ] {
        h.run(line);
    }
    assert_eq!(h.run("EXEC"), "-TXCANCELLED 3:ConditionalCheckFailed");
    assert_eq!(h.run("XLEN feed@stream"), ":5");
}
