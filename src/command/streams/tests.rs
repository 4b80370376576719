//! Tests that need a clock that stands still. The other tests of streams are in `tests/scripts/streams.txt`.

use crate::command::testing::{Harness, START};

#[test]
fn the_clock_gives_identifiers() {
    let mut h = Harness::new();
    assert_eq!(h.run("XADD s * f v"), format!("\"{START}-0\""));
    assert_eq!(h.run("XADD s * f v"), format!("\"{START}-1\""));
    h.advance(5);
    assert_eq!(h.run("XADD s * f v"), format!("\"{}-0\"", START + 5));
    h.run(&format!("XADD s {}-7 f v", START + 1000));
    assert_eq!(h.run("XADD s * f v"), format!("\"{}-8\"", START + 1000));
}

#[test]
fn when_consumers_were_seen_and_active() {
    let mut h = Harness::new();
    let consumers = |h: &mut Harness| h.run("XINFO CONSUMERS s g");
    let shown = |name, pending, idle, inactive| {
        format!(r#"["name" "{name}" "pending" :{pending} "idle" :{idle} "inactive" :{inactive}]"#)
    };
    h.run("XGROUP CREATE s g $ MKSTREAM");
    h.run("XREADGROUP GROUP g c STREAMS s >");
    h.advance(7);
    assert_eq!(consumers(&mut h), format!("[{}]", shown("c", 0, 7, -1)));
    h.run("XADD s 1-1 f v");
    h.run("XREADGROUP GROUP g c NOACK STREAMS s >");
    assert_eq!(consumers(&mut h), format!("[{}]", shown("c", 0, 0, -1)));
    h.run("XADD s 2-1 f v");
    h.run("XREADGROUP GROUP g c STREAMS s >");
    h.advance(100);
    assert_eq!(consumers(&mut h), format!("[{}]", shown("c", 1, 100, 100)));
    h.run("XREADGROUP GROUP g c STREAMS s >");
    assert_eq!(consumers(&mut h), format!("[{}]", shown("c", 1, 0, 100)));
    h.run("XGROUP CREATECONSUMER s g d");
    h.advance(1);
    h.run("XCLAIM s g d 1000 2-1");
    assert_eq!(consumers(&mut h), format!("[{} {}]", shown("c", 1, 1, 101), shown("d", 0, 0, -1)));
    h.run("XAUTOCLAIM s g d 100 0");
    assert_eq!(consumers(&mut h), format!("[{} {}]", shown("c", 0, 1, 101), shown("d", 1, 0, 0)));
    let full = format!(
        r#"["name" "d" "seen-time" :{0} "active-time" :{0} "pel-count" :1 "pending" [["2-1" :{0} :2]]]"#,
        START + 108
    );
    let stream = h.run("XINFO STREAM s FULL");
    assert!(stream.contains(&full), "{stream}");
}

#[test]
fn idle_times_decide_who_may_claim() {
    let mut h = Harness::new();
    h.run("XADD s 1-1 f v");
    h.run("XADD s 2-1 f v");
    h.run("XGROUP CREATE s g 0");
    h.run("XREADGROUP GROUP g a COUNT 1 STREAMS s >");
    h.advance(50);
    h.run("XREADGROUP GROUP g a COUNT 1 STREAMS s >");
    h.advance(10);
    assert_eq!(h.run("XPENDING s g IDLE 20 - + 9"), r#"[["1-1" "a" :60 :1]]"#);
    assert_eq!(h.run("XAUTOCLAIM s g b 20 0 JUSTID"), r#"["0-0" ["1-1"] []]"#);
    assert_eq!(h.run("XCLAIM s g b 10 2-1 IDLE 7 JUSTID"), r#"["2-1"]"#);
    assert_eq!(h.run("XPENDING s g - + 9"), r#"[["1-1" "b" :0 :1] ["2-1" "b" :7 :1]]"#);
    // Entries that are read again count as delivered once more.
    h.run("XREADGROUP GROUP g b STREAMS s 1-1");
    assert_eq!(h.run("XPENDING s g - + 9"), r#"[["1-1" "b" :0 :1] ["2-1" "b" :0 :2]]"#);
}

#[test]
fn what_changes_nothing_is_not_logged() {
    let mut h = Harness::new();
    h.run("XADD s 1-1 f v");
    h.run("XGROUP CREATE s g $");
    h.run("XGROUP CREATECONSUMER s g c");
    for line in [
        "XREADGROUP GROUP g c STREAMS s >",
        "XREADGROUP GROUP g c STREAMS s 0",
        "XACK s g 1-1",
        "XDEL s 9-9",
        "XTRIM s MAXLEN 5",
        "XCLAIM s g c 0 1-1",
        "XAUTOCLAIM s g c 0 0",
        "XADD missing NOMKSTREAM * f v",
        "XGROUP CREATECONSUMER s g c",
        "XGROUP DELCONSUMER s g nobody",
        "XGROUP DESTROY s nogroup",
    ] {
        assert!(h.record(line).is_empty(), "{line}");
    }
}

#[test]
fn a_stream_is_rolled_back() {
    let mut h = Harness::new();
    h.run("TABLE.CREATE t PK id S");
    for line in [
        "XADD s 1-1 f v",
        "XADD s 2-1 f v",
        "XGROUP CREATE s g 0",
        "XREADGROUP GROUP g c COUNT 1 STREAMS s >",
    ] {
        h.run(line);
    }
    let look = |h: &mut Harness| {
        ["XINFO STREAM s FULL", "XPENDING s g", "XLEN new"].map(|line| h.run(line)).join("\n")
    };
    let before = look(&mut h);
    for line in [
        "MULTI",
        "ITEM.ATOMIC",
        "XADD s 3-1 f v",
        "XREADGROUP GROUP g d STREAMS s >",
        "XACK s g 1-1",
        "XTRIM s MAXLEN 1",
        "XADD new 1-1 f v",
        "XGROUP CREATE s h 0",
        "XGROUP DESTROY s g",
        "ITEM.CHECK t k IF 'attribute_exists(id)'",
    ] {
        h.run(line);
    }
    let reply = h.run("EXEC");
    assert!(reply.starts_with("-TXCANCELLED"), "{reply}");
    assert_eq!(look(&mut h), before);
}
