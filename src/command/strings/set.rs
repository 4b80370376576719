//! GET, SET and their relatives: whole values of one key.

use super::options::{For, Precondition, StringOptions, Ttl, Unit, deadline};
use super::{put, set_to, str_of};
use crate::command::{Cx, Outcome};
use crate::effect::Effect;
use crate::engine::Classes;
use crate::store::Entry;

pub(super) fn get(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match cx.tx.entry(args[1]) {
        None => cx.out.null(),
        Some(entry) => cx.out.bulk(str_of(entry)?),
    }
    Ok(())
}

pub(super) fn set(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    if let [_, key, value] = args {
        set_to(cx, key, value, None);
        cx.out.ok();
        return Ok(());
    }
    let options = StringOptions::parse(&args[3..], For::Set)?;
    let (key, value) = (args[1], args[2]);
    let given = options.ttl.deadline(cx.tx.now(), "set")?;
    // The old value is not looked up unless an option needs it.
    let asks = options.ttl == Ttl::Keep || options.condition != Precondition::Always;
    let found = match (options.get, asks) {
        (true, _) => cx.tx.entry(key),
        (false, true) => cx.tx.look(key),
        (false, false) => None,
    };
    if options.get {
        match found {
            None => cx.out.null(),
            Some(entry) => cx.out.bulk(str_of(entry)?),
        }
    }
    if !options.condition.holds(found)? {
        if !options.get {
            cx.out.null();
        }
        return Ok(());
    }
    if options.ttl == Ttl::Keep {
        let kept = found.and_then(Entry::expire);
        set_to(cx, key, value, kept);
    } else {
        put(cx, key, value, given);
    }
    if !options.get {
        cx.out.ok();
    }
    Ok(())
}

pub(super) fn setnx(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let free = cx.tx.entry(args[1]).is_none();
    if free {
        put(cx, args[1], args[2], None);
    }
    cx.out.int(i64::from(free));
    Ok(())
}

pub(super) fn setex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let expire = deadline(Unit::Seconds, args[2], cx.tx.now(), "setex")?;
    put(cx, args[1], args[3], Some(expire));
    cx.out.ok();
    Ok(())
}

pub(super) fn psetex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let expire = deadline(Unit::Millis, args[2], cx.tx.now(), "psetex")?;
    put(cx, args[1], args[3], Some(expire));
    cx.out.ok();
    Ok(())
}

pub(super) fn getset(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    get(cx, args)?;
    put(cx, args[1], args[2], None);
    Ok(())
}

pub(super) fn getdel(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match cx.tx.entry(args[1]) {
        None => cx.out.null(),
        Some(entry) => {
            cx.out.bulk(str_of(entry)?);
            cx.tx.apply(Effect::Delete { db: cx.db(), key: args[1] });
            cx.tell(Classes::GENERIC, "del", args[1]);
        }
    }
    Ok(())
}

pub(super) fn getex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let options = StringOptions::parse(&args[2..], For::GetEx)?;
    let key = args[1];
    let Some(entry) = cx.tx.entry(key) else {
        cx.out.null();
        return Ok(());
    };
    let bytes = str_of(entry)?;
    let expire = options.ttl.deadline(cx.tx.now(), "getex")?;
    cx.out.bulk(bytes);
    let (db, before) = (cx.db(), entry.expire());
    let (effect, name) = match expire {
        Some(at) if at <= cx.tx.now() => (Effect::Delete { db, key }, "del"),
        Some(at) => (Effect::Expire { db, key, at: Some(at) }, "expire"),
        None if options.ttl == Ttl::Persist && before.is_some() => {
            (Effect::Expire { db, key, at: None }, "persist")
        }
        None => return Ok(()),
    };
    cx.tx.apply(effect);
    cx.tell(Classes::GENERIC, name, key);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::{Harness, START};

    fn deadline(t: &Harness, key: &str) -> Option<u64> {
        let store = &t.server.engine.store;
        let hash = store.hash(key.as_bytes());
        let locked = store.lock_one(hash, crate::store::Mode::Read, t.server.engine.clock.now_ms());
        locked.get(store.space(0), key.as_bytes(), hash).and_then(crate::store::Entry::expire)
    }

    #[test]
    fn deadlines_are_absolute_and_exact_to_the_millisecond() {
        let mut t = Harness::new();
        for (line, expected) in [
            ("set k v ex 2", Some(START + 2000)),
            ("set k v keepttl", Some(START + 2000)),
            ("set k v px 7 get", Some(START + 7)),
            ("set k v", None),
            ("set k v keepttl", None),
            ("set k v exat 1800000000", Some(1_800_000_000_000)),
            ("set k v pxat 1800000000001 xx", Some(1_800_000_000_001)),
            ("getex k", Some(1_800_000_000_001)),
            ("getex k px 9", Some(START + 9)),
            ("getex k persist", None),
            ("setex k 3 v", Some(START + 3000)),
            ("append k w", Some(START + 3000)),
            ("setrange k 0 w", Some(START + 3000)),
            ("getset k 1", None),
            ("psetex k 4 1", Some(START + 4)),
            ("incr k", Some(START + 4)),
            ("incrbyfloat k 0.5", Some(START + 4)),
            ("msetex 1 k v keepttl", Some(START + 4)),
            ("msetex 1 k v px 5", Some(START + 5)),
            ("setbit k 0 0", Some(START + 5)),
            ("bitfield k set u8 0 1", Some(START + 5)),
            ("bitop not k k", None),
            ("mset k v", None),
        ] {
            assert!(!t.run(line).starts_with('-'), "{line}");
            assert_eq!(deadline(&t, "k"), expected, "{line}");
        }
    }

    #[test]
    fn what_has_expired_is_not_built_upon() {
        let mut t = Harness::new();
        for (line, reply) in [
            ("append k x", ":1"),
            ("setrange k 1 x", ":2"),
            ("incr k", ":1"),
            ("setbit k 7 0", ":0"),
            ("set k v get", "nil"),
            ("set k v xx", "nil"),
            ("getex k persist", "nil"),
            ("bitfield k get u8 0", "[:0]"),
            ("setnx k v", ":1"),
            ("msetnx k v", ":1"),
            ("set k v ifeq 5", "nil"),
        ] {
            t.run("set k 5 px 10");
            t.advance(10);
            assert_eq!(t.run(line), reply, "{line}");
            assert_eq!(deadline(&t, "k"), None, "{line}");
        }
    }

    #[test]
    fn a_deadline_that_has_passed_removes_the_key() {
        let mut t = Harness::new();
        for line in ["set k w pxat 1", "set k w exat 1 get", "getex k pxat 1", "msetex 1 k w pxat 5 xx"] {
            t.run("set k v");
            assert!(!t.run(line).starts_with('-'), "{line}");
            assert_eq!(t.run("get k"), "nil", "{line}");
            assert!(t.server.engine.store.is_empty(), "{line}");
        }
        assert_eq!(t.run("set never v pxat 1"), "+OK");
        assert_eq!(t.server.engine.unsaved.count(), 8, "no effect of what never was");
    }

    #[test]
    fn times_are_checked_before_anything_changes() {
        let mut t = Harness::new();
        t.run("set k v");
        for (line, error) in [
            ("set k w ex 0", "-ERR invalid expire time in 'set' command"),
            ("set k w ex 9223372036854776", "-ERR invalid expire time in 'set' command"),
            ("set k w px 9223372036854775807", "-ERR invalid expire time in 'set' command"),
            ("set k w ex x", "-ERR value is not an integer or out of range"),
            ("set k w ex 1 px 1", "-ERR syntax error"),
            ("set k w nx xx", "-ERR syntax error"),
            ("set k w persist", "-ERR syntax error"),
            ("getex k nx", "-ERR syntax error"),
            ("getex k keepttl", "-ERR syntax error"),
            ("msetex 1 k w get", "-ERR syntax error"),
            ("msetex 1 k w ifeq v", "-ERR syntax error"),
            ("psetex k -1 w", "-ERR invalid expire time in 'psetex' command"),
            ("msetex 2147483648 k w", "-ERR invalid numkeys value"),
            ("msetex 2 k w l", "-ERR wrong number of key-value pairs"),
            ("set k w ifdeq 0", "-ERR must be exactly 16 hexadecimal characters"),
            ("delex k ifdne 0", "-ERR must be exactly 16 hexadecimal characters"),
            ("delex k iffy 0", "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"),
            ("delex k ifeq", "-ERR wrong number of arguments for 'delex' command"),
        ] {
            assert_eq!(t.run(line), error, "{line}");
            assert_eq!(t.run("get k"), "\"v\"", "{line}");
        }
        assert_eq!(t.run("set k w ex 9223372036854775 get"), "-ERR invalid expire time in 'set' command");
        assert_eq!(t.run("set missing w ifdeq 0"), "nil", "a missing key has no digest to compare");
        assert_eq!(t.run("set missing w ifdne 0"), "+OK");
    }
}
