use crate::command::testing::Harness;

#[test]
fn what_changes_nothing_is_neither_logged_nor_seen() {
    let mut h = Harness::new();
    h.run("RPUSH l a b");
    let tail = h.server.engine.tail();
    for command in [
        "LREM l 0 none",
        "LINSERT l BEFORE none x",
        "LPOP l 0",
        "LTRIM l 0 -1",
        "LPUSHX none x",
        "LPOP none",
        "LMOVE none l LEFT LEFT",
        "LMPOP 1 none LEFT",
        "SORT none STORE none2",
    ] {
        h.run(command);
        assert_eq!(h.server.engine.tail(), tail, "{command}");
    }
}

#[test]
fn a_list_that_moves_onto_itself_keeps_its_deadline() {
    let mut h = Harness::new();
    h.run("RPUSH l a");
    h.run("EXPIRE l 100");
    assert_eq!(h.run("LMOVE l l LEFT RIGHT"), "\"a\"");
    assert_eq!(h.run("TTL l"), ":100");
    h.advance(100_001);
    assert_eq!(h.run("RPUSH l b"), ":1");
    assert_eq!(h.run("TTL l"), ":-1");
}

#[test]
fn forms_are_told_under_the_names_of_redis() {
    let mut h = Harness::new();
    h.run("RPUSH l a");
    assert_eq!(h.run("OBJECT ENCODING l"), "\"listpack\"");
    h.run(&format!("RPUSH l {}", "x".repeat(9000)));
    assert_eq!(h.run("OBJECT ENCODING l"), "\"quicklist\"");
    h.run("RPOP l");
    assert_eq!(h.run("OBJECT ENCODING l"), "\"listpack\"");
}
