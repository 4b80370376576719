use crate::command::testing::Harness;

#[test]
fn tables_are_created_described_listed_and_dropped() {
    let mut h = Harness::new();
    assert_eq!(h.run("TABLE.LIST"), r#"["tables" [] "cursor" nil]"#);
    assert_eq!(h.run("TABLE.CREATE users PK id S SK at N TTL until ATTR qty N tags SS ATTR ttl N"), "+OK");
    assert_eq!(h.run("TABLE.CREATE users PK id S"), "-VALIDATION table 'users' already exists");
    assert_eq!(
        h.run("TABLE.DESCRIBE users"),
        r#"["name" "users" "pk" ["id" "S"] "sk" ["at" "N"] "ttl" "until" "keyspace" nil "stream" nil "status" "active" "attributes" ["qty" "N" "tags" "SS" "ttl" "N"] "indexes" [] "created" :1700000000000 "items" :0 "bytes" :0]"#
    );
    for name in ["b", "a", "c"] {
        assert_eq!(h.run(&format!("TABLE.CREATE {name} PK id B")), "+OK");
    }
    assert_eq!(h.run("TABLE.LIST COUNT 2"), r#"["tables" ["a" "b"] "cursor" "b"]"#);
    assert_eq!(h.run("TABLE.LIST CURSOR b COUNT 2"), r#"["tables" ["c" "users"] "cursor" nil]"#);
    assert_eq!(h.run("TABLE.DROP b"), "+OK");
    assert_eq!(h.run("TABLE.DROP b"), "-NOTABLE table 'b' does not exist");
    assert_eq!(h.run("TABLE.DESCRIBE b"), "-NOTABLE table 'b' does not exist");
    assert_eq!(h.run("TABLE.LIST"), r#"["tables" ["a" "c" "users"] "cursor" nil]"#);
}

#[test]
fn bad_definitions_are_refused() {
    let mut h = Harness::new();
    for (line, error) in [
        ("TABLE.CREATE t", "-ERR wrong number of arguments for 'table.create' command"),
        ("TABLE.CREATE t PK id Q", "-VALIDATION a key's type is one of S N B"),
        ("TABLE.CREATE t PK id SS", "-VALIDATION a key's type is one of S N B"),
        ("TABLE.CREATE t SK id S", "-VALIDATION a table needs a partition key: PK name type"),
        (
            "TABLE.CREATE t PK id S SK id S",
            "-VALIDATION invalid schema: partition key and sort key are the same attribute",
        ),
        ("TABLE.CREATE t PK id S PK x S", "-ERR syntax error"),
        ("TABLE.CREATE t PK id S ATTR id N", "-VALIDATION invalid schema: a key attribute has two types"),
        (
            "TABLE.CREATE t PK id S ATTR a X",
            "-VALIDATION an attribute's type is one of S N B BOOL NULL M L SS NS BS",
        ),
        ("TABLE.CREATE t PK id S ATTR a N a S", "-VALIDATION an attribute is declared twice"),
        (
            "TABLE.CREATE a:b PK id S",
            "-VALIDATION a table's name is 1 to 255 of the characters a-z A-Z 0-9 _ . -",
        ),
        ("TABLE.LIST COUNT 0", "-ERR value is out of range, must be positive"),
        ("TABLE.LIST x", "-ERR syntax error"),
    ] {
        assert_eq!(h.run(line), error, "{line}");
    }
}

#[test]
fn a_dropped_tables_items_are_gone_also_from_a_new_one_of_its_name() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S");
    h.run("ITEM.PUT t a SET 0");
    h.run("TABLE.DROP t");
    h.run("TABLE.CREATE t PK id N");
    assert_eq!(h.run("ITEM.PUT t 7 SET 0"), "+OK");
    assert_eq!(h.run("ITEM.GET t 7.0"), r#"["id" "7"]"#);
    assert_eq!(h.run("ITEM.GET t a"), "-VALIDATION The parameter cannot be converted to a numeric value: a");
    let engine = &h.server.engine;
    engine.store.bury_some(0, 1000);
    assert_eq!(engine.store.len(), 1);
}
