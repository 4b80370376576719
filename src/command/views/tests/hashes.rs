//! Tests of hash commands on views.

use super::{check, users};
use crate::command::testing::Harness;

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
