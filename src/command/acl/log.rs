//! ACL LOG: what was refused to users.

use super::super::{Cx, Fail, Outcome, eq, parse_int};
use super::rights::{Refused, Standing, enter};
use crate::node::AclEntry;

/// The number of entries that are shown if the request names none.
const SHOWN: i64 = 10;

/// Enters in the log that the current command failed to authenticate as `user`.
#[cold]
pub(in crate::command) fn note_auth(cx: &Cx<'_, '_>, command: &[u8], user: &[u8]) {
    let entry = Refused { reason: "auth", standing: Standing::Alone, object: command, user: Some(user) };
    enter(cx.server, cx.settings, cx.client, entry);
}

pub(super) fn log(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let count = match &args[2..] {
        [] => SHOWN,
        [word] if eq(word, "RESET") => {
            cx.server.acl_log.lock().clear();
            cx.out.ok();
            return Ok(());
        }
        [count] => parse_int(count)?,
        _ => return Err(Fail::sub_syntax(args)),
    };
    let entries: Vec<AclEntry> = {
        let log = cx.server.acl_log.lock();
        log.entries().take(usize::try_from(count).unwrap_or(0)).cloned().collect()
    };
    let now = cx.server.engine.clock.instant();
    cx.out.array(entries.len());
    for entry in entries {
        cx.out.map(10);
        cx.out.bulk(b"count");
        cx.out.int(entry.count as i64);
        for (name, text) in [
            ("reason", entry.reason.as_bytes()),
            ("context", entry.context.as_bytes()),
            ("object", &entry.object),
            ("username", &entry.user),
        ] {
            cx.out.bulk(name.as_bytes());
            cx.out.bulk(text);
        }
        cx.out.bulk(b"age-seconds");
        cx.out.double(now.ms_since(entry.last) as f64 / 1000.0);
        cx.out.bulk(b"client-info");
        cx.out.bulk(entry.client.as_bytes());
        for (name, number) in [
            ("entry-id", entry.id),
            ("timestamp-created", entry.created),
            ("timestamp-last-updated", entry.updated),
        ] {
            cx.out.bulk(name.as_bytes());
            cx.out.int(number as i64);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Harness;

    #[test]
    fn failed_attempts_are_grouped_and_bounded() {
        let mut t = Harness::new();
        t.configure("requirepass", "secret");
        let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
        assert_eq!(t.run("auth secret"), "+OK");
        assert_eq!(t.run("acl log"), "[]");
        for _ in 0..3 {
            assert_eq!(t.run("auth wrong"), wrong);
            t.advance(59_000);
        }
        assert_eq!(t.run("AUTH someone wrong"), wrong);
        assert_eq!(t.run("hello 2 auth someone wrong"), wrong);
        t.run("multi");
        t.run("auth wrong");
        t.run("exec");
        let count = |t: &mut Harness, line: &str| t.run(line).matches("timestamp-created").count();
        assert_eq!(count(&mut t, "acl log"), 4);
        assert_eq!(count(&mut t, "acl log 2"), 2);
        assert_eq!(count(&mut t, "acl log -1"), 0);
        let shown = t.run("acl log");
        assert!(shown.starts_with(r#"[["count" :1 "reason" "auth" "context" "multi" "object" "auth" "username" "default" "age-seconds" "0" "client-info" "id="#), "{shown}");
        assert!(shown.contains(r#"["count" :3 "reason" "auth" "context" "toplevel" "object" "auth" "username" "default" "age-seconds" "59""#), "{shown}");
        t.advance(60_001);
        t.run("auth wrong");
        assert_eq!(count(&mut t, "acl log 100"), 5, "what is long past is another matter");
        t.configure("acllog-max-len", "2");
        t.run("auth other wrong");
        assert_eq!(count(&mut t, "acl log"), 2);
        assert_eq!(t.run("acl log reset"), "+OK");
        assert_eq!(t.run("acl log"), "[]");
    }
}
